/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of src/tcp only. */
#pragma once

#include "base/slab.h"
#include "tcp/flight.h"
#include "tcp/handshake.h"
#include "tcp/linger.h"
#include "tcp/source.h"
#include "tcp/tcp.h"

#define TCP_HEADER_BYTES      20
#define TCP_CHECKSUM_OFFSET   16
#define TCP_OPTIONS_BYTES_MAX 40
#define TCP_MSS_MIN           536  /* what we send in one segment at least; RFC 9293 3.7.1 */
#define TCP_MSS_DEFAULT_IP6   1220 /* RFC 9293 3.7.1 */
#define TCP_TIMESTAMP_BYTES   12   /* the option with its padding */
#define TCP_WINDOW_SHIFT_MAX  14   /* RFC 7323 2.3 */
#define TCP_RECEIVE_BYTES_MIN 4096 /* offered however scarce blocks are */
#define TCP_RECEIVE_SHARE     16   /* of the free blocks one connection is offered 1/16 */
#define TCP_QUANTUM_SEGMENTS  32   /* of one connection, then it is the others' turn */
#define TCP_FLUSH_SEGMENTS    128  /* of all, then what has come in meanwhile is looked at */
#define TCP_RANGE_COUNT_MAX   32   /* out-of-order ranges a connection */
#define TCP_SACK_COUNT_MAX    4    /* that 40 bytes of options can hold */
#define TCP_RTO_INITIAL_MS    1000 /* RFC 6298 2.1 */
#define TCP_RTO_SYN_LOST_MS   3000 /* RFC 6298 5.7 */
#define TCP_RTO_MAX_MS        60000
#define TCP_DELAYED_ACK_MS    40
#define TCP_CHALLENGE_MAX     10 /* challenge ACKs a connection a second; RFC 5961 7 */
#define TCP_MAGIC             0x7c9c0e11u

#define TCP_FLAG_FIN 0x01u
#define TCP_FLAG_SYN 0x02u
#define TCP_FLAG_RST 0x04u
#define TCP_FLAG_PSH 0x08u
#define TCP_FLAG_ACK 0x10u

/* Of a connection. SYN_RCVD is a half_open (handshake.h); what is in FIN_WAIT_2 or TIME_WAIT at the
 * end of a segment becomes a linger (linger.h). */
enum tcp_state {
	TCP_FREE,
	TCP_ESTABLISHED,
	TCP_CLOSE_WAIT,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
};

/* One entry of the timer wheel. Owner: whoever embeds it. */
struct timer {
	struct timer *next;
	struct timer **link; /* what points at this one; NULL: not in the wheel */
	uint32_t due_ms;
};

#define WHEEL_LEVELS    4
#define WHEEL_SLOT_BITS 6
#define WHEEL_SLOTS     (1u << WHEEL_SLOT_BITS)

/* A hierarchical timer wheel (Varghese, Lauck 1987), one millisecond a tick; farthest due time
 * 64^4 ms = 4.6 hours ahead. */
struct timer_wheel {
	uint32_t now_ms; /* all that was due by then has fired */
	uint32_t count;
	struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

/* What of a connection has a deadline. They share one wheel entry. */
enum tcp_deadline {
	DEADLINE_PROBE, /* tail-loss probe: RFC 8985 7; in place of a time-out when both are due */
	DEADLINE_RETRANSMIT, /* retransmission, or persist when nothing is in flight */
	DEADLINE_REORDER,    /* what has not arrived by then is lost: RFC 8985 6.2 step 5 */
	DEADLINE_DELAYED_ACK,
	DEADLINE_KEEPALIVE, /* RFC 9293 3.8.4 */
	DEADLINE_COUNT,
};

enum tcp_recovery {
	RECOVERY_NONE,
	RECOVERY_FAST,    /* from a loss until `recover` is acknowledged */
	RECOVERY_TIMEOUT, /* likewise, from a time-out, or from when the path was found to be narrow
	                   */
};

/* Sequence numbers begin … end - 1. */
struct sack_block {
	uint32_t begin;
	uint32_t end;
};

/* RFC 9438; windows in bytes. */
struct cubic {
	uint32_t window_max;   /* before the last loss: W_max */
	uint32_t window_prior; /* cwnd_prior */
	uint32_t reno_window;  /* W_est */
	uint32_t epoch_ms;     /* since when it grows without a loss */
	uint32_t k_ms;         /* how long until window_max is reached again: K */
};

struct tcp_connection {
	struct stream stream; /* first: a stream is a connection */
	struct tcp *tcp;
	struct tcp_connection *next; /* free, or in the same full line of the table */
	struct tcp_connection *next_to_flush;
	struct chain_cursor cursor; /* in stream.out, at snd_nxt */
	struct block *queue;        /* of what was received: by sequence, without overlap */
	struct flight flight;
	struct timer timer;
	struct net_path path;
	uint16_t local_port;
	uint16_t remote_port;

