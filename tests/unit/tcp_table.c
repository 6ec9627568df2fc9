/* SPDX-License-Identifier: Apache-2.0 */
/* The table of connections: as many as there may be come and go, and each is found. */
#include "unit.h"

#include "base/random.h"
#include "tcp/tcp_internal.h"

#include <stdlib.h>

#define COUNT_MAX 10000
#define CHANGES   200000
#define PORT      11211

struct rig {
	struct tcp *tcp;
	struct net_path paths[COUNT_MAX];
	struct tuple tuples[COUNT_MAX]; /* of the live ones first */
	struct tcp_connection *connections[COUNT_MAX];
	uint32_t live_count;
	struct random random;
	void *region;
};

static bool opened(void *context, struct stream *stream)
{
	return true;
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	return length;
}

static void nothing(void *context, struct stream *stream)
{
}

/* Clients of an IPv4 network, or of IPv6 ones; every third of the same address as the last. */
static void make_tuples(struct rig *rig, const char *network)
{
	for (uint32_t i = 0; i < COUNT_MAX; i++) {
		struct net_path *path = &rig->paths[i];
		uint16_t port = (uint16_t)(1024 + random_below(&rig->random, 60000));
		uint32_t host = i - i % 3;

		ip_address_parse(&path->local, network);
		path->remote = path->local;
		path->remote.bytes[13] = (uint8_t)(host >> 16);
		path->remote.bytes[14] = (uint8_t)(host >> 8);
		path->remote.bytes[15] = (uint8_t)host;
		port = (uint16_t)(port - port % 3 + i % 3);
		rig->tuples[i] = tuple_of(rig->tcp, path, PORT, port);
	}
}

static struct rig *rig_new(const char *network)
{
	static struct block_pool blocks;
	struct rig *rig = calloc(1, sizeof(*rig));
	struct tcp_options options = tcp_options_default();
	struct stream_user user = {opened, received, nothing, nothing, nothing, NULL};
	struct memory memory;

	options.connection_count_max = COUNT_MAX;
	options.secret = (struct siphash_key){3, 4};
	memory = (struct memory){.bytes = memory_rounded(tcp_memory_bytes(&options))};
	rig->region = memory.base = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	memset(rig->region, 0, memory.bytes);
	tcp_create(&rig->tcp, &options, &user, &blocks, &memory, 1000000);
	rig->random = random_seeded(7);
	make_tuples(rig, network);
	return rig;
}

static void rig_free(struct rig *rig)
{
	free(rig->region);
	free(rig);
}

static void swap(struct rig *rig, uint32_t a, uint32_t b)
{
	struct tuple tuple = rig->tuples[a];
	struct tcp_connection *connection = rig->connections[a];

	rig->tuples[a] = rig->tuples[b];
	rig->connections[a] = rig->connections[b];
	rig->tuples[b] = tuple;
	rig->connections[b] = connection;
}

static void add(struct rig *rig)
{
	uint32_t i = rig->live_count + random_below(&rig->random, COUNT_MAX - rig->live_count);

	CU_ASSERT_PTR_NULL(table_find(rig->tcp, &rig->tuples[i]));
	rig->connections[i] = table_add(rig->tcp, &rig->tuples[i]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->connections[i]);
	swap(rig, i, rig->live_count++);
}

static void take(struct rig *rig)
{
	uint32_t i = random_below(&rig->random, rig->live_count);

	table_remove(rig->tcp, rig->connections[i]);
	CU_ASSERT_PTR_NULL(table_find(rig->tcp, &rig->tuples[i]));
	swap(rig, i, --rig->live_count);
}

static void look(struct rig *rig)
{
	uint32_t i = random_below(&rig->random, COUNT_MAX);

	CU_ASSERT_PTR_EQUAL(table_find(rig->tcp, &rig->tuples[i]),
	                    i < rig->live_count ? rig->connections[i] : NULL);
}

static void come_and_go(const char *network)
{
	struct rig *rig = rig_new(network);
	uint32_t behind_others = 0;

	while (rig->live_count < COUNT_MAX)
		add(rig);
	CU_ASSERT_FALSE(table_has_room(rig->tcp));
	CU_ASSERT_PTR_NULL(table_add(rig->tcp, &rig->tuples[0]));
	for (uint32_t i = 0; i < COUNT_MAX; i++)
		behind_others += rig->connections[i]->next != NULL;
	CU_ASSERT(behind_others > 10 && behind_others < COUNT_MAX / 20);
	/* fewer and more, by turns */
	for (uint32_t i = 0; i < CHANGES; i++) {
		uint32_t take_percent = i / 8000 % 2 == 1 ? 35 : 65;

		if (rig->live_count == COUNT_MAX || random_below(&rig->random, 100) < take_percent)
			take(rig);
		else
			add(rig);
		look(rig);
	}
	while (rig->live_count > 0)
		take(rig);
	CU_ASSERT_EQUAL(rig->tcp->used_count, COUNT_MAX);
	rig_free(rig);
}

static void test_each_is_found_over_ip4(void)
{
	come_and_go("10.0.0.1");
}

static void test_each_is_found_over_ip6(void)
{
	come_and_go("fd00:198::1");
}

static const struct unit_case cases[] = {
    {"each connection is found over IPv4", test_each_is_found_over_ip4},
    {"each connection is found over IPv6", test_each_is_found_over_ip6},
};

int main(void)
{
	return UNIT_RUN("tcp_table", cases);
}
