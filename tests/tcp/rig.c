/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <stdarg.h>
#include <sys/mman.h>

#define CARD_LARGE_BYTES 32768
#define SETTLE_TURNS_MAX 256
#define FULL_STEP_US     100 /* how often a worker looks whether its device can send again */
#define IDLE_STEP_US     (3600 * SECOND_US) /* it takes its turns with nothing to do, too */
#define SECOND_US        1000000ull
#define TS_HALF_SPACE_US (24ull * 24 * 3600 * SECOND_US) /* of ticks of 1 ms; RFC 7323 5.5 */

static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 1};

void rig_fail(struct rig *rig, const char *format, ...)
{
	va_list arguments;

	if (rig->error[0] != 0)
		return;
	va_start(arguments, format);
	vsnprintf(rig->error, sizeof(rig->error), format, arguments);
	va_end(arguments);
}

uint8_t rig_client_byte(uint64_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 8) * 17 + 5);
}

uint8_t rig_server_byte(uint64_t offset)
{
	return (uint8_t)(offset * 29 + (offset >> 8) * 23 + 11);
}

void client_renew(struct client *client, uint32_t isn)
{
	struct client fresh = {
	    .rig = client->rig,
	    .index = client->index,
	    .port = client->port,
	    .isn = isn,
	    .accept_bytes = UINT64_MAX,
	};

	free(client->received.data);
	free(client->replied.data);
	for (int i = 0; i < TOLD_COUNT; i++)
		free(client->on[i]);
	*client = fresh;
}

struct segment_base client_base(const struct client *client)
{
	return (struct segment_base){
	    .seq = client->iss_known ? client->iss : 0,
	    .ack = client->isn,
	    .ts_value = client->server_ts_first,
	    .ts_echo = client->rig->options.ts_base,
	};
}

uint32_t client_acknowledges(const struct client *client, uint32_t ack)
{
	return ack + (client->iss_known ? client->iss : 0);
}

/* The first SYN-ACK of a connection: what was agreed on. RFC 9293 3.2, RFC 7323 2.2 and 3.2: only
 * what the SYN has offered. */
static void judge_syn_ack(struct rig *rig, struct client *client, const struct segment *segment)
{
	client->iss = segment->seq;
	client->iss_known = true;
	client->ts = segment->has_ts;
	client->sack = segment->sack_permitted;
	client->server_ts_first = segment->ts_value;
	client->server_ts_last = segment->ts_value;
	client->send_shift = segment->wscale;
	client->receive_shift = segment->has_wscale ? client->offered_shift : 0;
	client->server_edge = segment->ack + segment->window;
	client->client_edge += client->iss;
	if ((segment->has_ts && !client->offered_ts) ||
	    (segment->sack_permitted && !client->offered_sack) ||
	    (segment->has_wscale && !client->offered_wscale))
		rig_fail(rig, "the SYN-ACK has an option that the SYN had not");
}

/* The window's right edge does not move back, by rounding at most (RFC 9293 3.8.6, RFC 7323 2.4).
 */
static void judge_window(struct rig *rig, struct client *client, const struct segment *segment)
{
	uint32_t shift = segment->flags & FLAG_SYN ? 0 : client->send_shift;
	uint32_t edge = segment->ack + ((uint32_t)segment->window << shift);

	if ((int32_t)(edge - client->server_edge) > 0)
		client->server_edge = edge;
	else if (client->server_edge - edge >= 1u << client->send_shift)
		rig_fail(rig, "the window's right edge moved back by %u bytes",
		         client->server_edge - edge);
}

/* Replied bytes and no others, and not beyond the client's window (RFC 9293 3.8.6.1: by a probe).
 */
static void judge_payload(struct rig *rig, struct client *client, const struct segment *segment)
{
	uint64_t start = (uint32_t)(segment->seq - client->iss - 1);
	uint32_t end = segment->seq + segment->length;

	if (segment->length == 0)
		return;
	if (!client->iss_known || start + segment->length > client->replied.length ||
	    memcmp(client->replied.data + start, segment->payload, segment->length) != 0)
		rig_fail(rig, "the segment holds bytes that the application did not reply");
	else if ((int32_t)(end - client->client_edge) > 1)
		rig_fail(rig, "the segment ends %u bytes beyond the client's window",
		         end - client->client_edge);
}