	uint8_t state;            /* enum tcp_state */
	bool queued : 1;          /* in tcp->flush_first … */
	bool open : 1;            /* the user knows the stream */
	bool ack_now : 1;         /* an acknowledgement must go out with this flush … */
	bool ack_later : 1;       /* … or some time after it: RFC 9293 3.8.6.3 */
	bool drained : 1;         /* bytes left `out` since the last flush */
	bool resume : 1;          /* the user wants refused bytes again */
	bool close : 1;           /* FIN once `out` is sent */
	bool abort : 1;           /* reset and end at the flush */
	bool fin_received : 1;    /* fin_sequence is known */
	bool finished : 1;        /* the user was told of the peer's FIN */
	bool timestamps : 1;      /* RFC 7323, agreed on */
	bool sack_permitted : 1;  /* RFC 2018, agreed on */
	bool duplicate_known : 1; /* `duplicate` is to be reported */
	bool cwnd_limited : 1;    /* in this round trip cwnd has held data back */
	bool retransmit_owed : 1; /* the first retransmission of a fast recovery */
	bool probed : 1;          /* a tail-loss probe is under way … */
	bool probe_again : 1;     /* … and was a retransmission */
	bool probe_spent : 1;     /* no round trip was measured since the last one */
	bool probe_answered : 1;  /* the last window probe */
	bool reorder_round_known : 1;
	bool cubic_epoch_known : 1;
	uint8_t send_shift;       /* of windows we receive */
	uint8_t receive_shift;    /* of windows we send */
	uint8_t retransmit_count; /* time-outs in a row without progress */
	uint8_t recovery;         /* enum tcp_recovery */
	uint8_t reorder_factor;   /* of rtt_us_min / 4: RFC 8985 reo_wnd_mult */
	uint8_t reorder_persist;  /* recoveries until the factor is 1 again */
	uint8_t range_count;      /* out-of-order ranges in the receive queue */
	uint16_t mss;             /* payload bytes of a full segment, options already taken off */
	uint16_t peer_mss;        /* the largest payload that the peer has sent */
	uint16_t duplicate_acks;  /* in a row */
	uint16_t heard_ms_high;   /* above heard_ms, which comes round after 49 days */

	/* send: RFC 9293 3.3.1. out's first byte has number snd_una, save for SYN and FIN */
	uint32_t snd_una;
	uint32_t snd_nxt;
	uint32_t snd_wnd; /* bytes, scaled */
	uint32_t snd_wl1;
	uint32_t snd_wl2;
	uint32_t snd_wnd_max; /* largest the peer has offered */

	/* receive. read_nxt … rcv_nxt wait in order for the user, what is beyond is out of order */
	uint32_t rcv_nxt;
	uint32_t read_nxt;
	uint32_t rcv_adv; /* right edge of the window we have offered: never moved back */

	/* congestion and loss: bytes, sequence numbers */
	uint32_t cwnd;
	uint32_t ssthresh;
	uint32_t recover; /* snd_nxt when the last loss was found */

	/* round-trip time: RFC 6298 */
	uint32_t srtt_us;
	uint32_t rttvar_us;
	uint32_t rto_ms;
	uint32_t rtt_sequence; /* beyond it the next sample is taken */

	uint32_t ts_recent; /* RFC 7323 4.3 */
	uint32_t heard_ms; /* when ts_recent was known to be right: a valid segment came in order */
	uint32_t ts_offset;
	uint32_t last_ack_sent;

	uint32_t progress_ms;                  /* when the peer last acknowledged something new */
	uint32_t sent_ms;                      /* when data was last sent */
	uint32_t deadlines_ms[DEADLINE_COUNT]; /* 0: off */
	uint16_t mss_full;      /* mss before the path was found to be narrow (path_mtu.c) */
	uint16_t mss_lowered_s; /* when that was: the clock's seconds, 16 bits */

