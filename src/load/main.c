/* SPDX-License-Identifier: Apache-2.0 */
/* kante-load: puts load on a memcached-protocol server and checks every byte that comes back. */
#include "load/report.h"
#include "load/socket_client.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>

#define EXIT_WRONG       1 /* the server, or the way to it, has failed */
#define EXIT_NOT_STARTED 2 /* bad options, no connection */

#define SECONDS_MAX                       86400
#define SECONDS_DEFAULT                   10
#define TARGET_BYTES_MAX                  (NI_MAXHOST + NI_MAXSERV + 4)
#define DESCRIPTORS_TO_SPARE              16
#define POPULATE_OVER_UDP_CONNECTIONS_MAX 50

/* Set by the signal handler, read by the loop. */
static volatile sig_atomic_t interrupted;

struct settings {
	const char *socket; /* HOST:PORT, or NULL */
	struct workload_options workload;
	struct socket_client_options client;
	uint64_t request_count; /* 0: not given */
	double seconds;         /* 0: not given */
	double rate;
	double set_percent; /* negative: not given */
	bool is_populating;
	bool is_json;
	bool are_misses_errors;
};

static const char help_text[] =
    "Usage: kante-load --socket HOST:PORT [options]\n"
    "\n"
    "Puts load on a memcached-protocol server (text protocol) and checks every byte that comes\n"
    "back. The values are made from key, version and length, so any that was ever stored by\n"
    "kante-load is accepted, and nothing else.\n"
    "\n"
    "Where to\n"
    "  --socket HOST:PORT     kernel sockets; IPv6 as [::1]:11211\n"
    "  --udp                  UDP instead of TCP: gets only\n"
    "  --connections N        1 to 10000, default 50 (with --udp: sockets)\n"
    "  --pipeline N           requests in flight on each, 1 to 1000, default 1\n"
    "\n"
    "What\n"
    "  --keys N               1 to 1000000000000000, default 100000; each is 20 bytes long\n"
    "  --zipf X               exponent of the keys' popularity, 0 (uniform) to 10, default 0.99\n"
    "  --value-size N or A-B  bytes, 0 to 1048576, default 100; A-B: log-uniform in the range\n"
    "  --set-percent P        share of sets, 0 to 100, default 10 (with --udp: 0); the rest: gets\n"
    "  --populate             first set every key once, over TCP also with --udp; not measured\n"
    "  --seed N               same seed, same requests; default 1\n"
    "\n"
    "How fast and how long\n"
    "  --rate R               requests a second in all, at random times (Poisson), 1 to "
    "100000000;\n"
    "                         latency counts from the time a request was due. Without: as soon as\n"
    "                         the one before is answered\n"
    "  --seconds S            more than 0, to 86400; default 10 unless --requests is given\n"
    "  --requests N           at most so many\n"
    "\n"
    "What comes out\n"
    "  --json                 one JSON object instead of the table\n"
    "  --misses-are-errors    exit with 1 when a get misses\n"
    "  --help                 this\n"
    "\n"
    "Ctrl-C ends a run with the results so far.\n"
    "Exit status: 0 all well; 1 wrong bytes, a protocol or client error, a lost or stalled\n"
    "connection (or a miss, if said so); 2 bad options, or the run could not start.\n"
    "Server errors (refused for want of memory, say) and lost datagrams are only counted.\n";

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *format, ...)
{
	va_list arguments;

	fputs("kante-load: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* Digits from *text on; moves *text behind them. */
static bool take_whole(const char **text, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *at = *text;

	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	if (at == *text)
		return false;
	*text = at;
	*ret_number = number;
	return true;
}

static int parse_whole(const char *name, const char *text, uint64_t min, uint64_t max,
                       uint64_t *ret_number)
{
	const char *at = text;
	uint64_t number;

	if (!take_whole(&at, max, &number) || *at != '\0' || number < min) {
		complain("--%s %s: must be a whole number from %llu to %llu", name, text,
		         (unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*ret_number = number;
	return 0;
}

static int parse_whole_u32(const char *name, const char *text, uint32_t min, uint32_t max,
                           uint32_t *ret_number)
{
	uint64_t number;
	int r = parse_whole(name, text, min, max, &number);

	if (r < 0)
		return r;
	*ret_number = (uint32_t)number;
	return 0;
}

static int parse_real(const char *name, const char *text, double min, double max,
                      double *ret_number)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(number) || number < min || number > max) {
		complain("--%s %s: must be a number from %.10g to %.10g", name, text, min, max);
		return -EINVAL;
	}
	*ret_number = number;
	return 0;
}

/* "100" or "0-1048576". */
static int parse_size(const char *text, uint32_t *ret_min, uint32_t *ret_max)
{
	const char *at = text;
	uint64_t min, max;

	if (!take_whole(&at, VALUE_BYTES_MAX, &min))
		goto fail;
	max = min;
	if (*at == '-') {
		at++;
		if (!take_whole(&at, VALUE_BYTES_MAX, &max))
			goto fail;
	}
	if (*at != '\0' || min > max)
		goto fail;
	*ret_min = (uint32_t)min;
	*ret_max = (uint32_t)max;
	return 0;
fail:
	complain("--value-size %s: must be a number of bytes or a range A-B, from 0 to %u", text,
	         VALUE_BYTES_MAX);
	return -EINVAL;
}

enum option_id {
	OPTION_SOCKET = 256, /* above all characters: there are no short options */
	OPTION_UDP,
	OPTION_CONNECTIONS,
	OPTION_PIPELINE,
	OPTION_KEYS,
	OPTION_ZIPF,
	OPTION_VALUE_SIZE,
	OPTION_SET_PERCENT,
	OPTION_POPULATE,
	OPTION_SEED,
	OPTION_RATE,
	OPTION_SECONDS,
	OPTION_REQUESTS,
	OPTION_JSON,
	OPTION_MISSES_ARE_ERRORS,
	OPTION_HELP,
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"udp", no_argument, NULL, OPTION_UDP},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"pipeline", required_argument, NULL, OPTION_PIPELINE},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"zipf", required_argument, NULL, OPTION_ZIPF},
    {"value-size", required_argument, NULL, OPTION_VALUE_SIZE},
    {"set-percent", required_argument, NULL, OPTION_SET_PERCENT},
    {"populate", no_argument, NULL, OPTION_POPULATE},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"misses-are-errors", no_argument, NULL, OPTION_MISSES_ARE_ERRORS},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static int apply_option(struct settings *settings, enum option_id id, const char *name,
                        const char *text)
{
	struct workload_options *workload = &settings->workload;
	struct socket_client_options *client = &settings->client;

	switch (id) {
	case OPTION_SOCKET: settings->socket = text; return 0;
	case OPTION_UDP: client->is_udp = true; return 0;
	case OPTION_POPULATE: settings->is_populating = true; return 0;
	case OPTION_JSON: settings->is_json = true; return 0;
	case OPTION_MISSES_ARE_ERRORS: settings->are_misses_errors = true; return 0;
	case OPTION_CONNECTIONS:
		return parse_whole_u32(name, text, 1, SOCKET_CLIENT_CONNECTIONS_MAX,
		                       &client->connection_count);
	case OPTION_PIPELINE:
		return parse_whole_u32(name, text, 1, CONVERSATION_PIPELINE_MAX, &client->pipeline);
	case OPTION_KEYS:
		return parse_whole(name, text, 1, WORKLOAD_KEY_COUNT_MAX, &workload->key_count);
	case OPTION_ZIPF:
		return parse_real(name, text, 0, ZIPF_EXPONENT_MAX, &workload->zipf_exponent);
	case OPTION_VALUE_SIZE:
		return parse_size(text, &workload->value_bytes_min, &workload->value_bytes_max);
	case OPTION_SET_PERCENT: return parse_real(name, text, 0, 100, &settings->set_percent);
	case OPTION_SEED: return parse_whole(name, text, 0, UINT64_MAX, &workload->seed);
	case OPTION_RATE: return parse_real(name, text, 1, SOCKET_CLIENT_RATE_MAX, &settings->rate);
	case OPTION_SECONDS: return parse_real(name, text, 1e-3, SECONDS_MAX, &settings->seconds);
	case OPTION_REQUESTS:
		return parse_whole(name, text, 1, INT64_MAX, &settings->request_count);
	case OPTION_HELP: break;
	}
	return -EINVAL;
}

