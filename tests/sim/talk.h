/* SPDX-License-Identifier: Apache-2.0 */
/* What one simulated client says, and a plain model of what it must be told.
 *
 * A talk makes requests from a seed and checks every byte of every reply. Keys of two kinds:
 * private ones, used by this talk alone, whose replies the model foretells; shared ones, written by
 * one talk and read by all, whose replies must be no older than what was acknowledged when the
 * question was asked, and nothing that was never written. */
#pragma once

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRIVATE_KEY_COUNT 12
#define SHARED_KEY_MAX    4096
#define REASON_BYTES      512

/* What all talks of one simulation know. */
struct board {
	uint64_t shared_acknowledged[SHARED_KEY_MAX]; /* version; 0: none yet */
	uint64_t shared_sent[SHARED_KEY_MAX];
	uint32_t shared_count;
	uint32_t talk_count;
	bool memory_is_short; /* the store is too small for all */
	bool flushes;         /* flush_all is said now and then */
	bool keys_may_vanish; /* for either reason */
	uint32_t value_bytes_max;
	char failure[REASON_BYTES]; /* the first thing that was wrong; empty: nothing */
};

struct private_key {
	bool present;
	bool expires;
	uint32_t flags;
	uint32_t length;
	uint8_t *data;
	uint64_t version;  /* every change makes a new one */
	uint64_t cas_seen; /* cas unique that the server gave for cas_version; 0: never asked */
	uint64_t cas_version;
	uint64_t expires_from_s; /* some time between these two it goes */
	uint64_t expires_until_s;
};

struct said;

struct talk {
	struct board *board;
	struct random random;
	uint32_t number;
	uint32_t shared_key; /* the one this talk writes */
	struct private_key keys[PRIVATE_KEY_COUNT];
	uint64_t last_version;

	uint8_t *out; /* request bytes not yet handed to the connection */
	size_t out_length;
	size_t out_capacity;

	struct said *said_first; /* requests whose replies are due, in order */
	struct said *said_last;
	uint32_t said_count;
	uint64_t answered_count;

	/* the reply at hand */
	char line[512];
	uint32_t line_length;
	uint8_t *data; /* value bytes expected next: data_length of them, then CR LF */
	uint32_t data_length;
	uint32_t data_matched;
	bool in_data;
	uint32_t piece_index; /* of the multi-get's keys */
};

void talk_create(struct talk *talk, struct board *board, uint64_t seed);
void talk_destroy(struct talk *talk);

/* Makes one more request: its bytes are appended to talk->out. */
void talk_say(struct talk *talk, uint64_t now_us);

/* Asks for the connection's end; nothing may be said after it. */
void talk_quit(struct talk *talk);

/* Takes `length` bytes off the front of talk->out. */
void talk_took(struct talk *talk, size_t length);

/* Reply bytes. False: wrong; board->failure says how. */
bool talk_hear(struct talk *talk, const uint8_t *bytes, uint32_t length, uint64_t now_us);

/* The bytes of one version of a shared key's value; at most SHARED_VALUE_MAX. */
#define SHARED_VALUE_MAX 3000

/* What is longer is no number, as with memcached's chunks. */
#define NUMBER_VALUE_BYTES_MAX (512 << 10)
uint32_t shared_value(uint32_t key, uint64_t version, char *to);

/* Checks a shared key's VALUE bytes against what may be read. False: board->failure. */
bool shared_check(struct board *board, uint32_t key, const uint8_t *data, uint32_t length,
                  uint64_t acknowledged_when_asked);

void board_fail(struct board *board, const char *format, ...) __attribute__((format(printf, 2, 3)));
