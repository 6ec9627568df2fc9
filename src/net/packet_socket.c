/* SPDX-License-Identifier: Apache-2.0 */
#include "net/packet_socket.h"

#include "base/bytes.h"
#include "net/checksum.h"
#include "net/netif.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BUFFER_BYTES (8 << 20) /* what the kernel holds until the card has sent it */

/* Of the packets of one system call; one has its head and what is referred to and between. */
#define PIECES_MAX 512

#define TCP_CHECKSUM_OFFSET 16

int packet_socket_open(unsigned interface_index)
{
	const struct sockaddr_ll address = {.sll_family = AF_PACKET,
	                                    .sll_ifindex = (int)interface_index};
	const int on = 1, bytes = SEND_BUFFER_BYTES;
	int fd, r;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* 0: no protocol is received */
	if (fd < 0)
		return -errno;
	/* a smaller buffer is filled more often, and no more */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* What the kernel is to do with the packet. */
static struct virtio_net_hdr describe(const struct rte_mbuf *mbuf)
{
	bool is_ip4 = mbuf->ol_flags & RTE_MBUF_F_TX_IPV4;

	return (struct virtio_net_hdr){
	    .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	    .gso_type = is_ip4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
	    .hdr_len = (uint16_t)(mbuf->l2_len + mbuf->l3_len + mbuf->l4_len),
	    .gso_size = mbuf->tso_segsz,
	    .csum_start = (uint16_t)(mbuf->l2_len + mbuf->l3_len),
	    .csum_offset = TCP_CHECKSUM_OFFSET,
	};
}

void packet_socket_prepare(struct rte_mbuf *mbuf)
{
	uint32_t start = mbuf->l2_len + mbuf->l3_len;
	uint8_t *field = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, start + TCP_CHECKSUM_OFFSET);
	uint64_t sum = checksum_word(field, 2) + __builtin_bswap32(mbuf->pkt_len - start);

	checksum_store(field, checksum_fold(sum));
}

struct batch {
	struct mmsghdr messages[NETIF_BURST_MAX];
	struct virtio_net_hdr heads[NETIF_BURST_MAX];
	struct iovec pieces[PIECES_MAX];
	uint32_t piece_count;
};

/* False: there is no room for it in this system call. */
static bool batch_add(struct batch *batch, uint16_t index, struct rte_mbuf *mbuf)
{
	struct iovec *first = &batch->pieces[batch->piece_count];

	if (batch->piece_count + 1u + mbuf->nb_segs > PIECES_MAX)
		return false;
	batch->heads[index] = describe(mbuf);
	batch->pieces[batch->piece_count++] =
	    (struct iovec){&batch->heads[index], sizeof(batch->heads[index])};
	batch->messages[index] = (struct mmsghdr){
	    .msg_hdr = {.msg_iov = first, .msg_iovlen = 1u + mbuf->nb_segs},
	};
	for (; mbuf != NULL; mbuf = mbuf->next)
		batch->pieces[batch->piece_count++] =
		    (struct iovec){rte_pktmbuf_mtod(mbuf, void *), mbuf->data_len};
	return true;
}

uint16_t packet_socket_send(int fd, struct rte_mbuf **packets, uint16_t count, uint16_t *ret_lost)
{
	struct batch batch;
	uint16_t added = 0;
	int sent;

	*ret_lost = 0;
	batch.piece_count = 0;
	while (added < count && added < NETIF_BURST_MAX && batch_add(&batch, added, packets[added]))
		added++;
	ASSERT(added > 0);
	sent = sendmmsg(fd, batch.messages, added, MSG_DONTWAIT);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (sent < 0)
		sent = *ret_lost = 1; /* the first: the kernel's queue is full, or the link down */
	for (int i = 0; i < sent; i++)
		rte_pktmbuf_free(packets[i]);
	return (uint16_t)sent;
}
