/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dpdk.h"

#include "base/assert.h"
#include "net/dpdk_port.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ARGUMENT_COUNT_MAX 48
#define ARGUMENT_BYTES     16384

/* What DPDK takes besides our mbufs: its heap, devices, the drivers' queues and own pools. */
#define MEMORY_EXTRA_BYTES (48u << 20)

struct dpdk {
	uint32_t worker_count;
	uint32_t port_count;
	bool started;
	bool hugepages;
	uint64_t memory_bytes;         /* needed */
	uint64_t hugepages_free_bytes; /* at start */
	FILE *log_stream;
	char log[DPDK_LOG_BYTES]; /* the first complaint since it was last emptied */
	/* EAL keeps pointers into these. */
	char *arguments[ARGUMENT_COUNT_MAX + 1];
	int argument_count;
	char argument_text[ARGUMENT_BYTES];
	size_t argument_text_used;
	struct dpdk_port ports[PORT_COUNT_MAX];
};

static int start_error(char *error, int r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int start_error(char *error, int r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, DPDK_ERROR_BYTES, format, arguments);
	va_end(arguments);
	return r;
}

/* DPDK's log goes here. Only what may explain a failure is kept. */
static ssize_t log_write(void *cookie, const char *text, size_t length)
{
	struct dpdk *dpdk = cookie;
	int used = (int)length;

	if (rte_log_cur_msg_loglevel() > (int)RTE_LOG_ERR || dpdk->log[0] != '\0')
		return (ssize_t)length;
	while (used > 0 && text[used - 1] == '\n')
		used--;
	snprintf(dpdk->log, sizeof(dpdk->log), "%.*s", used, text);
	return (ssize_t)length;
}

static int log_open(struct dpdk *dpdk)
{
	dpdk->log_stream = fopencookie(dpdk, "w", (cookie_io_functions_t){.write = log_write});
	if (dpdk->log_stream == NULL)
		return -ENOMEM;
	/* rte_log() flushes after each message. */
	rte_openlog_stream(dpdk->log_stream);
	libbpf_set_print(NULL);
	return 0;
}

static void argument_add(struct dpdk *dpdk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void argument_add(struct dpdk *dpdk, const char *format, ...)
{
	char *text = dpdk->argument_text + dpdk->argument_text_used;
	size_t room = sizeof(dpdk->argument_text) - dpdk->argument_text_used;
	va_list arguments;
	int length;

	ASSERT(dpdk->argument_count < ARGUMENT_COUNT_MAX);
	va_start(arguments, format);
	length = vsnprintf(text, room, format, arguments);
	va_end(arguments);
	ASSERT(length >= 0 && (size_t)length < room);
	dpdk->arguments[dpdk->argument_count++] = text;
	dpdk->argument_text_used += (size_t)length + 1;
}

/* Which CPUs the keeper gets: those without a worker, if there are any. */
static cpu_set_t control_cores(const struct dpdk_options *options)
{
	cpu_set_t allowed, control;
	int r = sched_getaffinity(0, sizeof(allowed), &allowed);

	ASSERT(r == 0);
	control = allowed;
	for (uint32_t i = 0; i < options->worker_count; i++) {
		/* the caller has seen to it: each is there, and has one worker */
		ASSERT(CPU_ISSET(options->worker_cores[i], &control));
		CPU_CLR(options->worker_cores[i], &control);
	}
	return CPU_COUNT(&control) > 0 ? control : allowed;
}

/* "0@4,1@5,2@(0-3,6)" */
static void cores_format(const struct dpdk_options *options, const cpu_set_t *control, char *text,
                         size_t text_bytes)
{
	size_t used = 0;
	const char *separator = "(";

	for (uint32_t i = 0; i < options->worker_count; i++)
		used += (size_t)snprintf(text + used, text_bytes - used, "%u@%u,", i,
		                         options->worker_cores[i]);
	used += (size_t)snprintf(text + used, text_bytes - used, "%u@", options->worker_count);
	for (int first = 0; first < CPU_SETSIZE; first++) {
		int last = first;

		if (!CPU_ISSET(first, control))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, control))
			last++;
		used += (size_t)snprintf(text + used, text_bytes - used, "%s%d-%d", separator,
		                         first, last);
		separator = ",";
		first = last;
	}
	snprintf(text + used, text_bytes - used, ")");
}

