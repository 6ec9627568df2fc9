/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/prefixes.h"

#include "proto/line.h"
#include "proto/number.h"

#define SLOT_COUNT (2 * PREFIX_COUNT_MAX)

_Static_assert((SLOT_COUNT & (SLOT_COUNT - 1)) == 0, "slots are found by a mask");
_Static_assert(PREFIX_COUNT_MAX < UINT16_MAX, "a slot holds an index");

size_t prefixes_bytes(void)
{
	return memory_rounded(sizeof(struct prefix) * PREFIX_COUNT_MAX) +
	       memory_rounded(sizeof(uint16_t) * SLOT_COUNT) + memory_rounded(PREFIX_BYTES_MAX);
}

void prefixes_create(struct prefixes *prefixes, const struct siphash_key *key,
                     struct memory *memory)
{
	*prefixes = (struct prefixes){
	    .key = *key,
	    .prefixes = memory_take(memory, sizeof(struct prefix) * PREFIX_COUNT_MAX),
	    .slots = memory_take(memory, sizeof(uint16_t) * SLOT_COUNT),
	    .text = memory_take(memory, PREFIX_BYTES_MAX),
	};
}

void prefixes_reset(struct prefixes *prefixes)
{
	if (prefixes->count == 0)
		return; /* its memory was never touched */
	prefixes->count = 0;
	prefixes->text_bytes = 0;
	memset(prefixes->slots, 0, sizeof(uint16_t) * SLOT_COUNT);
}

static struct slice name_of(const struct prefixes *prefixes, const struct prefix *prefix)
{
	return (struct slice){prefixes->text + prefix->text_at, prefix->text_bytes};
}

static struct prefix *add(struct prefixes *prefixes, struct slice name, uint16_t *slot)
{
	struct prefix *prefix = &prefixes->prefixes[prefixes->count];

	if (prefixes->count == PREFIX_COUNT_MAX ||
	    prefixes->text_bytes + name.length > PREFIX_BYTES_MAX)
		return NULL;
	*prefix =
	    (struct prefix){.text_at = prefixes->text_bytes, .text_bytes = (uint32_t)name.length};
	if (name.length > 0)
		memcpy(prefixes->text + prefix->text_at, name.data, name.length);
	prefixes->text_bytes += (uint32_t)name.length;
	*slot = (uint16_t)++prefixes->count;
	return prefix;
}

/* NULL: there is no room for it. */
static struct prefix *find(struct prefixes *prefixes, struct slice name)
{
	uint64_t hash = siphash(&prefixes->key, name.data, name.length);

	for (;; hash++) { /* half of the slots are free at the least */
		uint16_t *slot = &prefixes->slots[hash & (SLOT_COUNT - 1)];
		struct prefix *prefix;

		if (*slot == 0)
			return add(prefixes, name, slot);
		prefix = &prefixes->prefixes[*slot - 1];
		if (slice_equal(name_of(prefixes, prefix), name))
			return prefix;
	}
}

bool prefixes_count(struct prefixes *prefixes, const struct shard_event *event)
{
	const uint8_t *delimiter;
	struct prefix *prefix;

	if (!prefixes->is_on || event->kind == SHARD_EVICTED || event->key.length == 0)
		return true;
	delimiter = memchr(event->key.data, PREFIX_DELIMITER, event->key.length);
	if (delimiter == NULL)
		return true;
	prefix =
	    find(prefixes, (struct slice){event->key.data, (size_t)(delimiter - event->key.data)});
	if (prefix == NULL)
		return false;
	prefix->gets += event->kind == SHARD_FETCHED;
	prefix->hits += event->kind == SHARD_FETCHED && event->status == REPLY_HIT;
	prefix->sets += event->kind == SHARD_STORED;
	prefix->deletes += event->kind == SHARD_DELETED;
	return true;
}

uint32_t prefixes_write_line(const struct prefixes *prefixes, uint32_t index, uint8_t *to)
{
	const struct prefix *prefix = &prefixes->prefixes[index];
	struct slice name = name_of(prefixes, prefix);
	uint8_t *end = line_write(to, "PREFIX ");

	ASSERT(index < prefixes->count);
	if (name.length > 0)
		memcpy(end, name.data, name.length);
	end += name.length;
	end = number_write(line_write(end, " get "), prefix->gets);
	end = number_write(line_write(end, " hit "), prefix->hits);
	end = number_write(line_write(end, " set "), prefix->sets);
	end = number_write(line_write(end, " del "), prefix->deletes);
	return (uint32_t)(line_write(end, "\r\n") - to);
}
