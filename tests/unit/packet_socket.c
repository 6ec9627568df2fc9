/* SPDX-License-Identifier: Apache-2.0 */
/* Long packets past the device: what the kernel is given, and when. Its end of the packet socket is
 * a datagram socket here; tests/e2e/test_ports.py has the kernel's own. */
#include "net/packet_socket.h"

#include "base/bytes.h"

#include "dpdk_netif_rig.h"

#include <linux/virtio_net.h>
#include <sys/socket.h>

#define SEGMENT_BYTES 1448

/* One datagram of the socket. */
struct given {
	struct virtio_net_hdr head;
	uint8_t packet[32768];
} __attribute__((packed));

struct link {
	struct rig *rig;
	int kernel; /* its end */
};

static struct link link_new(void)
{
	struct rig *rig = rig_new(0);
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	dpdk_netif_use_packet_socket(rig->netif, fds[0],
	                             dpdk_pieces_create("pieces", PIECE_COUNT, 0), 32768);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->netif->pieces);
	return (struct link){rig, fds[1]};
}

static void link_free(struct link *link)
{
	close(link->rig->netif->packet_socket);
	if (link->kernel >= 0)
		close(link->kernel);
	rig_free(link->rig);
}

/* Bytes of the next packet that the kernel has got, or -1: there is none. */
static ssize_t link_take(struct link *link, struct given *ret_given)
{
	ssize_t r = recv(link->kernel, ret_given, sizeof(*ret_given), MSG_DONTWAIT);

	return r < 0 ? r : r - (ssize_t)sizeof(ret_given->head);
}

static bool send_long(struct link *link, uint32_t length)
{
	struct chain_cursor cursor = {0};

	return send_chain(link->rig, &cursor, length, SEGMENT_BYTES);
}

static void flush_link(struct link *link)
{
	netif_of(link->rig)->ops->flush(netif_of(link->rig));
}

