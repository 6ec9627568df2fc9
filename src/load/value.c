/* SPDX-License-Identifier: Apache-2.0 */
#include "load/value.h"

#include "base/bytes.h"
#include "base/random.h"

#define WORD_BYTES      8
#define HEAD_WORD_COUNT 2 /* before the stream */

static uint64_t stream_seed(uint64_t key, uint32_t version, uint32_t length)
{
	uint64_t state = key;

	state = random_splitmix64(&state) ^ ((uint64_t)version << 32 | length);
	return random_splitmix64(&state);
}

/* Any word of the stream without those before it: one multiplication each, so that checking is
 * not what limits the load. */
static inline uint64_t stream_word(uint64_t seed, uint64_t index)
{
	unsigned __int128 product =
	    (unsigned __int128)(seed + index * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t value_word(const struct value *value, uint32_t index)
{
	if (index >= HEAD_WORD_COUNT || value->length < VALUE_HEAD_BYTES)
		return stream_word(value->seed, index);
	return index == 0 ? value->key : (uint64_t)value->version << 32 | value->length;
}

struct value value_of(uint64_t key, uint32_t version, uint32_t length)
{
	struct value value = {.key = key, .length = length};

	value.version = length < VALUE_HEAD_BYTES ? 0 : version;
	value.seed = stream_seed(key, value.version, length);
	return value;
}

uint32_t value_flags(uint64_t key, uint32_t length)
{
	return (uint32_t)(stream_seed(~key, 0, length) >> 32);
}

uint32_t value_head_version(const uint8_t head[VALUE_HEAD_BYTES])
{
	uint64_t word;

	memcpy(&word, head + WORD_BYTES, sizeof(word));
	return (uint32_t)(word >> 32);
}

/* Bytes up to the next place where whole stream words can be taken; 0 when that is here. */
static uint32_t odd_bytes(uint32_t offset, uint32_t count)
{
	if (offset % WORD_BYTES == 0 && offset >= HEAD_WORD_COUNT * WORD_BYTES &&
	    count >= WORD_BYTES)
		return 0;
	return min_u32(WORD_BYTES - offset % WORD_BYTES, count);
}

void value_fill(const struct value *value, uint32_t offset, uint8_t *to, uint32_t count)
{
	while (count > 0) {
		uint32_t piece = odd_bytes(offset, count);

		if (piece > 0) {
			uint64_t word = value_word(value, offset / WORD_BYTES);

			memcpy(to, (uint8_t *)&word + offset % WORD_BYTES, piece);
		} else {
			piece = count / WORD_BYTES * WORD_BYTES;
			for (uint32_t i = 0; i < piece; i += WORD_BYTES) {
				uint64_t word = stream_word(value->seed, (offset + i) / WORD_BYTES);

				memcpy(to + i, &word, WORD_BYTES);
			}
		}
		offset += piece;
		to += piece;
		count -= piece;
	}
}

static uint32_t nonzero_bytes(uint64_t word)
{
	uint32_t count = 0;

	for (; word != 0; word >>= 8)
		count += (word & 0xff) != 0;
	return count;
}

uint32_t value_wrong_bytes(const struct value *value, uint32_t offset, const uint8_t *bytes,
                           uint32_t count)
{
	uint32_t wrong = 0;

	while (count > 0) {
		uint32_t piece = odd_bytes(offset, count);

		if (piece > 0) {
			uint64_t word = value_word(value, offset / WORD_BYTES);
			const uint8_t *right = (uint8_t *)&word + offset % WORD_BYTES;

			for (uint32_t i = 0; i < piece; i++)
				wrong += bytes[i] != right[i];
		} else {
			piece = count / WORD_BYTES * WORD_BYTES;
			for (uint32_t i = 0; i < piece; i += WORD_BYTES) {
				uint64_t word;

				memcpy(&word, bytes + i, WORD_BYTES);
				word ^= stream_word(value->seed, (offset + i) / WORD_BYTES);
				if (__builtin_expect(word != 0, 0))
					wrong += nonzero_bytes(word);
			}
		}
		offset += piece;
		bytes += piece;
		count -= piece;
	}
	return wrong;
}
