/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections each source (ip_address_source()) has. References are index + 1; 0: not
 * counted. */
#pragma once

#include "base/memory.h"
#include "net/net.h"

struct tcp;
struct source;

struct sources {
	struct source *sources; /* NULL: nobody is counted */
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t free;
	uint32_t used_count; /* ever taken from the array's fresh end */
};

struct tcp_options;

size_t sources_bytes(const struct tcp_options *options);
void sources_create(struct tcp *tcp, struct memory *memory);

/* True when this source may have one connection more. */
bool source_has_room(struct tcp *tcp, const struct ip_address *address);

/* Counts one more. There is room for as many sources as for connections. */
uint32_t source_take(struct tcp *tcp, const struct ip_address *address);
void source_give(struct tcp *tcp, uint32_t reference);
