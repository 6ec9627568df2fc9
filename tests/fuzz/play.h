/* SPDX-License-Identifier: Apache-2.0 */
/* A program of a fuzzer, played to a server and to the model: two clients that ask, and are told
 * to the byte what the model says, however their bytes are cut and whether they read or not; time
 * that jumps; clients that go away.
 *
 * A request may stop anywhere, even in its value, while the other client acts and time passes.
 * Before that all that was said has been taken and answered, so that the model knows in which
 * order, and when, things happened; the answer may stay unread, whatever becomes of the item that
 * it tells of. Owner: a target. */
#pragma once

#include "ask.h"

#include "base/random.h"

#define PLAY_CLIENT_COUNT 2
#define PLAY_STEPS_MAX    120

/* One of ask_text(), ask_meta(), ask_binary(). */
typedef void (*play_make)(struct ask *ask, struct input *input, const struct model *model);

struct play_client {
	struct rig_client *client;
	play_make make[2];   /* what it says: mostly the first */
	struct ask ask;      /* said in part, or over */
	size_t said_bytes;   /* of it */
	struct bytes outbox; /* said, and not yet carried to the server */
	struct bytes expected;
	size_t heard_bytes; /* of what is expected; the rest is due */
	bool reads_not;
};

struct play {
	struct rig *rig;
	struct model model;
	struct random random; /* cuts */
	uint32_t step;
	struct bytes log; /* what was said, for who looks into a failure */
	struct play_client clients[PLAY_CLIENT_COUNT];
};

/* The first bytes of the input say how little the server has; then come the steps. */
void play_create(struct play *play, struct input *input);
void play_destroy(struct play *play);

/* One step more. */
void play_step(struct play *play, struct input *input);

/* All that the client has said is taken, and answered, if not read. */
void play_settle(struct play *play, struct play_client *client);

/* Everything that is stored is looked at, and nothing was evicted. */
void play_check(struct play *play);

/* A target: a byte; even, then bytes as they come, see raw.h; odd, then a program. `first`,
 * `second`: what the two clients say. */
void play_input(const uint8_t *data, size_t size, const play_make first[2],
                const play_make second[2]);
