/* SPDX-License-Identifier: Apache-2.0 */
#include "load/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SECONDS_MAX     86400
#define SECONDS_DEFAULT 10

static const char help_text[] =
    "Usage: kante-load --socket HOST:PORT [options]\n"
    "       kante-load --memif PATH --local ADDRESS --remote ADDRESS:PORT [options]\n"
    "       kante-load --device DEVICE --local ADDRESS --remote ADDRESS:PORT [options]\n"
    "\n"
    "Puts load on a memcached-protocol server (text protocol), or on Redis, and checks every byte\n"
    "that comes back. The values are made from key, version and length, so any that was ever\n"
    "stored by kante-load is accepted, and nothing else.\n"
    "\n"
    "Where to\n"
    "  --socket HOST:PORT     by kernel sockets; IPv6 as [::1]:11211\n"
    "  --memif PATH           by DPDK and our own TCP, to the memif server at that socket\n"
    "  --device DEVICE        the same, over any virtual device of DPDK's:\n"
    "                         net_af_xdp0,iface=veth1 or net_tap0,iface=load0 …\n"
    "  --local ADDRESS        ours on that device, a free one of the server's network\n"
    "  --remote ADDRESS:PORT  the server's; IPv6 as [fd00::2]:11211\n"
    "  --reflected            there is no server, but dpdk-testpmd --forward-mode=macswap, which\n"
    "                         sends each frame back: measures the way alone, with --udp\n"
    "  --udp                  UDP instead of TCP: gets only\n"
    "  --redis                the server speaks Redis's protocol (RESP2): with --socket, over TCP\n"
    "  --connections N        1 to 10000, default 50 (with --udp: sockets)\n"
    "  --pipeline N           requests in flight on each, 1 to 1000, default 1\n"
    "\n"
    "What\n"
    "  --keys N               1 to 1000000000000000, default 100000; each is 20 bytes long\n"
    "  --zipf X               exponent of the keys' popularity, 0 (uniform) to 10, default 0.99\n"
    "  --value-size N or A-B  bytes, 0 to 1048576, default 100; A-B: log-uniform in the range;\n"
    "                         with --reflected: N, 0 to 1400, by which each frame is longer,\n"
    "                         default 0\n"
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
    "With --memif and --device one core polls: taskset(1) says which. Frames lost and sent again\n"
    "are counted and shown.\n"
    "Exit status: 0 all well; 1 wrong bytes, a protocol or client error, a lost or stalled\n"
    "connection (or a miss, if said so); 2 bad options, or the run could not start.\n"
    "Server errors (refused for want of memory, say) and lost datagrams are only counted.\n";

void complain(const char *format, ...)
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

bool options_cut_host_port(const char *text, char host[OPTIONS_HOST_BYTES], uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	const char *port_text = colon == NULL ? "" : colon + 1;
	size_t length = colon == NULL ? 0 : (size_t)(colon - text);
	uint64_t port;

	if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	} else if (length > 0 && memchr(text, ':', length) != NULL) {
		return false; /* which colon is the port's is a guess */
	}
	if (length == 0 || length >= OPTIONS_HOST_BYTES ||
	    !take_whole(&port_text, UINT16_MAX, &port) || *port_text != '\0' || port == 0)
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	*ret_port = (uint16_t)port;
	return true;
}

static int apply_way(struct options *options, enum way way, const char *name, const char *text)
{
	if (options->way != WAY_NONE) {
		complain("--%s %s: only one of --socket, --memif and --device", name, text);
		return -EINVAL;
	}
	if (way == WAY_DEVICE && strncmp(text, "net_", 4) != 0) {
		complain("--device %s: must be a virtual device of DPDK's, such as "
		         "net_af_xdp0,iface=veth1; a card is used through net_af_xdp",
		         text);
		return -EINVAL;
	}
	options->way = way;
	options->way_text = text;
	return 0;
}

enum option_id {
	OPTION_SOCKET = 256, /* above all characters: there are no short options */
	OPTION_MEMIF,
	OPTION_DEVICE,
	OPTION_LOCAL,
	OPTION_REMOTE,
	OPTION_REFLECTED,
	OPTION_UDP,
	OPTION_REDIS,
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
    {"memif", required_argument, NULL, OPTION_MEMIF},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"local", required_argument, NULL, OPTION_LOCAL},
    {"remote", required_argument, NULL, OPTION_REMOTE},
    {"reflected", no_argument, NULL, OPTION_REFLECTED},
    {"udp", no_argument, NULL, OPTION_UDP},
    {"redis", no_argument, NULL, OPTION_REDIS},
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

