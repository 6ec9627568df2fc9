/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that say nothing of segments: options, the device, the pool, ICMP, new connections. */
#include "lines_internal.h"

#include <stdarg.h>

bool fail(struct scenario *scenario, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(scenario->message, sizeof(scenario->message), format, arguments);
	va_end(arguments);
	return false;
}

bool rig_good(struct scenario *scenario)
{
	if (scenario->rig->error[0] == 0)
		return true;
	return fail(scenario, "%s", scenario->rig->error);
}

/* Options. */

static const struct {
	const char *name;
	size_t offset; /* of a uint32_t in struct rig_options */
} option_names[] = {
    {"congestion", offsetof(struct rig_options, tcp.congestion)}, /* enum tcp_congestion */
    {"connection_count_max", offsetof(struct rig_options, tcp.connection_count_max)},
    {"half_open_count_max", offsetof(struct rig_options, tcp.half_open_count_max)},
    {"orphan_count_max", offsetof(struct rig_options, tcp.orphan_count_max)},
    {"source_connection_count_max", offsetof(struct rig_options, tcp.source_connection_count_max)},
    {"receive_window_bytes", offsetof(struct rig_options, tcp.receive_window_bytes)},
    {"rto_min_us", offsetof(struct rig_options, tcp.rto_min_us)},
    {"user_timeout_us", offsetof(struct rig_options, tcp.user_timeout_us)},
    {"linger_count_max", offsetof(struct rig_options, tcp.linger_count_max)},
    {"time_wait_us", offsetof(struct rig_options, tcp.time_wait_us)},
    {"blocks", offsetof(struct rig_options, block_count)},
    {"frames", offsetof(struct rig_options, frame_count)},
    {"mtu", offsetof(struct rig_options, mtu)},
    {"allow_any", offsetof(struct rig_options, allow_any)},
};

bool line_option(struct scenario *scenario, const struct words *words)
{
	char error[ERROR_MAX];
	int64_t value;

	if (scenario->rig != NULL)
		return fail(scenario, "options come first");
	if (words->count != 3 || !integer_parse(&value, words->word[2], error))
		return fail(scenario, "option wants a name and a number");
	if (strcmp(words->word[1], "clock_ms") == 0) {
		scenario->options.clock_us = (uint64_t)value * 1000;
		return true;
	}
	if (strcmp(words->word[1], "keepalive_s") == 0) {
		scenario->options.tcp.keepalive_us = (uint64_t)value * 1000000;
		return true;
	}
	for (size_t i = 0; i < sizeof(option_names) / sizeof(option_names[0]); i++) {
		if (strcmp(words->word[1], option_names[i].name) != 0)
			continue;
		*(uint32_t *)((char *)&scenario->options + option_names[i].offset) =
		    (uint32_t)value;
		return true;
	}
	return fail(scenario, "there is no option '%s'", words->word[1]);
}

bool line_new(struct scenario *scenario, const struct words *words)
{
	struct client *client;
	char error[ERROR_MAX];
	uint8_t index = 0;
	int at = 1;
	int64_t isn;

	if (connection_parse(&index, words->word[1]))
		at = 2;
	client = &scenario->rig->clients[index];
	if (words->word[at] == NULL ||
	    !integer_parse(&isn, words->word[at] + (words->word[at][0] == '+'), error))
		return fail(scenario, "new wants an initial sequence number");
	if (words->word[at][0] == '+' || words->word[at][0] == '-')
		isn += client->isn;
	if (client->stream != NULL)
		return fail(scenario, "the last stream is still open");
	user_check_silence(scenario->rig);
	client_renew(client, (uint32_t)isn);
	return rig_good(scenario);
}

bool line_netif(struct scenario *scenario, const struct words *words)
{
	struct memory_netif *netif = &scenario->rig->netif;

	if (words->count == 2 && strcmp(words->word[1], "full") == 0)
		netif->withheld_count = netif->frame_count;
	else if (words->count == 2 && strcmp(words->word[1], "free") == 0)
		netif->withheld_count = 0;
	else
		return fail(scenario, "netif is full or free");
	rig_settle(scenario->rig);
	return rig_good(scenario);
}