static uint64_t hugepages_free_bytes(void)
{
	const char *directory = "/sys/kernel/mm/hugepages";
	DIR *list = opendir(directory);
	struct dirent *entry;
	uint64_t bytes = 0;

	if (list == NULL)
		return 0;
	while ((entry = readdir(list)) != NULL) {
		unsigned long long page_kilobytes, count = 0;
		char path[320];
		FILE *file;

		if (sscanf(entry->d_name, "hugepages-%llukB", &page_kilobytes) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", directory, entry->d_name);
		file = fopen(path, "re");
		if (file == NULL)
			continue;
		if (fscanf(file, "%llu", &count) == 1)
			bytes += count * page_kilobytes * 1024;
		fclose(file);
	}
	closedir(list);
	return bytes;
}

static void arguments_make(struct dpdk *dpdk, const struct dpdk_options *options,
                           const cpu_set_t *control)
{
	char cores[8192];
	bool pci = false;

	cores_format(options, control, cores, sizeof(cores));
	argument_add(dpdk, "kanted");
	argument_add(dpdk, "--lcores=%s", cores);
	argument_add(dpdk, "--main-lcore=%u", options->worker_count);
	argument_add(dpdk, "--file-prefix=kante");
	argument_add(dpdk, "--no-telemetry");
	for (uint32_t i = 0; i < options->port_count; i++) {
		if (options->ports[i].kind != PORT_PCI)
			continue;
		argument_add(dpdk, "--allow=%s", options->ports[i].name);
		pci = true;
	}
	if (!pci) {
		argument_add(dpdk, "--no-pci");
		argument_add(dpdk, "--iova-mode=va");
	}
	/* Nothing in the file system that could be left behind, and no other process let in. With
	 * --no-huge there is only --no-shconf for that, and it does as well. */
	if (dpdk->hugepages) {
		argument_add(dpdk, "--in-memory");
	} else {
		argument_add(dpdk, "--no-shconf");
		argument_add(dpdk, "--no-huge");
		argument_add(dpdk, "-m");
		argument_add(dpdk, "%llu", (unsigned long long)(dpdk->memory_bytes >> 20) + 1);
	}
}

void dpdk_runtime_directory_remove(void)
{
	char path[PATH_MAX];
	char *slash;

	snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir());
	(void)rmdir(path);
	/* That of all DPDK programs: goes if this was the only one. */
	slash = strrchr(path, '/');
	if (slash != NULL) {
		*slash = '\0';
		(void)rmdir(path);
	}
}

/* EAL also writes to stderr what it logs; the caller says it, once. */
static int eal_init(struct dpdk *dpdk, char *error)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int r;

	if (saved >= 0 && null >= 0)
		dup2(null, STDERR_FILENO);
	r = rte_eal_init(dpdk->argument_count, dpdk->arguments);
	if (saved >= 0 && null >= 0)
		dup2(saved, STDERR_FILENO);
	if (saved >= 0)
		close(saved);
	if (null >= 0)
		close(null);
	dpdk_runtime_directory_remove();
	if (r < 0)
		return start_error(error, rte_errno > 0 ? -rte_errno : -EIO,
		                   "DPDK cannot start with %llu MB of %s: %s (DPDK: %s)",
		                   (unsigned long long)(dpdk->memory_bytes >> 20),
		                   dpdk->hugepages ? "hugepages" : "memory",
		                   rte_strerror(rte_errno), dpdk->log);
	dpdk->started = true;
	return 0;
}

static int ports_check(struct dpdk *dpdk, char *error)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < dpdk->port_count; i++)
		if (dpdk->ports[i].options->kind != PORT_SOCKET)
			r = dpdk_port_check(&dpdk->ports[i], error);
	return r;
}

int dpdk_start(struct dpdk **ret_dpdk, const struct dpdk_options *options, char *error)
{
	struct dpdk *dpdk;
	cpu_set_t control;
	int r;

	ASSERT(options->port_count <= PORT_COUNT_MAX);
	ASSERT(options->worker_count > 0 && options->worker_count <= DPDK_WORKER_COUNT_MAX);
	dpdk = calloc(1, sizeof(*dpdk));
	if (dpdk == NULL)
		return start_error(error, -ENOMEM, "no memory");
	dpdk->worker_count = options->worker_count;
	dpdk->port_count = options->port_count;
	for (uint32_t i = 0; i < options->port_count; i++) {
		dpdk->ports[i].options = &options->ports[i];
		dpdk->ports[i].index = i;
		dpdk->ports[i].queue_count = options->worker_count;
		dpdk->ports[i].log = dpdk->log;
	}
	r = log_open(dpdk);
	if (r < 0) {
		start_error(error, r, "no memory");
		goto fail;
	}
	control = control_cores(options);
	r = ports_check(dpdk, error);
	if (r < 0)
		goto fail;
	dpdk->memory_bytes = MEMORY_EXTRA_BYTES;
	for (uint32_t i = 0; i < dpdk->port_count; i++)
		dpdk->memory_bytes += dpdk_port_memory_bytes(&dpdk->ports[i]);
	dpdk->hugepages_free_bytes = hugepages_free_bytes();
	dpdk->hugepages = dpdk->hugepages_free_bytes >= dpdk->memory_bytes;
	arguments_make(dpdk, options, &control);
	r = eal_init(dpdk, error);
	if (r < 0)
		goto fail;
	for (uint32_t i = 0; i < dpdk->port_count; i++) {
		dpdk->log[0] = '\0';
		r = dpdk_port_open(&dpdk->ports[i], error);
		if (r < 0)
			goto fail;
	}
	*ret_dpdk = dpdk;
	return 0;
fail:
	dpdk_stop(dpdk);
	return r;
}