	/* what a request and its reply do not need: not prefetched (tcp_prefetch()) */
	uint32_t fin_sequence;
	uint32_t newest_sequence;    /* of the last segment that came out of order */
	struct sack_block duplicate; /* came twice: RFC 2883 */
	uint32_t queue_block_count;
	struct cubic cubic;
	uint32_t probe_end;
	uint32_t lowered_us;    /* when fast recovery last lowered cwnd; the clock's low 32 bits */
	uint32_t reorder_round; /* no further report of a duplicate counts before this is acked */
	struct challenges challenges;
	uint32_t source; /* source.h */
	uint32_t magic;
};

/* They begin at a line's start or middle, and what is needed takes six lines either way. */
#define TCP_CONNECTION_LINES 6
_Static_assert(sizeof(struct tcp_connection) % 32 == 0 &&
                   offsetof(struct tcp_connection, fin_sequence) + 32 <=
                       TCP_CONNECTION_LINES * CACHE_LINE_BYTES,
               "tcp_prefetch() gets all of it");

_Static_assert(sizeof(struct tcp_connection) <= TCP_CONNECTION_BYTES_MAX, "idle ones are many");

/* How much may be under way; sets cwnd and ssthresh, in bytes. */
struct congestion_control {
	const char *name;
	/* Something new was acknowledged, outside of fast recovery. */
	void (*acked)(struct tcp_connection *connection, uint32_t acked_bytes, uint64_t now_us);
	/* Once for all that is lost of one window. */
	void (*lost)(struct tcp_connection *connection, uint64_t now_us);
	/* retransmit_count tells how often before. */
	void (*timed_out)(struct tcp_connection *connection, uint64_t now_us);
};

extern const struct congestion_control congestion_newreno;
extern const struct congestion_control congestion_cubic;

/* Of one secret, a key for each purpose: what can be learnt of one hash says nothing of another. */
struct tcp_secrets {
	struct siphash_key table;
	struct siphash_key sequence;
	struct siphash_key timestamp;
	struct siphash_key cookie;
};

struct tcp {
	struct tcp_options options;
	const struct congestion_control *congestion;
	struct stream_user user;
	struct block_pool *pool;
	struct tcp_connection *connections;
	struct tcp_connection *free;
	struct table_line *lines;
	uint32_t line_count;
	uint32_t used_count; /* connections ever taken from the array's fresh end */
	struct tcp_connection *flush_first;
	struct tcp_connection **flush_end;
	struct slab flight_runs;
	struct half_opens half_opens;
	struct sources sources;
	uint32_t queue_block_count; /* of all connections' receive queues */
	struct lingers lingers;
	struct timer_wheel wheel;
	struct tcp_secrets secrets;
	uint8_t receive_shift;
	uint64_t now_us; /* of the last tcp_advance() */
	struct tcp_counters counters;
};

/* A segment without data, to be sent. */
struct bare_segment {
	uint32_t seq;
	uint32_t ack;
	uint16_t window; /* as in the header */
	uint8_t flags;
	uint8_t option_bytes;
	uint8_t options[TCP_OPTIONS_BYTES_MAX];
};

/* One parsed segment. */
struct tcp_segment {
	uint32_t seq;
	uint32_t ack;
	uint32_t window; /* as in the header, unscaled */
	uint8_t flags;
	bool has_timestamp;
	bool has_mss;
	bool has_window_shift;
	bool sack_permitted;
	uint8_t sack_count;
	uint8_t window_shift;
	uint16_t mss;
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t ts_value;
	uint32_t ts_echo;
	const uint8_t *payload;
	uint32_t length; /* bytes of payload */
	struct sack_block sacks[TCP_SACK_COUNT_MAX];
};

/* Sequence numbers wrap: RFC 9293 3.4. */
static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline uint32_t now_ms_from(uint64_t now_us)
{
	return (uint32_t)(now_us / 1000);
}

static inline void heard_set(struct tcp_connection *connection, uint64_t now_us)
{
	connection->heard_ms = now_ms_from(now_us);
	connection->heard_ms_high = (uint16_t)(now_us / 1000 >> 32);
}

/* Milliseconds since then. */
static inline uint64_t heard_ms_ago(const struct tcp_connection *connection, uint64_t now_us)
{
	return now_us / 1000 - ((uint64_t)connection->heard_ms_high << 32 | connection->heard_ms);
}

static inline struct tcp_connection *connection_from(struct stream *stream)
{
	return (struct tcp_connection *)stream;
}

/* True when the peer's half is still open for us to take bytes from. */
static inline bool state_receives(uint8_t state)
{
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT_1 || state == TCP_FIN_WAIT_2;
}

/* options.c: false when malformed. Fills the option fields of ret_segment. */
bool tcp_options_parse(const uint8_t *options, uint32_t length, struct tcp_segment *ret_segment);
/* Writes the options of a SYN-ACK, or of any other segment; returns their bytes (4-aligned). */
uint32_t tcp_options_write_syn_ack(const struct handshake *agreed, uint16_t receive_mss,
                                   uint8_t receive_shift, uint32_t ts_value, uint8_t *to);
uint32_t tcp_options_write(const struct tcp_connection *connection, uint8_t *to, uint32_t now_ms);
uint32_t tcp_options_write_timestamp(uint32_t value, uint32_t echo, uint8_t *to);
/* What is held out of order, as far as there is room (RFC 2018); returns the bytes, or 0. */
uint32_t tcp_options_write_sack(const struct tcp_connection *connection, uint8_t *to,
                                uint32_t room_bytes);
/* The largest payload plus options that one segment on this path can carry. */
uint16_t tcp_options_receive_mss(const struct net_path *path);

/* table.c */
/* A power of two, not below the count. */
uint32_t table_bucket_count(uint32_t count_max);
void table_create(struct tcp *tcp, struct memory *memory);
struct tuple tuple_of(const struct tcp *tcp, const struct net_path *path, uint16_t local_port,
                      uint16_t remote_port);
/* SipHash of addresses and ports. */
uint64_t tuple_hash(const struct siphash_key *secret, const struct tuple *tuple);
bool tuple_is(const struct tuple *tuple, const struct net_path *path, uint16_t local_port,
              uint16_t remote_port);
struct tcp_connection *table_find(struct tcp *tcp, const struct tuple *tuple);
/* True when table_add() has room. */
bool table_has_room(const struct tcp *tcp);
/* A zeroed connection in the table, or NULL. */
struct tcp_connection *table_add(struct tcp *tcp, const struct tuple *tuple);
void table_remove(struct tcp *tcp, struct tcp_connection *connection);

/* timer.c */
void timer_wheel_create(struct timer_wheel *wheel, uint32_t now_ms);
void timer_set(struct timer_wheel *wheel, struct timer *timer, uint32_t due_ms);
void timer_cancel(struct timer_wheel *wheel, struct timer *timer);
/* Takes out one timer that is due at now_ms, or NULL; call until NULL. */
struct timer *timer_expire(struct timer_wheel *wheel, uint32_t now_ms);
/* Earliest tick at which something may be due; false: the wheel is empty. */
bool timers_next_ms(const struct tcp *tcp, uint32_t *ret_ms);
void deadline_set(struct tcp_connection *connection, enum tcp_deadline which, uint32_t due_ms);
void deadline_clear(struct tcp_connection *connection, enum tcp_deadline which);
void keepalive_arm(struct tcp_connection *connection);
/* The retransmission timer starts anew: RFC 6298 5. */
void retransmit_arm(struct tcp_connection *connection, uint64_t now_us);
/* All of a connection's deadlines that have passed. */
void deadlines_run(struct tcp_connection *connection, uint64_t now_us);

/* path_mtu.c */
/* After a time-out: perhaps large segments do not get through, and nobody says so. */
void path_mtu_black_hole(struct tcp_connection *connection, uint64_t now_us);
/* To be called when mss < mss_full: in time, tries whether the path is wide again. */
void path_mtu_raise(struct tcp_connection *connection, uint64_t now_us);

/* recovery.c */
/* Bytes that are under way, as far as we know: RFC 6675 4, "pipe". */
uint32_t recovery_pipe(const struct tcp_connection *connection);
/* All that an acknowledgement (of at least snd_una) says; moves snd_una to it. */
void recovery_acknowledged(struct tcp_connection *connection, const struct tcp_segment *segment,
                           bool duplicate, uint64_t now_us);
void recovery_timed_out(struct tcp_connection *connection, uint64_t now_us);
void recovery_reorder_expired(struct tcp_connection *connection, uint64_t now_us);
/* Sets the tail-loss probe's time, after something was sent or acknowledged. */
void recovery_probe_arm(struct tcp_connection *connection, uint64_t now_us);
void recovery_probe_expired(struct tcp_connection *connection, uint64_t now_us);

/* rtt.c: RFC 6298 */
void rtt_sample(struct tcp_connection *connection, uint32_t rtt_us);
/* The time-out without any back-off, from what has been measured. */
void rtt_rto_reset(struct tcp_connection *connection);

static inline uint32_t congestion_initial_window(const struct tcp_connection *connection)
{
	/* RFC 6928 2 */
	return min_u32(10u * connection->mss, max_u32(2u * connection->mss, 14600));
}

/* RFC 5681 3.1 with RFC 3465's L = 2. */
static inline void slow_start(struct tcp_connection *connection, uint32_t acked_bytes)
{
	/* after a time-out L is 1: RFC 3465 2.3 */
	uint32_t limit = connection->recovery == RECOVERY_TIMEOUT ? 1 : 2;

	connection->cwnd += min_u32(acked_bytes, limit * connection->mss);
}

/* reassembly.c: the receive queue */
enum queue_verdict {
	QUEUE_TAKEN,  /* some of it or all */
	QUEUE_HAD_IT, /* all was there already */
	QUEUE_OVER_LIMIT,
	QUEUE_NO_MEMORY,
};
/* Keeps bytes from `seq` (not before rcv_nxt) on; moves rcv_nxt over all that is contiguous. */
enum queue_verdict queue_add(struct tcp_connection *connection, uint32_t seq, const uint8_t *data,
                             uint32_t length);
/* The number behind all that is there, in order or not. */
uint32_t queue_end(const struct tcp_connection *connection);
/* Bytes went to the user past the queue: what they have reached is in order now. */
void queue_reached(struct tcp_connection *connection);
/* Offers what is in order to the user until it is refused. */
void queue_deliver(struct tcp_connection *connection);
void queue_clear(struct tcp_connection *connection);

/* output.c */
void connection_mark(struct tcp_connection *connection); /* it has something for the flush */
void connection_output(struct tcp_connection *connection, uint64_t now_us);
void output_ack(struct tcp_connection *connection, uint64_t now_us);
/* New data, or the last segment once more (*ret_again). False: no packet memory. */
bool output_tail_probe(struct tcp_connection *connection, uint64_t now_us, bool *ret_again);
void output_window_probe(struct tcp_connection *connection, uint64_t now_us);
/* RFC 9293 3.8.4: what the peer can only answer by an acknowledgement. */
void output_keepalive(struct tcp_connection *connection, uint64_t now_us);
void output_reset(struct tcp_connection *connection, uint64_t now_us);
/* A segment without data, of what is no connection. False: no packet memory. */
bool output_bare(struct tcp *tcp, const struct tuple *tuple, const struct bare_segment *bare);
/* RFC 9293 3.10.7.1: the answer to a segment that belongs to no connection. */
void output_reset_for(struct tcp *tcp, const struct tuple *tuple,
                      const struct tcp_segment *segment);
/* True when one more challenge may be sent (RFC 5961 7); counted either way. */
bool challenge_take(struct tcp *tcp, struct challenges *challenges, uint64_t now_us);
void output_challenge_ack(struct tcp_connection *connection, uint64_t now_us);
/* Bytes that any one connection may have under way to us. */
uint32_t output_receive_cap(const struct tcp *tcp);
uint32_t output_receive_window(const struct tcp_connection *connection);

/* tcp.c */
extern const struct stream_ops tcp_stream_ops;
/* Ends a connection without a further word: the user is told, its memory is free again. */
void connection_end(struct tcp_connection *connection);
/* A connection as the handshake, in which so many SYN-ACKs were lost, has left it. */
void connection_open(struct tcp_connection *connection, const struct handshake *agreed,
                     uint8_t receive_shift, uint32_t lost_count, uint64_t now_us);
/* Our FIN is acknowledged, in FIN_WAIT_2 or TIME_WAIT: what is left is a linger. */
void connection_linger(struct tcp_connection *connection, const struct tuple *tuple,
                       uint64_t now_us);
/* input.c: a segment of a connection. */
void connection_input(struct tcp_connection *connection, const struct tuple *tuple,
                      const struct tcp_segment *segment, uint64_t now_us);
void connection_set_state(struct tcp_connection *connection, enum tcp_state state);
