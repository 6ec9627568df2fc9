/* SPDX-License-Identifier: Apache-2.0 */
/* memcached over UDP: one request a datagram, and nothing but the get family.
 *
 * A datagram's source can be forged, so a reply is small, both as such and against its request, a
 * source is answered only so often, and what is no sound request gets no answer at all.
 * Owner: one worker. */
#pragma once

#include "base/counter.h"
#include "base/siphash.h"
#include "net/address.h"
#include "shard/shard.h"
#include "worker/lookahead.h"

/* name, unit, kind, help */
#define DATAGRAM_COUNTERS(X)                                                                       \
	X(udp_requests, "datagrams", COUNTER_TOTAL, "Datagrams that came in")                      \
	X(udp_request_bytes, "bytes", COUNTER_TOTAL, "Bytes of them")                              \
	X(udp_replies, "datagrams", COUNTER_TOTAL, "Datagrams sent")                               \
	X(udp_reply_bytes, "bytes", COUNTER_TOTAL, "Bytes of them")                                \
	X(udp_refused, "requests", COUNTER_TOTAL, "Answered with an error")                        \
	X(udp_over_reply_max, "requests", COUNTER_TOTAL,                                           \
	  "Refused: the reply is over udp_reply_bytes_max")                                        \
	X(udp_over_amplification, "requests", COUNTER_TOTAL,                                       \
	  "Refused: the reply is over udp_amplification_max times the request")                    \
	X(udp_dropped_short, "datagrams", COUNTER_TOTAL, "Dropped: no more than a header")         \
	X(udp_dropped_sequence, "datagrams", COUNTER_TOTAL, "Dropped: sequence is not 0")          \
	X(udp_dropped_total, "datagrams", COUNTER_TOTAL, "Dropped: total is not 1")                \
	X(udp_dropped_line, "datagrams", COUNTER_TOTAL,                                            \
	  "Dropped: neither one line with CR LF nor one head of the binary protocol")              \
	X(udp_dropped_command, "datagrams", COUNTER_TOTAL,                                         \
	  "Dropped: anything but a get that only reads")                                           \
	X(udp_dropped_busy, "datagrams", COUNTER_TOTAL,                                            \
	  "Dropped: the worker that owns the key was in the middle of a change")                   \
	X(udp_dropped_rate, "datagrams", COUNTER_TOTAL,                                            \
	  "Dropped: their source has sent udp_rate_max in this second")                            \
	X(udp_dropped_reply, "datagrams", COUNTER_TOTAL,                                           \
	  "Dropped: even the error would be over the limits")

struct datagram_counters {
	DATAGRAM_COUNTERS(COUNTER_FIELD)
};

/* What reply_bytes_max can be raised to, whatever it was at the creation. */
#define DATAGRAM_REPLY_BYTES 1400

struct datagram_options {
	uint32_t reply_bytes_max;   /* of all datagrams of a reply, headers included */
	uint32_t amplification_max; /* reply bytes for a request byte, headers included */
	uint32_t rate_max;          /* requests a source and second that are looked at; 0: all */
	struct siphash_key key;     /* secret and random */
};

/* Requests are counted by a hash of their source, in two places; the lower count is at least as
 * high as the source's own. So the memory is the same however many sources are forged. */
#define DATAGRAM_RATE_ROWS  2
#define DATAGRAM_RATE_COUNT 4096 /* a row; a power of two */

struct datagram_rate {
	uint32_t second;
	uint32_t count; /* of requests in it */
};

struct datagram_server {
	struct datagram_options options;
	struct shard *shard;
	struct lookahead *lookahead; /* of the datagrams at hand */
	uint8_t *reply;              /* the payload of the reply at hand */
	uint32_t reply_capacity;
	struct datagram_rate *rates; /* DATAGRAM_RATE_ROWS × DATAGRAM_RATE_COUNT */
	struct datagram_counters counters;
};

/* Takes the datagrams of a reply, one after the other. */
struct datagram_sink {
	/* Room for one, UDP_FRAME_TOTAL_BYTES of it. NULL: there is no memory for it now. */
	uint8_t *(*reserve)(void *context);
	/* It is written, and so long. */
	void (*send)(void *context, uint32_t length);
	/* Nothing comes of it. */
	void (*drop)(void *context);
	void *context;
};

/* Bytes of memory that datagram_create() takes. */
size_t datagram_bytes(const struct datagram_options *options);
void datagram_create(struct datagram_server *server, const struct datagram_options *options,
                     struct shard *shard, struct lookahead *lookahead, struct memory *memory);

/* Of the options, those that may change. A reply_bytes_max that there is no room for counts as what
 * there is room for. */
void datagram_set_limits(struct datagram_server *server, uint32_t reply_bytes_max,
                         uint32_t amplification_max, uint32_t rate_max);

/* Answers one datagram. source: who has sent it, as far as one can know; NULL: somebody whom the
 * allow list has by his address, so that neither amplification_max nor rate_max holds. */
void datagram_serve(struct datagram_server *server, struct slice datagram,
                    const struct ip_address *source, uint32_t now_s,
                    const struct datagram_sink *sink);