static void judge(struct rig *rig, struct client *client, const struct segment *segment)
{
	bool syn_ack = segment->flags == (FLAG_SYN | FLAG_ACK);

	judge_payload(rig, client, segment);
	if ((segment->flags & FLAG_ACK) && !(segment->flags & FLAG_RST)) {
		client->server_ack = segment->ack;
		client->ack_known = true;
	}
	if (segment->flags & FLAG_RST)
		return;
	if (syn_ack && !client->iss_known)
		judge_syn_ack(rig, client, segment);
	if (!client->iss_known)
		return;
	/* RFC 7323 3.2 */
	if (segment->has_ts != client->ts)
		rig_fail(rig, "timestamps were%s agreed on", client->ts ? "" : " not");
	if (segment->has_ts && (int32_t)(segment->ts_value - client->server_ts_last) < 0 &&
	    rig->now_us - client->server_ts_us < TS_HALF_SPACE_US)
		rig_fail(rig, "the timestamp went back");
	client->server_ts_last = segment->ts_value;
	client->server_ts_us = rig->now_us;
	if (segment->has_sack && !client->sack)
		rig_fail(rig, "SACK was not agreed on");
	judge_window(rig, client, segment);
}

static void sent(void *context, const uint8_t *frame, uint16_t length)
{
	struct rig *rig = context;
	struct sent_segment *sent_segment;
	struct segment segment;
	char error[SEGMENT_ERROR_MAX];
	uint32_t index;

	if (!segment_read(&segment, &rig->path, frame, length, error)) {
		rig_fail(rig, "the server sent %s", error);
		return;
	}
	index = segment.destination_port - RIG_CLIENT_PORT;
	if (segment.destination_port < RIG_CLIENT_PORT || index >= RIG_CLIENT_COUNT) {
		rig_fail(rig, "the server sent to port %u", segment.destination_port);
		return;
	}
	judge(rig, &rig->clients[index], &segment);
	if (rig->winding_up)
		return;
	if (rig->sent_count == rig->sent_capacity) {
		rig->sent_capacity = 2 * rig->sent_capacity + 64;
		rig->sent = realloc(rig->sent, rig->sent_capacity * sizeof(rig->sent[0]));
		ASSERT(rig->sent != NULL);
	}
	sent_segment = &rig->sent[rig->sent_count++];
	*sent_segment = (struct sent_segment){rig->now_us, (uint8_t)index, segment};
	sent_segment->segment.payload = NULL;
}

static void segment_in(void *context, const struct net_input *input, uint64_t now_us)
{
	struct rig *rig = context;

	tcp_input(rig->tcp, input, now_us);
}

static void error_in(void *context, const struct net_error *error, uint64_t now_us)
{
	struct rig *rig = context;

	tcp_error(rig->tcp, error, now_us);
}

static void datagram_in(void *context, const struct net_input *input, uint16_t source_port,
                        struct slice payload, uint64_t now_us)
{
}

static void addresses_set(struct rig *rig)
{
	bool ip6 = rig->options.ip6;

	rig->port = (struct port_options){
	    .kind = PORT_TAP,
	    .address_count = 1,
	    .tcp_port = RIG_PORT,
	    .allow_any = rig->options.allow_any != 0,
	};
	ip_prefix_parse(&rig->port.addresses[0], ip6 ? "fd00:198::2/64" : "198.18.0.2/24");
	ip_address_parse(&rig->path.remote, ip6 ? "fd00:198::2" : "198.18.0.2");
	ip_address_parse(&rig->path.local, ip6 ? "fd00:198::9" : "198.18.0.9");
	rig->path.vlan = FRAME_NO_VLAN;
	rig->path.local_mac[0] = 2;
	memcpy(rig->path.remote_mac, server_mac, 6);
}