void dpdk_share_memory(struct dpdk *dpdk, void *base, size_t bytes, size_t hugepage_bytes)
{
	bool known = rte_extmem_register(base, bytes, NULL, 0, hugepage_bytes) == 0;

	for (uint32_t i = 0; i < dpdk->port_count; i++)
		dpdk_port_share_memory(&dpdk->ports[i], base, bytes, known);
}

struct netif *dpdk_netif(struct dpdk *dpdk, uint32_t port_index, uint32_t worker_index)
{
	const struct dpdk_port *port = &dpdk->ports[port_index];

	ASSERT(port_index < dpdk->port_count);
	ASSERT(worker_index < dpdk->worker_count);
	if (worker_index >= port->queue_count)
		return NULL;
	if (port->memif != NULL)
		return memif_netif(port->memif, worker_index);
	return port->netifs[worker_index] ? &port->netifs[worker_index]->netif : NULL;
}

int dpdk_launch(struct dpdk *dpdk, uint32_t worker_index, int (*run)(void *context), void *context)
{
	ASSERT(worker_index < dpdk->worker_count);
	return rte_eal_remote_launch(run, context, worker_index);
}

void dpdk_join(struct dpdk *dpdk)
{
	for (uint32_t worker = 0; worker < dpdk->worker_count; worker++)
		(void)rte_eal_wait_lcore(worker);
}

/* What is specific to the kind: "net_tap, 2 queues". */
static void describe_kind(const struct dpdk *dpdk, const struct dpdk_port *port, char *text,
                          size_t text_bytes)
{
	struct rte_eth_dev_info info = {0};
	const char *mode = "";

	if (port->options->kind == PORT_MEMIF) {
		snprintf(text, text_bytes, "memif server, ids 0 to %u", port->queue_count - 1);
		return;
	}
	(void)rte_eth_dev_info_get(port->device, &info);
	if (port->xdp != NULL)
		mode =
		    xdp_is_native(port->xdp) ? " native" : " generic (slow: its driver has no XDP)";
	snprintf(text, text_bytes, "%s%s, %u queue%s, %s",
	         info.driver_name ? info.driver_name : "no driver", mode, port->queue_count,
	         port->queue_count == 1 ? "" : "s", dpdk->hugepages ? "hugepages" : "no hugepages");
}

/* What a card takes over of sending, and why not all: ", segments cut by device, …". */
static void describe_sends(const struct dpdk_port *port, char *text, size_t text_bytes)
{
	const char *reason = port->copies_because;

	snprintf(text, text_bytes, ", segments cut by %s, large values %s%s%s",
	         port->large_bytes > 0 ? "device" : "software",
	         reason == NULL ? "sent from the store" : "copied (", reason == NULL ? "" : reason,
	         reason == NULL ? "" : ")");
}

void dpdk_describe(struct dpdk *dpdk, uint32_t port_index, char *text)
{
	const struct dpdk_port *port = &dpdk->ports[port_index];
	char kind[128], free_memory[64] = "", sends[128] = "";

	ASSERT(port_index < dpdk->port_count);
	describe_kind(dpdk, port, kind, sizeof(kind));
	if (port->has_device && !dpdk->hugepages)
		snprintf(free_memory, sizeof(free_memory), " (%llu of %llu MB are free)",
		         (unsigned long long)(dpdk->hugepages_free_bytes >> 20),
		         (unsigned long long)(dpdk->memory_bytes >> 20));
	if (port->options->kind == PORT_PCI)
		describe_sends(port, sends, sizeof(sends));
	if (port->options->kind == PORT_XDP)
		snprintf(sends, sizeof(sends), ", segments cut by kernel");
	snprintf(text, DPDK_DESCRIBE_BYTES,
	         "%s %s: %s%s, MTU %u, MAC %02x:%02x:%02x:%02x:%02x:%02x, checksums received by "
	         "%s, sent by %s%s%s",
	         port_kind_name(port->options->kind), port->options->name, kind, free_memory,
	         port->mtu, port->mac[0], port->mac[1], port->mac[2], port->mac[3], port->mac[4],
	         port->mac[5], port->offloads & NETIF_RX_CHECKSUM ? "device" : "software",
	         port->offloads & NETIF_TX_L4_CHECKSUM ? "device" : "software", sends,
	         port->leftover_program ? ", took over from a killed kanted" : "");
}

