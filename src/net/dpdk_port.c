/* SPDX-License-Identifier: Apache-2.0 */
#define ALLOW_EXPERIMENTAL_API /* rte_dev_dma_map(): so in DPDK 22.11, five years after it came */
#include "net/dpdk_port.h"

#include "base/assert.h"
#include "net/packet_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VDEV_ARGUMENTS_BYTES 256
#define POOL_CACHE_COUNT     256

/* An mbuf of xdp takes a page, neither more nor less: a frame that crosses pages could not be used
 * by a driver that maps each page alone, and net_af_xdp takes it that mbufs lie without gaps. */
#define XDP_MBUF_BYTES 4096

#define TAP_QUEUE_FRAMES 32768

/* Mbufs of a queue that refer to memory of others: as many as can be in the ring. */
#define PIECE_COUNT 2047

/* A packet that fits the MTU has five pieces at most, as small ones are copied together: headers,
 * a value, text, a value, text. */
#define PIECES_OF_FRAME_MAX 5

#define LARGE_BYTES_MAX 32768

/* Ring sizes and mbufs of one queue. The mbufs: both rings full, the completions that the driver
 * has not collected, the pool's cache and two bursts. */
struct queue_size {
	uint16_t rx_descriptor_count;
	uint16_t tx_descriptor_count;
	uint32_t mbuf_count;
	uint32_t room_bytes; /* of one mbuf: headroom and frame */
};

static struct queue_size queue_size(enum port_kind kind)
{
	const uint32_t room_bytes = RTE_PKTMBUF_HEADROOM + 2048;

	switch (kind) {
	case PORT_PCI: return (struct queue_size){1024, 1024, 4095, room_bytes};
	/* net_af_xdp keeps 2,048 frames with the kernel, whatever one says here. */
	case PORT_XDP:
		return (struct queue_size){
		    2048, 2048, 8191, XDP_MBUF_BYTES - sizeof(struct rte_mbuf) - RTE_MEMPOOL_ALIGN};
	case PORT_TAP: return (struct queue_size){32, 32, 1023, room_bytes};
	case PORT_MEMIF: break; /* has its own memory */
	case PORT_SOCKET: break;
	}
	return (struct queue_size){0};
}

size_t dpdk_port_memory_bytes(const struct dpdk_port *port)
{
	struct queue_size size = queue_size(port->options->kind);
	uint32_t object_bytes =
	    rte_mempool_calc_obj_size(sizeof(struct rte_mbuf) + size.room_bytes, 0, NULL);
	size_t bytes = (size_t)size.mbuf_count * object_bytes;

	/* Where mbufs may not cross pages of 4 kB, each has one of its own. */
	if (size.mbuf_count > 0)
		bytes = (size_t)size.mbuf_count * RTE_MAX(object_bytes, 4096u);
	if (port->options->kind == PORT_PCI || port->options->kind == PORT_XDP)
		bytes += (size_t)PIECE_COUNT * dpdk_piece_bytes();
	return bytes * port->queue_count;
}

/* One worker's mbufs. */
static struct rte_mempool *pool_create(const struct dpdk_port *port, uint32_t worker_index,
                                       int socket_id)
{
	struct queue_size size = queue_size(port->options->kind);
	struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size =
	                                               (uint16_t)size.room_bytes};
	struct rte_mempool *pool;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "port%u_%u", port->index, worker_index);
	/* rte_pktmbuf_pool_create() would pad mbufs past a page, to spread them over channels. */
	pool = rte_mempool_create_empty(
	    name, size.mbuf_count, sizeof(struct rte_mbuf) + size.room_bytes, POOL_CACHE_COUNT,
	    sizeof(private), socket_id,
	    port->options->kind == PORT_XDP ? RTE_MEMPOOL_F_NO_SPREAD : 0);
	if (pool == NULL)
		return NULL;
	rte_pktmbuf_pool_init(pool, &private);
	if (rte_mempool_populate_default(pool) < 0 ||
	    (port->options->kind == PORT_XDP && pool->nb_mem_chunks != 1)) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

/* TCP payload of a packet that has `piece_count` pieces at most: a piece that is referred to is
 * longer than BLOCK_CAPACITY, save for the first and the last one, and has a copied one before it.
 */
static uint16_t large_bytes_of(uint16_t piece_count)
{
	uint32_t bytes = piece_count < 5 ? 0 : (piece_count - 5u) / 2 * BLOCK_CAPACITY;

	return (uint16_t)RTE_MIN(bytes, (uint32_t)LARGE_BYTES_MAX);
}

