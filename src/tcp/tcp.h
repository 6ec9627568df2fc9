/* SPDX-License-Identifier: Apache-2.0 */
/* Server-side TCP (RFC 9293, no active open, no urgent data): all connections of one worker.
 *
 * It is a carrier of streams (net/stream.h): in-order bytes go to the stream's user at once, what
 * the user appends to `out` is sent, sent again, and dropped once acknowledged.
 * Owner: one worker. Time, randomness, memory and packets come in as arguments. */
#pragma once

#include "base/siphash.h"
#include "net/net.h"
#include "net/stream.h"
#include "tcp/congestion.h"

/* name, unit, kind, help */
#define TCP_COUNTERS(X)                                                                            \
	X(connections, "connections", COUNTER_LEVEL, "Connections from ESTABLISHED to LAST_ACK")   \
	X(half_open, "connections", COUNTER_LEVEL, "Connections in SYN_RCVD")                      \
	X(orphans, "connections", COUNTER_LEVEL, "Closed by us, and not over yet")                 \
	X(fin_wait_2, "connections", COUNTER_LEVEL, "Connections in FIN_WAIT_2")                   \
	X(time_wait, "connections", COUNTER_LEVEL, "Connections in TIME_WAIT")                     \
	X(linger_over_limit, "connections", COUNTER_TOTAL,                                         \
	  "FIN_WAIT_2 or TIME_WAIT cut short: too many in them")                                   \
	X(accepted, "connections", COUNTER_TOTAL, "Handshakes completed")                          \
	X(segments_received, "segments", COUNTER_TOTAL, "Segments that came in")                   \
	X(segments_sent, "segments", COUNTER_TOTAL, "Segments sent, all kinds")                    \
	X(retransmitted, "segments", COUNTER_TOTAL, "Segments sent again")                         \
	X(retransmit_timeouts, "events", COUNTER_TOTAL, "Retransmission timer expired")            \
	X(fast_retransmits, "events", COUNTER_TOTAL, "Loss found without a time-out")              \
	X(tail_probes, "segments", COUNTER_TOTAL, "Tail-loss probes sent (RFC 8985)")              \
	X(duplicates_reported, "segments", COUNTER_TOTAL,                                          \
	  "The peer reported something that came twice (RFC 2883)")                                \
	X(bad_sack, "blocks", COUNTER_TOTAL,                                                       \
	  "Selective acknowledgements of what is not in flight")                                   \
	X(window_probes, "segments", COUNTER_TOTAL, "Zero-window probes sent")                     \
	X(duplicate_acks, "segments", COUNTER_TOTAL, "Duplicate acknowledgements received")        \
	X(out_of_order, "segments", COUNTER_TOTAL, "Arrived ahead of the next expected byte")      \
	X(receive_over_limit, "segments", COUNTER_TOTAL,                                           \
	  "Dropped: over a limit of the receive queue")                                            \
	X(duplicate_data, "segments", COUNTER_TOTAL, "Held only bytes that were there already")    \
	X(out_of_window, "segments", COUNTER_TOTAL, "Dropped: outside the receive window")         \
	X(after_close, "segments", COUNTER_TOTAL, "Data discarded: we had closed")                 \
	X(receive_no_memory, "segments", COUNTER_TOTAL, "Dropped: no block to keep data in")       \
	X(bad_header, "segments", COUNTER_TOTAL,                                                   \
	  "Dropped: header length, or flags that make no segment (no ACK, SYN with FIN)")          \
	X(beyond_fin, "segments", COUNTER_TOTAL,                                                   \
	  "Dropped: data behind the peer's FIN, or a FIN in front of its data")                    \
	X(bad_options, "segments", COUNTER_TOTAL, "Dropped: malformed options")                    \
	X(bad_checksum, "segments", COUNTER_TOTAL, "Dropped: checksum")                            \
	X(bad_ack, "segments", COUNTER_TOTAL, "Dropped: acknowledges what was never sent")         \
	X(old_ack, "segments", COUNTER_TOTAL,                                                      \
	  "Dropped: acknowledges what lies more than a window back")                               \
	X(old_timestamp, "segments", COUNTER_TOTAL,                                                \
	  "Dropped: timestamp missing or before the last (PAWS)")                                  \
	X(not_allowed, "segments", COUNTER_TOTAL, "Dropped: source not in `allow`")                \
	X(no_connection, "segments", COUNTER_TOTAL, "For no connection: answered by a reset")      \
	X(syn_over_limit, "segments", COUNTER_TOTAL, "SYN dropped: no room for a connection")      \
	X(accept_over_limit, "segments", COUNTER_TOTAL,                                            \
	  "Handshake completed and reset: no room for a connection any more")                      \
	X(cookies_sent, "segments", COUNTER_TOTAL, "SYN answered by a cookie: SYN cache full")     \
	X(cookies_accepted, "segments", COUNTER_TOTAL, "Handshakes completed by a cookie")         \
	X(bad_cookie, "segments", COUNTER_TOTAL,                                                   \
	  "For no connection, and no cookie, while cookies were out; data is dropped")             \
	X(resets_sent, "segments", COUNTER_TOTAL, "Resets sent")                                   \
	X(resets_ignored, "segments", COUNTER_TOTAL,                                               \
	  "Resets dropped: for no connection, or in TIME_WAIT (RFC 1337)")                         \
	X(resets_received, "segments", COUNTER_TOTAL, "Resets that ended a connection")            \
	X(challenge_acks, "segments", COUNTER_TOTAL, "Challenge acknowledgements (RFC 5961)")      \
	X(challenge_limited, "segments", COUNTER_TOTAL, "Challenges not sent: limit reached")      \
	X(icmp_not_believed, "packets", COUNTER_TOTAL,                                             \
	  "ICMP errors that quote nothing in flight, or would not make it smaller")                \
	X(icmp_soft_errors, "packets", COUNTER_TOTAL,                                              \
	  "ICMP errors noted: no connection ends by one")                                          \
	X(path_mtu_lowered, "events", COUNTER_TOTAL, "The path takes smaller packets only")        \
	X(keepalive_probes, "segments", COUNTER_TOTAL, "Asked an idle peer whether it is there")   \
	X(orphans_over_limit, "connections", COUNTER_TOTAL,                                        \
	  "Reset: closed by us, unacknowledged, and too many of that kind")                        \
	X(syn_no_memory, "segments", COUNTER_TOTAL, "SYN dropped: blocks are scarce")              \
	X(source_over_limit, "segments", COUNTER_TOTAL,                                            \
	  "SYN dropped: its source has as many connections as it may")                             \
	X(timed_out, "connections", COUNTER_TOTAL, "Given up: the peer stopped answering")

