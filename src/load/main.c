/* SPDX-License-Identifier: Apache-2.0 */
/* kante-load: puts load on a memcached-protocol server and checks every byte that comes back. */
#include "load/link.h"
#include "load/link_carrier.h"
#include "load/options.h"
#include "load/report.h"
#include "load/socket_carrier.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_WRONG       1 /* the server, or the way to it, has failed */
#define EXIT_NOT_STARTED 2 /* bad options, no connection */

#define TARGET_BYTES_MAX                  (NI_MAXHOST + NI_MAXSERV + 4)
#define DEVICE_BYTES_MAX                  512
#define DESCRIPTORS_TO_SPARE              16
#define POPULATE_OVER_UDP_CONNECTIONS_MAX 50

/* Set by the signal handler, read by the loop. */
static volatile sig_atomic_t interrupted;

/* How the server is reached. */
struct way_open {
	char target[TARGET_BYTES_MAX]; /* for people */
	struct link *link;             /* NULL with kernel sockets */
	struct carrier *carrier;
};

/* Every connection is a file descriptor: raises our own limit, also the hard one where that is
 * allowed. */
static int raise_descriptor_limit(uint32_t connection_count)
{
	rlim_t needed = connection_count + DESCRIPTORS_TO_SPARE;
	struct rlimit limit, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur >= needed)
		return 0;
	raised.rlim_cur = needed;
	raised.rlim_max = limit.rlim_max < needed ? needed : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
		return 0;
	complain("--connections %u needs %llu file descriptors, but the limit is %llu: raise it "
	         "(ulimit -n, as root beyond the hard limit; LimitNOFILE= under systemd), or ask "
	         "for fewer connections",
	         connection_count, (unsigned long long)needed, (unsigned long long)limit.rlim_max);
	return -EMFILE;
}