/* Packets in several pieces, and such as the device cuts up. */
static void choose_large_sends(struct dpdk_port *port, const struct rte_eth_dev_info *info,
                               struct rte_eth_conf *conf)
{
	port->copies_because = "the device sends from one place only";
	if (!(port->offloads & NETIF_TX_L4_CHECKSUM) ||
	    !(info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) ||
	    info->tx_desc_lim.nb_mtu_seg_max < PIECES_OF_FRAME_MAX)
		return;
	conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	port->offloads |= NETIF_TX_PIECES;
	port->copies_because = "they are not in hugepages";
	if (!(info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO))
		return;
	port->large_bytes = large_bytes_of(info->tx_desc_lim.nb_seg_max);
	if (port->large_bytes > 0)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
}

/* What the device can do and we want: checksums of real hardware. net_tap has them too, but in
 * software, where ours are as good. */
static void choose_offloads(struct dpdk_port *port, const struct rte_eth_dev_info *info,
                            struct rte_eth_conf *conf)
{
	const uint64_t receive = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
	                         RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	const uint64_t transmit_l4 = RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	const uint64_t hash = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

	if (port->options->kind != PORT_PCI)
		return;
	if ((info->rx_offload_capa & receive) == receive) {
		conf->rxmode.offloads |= receive;
		port->offloads |= NETIF_RX_CHECKSUM;
	}
	if (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) {
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
		port->offloads |= NETIF_TX_IP4_CHECKSUM;
	}
	if ((info->tx_offload_capa & transmit_l4) == transmit_l4) {
		conf->txmode.offloads |= transmit_l4;
		port->offloads |= NETIF_TX_L4_CHECKSUM;
	}
	choose_large_sends(port, info, conf);
	/* All mbufs of a queue come from one pool and have one owner. */
	if (!(port->offloads & NETIF_TX_PIECES))
		conf->txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (port->queue_count > 1) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = hash & info->flow_type_rss_offloads;
	}
}

/* DPDK's own words, when it had any. */
static int device_error(const struct dpdk_port *port, char *error, int r, const char *what)
{
	return dpdk_port_error(port, error, r < 0 ? r : -EIO, "%s: %s%s%s%s", what,
	                       strerror(r < 0 ? -r : EIO), port->log[0] != '\0' ? " (DPDK: " : "",
	                       port->log, port->log[0] != '\0' ? ")" : "");
}

static int netif_open(struct dpdk_port *port, uint32_t worker_index, char *error)
{
	const uint16_t device = port->device;
	const uint16_t queue = (uint16_t)worker_index;
	int socket_id = rte_eth_dev_socket_id(device);
	struct dpdk_netif *netif;
	struct rte_mempool *pool;
	int r;

	netif = rte_zmalloc_socket("netif", sizeof(*netif), RTE_CACHE_LINE_SIZE, socket_id);
	pool = netif ? pool_create(port, worker_index, socket_id) : NULL;
	if (pool == NULL) {
		rte_free(netif);
		return dpdk_port_error(port, error, -ENOMEM,
		                       "no memory for packets: free some, or more hugepages");
	}
	dpdk_netif_create(netif, device, queue, pool, port->mtu, port->mac, port->offloads);
	netif->netif.large_bytes = port->large_bytes;
	port->netifs[worker_index] = netif;
	r = rte_eth_rx_queue_setup(device, queue, port->rx_descriptor_count, (unsigned)socket_id,
	                           NULL, pool);
	if (r < 0)
		return device_error(port, error, r,
		                    port->options->kind == PORT_XDP
		                        ? "the kernel refuses the XDP program or socket; a smaller "
		                          "MTU (of a veth, its peer's) may help"
		                        : "cannot set up a receive queue");
	r = rte_eth_tx_queue_setup(device, queue, port->tx_descriptor_count, (unsigned)socket_id,
	                           NULL);
	if (r < 0)
		return device_error(port, error, r, "cannot set up a transmit queue");
	return 0;
}

static int device_configure(struct dpdk_port *port, char *error)
{
	const uint16_t device = port->device;
	struct queue_size size = queue_size(port->options->kind);
	struct rte_eth_conf conf = {.rxmode = {.mtu = port->mtu}};
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	int r;

	r = rte_eth_dev_info_get(device, &info);
	if (r < 0)
		return device_error(port, error, r, "the device does not answer");
	port->queue_count = RTE_MIN(port->queue_count, (uint32_t)info.max_rx_queues);
	port->queue_count = RTE_MIN(port->queue_count, (uint32_t)info.max_tx_queues);
	choose_offloads(port, &info, &conf);
	r = rte_eth_dev_configure(device, (uint16_t)port->queue_count, (uint16_t)port->queue_count,
	                          &conf);
	if (r < 0)
		return device_error(port, error, r, "cannot configure the device");
	port->rx_descriptor_count = size.rx_descriptor_count;
	port->tx_descriptor_count = size.tx_descriptor_count;
	r = rte_eth_dev_adjust_nb_rx_tx_desc(device, &port->rx_descriptor_count,
	                                     &port->tx_descriptor_count);
	if (r < 0)
		return device_error(port, error, r, "cannot size the queues");
	r = rte_eth_macaddr_get(device, &mac);
	if (r < 0)
		return device_error(port, error, r, "cannot ask for its MAC address");
	memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	/* The kernel's end of a tap has the address that DPDK gives as the device's; ours is the
	 * other end. Both are locally administered. */
	if (port->options->kind == PORT_TAP)
		port->mac[0] ^= 0x04;
	return 0;
}

