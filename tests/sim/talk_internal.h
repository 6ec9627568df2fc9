/* SPDX-License-Identifier: Apache-2.0 */
/* Between talk_say.c and talk_hear.c. */
#pragma once

#include "talk.h"

enum say {
	SAY_GET,
	SAY_GETS,
	SAY_GET_MANY,
	SAY_SET,
	SAY_ADD,
	SAY_REPLACE,
	SAY_APPEND,
	SAY_PREPEND,
	SAY_CAS,
	SAY_INCR,
	SAY_DECR,
	SAY_DELETE,
	SAY_TOUCH,
	SAY_GAT,
	SAY_VERSION,
	SAY_BAD,
	SAY_SHARED_SET,
	SAY_SHARED_GET,
	SAY_FLUSH,
	SAY_KINDS,
};

extern const char *const say_words[];

struct bad_line {
	const char *line;
	const char *reply;
};

#define BAD_LINE_COUNT 7

extern const struct bad_line bad_lines[BAD_LINE_COUNT];

/* A request whose reply is due. */
struct said {
	struct said *next;
	enum say say;
	bool noreply;
	uint32_t key;                     /* private or shared, or index of the bad line */
	uint32_t keys[PRIVATE_KEY_COUNT]; /* GET_MANY */
	uint32_t key_count;
	uint32_t flags;
	uint32_t length;
	uint8_t *data;
	uint64_t delta;
	uint64_t cas_version; /* CAS: the version whose number was sent; 0: a made-up number */
	uint32_t exptime_s;   /* 0: never */
	uint64_t shared_version;
	uint64_t acknowledged; /* SHARED_GET: what was acknowledged when it was said */
	uint64_t said_s;
};

void said_free(struct said *said);
/* The name of a private key, with its final NUL. */
void key_name(const struct talk *talk, uint32_t key, char *to);