/* 0, 1 when help was asked for and given, or -EINVAL after a complaint. */
static int parse_arguments(struct settings *settings, int argc, char **argv)
{
	int id, index, r;

	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == OPTION_HELP) {
			fputs(help_text, stdout);
			return 1;
		}
		if (id == '?') {
			fputs("Try kante-load --help\n", stderr);
			return -EINVAL;
		}
		r = apply_option(settings, (enum option_id)id, long_options[index].name, optarg);
		if (r < 0)
			return r;
	}
	if (optind < argc) {
		complain("%s: is not an option; try kante-load --help", argv[optind]);
		return -EINVAL;
	}
	if (settings->socket == NULL) {
		complain("say where to: --socket HOST:PORT; see kante-load --help");
		return -EINVAL;
	}
	if (settings->client.is_udp && settings->set_percent > 0) {
		complain("--udp goes with --set-percent 0 only: writes are not taken over UDP");
		return -EINVAL;
	}
	if (settings->set_percent < 0)
		settings->set_percent = settings->client.is_udp ? 0 : 10;
	settings->workload.set_percent = settings->set_percent;
	if (settings->seconds == 0 && settings->request_count == 0)
		settings->seconds = SECONDS_DEFAULT;
	return 0;
}

/* "host:port", "[host]:port". */
static int resolve_target(struct settings *settings, char target[TARGET_BYTES_MAX])
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	const char *text = settings->socket;
	const char *colon = strrchr(text, ':');
	const char *port_text = colon == NULL ? "" : colon + 1;
	size_t host_length = colon == NULL ? 0 : (size_t)(colon - text);
	uint64_t port_number;
	int r;

	if (host_length >= 2 && text[0] == '[' && text[host_length - 1] == ']') {
		text++;
		host_length -= 2;
	} else if (host_length > 0 && memchr(text, ':', host_length) != NULL) {
		host_length = 0; /* which colon is the port's is a guess */
	}
	if (host_length == 0 || host_length >= sizeof(host) ||
	    !take_whole(&port_text, UINT16_MAX, &port_number) || *port_text != '\0' ||
	    port_number == 0) {
		complain("--socket %s: must be HOST:PORT with a port from 1 to 65535, IPv6 as "
		         "[::1]:11211",
		         settings->socket);
		return -EINVAL;
	}
	memcpy(host, text, host_length);
	host[host_length] = '\0';
	r = getaddrinfo(host, colon + 1, &hints, &found);
	if (r != 0) {
		complain("--socket %s: %s", settings->socket, gai_strerror(r));
		return -EINVAL;
	}
	memcpy(&settings->client.address, found->ai_addr, found->ai_addrlen);
	settings->client.address_bytes = found->ai_addrlen;
	r = getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof(host), port, sizeof(port),
	                NI_NUMERICHOST | NI_NUMERICSERV);
	if (r == 0)
		snprintf(target, TARGET_BYTES_MAX,
		         found->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	freeaddrinfo(found);
	return r == 0 ? 0 : -EINVAL;
}

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

