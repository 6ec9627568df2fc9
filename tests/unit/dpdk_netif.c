/* SPDX-License-Identifier: Apache-2.0 */
/* What a DPDK queue pair receives and sends. */
#include "dpdk_netif_rig.h"

static void arrive(struct rig *rig, uint16_t length, uint64_t flags)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(rig->pool);

	rte_pktmbuf_append(mbuf, length);
	mbuf->ol_flags = flags;
	rig->arrived[rig->arrived_count++] = mbuf;
}

/* The next frame, or one with all its fields 0. */
static struct packet receive_one(struct rig *rig)
{
	struct packet burst[NETIF_BURST_MAX] = {0};
	uint32_t count = netif_of(rig)->ops->receive(netif_of(rig), burst, NETIF_BURST_MAX);

	CU_ASSERT(count <= 1);
	netif_of(rig)->ops->release(netif_of(rig), burst, count);
	return burst[0];
}

static void test_sums_are_good_when_the_device_knows_both(void)
{
	static const struct {
		uint64_t device;
		uint16_t ours;
	} tries[] = {
	    {RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, PACKET_CHECKSUM_GOOD},
	    {RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN, 0},
	    {RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN | RTE_MBUF_F_RX_L4_CKSUM_GOOD, 0},
	    {RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE, 0},
	    {RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, PACKET_CHECKSUM_BAD},
	    {RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD, PACKET_CHECKSUM_BAD},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct rig *rig = rig_new(NETIF_RX_CHECKSUM);

		arrive(rig, 64, tries[i].device);
		CU_ASSERT_EQUAL(receive_one(rig).flags, tries[i].ours);
		rig_free(rig);
		/* of a device that checks nothing, nothing is believed */
		rig = rig_new(0);
		arrive(rig, 64, tries[i].device);
		CU_ASSERT_EQUAL(receive_one(rig).flags, 0);
		rig_free(rig);
	}
}

static void test_frames_in_pieces_are_dropped_and_counted(void)
{
	struct rig *rig = rig_new(0);

	arrive(rig, 1500, 0);
	arrive(rig, 100, 0);
	rte_pktmbuf_chain(rig->arrived[0], rig->arrived[1]);
	rig->arrived_count = 1;
	arrive(rig, 64, 0);
	CU_ASSERT_EQUAL(receive_one(rig).length, 64);
	CU_ASSERT_EQUAL(counter_read(&rig->netif->chained_drops), 1);
	rig_free(rig);
}

static void test_the_device_is_asked_for_the_sums_that_are_left_to_it(void)
{
	static const struct {
		uint8_t ip_version;
		uint16_t ours;
		uint64_t device;
	} tries[] = {
	    {4, 0, 0},
	    {4, PACKET_SUM_IP4, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM},
	    {4, PACKET_SUM_IP4 | PACKET_SUM_TCP,
	     RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM},
	    {6, PACKET_SUM_TCP, RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_CKSUM},
	    {6, PACKET_SUM_UDP, RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM},
	};
	struct rig *rig = rig_new(NETIF_TX_IP4_CHECKSUM | NETIF_TX_L4_CHECKSUM);
	uint32_t count = sizeof(tries) / sizeof(tries[0]);

	for (uint32_t i = 0; i < count; i++)
		send_frame(rig, tries[i].ip_version, tries[i].ours);
	CU_ASSERT_EQUAL(rig->sent_count, 0); /* until the doorbell */
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL_FATAL(rig->sent_count, count);
	for (uint32_t i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(rig->sent[i]->ol_flags, tries[i].device);
		CU_ASSERT_EQUAL(rig->sent[i]->pkt_len, 60);
		if (tries[i].device == 0)
			continue;
		CU_ASSERT_EQUAL(rig->sent[i]->l2_len, 14);
		CU_ASSERT_EQUAL(rig->sent[i]->l3_len, tries[i].ip_version == 4 ? 20 : 40);
	}
	rig_free(rig);
}

static void test_what_a_slow_device_leaves_waits_in_order(void)
{
	struct rig *rig = rig_new(0);
	struct rte_mbuf *first;

	rig->accepted_max = 3;
	for (int i = 0; i < 5; i++)
		send_frame(rig, 4, 0);
	first = rig->netif->queued[3];
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL(rig->sent_count, 3);
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL_FATAL(rig->sent_count, 5);
	CU_ASSERT_PTR_EQUAL(rig->sent[3], first);
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL(rig->sent_count, 5);
	rig_free(rig);
}

