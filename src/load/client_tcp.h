/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection from the client's side (RFC 9293, active open only), and a referee of the
 * server's: what the server must never do is looked for in every segment and counted.
 *
 * Owner: whoever embeds it, one thread. Time comes in as an argument; buffers, the path and the
 * initial sequence number come with the options and the buffers stay in use until the end. There is
 * no congestion control: the server's window, which is respected to the byte, is all that limits
 * what is in flight.
 *
 * After every call that may give it something to send (input, write, resume, close, abort), and
 * when its deadline has passed, the owner calls client_tcp_output(). After each single segment, if
 * every out-of-order one is to have its own duplicate ACK (RFC 5681 4.2). */
#pragma once

#include "load/frame.h"

#define CLIENT_TCP_RANGE_COUNT_MAX 8 /* out-of-order ranges kept */
#define CLIENT_TCP_NEVER           UINT64_MAX

/* name, help. Segments, unless the name says bytes. */
#define CLIENT_TCP_COUNTERS(X)                                                                     \
	X(segments_sent, "Sent, all kinds")                                                        \
	X(segments_received, "That came in, wrong ones too")                                       \
	X(sent_bytes, "Payload acknowledged by the server")                                        \
	X(received_bytes, "Payload received in order")                                             \
	X(retransmitted, "Sent again, SYN and FIN too")                                            \
	X(timeouts, "Times that the retransmission timer expired")                                 \
	X(fast_retransmits, "Losses found by three duplicate ACKs")                                \
	X(window_probes, "Zero-window probes")                                                     \
	X(duplicate_acks, "Duplicate ACKs received")                                               \
	X(duplicates, "With payload, FIN or SYN that had been received already")                   \
	X(out_of_order, "Ahead of the next expected byte")                                         \
	X(out_of_order_dropped, "Of these, not kept")                                              \
	X(beyond_window, "With something behind the window, probes too: that part was dropped")    \
	X(bad_checksum, "Dropped: checksum")                                                       \
	X(malformed, "Dropped: header or options")                                                 \
	X(resets_received, "Resets that were valid")                                               \
	X(violations, "What the server must not do, all kinds; not segments")

#define CLIENT_TCP_COUNTER_FIELD(name, help) uint64_t name;

struct client_tcp_counters {
	CLIENT_TCP_COUNTERS(CLIENT_TCP_COUNTER_FIELD)
};

/* name, text. Two numbers go with the first one that is seen: what came, and the limit. */
#define CLIENT_TCP_VIOLATIONS(X)                                                                   \
	X(CHECKSUM, "wrong checksum")                                                              \
	X(HEADER, "malformed header or options")                                                   \
	X(NOT_OFFERED, "option that was not offered")                                              \
	X(SEGMENT_TOO_LONG, "segment longer than our MSS")                                         \
	X(BEYOND_WINDOW, "sequence number beyond the window we advertised")                        \
	X(AFTER_FIN, "data behind the FIN, or another FIN")                                        \
	X(DIFFERENT_BYTES, "retransmitted byte differs from the one sent first")                   \
	X(ACK_OF_UNSENT, "ACK of what was never sent")                                             \
	X(WINDOW_BACK, "right edge of the window moved back")                                      \
	X(TIMESTAMP_BACK, "timestamp went back")                                                   \
	X(TIMESTAMP_MISSING, "timestamp missing though agreed on")                                 \
	X(ECHO_OF_UNSENT, "echo of a timestamp that was never sent")

#define CLIENT_TCP_VIOLATION_VALUE(name, text) CLIENT_TCP_VIOLATION_##name,

enum client_tcp_violation {
	CLIENT_TCP_VIOLATIONS(CLIENT_TCP_VIOLATION_VALUE) CLIENT_TCP_VIOLATION_COUNT
};

