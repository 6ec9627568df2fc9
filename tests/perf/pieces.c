/* SPDX-License-Identifier: Apache-2.0 */
/* From which size on does a value cost less when it is referred to than when it is copied?
 *
 *   pieces [REPLIES]
 *
 * A reply is a head, a value from anywhere in a gigabyte, and a tail, appended to a chain, put into
 * packets of up to 32 KiB and given to a device that takes them at once. In cycles a reply:
 *
 *   copied      the value is copied into the chain, and from there into the packet
 *   once        the chain refers to it, the packet gets a copy
 *   referred    the packet refers to it too: a mbuf, a reference counted, a descriptor
 *
 * The ways take turns; medians of seven. `hot`: the same few values again and again, in the
 * processor's cache. Touches no network. */
#include "base/random.h"
#include "net/dpdk_netif.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DEVICE       7
#define ARENA_BYTES  (1ull << 30)
#define HOT_BYTES    (1u << 21)
#define BLOCK_COUNT  1024
#define ROUNDS       7
#define LARGE_BYTES  32768
#define HEADER_BYTES 66

enum way {
	WAY_COPIED,
	WAY_ONCE,
	WAY_REFERRED,
	WAY_COUNT
};

struct bench {
	struct dpdk_netif *netif;
	struct rte_mempool *pieces;
	struct block_pool blocks;
	struct chain chain;
	void *region; /* of the blocks */
	uint8_t *arena;
	uint64_t pins[ARENA_BYTES >> 20][8]; /* a line each, as segment headers are */
	struct random random;
};

static bool pin(void *context, void *reference)
{
	(*(uint64_t *)reference)++;
	return true;
}

static void unpin(void *context, void *reference)
{
	(*(uint64_t *)reference)--;
}

static uint16_t burst_leaves(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	rte_pktmbuf_free_bulk(mbufs, count);
	return count;
}

static uint16_t burst_prepares(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return count;
}

static void device_make(void)
{
	static void *queue, *no_callback;
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[DEVICE];

	ops->tx_pkt_burst = burst_leaves;
	ops->tx_pkt_prepare = burst_prepares;
	ops->txq.data = &queue;
	ops->txq.clbk = &no_callback;
}

static void bench_create(struct bench *bench)
{
	static const uint8_t mac[6] = {2};
	const struct references references = {pin, unpin, NULL};
	struct memory memory = {.bytes = block_pool_bytes(BLOCK_COUNT)};
	struct rte_mempool *pool =
	    rte_pktmbuf_pool_create("pool", 4095, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);

	device_make();
	bench->netif = rte_zmalloc("netif", sizeof(*bench->netif), RTE_CACHE_LINE_SIZE);
	bench->pieces = dpdk_pieces_create("pieces", 2047, 0);
	ASSERT(pool != NULL && bench->netif != NULL && bench->pieces != NULL);
	dpdk_netif_create(bench->netif, DEVICE, 0, pool, 1500, mac,
	                  NETIF_TX_IP4_CHECKSUM | NETIF_TX_L4_CHECKSUM | NETIF_TX_PIECES);
	bench->netif->piece_bytes_min = 1;
	bench->region = memory.base = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	ASSERT(memory.base != NULL);
	memset(memory.base, 0, memory.bytes);
	block_pool_create(&bench->blocks, BLOCK_COUNT, &memory, &references);
	chain_create(&bench->chain, &bench->blocks);
	bench->arena =
	    mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(bench->arena != MAP_FAILED);
	madvise(bench->arena, ARENA_BYTES, MADV_HUGEPAGE);
	memset(bench->arena, 1, ARENA_BYTES);
	bench->random = random_seeded(1);
}