static int socket_way_open(struct way_open *way, const struct options *options)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char host[OPTIONS_HOST_BYTES], port[NI_MAXSERV], numeric[NI_MAXHOST];
	uint16_t port_number;
	int r;

	if (!options_cut_host_port(options->way_text, host, &port_number)) {
		complain("--socket %s: must be HOST:PORT with a port from 1 to 65535, IPv6 as "
		         "[::1]:11211",
		         options->way_text);
		return -EINVAL;
	}
	r = raise_descriptor_limit(options->client.connection_count);
	if (r < 0)
		return r;
	snprintf(port, sizeof(port), "%u", port_number);
	r = getaddrinfo(host, port, &hints, &found);
	if (r != 0) {
		complain("--socket %s: %s", options->way_text, gai_strerror(r));
		return -EINVAL;
	}
	r = getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof(numeric), NULL, 0,
	                NI_NUMERICHOST);
	snprintf(way->target, sizeof(way->target),
	         found->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", r == 0 ? numeric : host, port);
	r = socket_carrier_create(&way->carrier, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	if (r < 0)
		complain("--socket %s: %s", options->way_text, strerror(-r));
	return r;
}

static int link_way_open(struct way_open *way, const struct options *options)
{
	bool is_memif = options->way == WAY_MEMIF;
	const char *text = options->way_text;
	char device[DEVICE_BYTES_MAX];
	int length, r;

	snprintf(way->target, sizeof(way->target), "%s by %s", options->remote_text, text);
	length =
	    snprintf(device, sizeof(device),
	             is_memif ? "net_memif0,role=client,socket-abstract=no,socket=%s" : "%s", text);
	if (length >= (int)sizeof(device)) {
		complain("--%s %s: is too long", is_memif ? "memif" : "device", text);
		return -ENAMETOOLONG;
	}
	if (is_memif && access(text, R_OK | W_OK) < 0) {
		r = -errno;
		complain("--memif %s: %s: start the server first, or check the path", text,
		         strerror(-r));
		return r;
	}
	r = link_open(&way->link, device);
	if (r < 0) {
		complain("cannot use %s: %s%s", device, strerror(-r),
		         r == -ENOLINK
		             ? ": nobody on the other side answers, or has its one client "
		               "already"
		             : "");
		return r;
	}
	r = link_carrier_create(&way->carrier, &(struct link_carrier_options){
	                                           .netif = link_netif(way->link),
	                                           .local = options->local,
	                                           .remote = options->remote,
	                                           .remote_port = options->remote_port,
	                                           .is_reflected = options->is_reflected,
	                                           .is_ordered = is_memif,
	                                           .interrupted = &interrupted,
	                                       });
	if (r < 0)
		complain("cannot use %s: %s", device, strerror(-r));
	return r;
}

static void way_close(struct way_open *way)
{
	if (way->link == NULL)
		socket_carrier_destroy(way->carrier);
	else
		link_carrier_destroy(way->carrier);
	link_close(way->link);
}

static void complain_connect(const char *target, const char *transport, int error)
{
	const char *advice = "";

	switch (error) {
	case ECONNREFUSED:
		advice = ": nothing listens there; start the server, or check the port";
		break;
	case ETIMEDOUT: advice = ": no answer; check the address and firewalls on the way"; break;
	case ENETUNREACH:
	case EHOSTUNREACH: advice = ": check the address and the routes"; break;
	case EADDRNOTAVAIL:
		advice = ": no source port is left; widen net.ipv4.ip_local_port_range, or ask for "
		         "fewer connections";
		break;
	case EMFILE:
	case ENFILE: advice = ": raise the limit, or ask for fewer connections"; break;
	case ECONNRESET: advice = ": the server hung up; it may have a limit of connections"; break;
	case ENOMEM: advice = ": ask for fewer connections or a shorter pipeline"; break;
	}
	complain("cannot connect to %s over %s: %s%s", target, transport, strerror(error), advice);
}

/* Connects, runs, and closes. */
static int run_client(const struct way_open *way, struct workload *workload,
                      const struct client_options *options, const struct client_run *run,
                      struct client_result *ret_result)
{
	struct client *client = NULL;
	int r = client_create(&client, workload, way->carrier, options);

	if (r < 0) {
		complain_connect(way->target, options->is_udp ? "udp" : "tcp", -r);
		return r;
	}
	r = client_run(client, run, ret_result);
	if (r < 0)
		complain("the run had to stop: %s", strerror(-r));
	client_destroy(client);
	return r;
}

/* Sets all keys, over TCP whatever the measured load goes over. */
static int populate(const struct options *options, const struct way_open *way,
                    struct workload *workload, struct client_result *ret_result)
{
	struct client_run run = {.request_count = options->workload.key_count,
	                         .duration_ns = UINT64_MAX,
	                         .interrupted = &interrupted};
	struct client_options client = options->client;

	if (client.is_udp) {
		client.is_udp = false;
		client.connection_count =
		    min_u32(client.connection_count, POPULATE_OVER_UDP_CONNECTIONS_MAX);
	}
	workload_populate(workload);
	return run_client(way, workload, &client, &run, ret_result);
}

static int measure(const struct options *options, const struct way_open *way,
                   struct workload *workload, struct client_result *ret_result)
{
	struct client_run run = {.request_count = UINT64_MAX,
	                         .duration_ns = UINT64_MAX,
	                         .rate = options->rate,
	                         .interrupted = &interrupted};

	if (options->request_count > 0)
		run.request_count = options->request_count;
	if (options->seconds > 0)
		run.duration_ns = (uint64_t)(options->seconds * 1e9);
	workload_measure(workload);
	return run_client(way, workload, &options->client, &run, ret_result);
}

static int run_all(const struct options *options, const struct way_open *way,
                   struct workload *workload)
{
	struct workload_counters populated = {0};
	struct client_result result = {0};
	struct report report = {
	    .target = way->target,
	    .transport = options->client.is_udp ? "udp" : "tcp",
	    .connection_count = options->client.connection_count,
	    .pipeline = options->client.pipeline,
	    .rate = options->rate,
	    .populated = &populated,
	    .workload = workload,
	};
	int r;

	if (options->is_populating) {
		r = populate(options, way, workload, &result);
		if (r < 0)
			return EXIT_NOT_STARTED;
		populated = workload->counters;
		report.has_stopped_populating = interrupted || workload_counters_failed(&populated);
	}
	if (!report.has_stopped_populating) {
		report.populate_ns = result.elapsed_ns;
		r = measure(options, way, workload, &result);
		if (r < 0)
			return EXIT_NOT_STARTED;
	}
	report.elapsed_ns = result.elapsed_ns;
	report.overdue_count = result.overdue_count;
	report.is_interrupted = interrupted;
	report.has_failed = workload_counters_failed(&workload->counters) ||
	                    (options->are_misses_errors && workload->counters.misses > 0);
	if (way->link != NULL) {
		report.link = link_carrier_totals(way->carrier);
		report.receive_drops = link_receive_drops(way->link);
		report.transmit_drops = counter_read(&link_netif(way->link)->transmit_drops);
	}
	if (options->is_json)
		report_json(&report, stdout);
	else
		report_table(&report, stdout);
	return report.has_failed ? EXIT_WRONG : EXIT_SUCCESS;
}

static void on_signal(int number)
{
	interrupted = number;
}

int main(int argc, char **argv)
{
	/* The second signal ends us at once. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct way_open way = {.carrier = NULL};
	struct options options;
	struct workload *workload;
	int r = options_parse(&options, argc, argv);

	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_NOT_STARTED;
	workload = malloc(sizeof(*workload));
	if (workload == NULL) {
		complain("out of memory");
		return EXIT_NOT_STARTED;
	}
	workload_create(workload, &options.workload);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	r = options.way == WAY_SOCKET ? socket_way_open(&way, &options)
	                              : link_way_open(&way, &options);
	r = r < 0 ? EXIT_NOT_STARTED : run_all(&options, &way, workload);
	way_close(&way);
	free(workload);
	return r;
}