struct tcp_counters {
	TCP_COUNTERS(COUNTER_FIELD)
};

struct tcp_options {
	enum tcp_congestion congestion;
	uint32_t connection_count_max;        /* from ESTABLISHED to LAST_ACK */
	uint32_t half_open_count_max;         /* in SYN_RCVD; more SYNs are answered by cookies */
	uint32_t linger_count_max;            /* in FIN_WAIT_2 and TIME_WAIT; more end the oldest */
	uint32_t orphan_count_max;            /* closed by us: more are reset when they time out */
	uint32_t source_connection_count_max; /* of one source; 0: any number */
	uint32_t receive_window_bytes;        /* per connection, 2 KiB … 1 GiB */
	uint32_t rto_min_us;                  /* default 200,000 */
	uint32_t user_timeout_us;  /* unacknowledged data for this long ends a connection */
	uint64_t keepalive_us;     /* idle for this long: asked; 0: never (RFC 9293 3.8.4) */
	uint32_t time_wait_us;     /* 2 MSL; as long in FIN_WAIT_2 */
	struct siphash_key secret; /* of all keyed hashes */
};

struct tcp;
struct tcp_connection;

/* What one connection takes, but for its place in the table and what it has in flight or holds for
 * its user. */
#define TCP_CONNECTION_BYTES_MAX 416

/* Sensible values for all but the secret. */
struct tcp_options tcp_options_default(void);

/* Bytes that tcp_create() takes from its memory. */
size_t tcp_memory_bytes(const struct tcp_options *options);

/* `pool` serves both directions; user->closed() is called for every stream that was opened. */
void tcp_create(struct tcp **ret_tcp, const struct tcp_options *options,
                const struct stream_user *user, struct block_pool *pool, struct memory *memory,
                uint64_t now_us);

/* One segment, its IP header validated. */
void tcp_input(struct tcp *tcp, const struct net_input *input, uint64_t now_us);

/* What struct net_user's foresee() returns for a segment. */
uint64_t tcp_foresee(struct tcp *tcp, const struct net_path *path, uint16_t local_port,
                     uint16_t remote_port);
/* Brings near its connection, some time later; NULL: there is none, or none easy to find. And
 * later still what the connection refers to. */
const struct tcp_connection *tcp_prefetch(struct tcp *tcp, uint64_t flow);
void tcp_prefetch_more(const struct tcp_connection *connection);

/* Whether the segment that was quoted is of one of our connections. */
bool tcp_knows(struct tcp *tcp, const struct net_error *error);

/* An ICMP error about a segment. */
void tcp_error(struct tcp *tcp, const struct net_error *error, uint64_t now_us);

/* The end of a burst: sends what connections have to send, ends those that are to end. */
void tcp_flush(struct tcp *tcp, uint64_t now_us);

/* Runs the timers that are due, then flushes. */
void tcp_advance(struct tcp *tcp, uint64_t now_us);

/* When tcp_advance() has something to do next, at the latest; UINT64_MAX: never. */
uint64_t tcp_next_deadline_us(const struct tcp *tcp);

/* One connection as an operator looks at it. Bytes, save where a name says otherwise. */
struct tcp_info {
	const char *state;
	const char *recovery; /* none, fast, timeout */
	uint32_t mss;
	uint32_t cwnd;
	uint32_t ssthresh; /* UINT32_MAX: not known yet */
	uint32_t srtt_us;
	uint32_t rttvar_us;
	uint32_t rto_ms;
	uint32_t send_window;
	uint32_t receive_window;
	uint64_t output_bytes; /* not acknowledged yet, sent or not */
	uint32_t in_flight;
	uint32_t sacked;
	uint32_t lost;
	uint32_t retransmit_count; /* time-outs in a row */
	uint32_t queue_blocks;     /* received and not taken yet, or ahead of a gap */
	uint32_t heard_ms_ago;
};

/* False: the stream is carried by something else. */
bool tcp_info(const struct stream *stream, uint64_t now_us, struct tcp_info *ret_info);

const struct tcp_counters *tcp_counters(const struct tcp *tcp);

/* Asserts every invariant of every connection (slow: tests and simulation). */
void tcp_check(const struct tcp *tcp);