struct rig *rig_create(const struct rig_options *options)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct net_user net_user = {
	    .segment = segment_in, .datagram = datagram_in, .error = error_in, .context = rig};
	struct net_options net_options = {.port = &rig->port};
	struct stream_user user = rig_stream_user;
	struct memory memory = {
	    .bytes = memory_netif_bytes(options->frame_count) + memory_nic_bytes() +
	             block_pool_bytes(options->block_count) + tcp_memory_bytes(&options->tcp)};
	uint16_t mtu = (uint16_t)(options->mtu + (options->ip6 ? 20 : 0));

	ASSERT(rig != NULL);
	rig->options = *options;
	rig->now_us = options->clock_us;
	/* zeros, and only what is used */
	rig->region_bytes = memory.bytes;
	rig->region =
	    mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(rig->region != MAP_FAILED);
	memory.base = rig->region;
	addresses_set(rig);
	user.context = rig;
	memory_netif_create(&rig->netif, options->frame_count, &memory, server_mac, mtu, sent, rig);
	if (options->card)
		memory_netif_add_nic(&rig->netif, CARD_LARGE_BYTES, true, &memory);
	net_create(&rig->net, &rig->netif.netif, &net_options, &net_user, rig->now_us);
	block_pool_create(&rig->blocks, options->block_count, &memory, NULL);
	tcp_create(&rig->tcp, &options->tcp, &user, &rig->blocks, &memory, rig->now_us);
	for (uint32_t i = 0; i < RIG_CLIENT_COUNT; i++) {
		struct client *client = &rig->clients[i];

		client->rig = rig;
		client->index = (uint8_t)i;
		client->port = (uint16_t)(RIG_CLIENT_PORT + i);
		client_renew(client, options->isn);
	}
	return rig;
}

void rig_destroy(struct rig *rig)
{
	for (uint32_t i = 0; i < RIG_CLIENT_COUNT; i++)
		client_renew(&rig->clients[i], 0);
	free(rig->sent);
	munmap(rig->region, rig->region_bytes);
	free(rig);
}

/* What the client offers and allows with this segment. */
static void client_note(struct client *client, const struct segment *segment)
{
	uint32_t edge = segment->ack + ((uint32_t)segment->window << client->receive_shift);

	if (!client->iss_known) {
		if (!(segment->flags & FLAG_SYN))
			return;
		client->offered_ts = segment->has_ts;
		client->offered_sack = segment->sack_permitted;
		client->offered_wscale = segment->has_wscale;
		client->offered_shift = (uint8_t)min_u32(segment->wscale, 14);
		client->client_edge = 1u + segment->window; /* counted from the ISS */
		/* an option that the test wrote byte by byte may be any */
		if (segment->raw_option_bytes > 0) {
			client->offered_ts = true;
			client->offered_sack = true;
			client->offered_wscale = true;
		}
		return;
	}
	if ((segment->flags & FLAG_ACK) && !(segment->flags & FLAG_SYN) &&
	    (int32_t)(edge - client->client_edge) > 0)
		client->client_edge = edge;
}

static void inject(struct rig *rig, const uint8_t *frame, uint32_t length)
{
	uint32_t withheld = rig->netif.withheld_count;

	rig->netif.withheld_count = 0;
	if (!memory_netif_inject(&rig->netif, frame, (uint16_t)length))
		rig_fail(rig, "the netif takes no more frames");
	rig->netif.withheld_count = withheld;
}

void rig_icmp(struct rig *rig, const struct icmp_error *error)
{
	uint8_t frame[SEGMENT_FRAME_MAX];

	inject(rig, frame, icmp_error_write(frame, &rig->path, error));
	rig_settle(rig);
}