static void test_a_device_that_is_behind_gives_no_frames(void)
{
	struct rig *rig = rig_new(0);
	struct packet ahead, packet;

	rig->accepted_max = 0;
	CU_ASSERT_TRUE(netif_of(rig)->ops->allocate(netif_of(rig), &ahead));
	for (int i = 0; i < DPDK_NETIF_QUEUE_MAX; i++)
		send_frame(rig, 4, 0);
	CU_ASSERT_FALSE(netif_of(rig)->ops->allocate(netif_of(rig), &packet));
	/* one that was allocated before is dropped, and counted */
	ahead.length = 60;
	netif_of(rig)->ops->transmit(netif_of(rig), &ahead);
	CU_ASSERT_EQUAL(counter_read(&netif_of(rig)->transmit_drops), 1);
	rig->accepted_max = 1;
	CU_ASSERT_TRUE(netif_of(rig)->ops->allocate(netif_of(rig), &packet));
	netif_of(rig)->ops->release(netif_of(rig), &packet, 1);
	rig->accepted_max = UINT16_MAX;
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL(rig->sent_count, DPDK_NETIF_QUEUE_MAX);
	rig_free(rig);
}

static void test_an_empty_pool_gives_no_frames(void)
{
	struct rig *rig = rig_new(0);
	struct packet packets[MBUF_COUNT], packet;

	for (int i = 0; i < MBUF_COUNT; i++)
		CU_ASSERT_TRUE(netif_of(rig)->ops->allocate(netif_of(rig), &packets[i]));
	CU_ASSERT_FALSE(netif_of(rig)->ops->allocate(netif_of(rig), &packet));
	netif_of(rig)->ops->release(netif_of(rig), packets, MBUF_COUNT);
	CU_ASSERT_TRUE(netif_of(rig)->ops->allocate(netif_of(rig), &packet));
	netif_of(rig)->ops->release(netif_of(rig), &packet, 1);
	rig_free(rig);
}

/* What the device has got is what the chain holds; returns how many bytes it refers to. */
static uint32_t check_sent(struct rig *rig, uint32_t index, uint32_t length)
{
	uint8_t got[21000], wanted[21000] = {0};
	struct chain_cursor cursor = {0};
	uint32_t referred_bytes = 0;
	uint32_t piece_count = 0;

	CU_ASSERT_EQUAL_FATAL(rig->sent[index]->pkt_len, HEADER_BYTES + length);
	CU_ASSERT_EQUAL_FATAL(chain_read(&rig->chain, &cursor, wanted, length), length);
	for (struct rte_mbuf *mbuf = rig->sent[index]; mbuf != NULL; mbuf = mbuf->next) {
		piece_count++;
		if (mbuf->ol_flags & RTE_MBUF_F_EXTERNAL)
			referred_bytes += mbuf->data_len;
		CU_ASSERT(mbuf->data_len <= DPDK_NETIF_PIECE_BYTES_MAX);
	}
	CU_ASSERT_EQUAL(piece_count, rig->sent[index]->nb_segs);
	CU_ASSERT_EQUAL(
	    memcmp(rte_pktmbuf_read(rig->sent[index], HEADER_BYTES, length, got), wanted, length),
	    0);
	return referred_bytes;
}

#define OFFLOADS (NETIF_TX_IP4_CHECKSUM | NETIF_TX_L4_CHECKSUM | NETIF_TX_PIECES)