static bool interface_is_up(const char *name)
{
	struct ifreq ifreq = {0};

	return dpdk_interface_ioctl(name, SIOCGIFFLAGS, &ifreq) == 0 &&
	       (ifreq.ifr_flags & IFF_UP) && (ifreq.ifr_flags & IFF_RUNNING);
}

static bool port_is_up(const struct dpdk_port *port)
{
	struct rte_eth_link link = {0};

	/* These two drivers say "up" whatever the kernel's interface is. */
	if (port->options->kind == PORT_XDP || port->options->kind == PORT_TAP)
		return interface_is_up(port->options->name);
	if (port->memif != NULL)
		return memif_is_up(port->memif);
	return rte_eth_link_get_nowait(port->device, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP;
}

struct xdp *dpdk_xdp(struct dpdk *dpdk, uint32_t port_index)
{
	return dpdk->ports[port_index].xdp;
}

bool dpdk_watch(struct dpdk *dpdk, uint32_t port_index, char *text)
{
	struct dpdk_port *port = &dpdk->ports[port_index];
	char fault[XDP_ERROR_BYTES] = "";
	bool was_attached = port->xdp_fault[0] == '\0';
	int r = port->xdp == NULL ? 0 : xdp_watch(port->xdp, fault);

	if (r == 0)
		return false;
	memcpy(port->xdp_fault, fault, sizeof(fault));
	if (was_attached)
		port->xdp_detachments++;
	else if (r < 0)
		return false; /* it was said */
	if (r < 0)
		(void)dpdk_port_error(
		    port, text, r,
		    "somebody has taken the XDP program off, and it cannot be put "
		    "back, so nobody is served: %s; kanted goes on trying",
		    fault);
	else
		(void)dpdk_port_error(port, text, 0, "%s the XDP program off: it is attached again",
		                      was_attached ? "somebody has taken" : "somebody had taken");
	return true;
}

const char *dpdk_fault(struct dpdk *dpdk, uint32_t port_index)
{
	const char *fault = dpdk->ports[port_index].xdp_fault;

	return fault[0] == '\0' ? NULL : fault;
}

void dpdk_counters_read(struct dpdk *dpdk, uint32_t port_index, struct dpdk_counters *counters)
{
	const struct dpdk_port *port = &dpdk->ports[port_index];
	struct rte_eth_stats stats = {0};
	uint64_t xdp[XDP_COUNTER_COUNT] = {0};
	uint64_t errors = 0, drops = 0;

	ASSERT(port_index < dpdk->port_count);
	if (port->options->kind == PORT_SOCKET)
		return;
	if (port->has_device)
		(void)rte_eth_stats_get(port->device, &stats);
	if (port->memif != NULL)
		errors += memif_receive_drops(port->memif);
	for (uint32_t worker = 0; worker < port->queue_count; worker++) {
		const struct netif *netif = dpdk_netif(dpdk, port_index, worker);

		drops += counter_read(&netif->transmit_drops);
		if (port->netifs[worker] != NULL)
			errors += counter_read(&port->netifs[worker]->chained_drops);
	}
	if (port->xdp != NULL)
		xdp_counters_read(port->xdp, xdp);
	counter_set(&counters->link_up, port_is_up(port));
	counter_set(&counters->receive_missed, stats.imissed + stats.rx_nombuf);
	counter_set(&counters->receive_errors, stats.ierrors + errors);
	counter_set(&counters->transmit_drops, drops);
	counter_set(&counters->xdp_detached, port->xdp_fault[0] != '\0');
	counter_set(&counters->xdp_detachments, port->xdp_detachments);
#define SET_XDP(name, unit, kind, help) counter_set(&counters->name, xdp[XDP_COUNTER_##name]);
	XDP_COUNTERS(SET_XDP)
#undef SET_XDP
}

void dpdk_stop(struct dpdk *dpdk)
{
	if (dpdk == NULL)
		return;
	if (dpdk->started) {
		for (uint32_t i = dpdk->port_count; i > 0; i--)
			dpdk_port_close(&dpdk->ports[i - 1]);
		rte_eal_cleanup();
	}
	if (dpdk->log_stream != NULL) {
		rte_openlog_stream(NULL);
		fclose(dpdk->log_stream);
	}
	free(dpdk);
}
