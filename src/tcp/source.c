/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/source.h"

#include "tcp/tcp_internal.h"

struct source {
	struct ip_address address; /* of IPv6 the first half, then zeros */
	uint32_t connection_count;
	uint32_t next; /* in the bucket, or free */
};

size_t sources_bytes(const struct tcp_options *options)
{
	uint32_t count = options->connection_count_max;

	if (options->source_connection_count_max == 0)
		return 0;
	return memory_rounded(count * sizeof(struct source)) +
	       memory_rounded(table_bucket_count(count) * sizeof(uint32_t));
}

void sources_create(struct tcp *tcp, struct memory *memory)
{
	uint32_t count = tcp->options.connection_count_max;
	uint32_t buckets = table_bucket_count(count);

	if (tcp->options.source_connection_count_max == 0)
		return;
	tcp->sources = (struct sources){
	    .sources = memory_take(memory, count * sizeof(struct source)),
	    .buckets = memory_take(memory, buckets * sizeof(uint32_t)),
	    .bucket_mask = buckets - 1,
	};
}

static uint32_t *bucket_of(struct tcp *tcp, const struct ip_address *source)
{
	uint64_t hash = siphash(&tcp->secrets.table, source, sizeof(*source));

	return &tcp->sources.buckets[hash & tcp->sources.bucket_mask];
}

/* 0: none. */
static uint32_t source_find(struct tcp *tcp, const struct ip_address *source)
{
	const struct sources *sources = &tcp->sources;
	uint32_t at = *bucket_of(tcp, source);

	while (at != 0 && !ip_address_equal(&sources->sources[at - 1].address, source))
		at = sources->sources[at - 1].next;
	return at;
}

bool source_has_room(struct tcp *tcp, const struct ip_address *address)
{
	struct ip_address source = ip_address_source(address);
	uint32_t at;

	if (tcp->sources.sources == NULL)
		return true;
	at = source_find(tcp, &source);
	return at == 0 || tcp->sources.sources[at - 1].connection_count <
	                      tcp->options.source_connection_count_max;
}

uint32_t source_take(struct tcp *tcp, const struct ip_address *address)
{
	struct sources *sources = &tcp->sources;
	struct ip_address source = ip_address_source(address);
	uint32_t *bucket, at;

	if (sources->sources == NULL)
		return 0;
	at = source_find(tcp, &source);
	if (at == 0) {
		bucket = bucket_of(tcp, &source);
		at = sources->free;
		if (at != 0)
			sources->free = sources->sources[at - 1].next;
		else
			at = ++sources->used_count;
		ASSERT(at <= tcp->options.connection_count_max);
		sources->sources[at - 1] = (struct source){.address = source, .next = *bucket};
		*bucket = at;
	}
	sources->sources[at - 1].connection_count++;
	return at;
}

void source_give(struct tcp *tcp, uint32_t reference)
{
	struct sources *sources = &tcp->sources;
	struct source *source;
	uint32_t *link;

	if (reference == 0)
		return;
	source = &sources->sources[reference - 1];
	if (--source->connection_count > 0)
		return;
	link = bucket_of(tcp, &source->address);
	while (*link != reference)
		link = &sources->sources[*link - 1].next;
	*link = source->next;
	source->next = sources->free;
	sources->free = reference;
}
