/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection has in flight, snd_una … snd_nxt: runs of bytes that share one fate. */
#pragma once

#include "base/chain.h"

struct tcp;
struct tcp_connection;

enum run_fate {
	RUN_SENT,   /* on its way, as far as we know */
	RUN_SACKED, /* the peer holds it, behind a gap */
	RUN_LOST,   /* taken for lost, to be sent again */
};

/* It begins where the run before it ends, the first one at snd_una. */
struct run {
	uint32_t end;     /* sequence number behind it */
	uint32_t sent_us; /* when last sent; the clock's low 32 bits */
	uint8_t fate;     /* enum run_fate */
	bool again;       /* sent more than once */
};

#define FLIGHT_RUNS_FEW 5

/* A place for the runs of a connection that loses little: a line. */
struct flight_runs {
	struct run runs[FLIGHT_RUNS_FEW];
} __attribute__((aligned(CACHE_LINE_BYTES)));

struct flight {
	struct flight_runs *few; /* taken while something is in flight */
	struct block *block;     /* NULL, or the place of the runs instead */
	uint16_t run_count;
	bool newest_known;
	bool reordered; /* the network has changed the order of segments: RFC 8985 6.2 step 3 */
	uint32_t sacked_bytes;
	uint32_t lost_bytes;
	/* of what has arrived, the one that was sent last: RFC 8985 6.2 step 2 */
	uint32_t newest_sent_us;
	uint32_t newest_end;
	uint32_t newest_rtt_us;
	uint32_t highest_arrived; /* sequence number behind it */
	uint32_t rtt_us_min;      /* ever measured; UINT32_MAX: never */
};

/* What one acknowledgement tells of; made by its reader, filled by flight_acked() and _sacked(). */
struct arrivals {
	uint32_t now_us;
	uint32_t highest_before; /* flight's highest_arrived before this acknowledgement */
	uint32_t echo_age_ms;    /* how long ago the echoed timestamp was sent */
	bool echo_known;
	bool reordered;
	bool rtt_known;
	uint32_t bytes;  /* that had not arrived before */
	uint32_t rtt_us; /* of the last one that was sent only once */
};

/* Places for as many as can have something in flight at once. */
size_t flights_bytes(uint32_t connection_count_max);
void flights_create(struct tcp *tcp, struct memory *memory);

/* False: there is no way to note that more is sent. */
bool flight_takes(struct tcp_connection *connection);

/* snd_nxt … end was sent for the first time; the caller moves snd_nxt. */
void flight_sent(struct tcp_connection *connection, uint32_t end, uint64_t now_us);

/* A part of what is in flight was sent once more. */
void flight_sent_again(struct tcp_connection *connection, uint32_t seq, uint32_t length,
                       uint64_t now_us);

/* The first bytes that are lost and were not sent again. False: there are none. */
bool flight_first_lost(struct tcp_connection *connection, uint32_t *ret_seq, uint32_t *ret_length);

/* All before `ack` (after snd_una, at most snd_nxt) has arrived. Moves snd_una. */
void flight_acked(struct tcp_connection *connection, uint32_t ack, struct arrivals *arrivals);

/* begin … end, within what is in flight, has arrived. */
void flight_sacked(struct tcp_connection *connection, uint32_t begin, uint32_t end,
                   struct arrivals *arrivals);

/* Takes for lost what was sent so long before something that has arrived: a round trip and
 * reorder_us ago (RFC 8985 6.2 step 5). *ret_again: some of it was sent again, since since_us (the
 * clock's low 32 bits). Returns after how many microseconds one has to look again; 0: never. */
uint32_t flight_lose_late(struct tcp_connection *connection, uint32_t reorder_us, uint32_t since_us,
                          uint64_t now_us, bool *ret_again);

/* Takes the first `length` bytes for lost. */
void flight_lose_first(struct tcp_connection *connection, uint32_t length);

/* Takes for lost the first run, and all that was sent age_us ago or earlier and is not known to
 * have arrived. */
void flight_lose_all(struct tcp_connection *connection, uint32_t age_us, uint64_t now_us);

void flight_clear(struct tcp_connection *connection);
void flight_check(const struct tcp_connection *connection);
