/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of reply, workload and datagrams share. */
#pragma once

#include "load/datagrams.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSION     77
#define REPLY_BYTES 4096
#define PIPELINE    5

/* What a reply says before its value, and after it. Returns its length. */
static inline size_t put_value_line(uint8_t *to, enum protocol protocol, uint64_t key,
                                    uint32_t length)
{
	if (protocol == PROTOCOL_REDIS)
		return (size_t)sprintf((char *)to, "$%u\r\n", length);
	return (size_t)sprintf((char *)to, "VALUE load:%015llu %u %u\r\n", (unsigned long long)key,
	                       value_flags(key, length), length);
}

static inline size_t put_after_value(uint8_t *to, enum protocol protocol)
{
	return (size_t)sprintf((char *)to, protocol == PROTOCOL_REDIS ? "\r\n" : "\r\nEND\r\n");
}

/* The reply of an honest server. Returns its length. */
static inline size_t put_reply_of(uint8_t *to, enum protocol protocol, uint64_t key,
                                  uint32_t version, uint32_t length)
{
	struct value value = value_of(key, version, length);
	size_t used = put_value_line(to, protocol, key, length);

	value_fill(&value, 0, to + used, length);
	return used + length + put_after_value(to + used + length, protocol);
}

static inline size_t put_reply(uint8_t *to, uint64_t key, uint32_t version, uint32_t length)
{
	return put_reply_of(to, PROTOCOL_MEMCACHED, key, version, length);
}

struct rig {
	struct workload workload;
	struct conversation conversation;
	struct datagrams datagrams;
	struct datagram_shelf shelf;
	void *region;
};

static inline struct rig *rig_create(const struct workload_options *options)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct memory memory = {.bytes = conversation_bytes(PIPELINE) + datagrams_bytes(PIPELINE) +
	                                 datagram_shelf_bytes(64)};

	rig->region = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	memory.base = rig->region;
	workload_create(&rig->workload, options);
	conversation_create(&rig->conversation, &rig->workload, PIPELINE, &memory);
	datagram_shelf_create(&rig->shelf, 64, &memory);
	datagrams_create(&rig->datagrams, &rig->workload, &rig->shelf, PIPELINE, &memory);
	return rig;
}

static inline void rig_destroy(struct rig *rig)
{
	free(rig->region);
	free(rig);
}

static inline struct rig *rig_with_sets(double set_percent)
{
	struct workload_options options = {.key_count = 1000,
	                                   .zipf_exponent = 0.99,
	                                   .value_bytes_max = 200,
	                                   .set_percent = set_percent,
	                                   .seed = 9};

	return rig_create(&options);
}
