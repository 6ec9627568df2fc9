/* SPDX-License-Identifier: Apache-2.0 */
/* What a load consists of: which key is asked for next and how, what came of it, and how long it
 * took. Pure: no sockets, no clock, no allocation; the socket back-end, the DPDK back-end and the
 * simulation move its bytes.
 *
 * A back-end has one conversation a connection (or one `struct datagrams` a UDP socket, see
 * datagrams.h), asks when it has room, and passes bytes both ways. All conversations of a workload
 * belong to one thread. */
#pragma once

#include "base/memory.h"
#include "base/random.h"
#include "load/histogram.h"
#include "load/reply.h"
#include "load/zipf.h"

#define WORKLOAD_KEY_COUNT_MAX    (REQUEST_KEY_NUMBER_MAX + 1)
#define CONVERSATION_PIPELINE_MAX 1000
#define WORKLOAD_FAULT_BYTES_MAX  256

/* X(name, failure: the run has failed when it is not 0, always: shown when 0, what it counts) */
#define WORKLOAD_COUNTERS(X)                                                                       \
	X(requests, 0, 1, "requests answered")                                                     \
	X(hits, 0, 1, "hits")                                                                      \
	X(misses, 0, 1, "misses")                                                                  \
	X(stored, 0, 1, "stored")                                                                  \
	X(server_errors, 0, 1, "server errors")                                                    \
	X(client_errors, 1, 1, "client errors")                                                    \
	X(protocol_errors, 1, 1, "protocol errors")                                                \
	X(wrong_values, 1, 1, "wrong values")                                                      \
	X(wrong_bytes, 1, 1, "wrong bytes")                                                        \
	X(lost_connections, 1, 1, "lost connections")                                              \
	X(stalled_connections, 1, 0, "stalled connections")                                        \
	X(unanswered, 0, 0, "requests unanswered")                                                 \
	X(datagrams_late, 0, 0, "datagrams late or repeated")                                      \
	X(datagrams_unstored, 0, 0, "datagrams too early to hold")                                 \
	X(value_bytes_read, 0, 1, "value bytes read")                                              \
	X(value_bytes_written, 0, 1, "value bytes written")

#define WORKLOAD_COUNTER_FIELD(name, failure, always, label) uint64_t name;

struct workload_counters {
	WORKLOAD_COUNTERS(WORKLOAD_COUNTER_FIELD)
};

struct workload_options {
	enum protocol protocol;   /* PROTOCOL_REDIS: in conversations only */
	uint64_t key_count;       /* 1 … WORKLOAD_KEY_COUNT_MAX */
	double zipf_exponent;     /* 0 … ZIPF_EXPONENT_MAX; key 0 is the hottest */
	uint32_t value_bytes_min; /* sizes are log-uniform from min … max, each SET anew */
	uint32_t value_bytes_max; /* min … VALUE_BYTES_MAX */
	double set_percent;       /* 0 … 100 of the requests; the rest are GETs */
	uint32_t padding_bytes;   /* behind each datagram, for a reflector only; see datagrams.h */
	uint64_t seed;
};

struct workload {
	struct workload_options options;
	struct zipf zipf;
	struct random random;
	uint32_t version;           /* of the last SET made */
	bool is_populating;         /* SETs of key 0, 1, 2 … instead of the mix */
	uint64_t populate_key_next; /* while populating */
	struct workload_counters counters;
	struct histogram latency;
	char first_fault[WORKLOAD_FAULT_BYTES_MAX]; /* the first failure seen, as a sentence */
};

void workload_create(struct workload *workload, const struct workload_options *options);

/* The next options.key_count requests set each key once. */
void workload_populate(struct workload *workload);

/* The mix of the options from here on; counters and latencies start at zero, first_fault stays. */
void workload_measure(struct workload *workload);

struct request workload_next(struct workload *workload, uint64_t intended_ns);

/* Time to the next arrival when arrivals are a Poisson process. */
double workload_gap_ns(struct workload *workload, double requests_per_second);

/* Counts one reply by its last verdict. */
void workload_count_reply(struct workload *workload, const struct request *request,
                          const struct reply *reply, enum reply_verdict verdict, uint64_t now_ns);

/* Keeps the sentence if it is the first. */
void workload_note_fault(struct workload *workload, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether any counter that stands for a failure is not 0. */
bool workload_counters_failed(const struct workload_counters *counters);

/* The requests of one connection that are to be sent or wait for their reply, in order. Three
 * places in a ring; a server may answer a SET, by refusing it, before it has all of it. */
struct conversation {
	struct workload *workload;
	struct request *ring; /* owned by the memory it was created in */
	uint32_t ring_mask;   /* places in the ring, a power of two, less one */
	uint32_t pipeline;    /* requests in flight at most */
	uint32_t asked;       /* requests ever put in; free-running, as the next two */
	uint32_t sent;        /* … wholly sent */
	uint32_t answered;    /* … answered; at most sent + 1 */
	uint32_t sent_offset; /* bytes sent of request number `sent` */
	struct reply reply;   /* to request number `answered` */
};

/* Bytes of memory that a conversation takes. */
size_t conversation_bytes(uint32_t pipeline);

/* pipeline: 1 … CONVERSATION_PIPELINE_MAX requests in flight at most. */
void conversation_create(struct conversation *conversation, struct workload *workload,
                         uint32_t pipeline, struct memory *memory);

static inline uint32_t conversation_unanswered(const struct conversation *conversation)
{
	return conversation->asked - conversation->answered;
}

/* Whether one more may be asked. */
bool conversation_has_room(const struct conversation *conversation);

/* Takes the workload's next request in. */
void conversation_ask(struct conversation *conversation, uint64_t intended_ns);

/* Writes the next bytes to be sent, as many as there are and fit; they are written again until
 * conversation_sent() says how many have gone, so that no back-end need buffer them. */
size_t conversation_peek(const struct conversation *conversation, uint8_t *to, size_t capacity);
void conversation_sent(struct conversation *conversation, size_t bytes);

/* Checks and counts received bytes. False: they break the protocol, counted; the connection has to
 * be closed. */
bool conversation_receive(struct conversation *conversation, const uint8_t *bytes, size_t length,
                          uint64_t now_ns);