static void test_what_a_chain_refers_to_is_not_copied(void)
{
	struct rig *rig = rig_new(OFFLOADS);
	struct chain_cursor cursor = {0};

	chain_fill(rig, 4000);
	CU_ASSERT_TRUE(send_chain(rig, &cursor, 4020, 1448));
	CU_ASSERT_EQUAL(check_sent(rig, 0, 4020), 4000);
	CU_ASSERT_EQUAL(rig->sent[0]->nb_segs, 3);
	CU_ASSERT_TRUE((rig->sent[0]->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0);
	CU_ASSERT_EQUAL(rig->sent[0]->l4_len, 32);
	CU_ASSERT_EQUAL(rig->sent[0]->tso_segsz, 1448);
	/* acknowledged, and still in the ring */
	CU_ASSERT_EQUAL(rig->references, 2);
	chain_clear(&rig->chain);
	CU_ASSERT_EQUAL(rig->references, 1);
	device_completes(rig);
	CU_ASSERT_EQUAL(rig->references, 0);
	rig_free(rig);
}

static void test_a_long_value_is_referred_to_in_parts(void)
{
	struct rig *rig = rig_new(OFFLOADS);
	struct chain_cursor cursor = {0};

	chain_fill(rig, 20000);
	CU_ASSERT_TRUE(send_chain(rig, &cursor, 20020, 1448));
	CU_ASSERT_EQUAL(check_sent(rig, 0, 20020), 20000);
	CU_ASSERT_EQUAL(rig->sent[0]->nb_segs, 5);
	CU_ASSERT_EQUAL(rig->references, 4);
	rig_free(rig);
}

static void test_what_is_small_is_copied(void)
{
	struct rig *rig = rig_new(OFFLOADS);
	struct chain_cursor cursor = {0};

	chain_fill(rig, DPDK_NETIF_PIECE_BYTES_MIN - 1);
	CU_ASSERT_TRUE(send_chain(rig, &cursor, DPDK_NETIF_PIECE_BYTES_MIN + 19, 0));
	CU_ASSERT_EQUAL(check_sent(rig, 0, DPDK_NETIF_PIECE_BYTES_MIN + 19), 0);
	CU_ASSERT_EQUAL(rig->sent[0]->nb_segs, 1);
	CU_ASSERT_EQUAL(rig->sent[0]->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0);
	rig_free(rig);
}

/* The device cannot read it, no mbuf is left to refer, the owner lets nobody refer to it. */
static void test_what_cannot_be_referred_to_is_copied(void)
{
	for (int why = 0; why < 3; why++) {
		struct rig *rig = rig_new(why == 0 ? OFFLOADS & ~NETIF_TX_PIECES : OFFLOADS);
		struct rte_mbuf *taken[PIECE_COUNT] = {0};
		struct chain_cursor cursor = {0};

		if (why == 1)
			CU_ASSERT_EQUAL_FATAL(
			    rte_pktmbuf_alloc_bulk(rig->netif->pieces, taken, PIECE_COUNT), 0);
		rig->retains = why != 2;
		chain_fill(rig, 4000);
		CU_ASSERT_TRUE(send_chain(rig, &cursor, 4020, 1448));
		CU_ASSERT_EQUAL(check_sent(rig, 0, 4020), 0);
		CU_ASSERT_EQUAL(rig->references, 1);
		rte_pktmbuf_free_bulk(taken, why == 1 ? PIECE_COUNT : 0);
		rig_free(rig);
	}
}

static void test_a_packet_that_cannot_be_filled_is_given_back(void)
{
	struct rig *rig = rig_new(OFFLOADS);
	struct packet packets[MBUF_COUNT - 2];
	struct chain_cursor cursor = {0};

	for (int i = 0; i < MBUF_COUNT - 2; i++)
		CU_ASSERT_TRUE(netif_of(rig)->ops->allocate(netif_of(rig), &packets[i]));
	/* one for the headers, one for the first two kilobytes that are copied, then none */
	chain_fill(rig, 4096);
	rig->retains = false;
	CU_ASSERT_FALSE(send_chain(rig, &cursor, 4116, 1448));
	CU_ASSERT_EQUAL(rte_mempool_avail_count(rig->pool), 2);
	rig->retains = true;
	cursor = (struct chain_cursor){0};
	CU_ASSERT_TRUE(send_chain(rig, &cursor, 4116, 1448));
	CU_ASSERT_EQUAL(check_sent(rig, 0, 4116), 4096);
	netif_of(rig)->ops->release(netif_of(rig), packets, MBUF_COUNT - 2);
	rig_free(rig);
}

static void test_what_the_driver_refuses_is_dropped_and_counted(void)
{
	struct rig *rig = rig_new(OFFLOADS);

	for (int i = 0; i < 3; i++)
		send_frame(rig, 4, PACKET_SUM_IP4);
	rig->refused_at = 1;
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL(rig->sent_count, 1);
	rig->refused_at = 0;
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL(counter_read(&netif_of(rig)->transmit_drops), 1);
	rig->refused_at = -1;
	netif_of(rig)->ops->flush(netif_of(rig));
	CU_ASSERT_EQUAL(rig->sent_count, 2);
	rig_free(rig);
}

static const struct unit_case cases[] = {
    {"sums are good when the device knows both", test_sums_are_good_when_the_device_knows_both},
    {"frames in pieces are dropped and counted", test_frames_in_pieces_are_dropped_and_counted},
    {"the device is asked for the sums that are left to it",
     test_the_device_is_asked_for_the_sums_that_are_left_to_it},
    {"what a slow device leaves waits in order", test_what_a_slow_device_leaves_waits_in_order},
    {"a device that is behind gives no frames", test_a_device_that_is_behind_gives_no_frames},
    {"an empty pool gives no frames", test_an_empty_pool_gives_no_frames},
    {"what a chain refers to is not copied", test_what_a_chain_refers_to_is_not_copied},
    {"a long value is referred to in parts", test_a_long_value_is_referred_to_in_parts},
    {"what is small is copied", test_what_is_small_is_copied},
    {"what cannot be referred to is copied", test_what_cannot_be_referred_to_is_copied},
    {"a packet that cannot be filled is given back",
     test_a_packet_that_cannot_be_filled_is_given_back},
    {"what the driver refuses is dropped and counted",
     test_what_the_driver_refuses_is_dropped_and_counted},
};

static int run(void)
{
	return UNIT_RUN("dpdk_netif", cases);
}

int main(void)
{
	return rig_main(run);
}