/* icmp [c:] KIND [N] WORD N …: an error about a segment that the server has sent. */
bool line_icmp(struct scenario *scenario, const struct words *words)
{
	static const struct {
		const char *name;
		uint8_t type4, code4, type6;
	} kinds[] = {
	    {"too_big", 3, 4, 2},   {"unreachable", 3, 1, 1}, {"port", 3, 3, 1},
	    {"exceeded", 11, 0, 3}, {"parameter", 12, 0, 4},  {"quench", 4, 0, 200},
	};
	struct rig *rig = scenario->rig;
	struct icmp_error icmp = {.server_port = RIG_PORT, .protocol = FRAME_PROTOCOL_TCP};
	uint8_t index = 0;
	int at = connection_parse(&index, words->word[1]) ? 2 : 1;
	const struct client *client = &rig->clients[index];
	char error[ERROR_MAX];
	size_t kind = 0;

	while (kind < sizeof(kinds) / sizeof(kinds[0]) &&
	       (words->word[at] == NULL || strcmp(kinds[kind].name, words->word[at]) != 0))
		kind++;
	if (kind == sizeof(kinds) / sizeof(kinds[0]))
		return fail(scenario, "icmp wants a kind of error");
	icmp.type = rig->options.ip6 ? kinds[kind].type6 : kinds[kind].type4;
	icmp.code = rig->options.ip6 ? 0 : kinds[kind].code4;
	icmp.client_port = client->port;
	for (at++; at < words->count; at += 2) {
		int64_t value;

		if (words->word[at + 1] == NULL ||
		    !integer_parse(&value, words->word[at + 1], error))
			return fail(scenario, "icmp wants names and numbers");
		if (strcmp(words->word[at], "mtu") == 0) /* as with the option */
			icmp.rest = (uint32_t)value + (rig->options.ip6 && value > 0 ? 20 : 0);
		else if (strcmp(words->word[at], "seq") == 0)
			icmp.seq = client_acknowledges(client, (uint32_t)value);
		else if (strcmp(words->word[at], "packet") == 0)
			icmp.packet_bytes = (uint32_t)value + (rig->options.ip6 ? 20 : 0);
		else if (strcmp(words->word[at], "quoted") == 0)
			icmp.quoted_bytes = (uint32_t)value + (rig->options.ip6 ? 20 : 0);
		else if (strcmp(words->word[at], "protocol") == 0)
			icmp.protocol = (uint8_t)value;
		else
			return fail(scenario, "icmp knows no '%s'", words->word[at]);
	}
	rig_icmp(rig, &icmp);
	return rig_good(scenario);
}

bool line_pool(struct scenario *scenario, const struct words *words)
{
	struct rig *rig = scenario->rig;
	char error[ERROR_MAX];
	int64_t count = 0;

	if (words->count < 2 || (words->count > 2 && !integer_parse(&count, words->word[2], error)))
		return fail(scenario, "pool wants take N, give, or left N");
	if (strcmp(words->word[1], "left") == 0)
		return rig->blocks.free_count == (uint64_t)count
		           ? true
		           : fail(scenario, "%u blocks are left", rig->blocks.free_count);
	if (strcmp(words->word[1], "take") == 0 && count <= rig->blocks.free_count) {
		for (; count > 0; count--) {
			struct block *block = block_take(&rig->blocks);

			block->next = rig->held;
			rig->held = block;
		}
		return true;
	}
	if (strcmp(words->word[1], "give") != 0)
		return fail(scenario, "there are %u blocks", rig->blocks.free_count);
	while (rig->held != NULL) {
		struct block *block = rig->held;

		rig->held = block->next;
		block_drop(&rig->blocks, block);
	}
	return true;
}
