/* SPDX-License-Identifier: Apache-2.0 */
/* One client connection against a scripted server: every segment is written down by the test. All
 * sequence numbers count from the initial ones: 0 is the SYN, 1 the first byte. */
#pragma once

#include "load/client_tcp.h"

#include "unit.h"

#define FIN                 0x01
#define SYN                 0x02
#define RST                 0x04
#define PSH                 0x08
#define ACK                 0x10
#define RIG_PORT            4000
#define RIG_SERVER_SEQUENCE 0xfffff000u /* wraps during some of the tests */
#define RIG_SHIFT           2           /* of the server's windows, when scaling is agreed on */
#define RIG_FRAME_COUNT     64

struct rig {
	struct client_tcp tcp;
	struct frame_path path;
	uint64_t now_us;
	uint8_t send[4096];
	uint8_t receive[4096];
	uint8_t verify[4096];
	uint8_t frames[RIG_FRAME_COUNT][1600]; /* that the client has sent */
	uint32_t lengths[RIG_FRAME_COUNT];
	uint32_t sent_count;
	uint32_t seen_count; /* of them, looked at by the test */
	uint8_t got[16384];  /* what the client's owner has taken */
	uint32_t got_length;
	uint32_t take_max; /* bytes that the owner takes until this is raised */
	bool no_frames;    /* there is no room to send now */
};

/* From the server. */
struct segment {
	uint32_t seq;
	uint32_t ack;
	uint32_t flags; /* ACK when 0 */
	uint32_t window;
	const char *text;
	uint32_t length; /* instead of text: that many 'x' */
	const uint8_t *options;
	uint32_t option_bytes; /* with agreed timestamps and none of these, one is made */
	uint32_t ts_back;      /* the timestamp is this much older than now */
	uint32_t ts_echo_ahead;
	bool no_timestamp;
	bool bad_checksum;
};

/* From the client. */
struct seen {
	uint32_t seq;
	uint32_t ack;
	uint32_t window; /* as in the header */
	uint32_t length;
	uint8_t flags;
	const uint8_t *payload;
	const uint8_t *options;
	uint32_t option_bytes;
};

static inline uint8_t *rig_reserve(void *context)
{
	struct rig *rig = context;

	return rig->no_frames || rig->sent_count == RIG_FRAME_COUNT ? NULL
	                                                            : rig->frames[rig->sent_count];
}

static inline void rig_sent(void *context, uint32_t length)
{
	struct rig *rig = context;

	rig->lengths[rig->sent_count++] = length;
}

static inline uint32_t rig_received(void *context, struct client_tcp *tcp, const uint8_t *bytes,
                                    uint32_t length)
{
	struct rig *rig = context;
	uint32_t taken = min_u32(length, rig->take_max - rig->got_length);

	memcpy(rig->got + rig->got_length, bytes, taken);
	rig->got_length += taken;
	return taken;
}

static inline void rig_output(struct rig *rig)
{
	client_tcp_output(&rig->tcp, &(struct client_tcp_emitter){rig_reserve, rig_sent, rig},
	                  rig->now_us);
}

/* Time passes, all deadlines on the way are kept. */
static inline void rig_advance_us(struct rig *rig, uint64_t us)
{
	uint64_t end_us = rig->now_us + us;

	while (client_tcp_next_deadline_us(&rig->tcp) <= end_us) {
		rig->now_us = max_u64(rig->now_us, client_tcp_next_deadline_us(&rig->tcp));
		rig_output(rig);
	}
	rig->now_us = end_us;
}

static inline void rig_write(struct rig *rig, const char *text)
{
	CU_ASSERT_EQUAL(client_tcp_write(&rig->tcp, text, (uint32_t)strlen(text)), strlen(text));
	rig_output(rig);
}

static inline void rig_write_bytes(struct rig *rig, uint32_t length)
{
	uint8_t bytes[4096];

	memset(bytes, 'y', sizeof(bytes));
	CU_ASSERT_EQUAL(client_tcp_write(&rig->tcp, bytes, length), length);
	rig_output(rig);
}

/* The next segment that the client has sent. False: there is none. */
static inline bool rig_next(struct rig *rig, struct seen *ret_seen)
{
	struct frame frame;
	const uint8_t *tcp;

	if (rig->seen_count == rig->sent_count)
		return false;
	CU_ASSERT_TRUE_FATAL(
	    frame_parse(&frame, rig->frames[rig->seen_count], rig->lengths[rig->seen_count]));
	CU_ASSERT_TRUE_FATAL(frame.kind == FRAME_TCP && frame.checksum_good);
	rig->seen_count++;
	tcp = frame.l4.data;
	*ret_seen = (struct seen){
	    .seq = load_be32(tcp + 4) - rig->tcp.options.initial_sequence,
	    .ack = load_be32(tcp + 8) - RIG_SERVER_SEQUENCE,
	    .window = load_be16(tcp + 14),
	    .flags = tcp[13],
	    .options = tcp + 20,
	    .option_bytes = (tcp[12] >> 4) * 4u - 20,
	};
	ret_seen->payload = ret_seen->options + ret_seen->option_bytes;
	ret_seen->length = (uint32_t)frame.l4.length - 20 - ret_seen->option_bytes;
	return true;
}

/* The client has sent exactly this now: one segment of it, and no other before it. */
static inline bool rig_saw(struct rig *rig, uint8_t flags, uint32_t seq, uint32_t length,
                           uint32_t ack)
{
	struct seen seen;

	return rig_next(rig, &seen) && (seen.flags & ~PSH) == flags && seen.seq == seq &&
	       seen.length == length && seen.ack == ack;
}

