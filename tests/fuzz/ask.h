/* SPDX-License-Identifier: Apache-2.0 */
/* A request made from what a fuzzer gives, and what the model says that it must be answered. Keys
 * are few, so that they meet; numbers and sizes are those where something changes.
 * Owner: play.c, or the target udp. */
#pragma once

#include "input.h"
#include "model.h"
#include "rig.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define ASK_VERSION    "1.6.45" /* the rig's */
#define ASK_KEY_COUNT  8
#define ASK_KEYS_MAX   100 /* of one get */
#define ASK_FLAGS_MAX  32
#define ASK_TOKEN_MAX  36
#define ASK_NUMBER_MAX 24 /* digits of a number, and more */

/* A flag of a meta command. */
struct ask_flag {
	uint8_t letter;
	bool is_bad; /* its token is not what it should be; else, if it is a number: */
	char token[ASK_TOKEN_MAX];
	uint64_t number;
	int64_t exptime;
};

struct ask_meta {
	char command; /* its second letter */
	bool is_quiet;
	bool in_base64; /* the key was sent so */
	uint32_t flag_count;
	struct ask_flag flags[ASK_FLAGS_MAX];
};

struct ask_binary {
	uint8_t opcode;
	uint32_t opaque;
};

struct ask;

/* Tells the model, and adds what is answered. */
typedef void (*ask_answer)(struct ask *ask, struct model *model, struct bytes *reply);

struct ask {
	struct bytes bytes;
	size_t head_bytes;  /* after these at_head is due; 0: it is not */
	ask_answer at_head; /* the value is begun */
	ask_answer at_end;  /* all is there; NULL: nothing comes of it */
	bool closes;        /* the client is closed then … */
	bool leaves;        /* … or goes away by itself */

	/* What at_head and at_end go by. */
	struct slice keys[ASK_KEYS_MAX];
	uint32_t key_count;
	bool noreply;
	bool with_cas;
	bool touches;   /* gat */
	bool bad_value; /* it does not end with CR LF */
	int64_t exptime;
	const char *text; /* the reply, when nothing else decides it */
	size_t value_at;
	uint64_t value_bytes;   /* as announced */
	size_t reply_bytes_max; /* a get looks for no more keys beyond; 0: all */
	enum model_verdict begun;
	struct model_store store;
	struct model_delta delta;
	struct model_delete delete;
	struct ask_meta meta;
	struct ask_binary binary;
};

/* Every kind of request of the protocol; ask_text() makes classic commands. `ask` is empty, but for
 * memory that its bytes may keep. */
void ask_text(struct ask *ask, struct input *input, const struct model *model);
void ask_meta(struct ask *ask, struct input *input, const struct model *model);
void ask_binary(struct ask *ask, struct input *input, const struct model *model);

/* Those that read, for UDP. */
void ask_text_get(struct ask *ask, struct input *input, const struct model *model);
void ask_meta_get(struct ask *ask, struct input *input, const struct model *model);
void ask_binary_get(struct ask *ask, struct input *input, const struct model *model);

/* Whether it does; and what is said when the reply would be too long. */
bool ask_binary_reads(const struct ask *ask);
void ask_binary_too_large(const struct ask *ask, struct bytes *reply);

/* mg for all that is known of key `index`; it changes nothing but a win. */
void ask_all_of(struct ask *ask, uint32_t index);

void ask_reset(struct ask *ask);
void ask_destroy(struct ask *ask);

/* ask.c: the parts that requests are made of. */

/* One of the keys; of those without spaces and control bytes, unless `any`. */
struct slice ask_key(struct input *input, bool any);
struct slice ask_key_at(uint32_t index);

/* Of a live item; 0: there is none. */
uint64_t ask_cas_of(const struct model *model, struct slice key);

uint64_t ask_number(struct input *input);
uint32_t ask_client_flags(struct input *input);
int64_t ask_exptime(struct input *input, const struct model *model);

/* A cas unique that is right, or nearly, or not at all. */
uint64_t ask_cas(struct input *input, const struct model *model, struct slice key);

/* A value for the key, at most one byte over the limit. */
void ask_value(struct ask *ask, struct slice key, struct input *input, const struct model *model);

/* Adds what is printed. */
void ask_print(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ask_add(struct bytes *bytes, struct slice slice);

static inline struct slice ask_slice(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* The value of an item, or that of a request. */
static inline struct slice ask_item_value(const struct model_item *item)
{
	return (struct slice){item->value, item->value_bytes};
}

static inline struct slice ask_own_value(const struct ask *ask)
{
	if (ask->value_bytes == 0)
		return (struct slice){0};
	return (struct slice){ask->bytes.data + ask->value_at, ask->value_bytes};
}
