/* SPDX-License-Identifier: Apache-2.0 */
/* From a SYN to a connection.
 *
 * What is half open is kept in a cache of small records (RFC 4987 3.4), so that a flood of SYNs
 * reaches no connection; when the cache is full, the answer's sequence number and timestamp carry
 * all that is to be remembered (SYN cookies, 3.6), and nothing is kept. */
#pragma once

#include "base/memory.h"
#include "net/net.h"

struct tcp;
struct tcp_segment;

/* Who talks to whom. */
struct tuple {
	const struct net_path *path;
	uint16_t local_port;
	uint16_t remote_port;
	uint64_t hash; /* keyed */
};

/* What a SYN and its answer have agreed on. */
struct handshake {
	uint32_t irs;
	uint32_t iss;
	uint32_t ts_recent;
	uint32_t ts_offset; /* of our timestamps to the clock, milliseconds */
	uint16_t window;    /* bytes; offered in the SYN-ACK */
	uint16_t mss;       /* bytes; the largest payload plus options that the peer takes */
	uint8_t send_shift; /* of windows we receive */
	bool timestamps;
	bool sack_permitted;
	bool window_scaling;
};

/* Challenge ACKs are limited, for each peer on its own (RFC 5961 7). */
struct challenges {
	uint32_t second : 24;
	uint32_t count : 8; /* in that second */
};

/* One connection in SYN_RCVD. References are index + 1 in the cache, 0 is none. */
struct half_open {
	struct net_path path;
	uint16_t local_port;
	uint16_t remote_port;
	uint32_t next_in_bucket;
	uint32_t older; /* of those to which as many SYN-ACKs were sent */
	uint32_t newer;
	uint32_t due_ms;    /* when the next SYN-ACK goes, or it is given up */
	uint32_t sent_us;   /* the first SYN-ACK; the clock's low 32 bits */
	uint8_t sent_count; /* SYN-ACKs, without those that a repeated SYN asked for; 0: free */
	bool repeated;
	struct handshake agreed;
	struct challenges challenges;
};

#define SYN_ACK_COUNT_MAX 5 /* times a SYN-ACK is sent without being asked for */

/* The SYN cache. Those to which n SYN-ACKs were sent all wait equally long for the next one, so
 * they stand in a queue by age. */
struct half_opens {
	struct half_open *cache;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t free;
	uint32_t used_count; /* records ever taken from the cache's fresh end */
	struct half_open_queue {
		uint32_t oldest;
		uint32_t newest;
	} queues[SYN_ACK_COUNT_MAX];
	uint64_t cookies_until_us; /* until then a cookie may come back */
};

size_t half_opens_bytes(uint32_t count_max);
void half_opens_create(struct tcp *tcp, struct memory *memory);

struct half_open *half_open_find(struct tcp *tcp, const struct tuple *tuple);

/* A segment to a port of ours that belongs to nothing yet. snd_nxt_before: NULL, or where the
 * connection that ended just now between the two has stopped sending. */
void listen_input(struct tcp *tcp, const struct tuple *tuple, const struct tcp_segment *segment,
                  const uint32_t *snd_nxt_before, uint64_t now_us);

/* A segment to what is half open. */
void half_open_input(struct tcp *tcp, struct half_open *half_open, const struct tuple *tuple,
                     const struct tcp_segment *segment, uint64_t now_us);

/* Sends SYN-ACKs again, ends what has had enough of them. */
void half_opens_advance(struct tcp *tcp, uint64_t now_us);

/* When there is something to do for it. False: never. */
bool half_opens_next_ms(const struct tcp *tcp, uint32_t *ret_ms);

void half_opens_check(const struct tcp *tcp);

/* cookie.c */
/* Makes agreed->iss a cookie that holds the MSS, and returns the timestamp to send (0 without
 * timestamps), which holds window scale and SACK. The MSS may get smaller. */
uint32_t cookie_make(const struct tcp *tcp, const struct tuple *tuple, struct handshake *agreed,
                     uint64_t now_us);
/* What a cookie holds that this segment acknowledges. False: there is none, or it is too old. */
bool cookie_read(const struct tcp *tcp, const struct tuple *tuple,
                 const struct tcp_segment *segment, uint64_t now_us, struct handshake *ret_agreed);