static void packet_send(struct bench *bench, struct chain_cursor *cursor, uint32_t length)
{
	struct netif *netif = &bench->netif->netif;
	struct packet packet;
	bool good = netif->ops->allocate(netif, &packet);

	ASSERT(good);
	memset(packet.data, 0, HEADER_BYTES);
	packet.data[14] = 0x45;
	packet.length = HEADER_BYTES;
	packet.l2_length = 14;
	packet.l3_length = 20;
	packet.flags = PACKET_SUM_IP4 | PACKET_SUM_TCP;
	packet.segment_bytes = 1448;
	good = netif->ops->append(netif, &packet, &bench->chain, cursor, length);
	ASSERT(good);
	netif->ops->transmit(netif, &packet);
}

static void reply(struct bench *bench, enum way way, uint64_t offset, uint32_t value_bytes)
{
	struct netif *netif = &bench->netif->netif;
	struct chain *chain = &bench->chain;
	struct chain_cursor cursor = {0};
	uint64_t *reference = bench->pins[offset >> 20];
	bool good = chain_append(chain, "VALUE some_key_of_usual_length 0 12345\r\n", 40);

	if (way == WAY_COPIED) {
		good = good && chain_append(chain, bench->arena + offset, value_bytes);
	} else {
		pin(NULL, reference);
		good = good &&
		       chain_append_reference(chain, bench->arena + offset, value_bytes, reference);
	}
	good = good && chain_append(chain, "\r\nEND\r\n", 7);
	ASSERT(good);
	for (uint64_t left = chain->length; left > 0;) {
		uint32_t part = (uint32_t)min_u64(left, LARGE_BYTES);

		packet_send(bench, &cursor, part);
		left -= part;
	}
	netif->ops->flush(netif);
	chain_drop_front(chain, chain->length);
}

static double cycles_a_reply(struct bench *bench, enum way way, uint32_t value_bytes, bool hot,
                             uint32_t count)
{
	uint64_t bytes = hot ? HOT_BYTES : ARENA_BYTES;
	uint64_t start;

	bench->netif->pieces = way == WAY_REFERRED ? bench->pieces : NULL;
	start = rte_rdtsc_precise();
	for (uint32_t i = 0; i < count; i++)
		reply(bench, way, random_below(&bench->random, bytes - value_bytes), value_bytes);
	return (double)(rte_rdtsc_precise() - start) / count;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void row(struct bench *bench, uint32_t value_bytes, bool hot, uint32_t count)
{
	double cycles[WAY_COUNT][ROUNDS];

	count = max_u32(count / (1 + value_bytes / 2048), 100);
	for (int round = 0; round < ROUNDS; round++)
		for (int way = 0; way < WAY_COUNT; way++)
			cycles[way][round] =
			    cycles_a_reply(bench, (enum way)way, value_bytes, hot, count);
	for (int way = 0; way < WAY_COUNT; way++)
		qsort(cycles[way], ROUNDS, sizeof(cycles[way][0]), compare);
	printf("%8u  %-4s %10.0f %10.0f %10.0f\n", value_bytes, hot ? "hot" : "cold",
	       cycles[WAY_COPIED][ROUNDS / 2], cycles[WAY_ONCE][ROUNDS / 2],
	       cycles[WAY_REFERRED][ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {128,  256,  384,  512,   768,   1024,
	                                 1448, 2048, 4096, 16384, 65536, 1000000};
	const char *arguments[] = {"pieces",
	                           "--no-huge",
	                           "-m",
	                           "64",
	                           "--no-pci",
	                           "--no-shconf",
	                           "--lcores=0",
	                           "--no-telemetry",
	                           "--file-prefix=kante-pieces",
	                           "--log-level=lib.eal:1"};
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 20000;
	struct bench *bench = calloc(1, sizeof(*bench));

	if (rte_eal_init(sizeof(arguments) / sizeof(arguments[0]), (char **)(uintptr_t)arguments) <
	    0) {
		fprintf(stderr, "DPDK cannot start: is there memory?\n");
		return 1;
	}
	ASSERT(bench != NULL);
	bench_create(bench);
	printf("   value             copied       once   referred   cycles a reply\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		row(bench, sizes[i], false, count);
		row(bench, sizes[i], true, count);
	}
	munmap(bench->arena, ARENA_BYTES);
	free(bench->region);
	free(bench);
	rte_eal_cleanup();
	return 0;
}