static void test_the_kernel_is_told_how_to_cut_and_sum(void)
{
	struct link link = link_new();
	struct given given;
	uint32_t sum = 0xeeee + 32 + 20020; /* what stood there, TCP's header, the payload */

	chain_fill(link.rig, 20000);
	CU_ASSERT_TRUE(send_long(&link, 20020));
	CU_ASSERT_EQUAL(link.rig->sent_count, 0);
	CU_ASSERT_EQUAL_FATAL(link_take(&link, &given), HEADER_BYTES + 20020);
	CU_ASSERT_EQUAL(given.head.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	CU_ASSERT_EQUAL(given.head.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	CU_ASSERT_EQUAL(given.head.gso_size, SEGMENT_BYTES);
	CU_ASSERT_EQUAL(given.head.hdr_len, HEADER_BYTES);
	CU_ASSERT_EQUAL(given.head.csum_start, 14 + 20);
	CU_ASSERT_EQUAL(given.head.csum_offset, 16);
	sum = (sum & 0xffff) + (sum >> 16);
	CU_ASSERT_EQUAL(load_be16(given.packet + 14 + 20 + 16), sum);
	CU_ASSERT_EQUAL(memcmp(given.packet + HEADER_BYTES + 13, link.rig->value, 20000), 0);
	CU_ASSERT_EQUAL(memcmp(given.packet + HEADER_BYTES + 20013, "\r\nEND\r\n", 7), 0);
	/* the kernel has a copy: nothing is referred to but by the chain */
	CU_ASSERT_EQUAL(link.rig->references, 1);
	link_free(&link);
}

static void test_ip6_is_said_to_be_it(void)
{
	struct link link = link_new();
	struct given given;
	struct packet packet;

	CU_ASSERT_TRUE_FATAL(netif_of(link.rig)->ops->allocate(netif_of(link.rig), &packet));
	memset(packet.data, 0, 1494);
	packet.data[14] = 6 << 4;
	packet.data[14 + 40 + 12] = 5 << 4;
	packet.length = 1494;
	packet.l2_length = 14;
	packet.l3_length = 40;
	packet.segment_bytes = 1000;
	packet.flags = PACKET_SUM_TCP;
	netif_of(link.rig)->ops->transmit(netif_of(link.rig), &packet);
	flush_link(&link);
	CU_ASSERT_EQUAL_FATAL(link_take(&link, &given), 1494);
	CU_ASSERT_EQUAL(given.head.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
	CU_ASSERT_EQUAL(given.head.gso_size, 1000);
	CU_ASSERT_EQUAL(given.head.hdr_len, 14 + 40 + 20);
	CU_ASSERT_EQUAL(given.head.csum_start, 14 + 40);
	link_free(&link);
}

/* The device sends from one place, and the core sums what lies there. */
static void test_what_fits_a_frame_is_copied_and_left_to_the_device(void)
{
	struct link link = link_new();
	struct chain_cursor cursor = {0};
	struct given given;

	chain_fill(link.rig, 1400);
	CU_ASSERT_TRUE(send_chain(link.rig, &cursor, 1420, 0));
	CU_ASSERT_EQUAL(link_take(&link, &given), -1);
	CU_ASSERT_EQUAL_FATAL(link.rig->sent_count, 1);
	CU_ASSERT_EQUAL(link.rig->sent[0]->nb_segs, 1);
	CU_ASSERT_EQUAL(link.rig->sent[0]->data_len, HEADER_BYTES + 1420);
	CU_ASSERT_EQUAL(link.rig->sent[0]->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0);
	link_free(&link);
}

static void test_frames_and_long_packets_leave_in_order(void)
{
	struct link link = link_new();
	struct given given;

	chain_fill(link.rig, 4000);
	link.rig->accepted_max = 0;
	send_frame(link.rig, 4, 0);
	CU_ASSERT_TRUE(send_long(&link, 4020));
	CU_ASSERT_TRUE(send_long(&link, 3000));
	send_frame(link.rig, 4, 0);
	send_frame(link.rig, 4, 0);
	/* nothing overtakes the frame that the device has no room for */
	CU_ASSERT_EQUAL(link_take(&link, &given), -1);
	link.rig->accepted_max = 1;
	flush_link(&link);
	CU_ASSERT_EQUAL(link.rig->sent_count, 3);
	CU_ASSERT_EQUAL(link_take(&link, &given), HEADER_BYTES + 4020);
	CU_ASSERT_EQUAL(link_take(&link, &given), HEADER_BYTES + 3000);
	CU_ASSERT_EQUAL(link_take(&link, &given), -1);
	link_free(&link);
}

static void test_a_kernel_that_is_behind_is_waited_for(void)
{
	struct link link = link_new();
	uint32_t sent_count = 0, got_count = 0;
	struct given given;

	chain_fill(link.rig, 16000);
	while (link.rig->netif->queued_count == 0 && sent_count < 1000) {
		CU_ASSERT_TRUE_FATAL(send_long(&link, 16000));
		sent_count++;
	}
	CU_ASSERT_EQUAL(link.rig->netif->queued_count, 1);
	send_frame(link.rig, 4, 0);
	flush_link(&link);
	CU_ASSERT_EQUAL(link.rig->sent_count, 0);
	CU_ASSERT_EQUAL(counter_read(&netif_of(link.rig)->transmit_drops), 0);
	while (link_take(&link, &given) == HEADER_BYTES + 16000)
		got_count++;
	CU_ASSERT_EQUAL(got_count, sent_count - 1);
	flush_link(&link);
	CU_ASSERT_EQUAL(link_take(&link, &given), HEADER_BYTES + 16000);
	CU_ASSERT_EQUAL(link.rig->sent_count, 1);
	CU_ASSERT_EQUAL(link.rig->netif->queued_count, 0);
	link_free(&link);
}

/* Its queue is full, or the link is down: each is lost by itself, and what follows goes on. */
static void test_what_the_kernel_refuses_is_dropped_and_counted(void)
{
	struct link link = link_new();

	chain_fill(link.rig, 4000);
	link.rig->accepted_max = 0;
	send_frame(link.rig, 4, 0);
	CU_ASSERT_TRUE(send_long(&link, 4020));
	CU_ASSERT_TRUE(send_long(&link, 4020));
	send_frame(link.rig, 4, 0);
	close(link.kernel);
	link.kernel = -1;
	link.rig->accepted_max = UINT16_MAX;
	flush_link(&link);
	CU_ASSERT_EQUAL(counter_read(&netif_of(link.rig)->transmit_drops), 2);
	CU_ASSERT_EQUAL(link.rig->sent_count, 2);
	CU_ASSERT_EQUAL(link.rig->references, 1);
	link_free(&link);
}

/* In more pieces than one system call takes; the kernel has room for some of them at a time. */
static void test_a_long_queue_leaves_by_several_calls(void)
{
	const uint32_t length = 8 * (13 + 1600 + 7);
	struct link link = link_new();
	uint32_t got_count = 0;
	struct given given;

	for (int i = 0; i < 8; i++)
		chain_fill(link.rig, 1600);
	link.rig->accepted_max = 0;
	send_frame(link.rig, 4, 0); /* it cannot leave, so that all wait */
	for (int i = 0; i < 100; i++)
		CU_ASSERT_TRUE(send_long(&link, length - (uint32_t)i));
	CU_ASSERT_EQUAL(link.rig->netif->queued_count, 101);
	link.rig->accepted_max = 1;
	for (int i = 0; i < 101 && link.rig->netif->queued_count > 0; i++) {
		flush_link(&link);
		while (link_take(&link, &given) == HEADER_BYTES + length - got_count)
			got_count++;
	}
	CU_ASSERT_EQUAL(got_count, 100);
	CU_ASSERT_EQUAL(link.rig->references, 8);
	link_free(&link);
}

static const struct unit_case cases[] = {
    {"the kernel is told how to cut and sum", test_the_kernel_is_told_how_to_cut_and_sum},
    {"IPv6 is said to be it", test_ip6_is_said_to_be_it},
    {"what fits a frame is copied and left to the device",
     test_what_fits_a_frame_is_copied_and_left_to_the_device},
    {"frames and long packets leave in order", test_frames_and_long_packets_leave_in_order},
    {"a kernel that is behind is waited for", test_a_kernel_that_is_behind_is_waited_for},
    {"what the kernel refuses is dropped and counted",
     test_what_the_kernel_refuses_is_dropped_and_counted},
    {"a long queue leaves by several calls", test_a_long_queue_leaves_by_several_calls},
};

static int run(void)
{
	return UNIT_RUN("packet_socket", cases);
}

int main(void)
{
	return rig_main(run);
}