enum client_tcp_state {
	CLIENT_TCP_CONNECTING,
	CLIENT_TCP_OPEN,        /* whether or not we have closed our half */
	CLIENT_TCP_PEER_CLOSED, /* all of its bytes were taken; ours may still go out */
	CLIENT_TCP_CLOSED,      /* both FINs acknowledged */
	CLIENT_TCP_RESET,       /* by the server */
	CLIENT_TCP_ABORTED,     /* by us */
	CLIENT_TCP_FAILED,      /* the server stopped answering */
};

/* A buffer of the caller. The byte with sequence number s is at s modulo capacity. */
struct client_tcp_ring {
	uint8_t *bytes;
	uint32_t capacity; /* a power of two; 0: none */
};

struct client_tcp;

struct client_tcp_options {
	const struct frame_path *path; /* remote_mac known; stays, and may be shared */
	uint16_t local_port;
	uint16_t remote_port;
	uint32_t initial_sequence; /* random; timestamps start from it too */
	uint16_t mtu;              /* bytes of an IP packet */
	uint16_t mss;              /* announced; 0: option left out (RFC 9293 3.7.1 defaults) */
	bool window_scaling;       /* offered */
	bool timestamps;           /* offered */
	bool sack;                 /* selective acknowledgements, offered */
	bool keep_out_of_order;    /* in `receive`; otherwise dropped and counted */
	/* The wire neither reorders nor duplicates: then every step back of a window or a timestamp
	 * is the server's; otherwise only those are counted that the ACK number proves. */
	bool ordered_wire;
	uint32_t delayed_ack_us;       /* 0: every segment is acknowledged at once */
	uint32_t receive_window_bytes; /* at most receive.capacity */
	struct client_tcp_ring send;
	struct client_tcp_ring receive;
	struct client_tcp_ring verify; /* last bytes received, to compare retransmissions with */
	/* The next bytes in order. Returns how many were taken; the others are kept, fill the
	 * window and are offered again by client_tcp_resume(). May write, close and abort. */
	uint32_t (*received)(void *context, struct client_tcp *tcp, const uint8_t *bytes,
	                     uint32_t length);
	void *context;
};

/* Where frames go. */
struct client_tcp_emitter {
	/* Room for mtu + 18 bytes, or NULL: none now, the segment waits for the next output(). */
	uint8_t *(*reserve)(void *context);
	/* The frame that was written to the last reserve() is `length` bytes long: send it. */
	void (*send)(void *context, uint32_t length);
	void *context;
};

struct client_tcp_range {
	uint32_t start;
	uint32_t end;
};

/* Counters, `violations` and `first_…` are for everybody to read; for the rest there are functions.
 */
struct client_tcp {
	struct client_tcp_options options;
	struct client_tcp_counters counters;
	uint32_t violations[CLIENT_TCP_VIOLATION_COUNT];
	enum client_tcp_violation first_violation; /* when counters.violations > 0 */
	uint32_t first_got;                        /* sequence numbers count from the initial one */
	uint32_t first_limit;
	uint64_t first_at_us;

	enum client_tcp_state state;
	bool output_wanted; /* output() has something to do before any deadline */
	bool ack_now;
	bool fin_wanted;   /* we close: FIN behind the last byte */
	bool reset_wanted; /* RST at reset_sequence */
	bool reset_with_ack;
	bool retransmit_first;
	bool probe_wanted;
	bool recovering; /* from a loss, until `recover` is acknowledged */
	bool round_trip_timed;
	bool timestamps;    /* agreed on */
	bool sack;          /* agreed on */
	bool duplicate;     /* `repeated` came twice, and no ACK has told of it */
	bool fin_known;     /* the server's, at fin_sequence */
	bool fin_taken;     /* and it is acknowledged */
	uint8_t send_shift; /* of windows we receive */
	uint8_t receive_shift;
	uint8_t retransmit_count;
	uint8_t duplicate_acks;
	uint8_t unacked_segments;
	uint8_t range_count;
	uint16_t mss;         /* payload of a full segment to send */
	uint16_t receive_mss; /* payload and options of the longest segment the server may send */
	uint32_t duplicate_acks_owed;
	uint32_t reset_sequence;

