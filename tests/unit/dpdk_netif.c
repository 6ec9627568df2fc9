/* SPDX-License-Identifier: Apache-2.0 */
/* A DPDK queue pair as a netif, over a device whose bursts are a test's. */
#include "net/dpdk_netif.h"

#include "dpdk_rig.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define MBUF_COUNT 511

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

struct rig {
	struct dpdk_netif *netif;
	struct rte_mempool *pool;
	struct rte_mbuf *arrived[NETIF_BURST_MAX];
	uint16_t arrived_count;
	uint16_t accepted_max; /* of what is to be sent, a burst */
	struct rte_mbuf *sent[MBUF_COUNT];
	uint32_t sent_count;
	void *queue;
	void *no_callback;
};

static uint16_t burst_arrives(void *queue, struct rte_mbuf **ret_mbufs, uint16_t count_max)
{
	struct rig *rig = queue;
	uint16_t count = RTE_MIN(rig->arrived_count, count_max);

	memcpy(ret_mbufs, rig->arrived, count * sizeof(ret_mbufs[0]));
	rig->arrived_count = 0;
	return count;
}

static uint16_t burst_leaves(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	struct rig *rig = queue;

	count = RTE_MIN(count, rig->accepted_max);
	memcpy(rig->sent + rig->sent_count, mbufs, count * sizeof(mbufs[0]));
	rig->sent_count += count;
	return count;
}

static struct rig *rig_new(uint16_t offloads)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[DEVICE];

	rig_reset();
	rig->pool =
	    rte_pktmbuf_pool_create("netif", MBUF_COUNT, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->pool);
	rig->netif = rte_zmalloc("netif", sizeof(*rig->netif), RTE_CACHE_LINE_SIZE);
	rig->accepted_max = UINT16_MAX;
	rig->queue = rig;
	ops->rx_pkt_burst = burst_arrives;
	ops->tx_pkt_burst = burst_leaves;
	ops->rxq.data = ops->txq.data = &rig->queue;
	ops->rxq.clbk = ops->txq.clbk = &rig->no_callback;
	dpdk_netif_create(rig->netif, DEVICE, 0, rig->pool, 1500, mac, offloads);
	return rig;
}

/* No mbuf is lost. */
static void rig_free(struct rig *rig)
{
	rte_pktmbuf_free_bulk(rig->sent, rig->sent_count);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(rig->pool), MBUF_COUNT);
	rte_mempool_free(rig->pool);
	rte_free(rig->netif);
	free(rig);
}

static struct netif *netif_of(struct rig *rig)
{
	return &rig->netif->netif;
}

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

static void send_frame(struct rig *rig, uint8_t ip_version, uint16_t flags)
{
	struct packet packet;

	CU_ASSERT_TRUE_FATAL(netif_of(rig)->ops->allocate(netif_of(rig), &packet));
	packet.length = 60;
	packet.l2_length = 14;
	packet.l3_length = ip_version == 4 ? 20 : 40;
	packet.data[14] = (uint8_t)(ip_version << 4);
	packet.flags = flags;
	netif_of(rig)->ops->transmit(netif_of(rig), &packet);
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

static const struct unit_case cases[] = {
    {"sums are good when the device knows both", test_sums_are_good_when_the_device_knows_both},
    {"frames in pieces are dropped and counted", test_frames_in_pieces_are_dropped_and_counted},
    {"the device is asked for the sums that are left to it",
     test_the_device_is_asked_for_the_sums_that_are_left_to_it},
    {"what a slow device leaves waits in order", test_what_a_slow_device_leaves_waits_in_order},
    {"a device that is behind gives no frames", test_a_device_that_is_behind_gives_no_frames},
    {"an empty pool gives no frames", test_an_empty_pool_gives_no_frames},
};

static int run(void)
{
	return UNIT_RUN("dpdk_netif", cases);
}

int main(void)
{
	return rig_main(run);
}