static int device_start(struct dpdk_port *port, char *error)
{
	int r;

	r = rte_eth_dev_start(port->device);
	if (r < 0)
		return device_error(port, error, r, "cannot start the device");
	/* IPv6 neighbour solicitations come by multicast. */
	if (port->options->kind == PORT_PCI) {
		r = rte_eth_allmulticast_enable(port->device);
		if (r < 0 && r != -ENOTSUP)
			return device_error(port, error, r, "cannot receive multicast");
	}
	return 0;
}

static struct rte_mempool *pieces_create(const struct dpdk_port *port, uint32_t worker)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "pieces%u_%u", port->index, worker);
	return dpdk_pieces_create(name, PIECE_COUNT, port->netifs[worker]->pool->socket_id);
}

/* A device that DPDK's virtual bus makes. */
static int vdev_create(const struct dpdk_port *port, const char *name, const char *arguments,
                       char *error)
{
	int r = rte_eal_hotplug_add("vdev", name, arguments);

	return r < 0 ? device_error(port, error, r, "cannot make the device") : 0;
}

/* One device with a queue a worker, as far as it has them. */
static int device_open(struct dpdk_port *port, const char *name, char *error)
{
	int r;

	if (rte_eth_dev_get_port_by_name(name, &port->device) < 0)
		return device_error(port, error, -ENODEV,
		                    "DPDK has no driver for it, or another process has it");
	port->has_device = true;
	r = device_configure(port, error);
	for (uint32_t worker = 0; r == 0 && worker < port->queue_count; worker++)
		r = netif_open(port, worker, error);
	if (r == 0)
		r = device_start(port, error);
	return r;
}

/* net_tap would have a realtime signal sent to the process for each frame, so that an empty poll
 * costs no system call. That halves the throughput and interrupts every other thread's calls. With
 * no free signal it does without, so there is none while it looks. */
static void tap_signals_hide(struct sigaction *ret_saved)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
		(void)sigaction(number, NULL, &ret_saved[number]);
		if (ret_saved[number].sa_handler == SIG_DFL)
			(void)sigaction(number, &ignore, NULL);
	}
}

static void tap_signals_restore(const struct sigaction *saved)
{
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		(void)sigaction(number, &saved[number], NULL);
}

/* The kernel's end drops what is over its queue, 500 frames as it comes: a burst of a few dozen
 * connections. Not to be able to change it costs speed only. */
static void tap_queue_lengthen(const char *name)
{
	struct ifreq ifreq = {.ifr_qlen = TAP_QUEUE_FRAMES};

	(void)dpdk_interface_ioctl(name, SIOCSIFTXQLEN, &ifreq);
}

static int tap_open(struct dpdk_port *port, char *error)
{
	char arguments[VDEV_ARGUMENTS_BYTES], name[32];
	struct sigaction saved[_NSIG];
	int r;

	snprintf(name, sizeof(name), "net_tap%u", port->index);
	snprintf(arguments, sizeof(arguments), "iface=%s", port->options->name);
	tap_signals_hide(saved);
	r = vdev_create(port, name, arguments, error);
	if (r == 0)
		r = device_open(port, name, error);
	tap_signals_restore(saved);
	if (r == 0)
		tap_queue_lengthen(port->options->name);
	return r;
}

static int memif_port_open(struct dpdk_port *port, char *error)
{
	struct rte_ether_addr mac;
	int r;

	rte_eth_random_addr(mac.addr_bytes);
	memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	r = memif_open(&port->memif, port->options->name, port->queue_count, port->mtu, port->mac);
	if (r < 0)
		return dpdk_port_error(port, error, r, "cannot listen: %s", strerror(-r));
	return 0;
}

static int xdp_listen_all(struct dpdk_port *port)
{
	const struct port_options *options = port->options;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < options->address_count; i++) {
		const struct ip_prefix *address = &options->addresses[i];

		if (options->tcp_port != 0)
			r = xdp_listen(port->xdp, address, IPPROTO_TCP, options->tcp_port);
		if (r == 0 && options->udp_port != 0)
			r = xdp_listen(port->xdp, address, IPPROTO_UDP, options->udp_port);
	}
	for (uint32_t i = 0; r == 0 && i < options->allow_count; i++)
		r = xdp_allow(port->xdp, &options->allow[i]);
	memcpy(xdp_settings(port->xdp)->mac, port->mac, sizeof(port->mac));
	xdp_settings(port->xdp)->allow_any = options->allow_any;
	return r;
}