	/* send: RFC 9293 3.3.1 */
	uint32_t snd_una;
	uint32_t snd_nxt;
	uint32_t snd_max;   /* highest snd_nxt ever */
	uint32_t probe_max; /* the same with probes */
	uint32_t write_end; /* behind the last byte that was written; the FIN's number */
	uint32_t snd_edge;  /* right edge of the server's window */
	uint32_t snd_wl1;
	uint32_t snd_wl2;
	uint32_t recover;

	/* receive: bytes in order are read_nxt … rcv_nxt; FIN not counted */
	uint32_t irs;
	uint32_t rcv_nxt;
	uint32_t read_nxt;
	uint32_t rcv_edge; /* right edge we have advertised: never moved back */
	uint32_t fin_sequence;
	struct client_tcp_range ranges[CLIENT_TCP_RANGE_COUNT_MAX]; /* sorted, apart */
	struct client_tcp_range repeated;
	uint32_t newest_sequence; /* of the last segment that came out of order */

	/* RFC 7323 */
	uint32_t ts_recent;
	uint32_t ts_first; /* of ours; ts_sent: the newest */
	uint32_t ts_sent;
	uint32_t last_ack_sent;

	/* the referee's: the largest seen, and the lowest numbers seen along with it */
	uint32_t edge_max;
	uint32_t edge_max_ack;
	uint32_t edge_max_ts;
	uint32_t ts_max;
	uint32_t ts_max_ack;

	uint32_t srtt_us; /* 0: not measured yet */
	uint32_t rttvar_us;
	uint32_t rto_us;
	uint32_t round_trip_sequence;
	uint64_t round_trip_start_us;
	uint64_t retransmit_deadline_us; /* or probe */
	uint64_t ack_deadline_us;
};

/* The SYN goes out with the next client_tcp_output(). */
void client_tcp_open(struct client_tcp *ret_tcp, const struct client_tcp_options *options);

/* A TCP frame from options.remote_port to options.local_port, as frame_parse() read it. */
void client_tcp_input(struct client_tcp *tcp, const struct frame *frame, uint64_t now_us);

/* Runs timers that are due and sends what is to be sent. */
void client_tcp_output(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                       uint64_t now_us);

/* When to call client_tcp_output(): 0: at once, CLIENT_TCP_NEVER: nothing to wait for. */
uint64_t client_tcp_next_deadline_us(const struct client_tcp *tcp);

/* Copies bytes to the send ring; returns how many it took. From client_tcp_open() on; none after a
 * close, or when the connection has ended. */
uint32_t client_tcp_write(struct client_tcp *tcp, const void *bytes, uint32_t length);

/* Bytes that were written and are not acknowledged yet. */
uint32_t client_tcp_unacknowledged(const struct client_tcp *tcp);

/* Offers the bytes that were refused again. Not from inside received(). */
void client_tcp_resume(struct client_tcp *tcp);

/* Our FIN, behind all that was written. What the server sends is received as before. */
void client_tcp_close(struct client_tcp *tcp);

/* A reset; what was not acknowledged is lost. Nothing more is delivered. */
void client_tcp_abort(struct client_tcp *tcp);

/* True in the last four states. A closed connection should be given input for a while yet: the
 * server may not have received our last ACK. An aborted one answers by resets. */
static inline bool client_tcp_ended(const struct client_tcp *tcp)
{
	return tcp->state >= CLIENT_TCP_CLOSED;
}

const char *client_tcp_state_name(enum client_tcp_state state);
const char *client_tcp_violation_text(enum client_tcp_violation violation);

#define CLIENT_TCP_VIOLATION_TEXT_MAX 128 /* bytes with the final NUL */

/* The first violation as one line; empty when there was none. */
void client_tcp_format_violation(const struct client_tcp *tcp,
                                 char text[CLIENT_TCP_VIOLATION_TEXT_MAX]);
