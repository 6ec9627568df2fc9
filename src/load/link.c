/* SPDX-License-Identifier: Apache-2.0 */
#include "load/link.h"

#include "net/dpdk.h"
#include "net/dpdk_netif.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MBUF_COUNT       8191
#define MBUF_CACHE_COUNT 512
#define DESCRIPTOR_COUNT 1024
#define LINK_UP_MS       5000

#define DEVICE_BYTES_MAX 512

struct link {
	struct dpdk_netif netif;
	uint16_t device; /* DPDK's port id */
	bool is_configured;
};

/* One thread polls, on the first of the cores that we were given. */
static int eal_start(const char *device)
{
	char prefix[64], vdev[DEVICE_BYTES_MAX];
	const char *arguments[] = {
	    "kante-load",     prefix,        vdev,        "--log-level=*:error",
	    "--no-telemetry", "--no-shconf", "--no-huge", "--no-pci",
	    "--iova-mode=va", "-m",          "64"};
	int r;

	snprintf(prefix, sizeof(prefix), "--file-prefix=kante-load-%d", (int)getpid());
	if (snprintf(vdev, sizeof(vdev), "--vdev=%s", device) >= (int)sizeof(vdev))
		return -ENAMETOOLONG;
	/* EAL changes none of them. */
	r = rte_eal_init((int)RTE_DIM(arguments), (char **)arguments);
	dpdk_runtime_directory_remove();
	return r < 0 ? -rte_errno : 0;
}

static int device_open(struct link *link, const char *device)
{
	uint16_t rx_count = DESCRIPTOR_COUNT, tx_count = DESCRIPTOR_COUNT;
	struct rte_eth_conf conf = {0};
	struct rte_ether_addr mac;
	struct rte_mempool *pool;
	uint16_t mtu;
	int r;

	link->device = (uint16_t)rte_eth_find_next(0);
	if (link->device == RTE_MAX_ETHPORTS)
		return -ENODEV;
	r = rte_eth_dev_configure(link->device, 1, 1, &conf);
	if (r < 0)
		return r;
	link->is_configured = true;
	r = rte_eth_dev_adjust_nb_rx_tx_desc(link->device, &rx_count, &tx_count);
	if (r < 0)
		return r;
	pool = rte_pktmbuf_pool_create("link", MBUF_COUNT, MBUF_CACHE_COUNT, 0,
	                               RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id());
	if (pool == NULL)
		return -ENOMEM;
	r = rte_eth_rx_queue_setup(link->device, 0, rx_count, rte_socket_id(), NULL, pool);
	if (r == 0)
		r = rte_eth_tx_queue_setup(link->device, 0, tx_count, rte_socket_id(), NULL);
	if (r == 0)
		r = rte_eth_macaddr_get(link->device, &mac);
	if (r == 0)
		r = rte_eth_dev_get_mtu(link->device, &mtu);
	if (r == 0)
		r = rte_eth_dev_start(link->device);
	if (r < 0)
		return r;
	(void)rte_eth_allmulticast_enable(link->device); /* neighbour solicitations, if it can */
	/* What DPDK says is the address of the kernel's end of a tap; ours is the other. */
	if (strncmp(device, "net_tap", 7) == 0)
		mac.addr_bytes[0] ^= 0x04;
	dpdk_netif_create(&link->netif, link->device, 0, pool, mtu, mac.addr_bytes, 0);
	return 0;
}

static int link_await(const struct link *link)
{
	struct rte_eth_link state = {0};
	struct rte_mbuf *mbuf;

	for (int ms = 0; ms < LINK_UP_MS; ms += 10) {
		if (rte_eth_link_get_nowait(link->device, &state) == 0 &&
		    state.link_status == RTE_ETH_LINK_UP) {
			/* net_memif offers its buffers when it is polled: it must have been before
			 * there is something to receive, which would be lost. */
			if (rte_eth_rx_burst(link->device, 0, &mbuf, 1) > 0)
				rte_pktmbuf_free(mbuf);
			return 0;
		}
		rte_delay_us_sleep(10000);
	}
	return -ENOLINK;
}

int link_open(struct link **ret_link, const char *device)
{
	struct link *link;
	int r = eal_start(device);

	if (r < 0)
		return r;
	link = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(sizeof(*link), RTE_CACHE_LINE_SIZE));
	if (link == NULL) {
		rte_eal_cleanup();
		return -ENOMEM;
	}
	memset(link, 0, sizeof(*link));
	r = device_open(link, device);
	if (r == 0)
		r = link_await(link);
	if (r < 0) {
		link_close(link);
		return r;
	}
	*ret_link = link;
	return 0;
}

struct netif *link_netif(struct link *link)
{
	return &link->netif.netif;
}

uint64_t link_receive_drops(const struct link *link)
{
	struct rte_eth_stats stats = {0};

	(void)rte_eth_stats_get(link->device, &stats);
	return stats.imissed + stats.ierrors + stats.rx_nombuf +
	       counter_read(&link->netif.chained_drops);
}

void link_close(struct link *link)
{
	if (link == NULL)
		return;
	if (link->is_configured) {
		(void)rte_eth_dev_stop(link->device);
		(void)rte_eth_dev_close(link->device);
	}
	rte_mempool_free(link->netif.pool);
	free(link);
	rte_eal_cleanup();
}