static inline bool rig_silent(const struct rig *rig)
{
	return rig->seen_count == rig->sent_count;
}

static inline void rig_forget(struct rig *rig)
{
	rig->sent_count = 0;
	rig->seen_count = 0;
}

static inline uint32_t rig_server_ts(const struct rig *rig)
{
	return 0xffffff00u + (uint32_t)(rig->now_us / 1000);
}

/* A segment arrives at the client; its answer goes out at once. */
static inline void rig_receive(struct rig *rig, const struct segment *segment)
{
	struct frame_path back = rig->path;
	uint32_t length = segment->text ? (uint32_t)strlen(segment->text) : segment->length;
	uint32_t option_bytes = segment->option_bytes;
	uint8_t bytes[1800];
	struct frame frame;
	uint8_t *tcp;

	back.local = rig->path.remote;
	back.remote = rig->path.local;
	tcp = frame_begin(bytes, &back, FRAME_PROTOCOL_TCP);
	memset(tcp, 0, 20);
	store_be16(tcp, 11211);
	store_be16(tcp + 2, RIG_PORT);
	store_be32(tcp + 4, RIG_SERVER_SEQUENCE + segment->seq);
	store_be32(tcp + 8, rig->tcp.options.initial_sequence + segment->ack);
	store_be16(tcp + 14, (uint16_t)segment->window);
	tcp[13] = segment->flags ? (uint8_t)segment->flags : ACK;
	if (option_bytes > 0) {
		memcpy(tcp + 20, segment->options, option_bytes);
	} else if (rig->tcp.timestamps && !segment->no_timestamp) {
		memcpy(tcp + 20, "\1\1\10\12", 4);
		store_be32(tcp + 24, rig_server_ts(rig) - segment->ts_back);
		store_be32(tcp + 28, rig->tcp.ts_sent + segment->ts_echo_ahead);
		option_bytes = 12;
	}
	tcp[12] = (uint8_t)((20 + option_bytes) / 4 << 4);
	if (segment->text)
		memcpy(tcp + 20 + option_bytes, segment->text, length);
	else
		memset(tcp + 20 + option_bytes, 'x', length);
	length = frame_finish(bytes, &back, FRAME_PROTOCOL_TCP, 20 + option_bytes + length);
	if (segment->bad_checksum)
		tcp[17] ^= 1;
	CU_ASSERT_TRUE_FATAL(frame_parse(&frame, bytes, length));
	client_tcp_input(&rig->tcp, &frame, rig->now_us);
	rig_output(rig);
}

#define RIG_RECEIVE(rig, ...) rig_receive(rig, &(struct segment){__VA_ARGS__})

/* What most tests want; they change what they are about. */
static inline struct client_tcp_options rig_options(void)
{
	return (struct client_tcp_options){
	    .local_port = RIG_PORT,
	    .remote_port = 11211,
	    .initial_sequence = 0xfffffff0u,
	    .mtu = 1500,
	    .mss = 1460,
	    .keep_out_of_order = true,
	    .receive_window_bytes = 4096,
	};
}

/* The SYN is out. */
static inline void rig_connect(struct rig *rig, struct client_tcp_options options)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};

	memset(rig, 0, sizeof(*rig));
	rig->now_us = 5000000;
	rig->take_max = sizeof(rig->got);
	rig->path.vlan = FRAME_NO_VLAN;
	ip_address_parse(&rig->path.local, "198.18.0.2");
	ip_address_parse(&rig->path.remote, "198.18.0.1");
	memcpy(rig->path.local_mac, mac, 6);
	memcpy(rig->path.remote_mac, mac, 6);
	options.path = options.path ? options.path : &rig->path;
	options.send = (struct client_tcp_ring){rig->send, sizeof(rig->send)};
	options.receive = (struct client_tcp_ring){rig->receive, sizeof(rig->receive)};
	options.verify = (struct client_tcp_ring){rig->verify, sizeof(rig->verify)};
	options.received = rig_received;
	options.context = rig;
	client_tcp_open(&rig->tcp, &options);
	rig_output(rig);
}

/* The server's SYN-ACK; it says MSS 1460, and the options that the client has offered. */
static inline void rig_syn_ack(struct rig *rig, uint32_t window)
{
	uint8_t options[20] = {2, 4, 1460 >> 8, 1460 & 0xff};
	uint32_t bytes = 4;

	if (rig->tcp.options.window_scaling) {
		memcpy(options + bytes, (uint8_t[]){1, 3, 3, RIG_SHIFT}, 4);
		bytes += 4;
	}
	if (rig->tcp.options.timestamps) {
		memcpy(options + bytes, "\1\1\10\12", 4);
		store_be32(options + bytes + 4, rig_server_ts(rig));
		store_be32(options + bytes + 8, rig->tcp.ts_sent);
		bytes += 12;
	}
	RIG_RECEIVE(rig, .flags = SYN | ACK, .ack = 1, .window = window, .options = options,
	            .option_bytes = bytes);
}

/* Connected, and what was sent for that is forgotten. */
static inline void rig_establish(struct rig *rig, struct client_tcp_options options)
{
	rig_connect(rig, options);
	rig_syn_ack(rig, 8000);
	CU_ASSERT_EQUAL_FATAL(rig->tcp.state, CLIENT_TCP_OPEN);
	rig_forget(rig);
}

/* This violation was counted so often, and no other was. */
static inline bool rig_violated(const struct rig *rig, enum client_tcp_violation violation,
                                uint32_t times)
{
	return rig->tcp.violations[violation] == times && rig->tcp.counters.violations == times;
}