/* Sets all keys, over TCP whatever the measured load goes over. */
static int populate(const struct settings *settings, struct workload *workload, const char *target,
                    uint64_t *ret_elapsed_ns)
{
	struct socket_client_run run = {.request_count = settings->workload.key_count,
	                                .duration_ns = UINT64_MAX,
	                                .interrupted = &interrupted};
	struct socket_client_options options = settings->client;
	struct socket_client *client = NULL;
	struct socket_client_result result;
	int r;

	if (options.is_udp) {
		options.is_udp = false;
		options.connection_count =
		    min_u32(options.connection_count, POPULATE_OVER_UDP_CONNECTIONS_MAX);
	}
	r = socket_client_create(&client, workload, &options);
	if (r < 0) {
		complain_connect(target, "tcp", -r);
		return r;
	}
	workload_populate(workload);
	r = socket_client_run(client, &run, &result);
	socket_client_destroy(client);
	if (r < 0)
		return r;
	*ret_elapsed_ns = result.elapsed_ns;
	return 0;
}

static int measure(const struct settings *settings, struct workload *workload, const char *target,
                   struct socket_client_result *ret_result)
{
	struct socket_client_run run = {.request_count = UINT64_MAX,
	                                .duration_ns = UINT64_MAX,
	                                .rate = settings->rate,
	                                .interrupted = &interrupted};
	struct socket_client *client = NULL;
	int r;