static int apply_option(struct options *options, enum option_id id, const char *name,
                        const char *text)
{
	struct workload_options *workload = &options->workload;
	struct client_options *client = &options->client;

	switch (id) {
	case OPTION_SOCKET: return apply_way(options, WAY_SOCKET, name, text);
	case OPTION_MEMIF: return apply_way(options, WAY_MEMIF, name, text);
	case OPTION_DEVICE: return apply_way(options, WAY_DEVICE, name, text);
	case OPTION_LOCAL: options->local_text = text; return 0;
	case OPTION_REMOTE: options->remote_text = text; return 0;
	case OPTION_REFLECTED: options->is_reflected = true; return 0;
	case OPTION_UDP: client->is_udp = true; return 0;
	case OPTION_REDIS: workload->protocol = PROTOCOL_REDIS; return 0;
	case OPTION_POPULATE: options->is_populating = true; return 0;
	case OPTION_JSON: options->is_json = true; return 0;
	case OPTION_MISSES_ARE_ERRORS: options->are_misses_errors = true; return 0;
	case OPTION_CONNECTIONS:
		return parse_whole_u32(name, text, 1, CLIENT_CONNECTIONS_MAX,
		                       &client->connection_count);
	case OPTION_PIPELINE:
		return parse_whole_u32(name, text, 1, CONVERSATION_PIPELINE_MAX, &client->pipeline);
	case OPTION_KEYS:
		return parse_whole(name, text, 1, WORKLOAD_KEY_COUNT_MAX, &workload->key_count);
	case OPTION_ZIPF:
		return parse_real(name, text, 0, ZIPF_EXPONENT_MAX, &workload->zipf_exponent);
	case OPTION_VALUE_SIZE:
		options->has_value_size = true;
		return parse_size(text, &workload->value_bytes_min, &workload->value_bytes_max);
	case OPTION_SET_PERCENT: return parse_real(name, text, 0, 100, &options->set_percent);
	case OPTION_SEED: return parse_whole(name, text, 0, UINT64_MAX, &workload->seed);
	case OPTION_RATE: return parse_real(name, text, 1, CLIENT_RATE_MAX, &options->rate);
	case OPTION_SECONDS: return parse_real(name, text, 1e-3, SECONDS_MAX, &options->seconds);
	case OPTION_REQUESTS: return parse_whole(name, text, 1, INT64_MAX, &options->request_count);
	case OPTION_HELP: break;
	}
	return -EINVAL;
}

static int check_reflected(struct options *options)
{
	struct workload_options *workload = &options->workload;

	if (!options->client.is_udp || options->is_populating) {
		complain("--reflected goes with --udp, and without --populate");
		return -EINVAL;
	}
	if (!options->has_value_size)
		return 0;
	if (workload->value_bytes_min != workload->value_bytes_max ||
	    workload->value_bytes_max > DATAGRAM_PADDING_BYTES_MAX) {
		complain("--reflected goes with one --value-size from 0 to %u: what fits in a "
		         "frame behind the request",
		         DATAGRAM_PADDING_BYTES_MAX);
		return -EINVAL;
	}
	workload->padding_bytes = workload->value_bytes_max;
	return 0;
}

/* What --memif and --device need, and --socket may not have. */
static int check_addresses(struct options *options)
{
	char host[OPTIONS_HOST_BYTES];

	if (options->way == WAY_SOCKET) {
		if (options->local_text == NULL && options->remote_text == NULL &&
		    !options->is_reflected)
			return 0;
		complain("--local, --remote and --reflected go with --memif and --device only");
		return -EINVAL;
	}
	if (options->local_text == NULL || options->remote_text == NULL) {
		complain("--memif and --device need --local ADDRESS and --remote ADDRESS:PORT");
		return -EINVAL;
	}
	if (ip_address_parse(&options->local, options->local_text) < 0) {
		complain("--local %s: must be an IPv4 or IPv6 address", options->local_text);
		return -EINVAL;
	}
	if (!options_cut_host_port(options->remote_text, host, &options->remote_port) ||
	    ip_address_parse(&options->remote, host) < 0) {
		complain("--remote %s: must be ADDRESS:PORT with a port from 1 to 65535, IPv6 as "
		         "[fd00::2]:11211",
		         options->remote_text);
		return -EINVAL;
	}
	if (ip_address_is_ip4(&options->local) != ip_address_is_ip4(&options->remote)) {
		complain("--local and --remote must both be IPv4 or both IPv6");
		return -EINVAL;
	}
	return options->is_reflected ? check_reflected(options) : 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
	int id, index, r;

	*options = (struct options){
	    .workload = {.key_count = 100000,
	                 .zipf_exponent = 0.99,
	                 .value_bytes_min = 100,
	                 .value_bytes_max = 100,
	                 .seed = 1},
	    .client = {.connection_count = 50, .pipeline = 1},
	    .set_percent = -1,
	};
	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == OPTION_HELP) {
			fputs(help_text, stdout);
			return 1;
		}
		if (id == '?') {
			fputs("Try kante-load --help\n", stderr);
			return -EINVAL;
		}
		r = apply_option(options, (enum option_id)id, long_options[index].name, optarg);
		if (r < 0)
			return r;
	}
	if (optind < argc) {
		complain("%s: is not an option; try kante-load --help", argv[optind]);
		return -EINVAL;
	}
	if (options->way == WAY_NONE) {
		complain(
		    "say where to: --socket HOST:PORT, or --memif PATH; see kante-load --help");
		return -EINVAL;
	}
	if (options->workload.protocol == PROTOCOL_REDIS &&
	    (options->way != WAY_SOCKET || options->client.is_udp)) {
		complain("--redis goes with --socket only, and without --udp");
		return -EINVAL;
	}
	r = check_addresses(options);
	if (r < 0)
		return r;
	if (options->client.is_udp && options->set_percent > 0) {
		complain("--udp goes with --set-percent 0 only: writes are not taken over UDP");
		return -EINVAL;
	}
	if (options->set_percent < 0)
		options->set_percent = options->client.is_udp ? 0 : 10;
	options->workload.set_percent = options->set_percent;
	if (options->seconds == 0 && options->request_count == 0)
		options->seconds = SECONDS_DEFAULT;
	return 0;
}