void rig_say(struct rig *rig, struct client *client, const struct segment *segment, uint8_t mac,
             bool more)
{
	uint8_t frame[SEGMENT_FRAME_MAX];
	uint32_t length;

	rig->path.local_mac[5] = mac;
	length = segment_write(frame, &rig->path, segment);
	if (length == 0) {
		rig_fail(rig, "the segment does not fit a frame");
		return;
	}
	client_note(client, segment);
	inject(rig, frame, length);
	rig->speaker = client;
	net_poll(&rig->net, rig->now_us);
	rig->speaker = NULL;
	if (!more)
		rig_settle(rig);
}

/* Once: a flush is due after every burst, whatever the deadlines say. */
static void turn(struct rig *rig)
{
	net_poll(&rig->net, rig->now_us);
	tcp_advance(rig->tcp, rig->now_us);
	rig->netif.netif.ops->flush(&rig->netif.netif);
}

void rig_settle(struct rig *rig)
{
	int turns = 1;

	turn(rig);
	for (; turns < SETTLE_TURNS_MAX && tcp_next_deadline_us(rig->tcp) <= rig->now_us; turns++)
		turn(rig);
	if (turns == SETTLE_TURNS_MAX && rig->netif.withheld_count == 0)
		rig_fail(rig, "the next deadline is in the past for ever: nobody could sleep");
	tcp_check(rig->tcp);
}

void rig_pass(struct rig *rig, uint64_t us, bool until_sent)
{
	uint64_t end_us = rig->now_us + us;
	uint32_t sent_before = rig->sent_count;

	for (;;) {
		uint64_t next_us;

		rig_settle(rig);
		next_us = tcp_next_deadline_us(rig->tcp);
		if (next_us <= rig->now_us) /* it waits for the device */
			next_us = rig->now_us + FULL_STEP_US;
		if (rig->now_us == end_us || rig->error[0] != 0 ||
		    (until_sent && rig->sent_count > sent_before))
			return;
		next_us = min_u64(next_us, rig->now_us + IDLE_STEP_US);
		rig->now_us = min_u64(next_us, end_us);
	}
}

static void reset_all(struct rig *rig)
{
	for (uint32_t i = 0; i < RIG_CLIENT_COUNT; i++) {
		struct client *client = &rig->clients[i];
		struct segment reset = {
		    .source_port = client->port,
		    .destination_port = RIG_PORT,
		    .seq = client->server_ack,
		    .flags = FLAG_RST,
		    .payload = (const uint8_t *)"",
		    .data_offset = -1,
		    .cut = -1,
		};

		if (client->ack_known)
			rig_say(rig, client, &reset, 9, false);
	}
}

void rig_wind_up(struct rig *rig, bool by_reset)
{
	const struct tcp_options *options = &rig->options.tcp;
	const struct tcp_counters *counters = tcp_counters(rig->tcp);
	struct block *held;

	rig->winding_up = true;
	rig->netif.withheld_count = 0;
	while ((held = rig->held) != NULL) {
		rig->held = held->next;
		block_drop(&rig->blocks, held);
	}
	rig_pass(rig, SECOND_US, false); /* what is to be acknowledged is */
	if (by_reset)
		reset_all(rig);
	for (uint32_t i = 0; i < RIG_CLIENT_COUNT; i++)
		if (rig->clients[i].stream != NULL)
			rig->clients[i].stream->ops->abort(rig->clients[i].stream);
	rig_pass(rig, 2ull * options->time_wait_us + 200 * SECOND_US, false);
	if (counter_read(&counters->connections) + counter_read(&counters->half_open) +
	        counter_read(&counters->fin_wait_2) + counter_read(&counters->time_wait) !=
	    0)
		rig_fail(rig, "connections are left over at the end");
	else if (rig->blocks.free_count != rig->blocks.block_count)
		rig_fail(rig, "%u blocks are lost",
		         rig->blocks.block_count - rig->blocks.free_count);
	else if (rig->netif.free_count != rig->netif.frame_count)
		rig_fail(rig, "%u frames are lost", rig->netif.frame_count - rig->netif.free_count);
	else if (tcp_next_deadline_us(rig->tcp) != UINT64_MAX)
		rig_fail(rig, "a timer runs without a connection");
}