	if (settings->request_count > 0)
		run.request_count = settings->request_count;
	if (settings->seconds > 0)
		run.duration_ns = (uint64_t)(settings->seconds * 1e9);
	r = socket_client_create(&client, workload, &settings->client);
	if (r < 0) {
		complain_connect(target, settings->client.is_udp ? "udp" : "tcp", -r);
		return r;
	}
	workload_measure(workload);
	r = socket_client_run(client, &run, ret_result);
	socket_client_destroy(client);
	return r;
}

static int run_all(const struct settings *settings, struct workload *workload, const char *target)
{
	struct workload_counters populated = {0};
	struct socket_client_result result = {0};
	struct report report = {
	    .target = target,
	    .transport = settings->client.is_udp ? "udp" : "tcp",
	    .connection_count = settings->client.connection_count,
	    .pipeline = settings->client.pipeline,
	    .rate = settings->rate,
	    .populated = &populated,
	    .workload = workload,
	};
	int r;

	if (settings->is_populating) {
		r = populate(settings, workload, target, &result.elapsed_ns);
		if (r < 0)
			return EXIT_NOT_STARTED;
		populated = workload->counters;
		report.has_stopped_populating = interrupted || workload_counters_failed(&populated);
	}
	if (!report.has_stopped_populating) {
		report.populate_ns = result.elapsed_ns;
		r = measure(settings, workload, target, &result);
		if (r < 0)
			return EXIT_NOT_STARTED;
	}
	report.elapsed_ns = result.elapsed_ns;
	report.overdue_count = result.overdue_count;
	report.is_interrupted = interrupted;
	report.has_failed = workload_counters_failed(&workload->counters) ||
	                    (settings->are_misses_errors && workload->counters.misses > 0);
	if (settings->is_json)
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
	struct settings settings = {
	    .workload = {.key_count = 100000,
	                 .zipf_exponent = 0.99,
	                 .value_bytes_min = 100,
	                 .value_bytes_max = 100,
	                 .seed = 1},
	    .client = {.connection_count = 50, .pipeline = 1},
	    .set_percent = -1,
	};
	/* The second signal ends us at once. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	char target[TARGET_BYTES_MAX];
	struct workload *workload;
	int r = parse_arguments(&settings, argc, argv);

	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_NOT_STARTED;
	if (resolve_target(&settings, target) < 0 ||
	    raise_descriptor_limit(settings.client.connection_count) < 0)
		return EXIT_NOT_STARTED;
	workload = malloc(sizeof(*workload));
	if (workload == NULL) {
		complain("out of memory");
		return EXIT_NOT_STARTED;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	workload_create(workload, &settings.workload);
	r = run_all(&settings, workload, target);
	free(workload);
	return r;
}