/* What is long goes through the kernel, which has the card cut it up, or does it itself. */
static int packet_sockets_open(struct dpdk_port *port, char *error)
{
	for (uint32_t worker = 0; worker < port->queue_count; worker++) {
		struct dpdk_netif *netif = port->netifs[worker];
		struct rte_mempool *pieces = pieces_create(port, worker);
		int fd = packet_socket_open(port->interface_index);

		if (fd >= 0 && pieces != NULL) {
			dpdk_netif_use_packet_socket(netif, fd, pieces, LARGE_BYTES_MAX);
			continue;
		}
		rte_mempool_free(pieces);
		if (fd < 0)
			return dpdk_port_error(port, error, fd, "cannot open a packet socket: %s",
			                       strerror(-fd));
		close(fd);
		return dpdk_port_error(port, error, -ENOMEM,
		                       "no memory for packets: free some, or more hugepages");
	}
	return 0;
}

static int xdp_open(struct dpdk_port *port, char *error)
{
	char arguments[VDEV_ARGUMENTS_BYTES], name[32], reason[XDP_ERROR_BYTES] = "";
	int object_fd, r;

	object_fd = xdp_object_open();
	if (object_fd < 0)
		return dpdk_port_error(port, error, object_fd, "cannot hold the XDP program: %s",
		                       strerror(-object_fd));
	snprintf(name, sizeof(name), "net_af_xdp%u", port->index);
	snprintf(arguments, sizeof(arguments),
	         "iface=%s,queue_count=%u,xdp_prog=/proc/self/fd/%d,busy_budget=%u",
	         port->options->name, port->queue_count, object_fd, port->options->busy_poll);
	r = vdev_create(port, name, arguments, error);
	if (r == 0)
		r = device_open(port, name, error);
	close(object_fd);
	if (r < 0)
		return r;
	r = packet_sockets_open(port, error);
	if (r < 0)
		return r;
	r = xdp_attach(&port->xdp, port->interface_index, reason);
	if (r < 0)
		return dpdk_port_error(port, error, r, "%s", reason);
	r = dpdk_port_check_queues_added(port, error);
	if (r < 0)
		return r;
	r = xdp_listen_all(port);
	if (r < 0)
		return dpdk_port_error(port, error, r, "cannot fill the XDP program's table: %s",
		                       strerror(-r));
	return 0;
}

int dpdk_port_open(struct dpdk_port *port, char *error)
{
	switch (port->options->kind) {
	case PORT_PCI: return device_open(port, port->options->name, error);
	case PORT_XDP: return xdp_open(port, error);
	case PORT_TAP: return tap_open(port, error);
	case PORT_MEMIF: return memif_port_open(port, error);
	case PORT_SOCKET: return 0;
	}
	return -EINVAL;
}

/* NULL, or why not. */
static const char *memory_share(struct dpdk_port *port, void *base, size_t bytes)
{
	struct rte_eth_dev_info info;

	if (rte_eal_iova_mode() != RTE_IOVA_VA)
		return "the IOMMU is off, or narrower than addresses are";
	if (rte_eth_dev_info_get(port->device, &info) < 0 ||
	    rte_dev_dma_map(info.device, base, (uintptr_t)base, bytes) < 0)
		return "the IOMMU does not map them for the device";
	for (uint32_t worker = 0; worker < port->queue_count; worker++) {
		struct dpdk_netif *netif = port->netifs[worker];

		netif->pieces = pieces_create(port, worker);
		if (netif->pieces == NULL)
			return "there is no memory for references to them";
	}
	return NULL;
}

void dpdk_port_share_memory(struct dpdk_port *port, void *base, size_t bytes, bool known)
{
	if (port->offloads & NETIF_TX_PIECES)
		port->copies_because =
		    known ? memory_share(port, base, bytes) : "DPDK does not take their memory";
}

void dpdk_port_close(struct dpdk_port *port)
{
	/* Before the driver, which cannot take away what a link holds. */
	xdp_detach(port->xdp);
	port->xdp = NULL;
	memif_close(port->memif);
	port->memif = NULL;
	if (port->has_device) {
		(void)rte_eth_dev_stop(port->device);
		(void)rte_eth_dev_close(port->device);
	}
	port->has_device = false;
	for (uint32_t worker = 0; worker < port->queue_count; worker++) {
		if (port->netifs[worker] == NULL)
			continue;
		if (port->netifs[worker]->packet_socket >= 0)
			close(port->netifs[worker]->packet_socket);
		rte_mempool_free(port->netifs[worker]->pool);
		rte_mempool_free(port->netifs[worker]->pieces);
		rte_free(port->netifs[worker]);
		port->netifs[worker] = NULL;
	}
}
