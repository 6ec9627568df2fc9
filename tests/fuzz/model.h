/* SPDX-License-Identifier: Apache-2.0 */
/* The cache as its clients know it: a table of keys, what is known of each, and what every command
 * makes of that. The oracle of the fuzz targets text, meta, binary and udp.
 *
 * Written from PROTOCOL.md and from what memcached 1.6.45 does, never from the shard: slow and
 * short, so that reading it is enough to trust it. It knows no bytes of a protocol (ask_*.c do),
 * and no memory: whoever uses it sees to it that nothing is evicted. Where Kante does what
 * memcached does not, the model does it too, and "Kante:" says so. */
#pragma once

#include "base/bytes.h"

#define MODEL_ITEM_COUNT 16
#define MODEL_NEVER      (-1) /* model_ttl_s() */

enum model_verdict {
	MODEL_STORED,
	MODEL_NOT_STORED,
	MODEL_EXISTS,
	MODEL_NOT_FOUND,
	MODEL_DONE,
	MODEL_NOT_NUMERIC,
	MODEL_TOO_LARGE,
};

struct model_item {
	uint8_t key[250];
	uint32_t key_bytes; /* 0: there is none */
	uint8_t *value;
	uint32_t value_bytes;
	uint32_t client_flags;
	uint64_t expiry_s; /* the first second that it is gone in; 0: never */
	uint64_t cas_unique;
	uint64_t read_s; /* when it was last read or written */
	bool is_fetched; /* read since it was made */
	bool is_stale;
	bool is_won;    /* somebody was told to make it anew */
	bool in_base64; /* its key is shown so */
};

struct model {
	struct model_item items[MODEL_ITEM_COUNT];
	uint64_t now_s;
	uint64_t unix_start_s; /* the wall clock when now_s was 0 */
	uint64_t flush_due_s;  /* 0: none is to come */
	uint64_t cas_newest;
	uint64_t value_bytes_max;
};

/* The cas unique of what is written: the next one, or what the client has chosen. */
struct model_cas {
	bool is_given;
	uint64_t unique;
};

void model_destroy(struct model *model);

/* Never backwards. */
void model_set_time(struct model *model, uint64_t now_s);

/* When what is stored now with this exptime is gone; 0: never. */
uint64_t model_expiry_s(const struct model *model, int64_t exptime);

/* Seconds left, 0 when it is over, or MODEL_NEVER. */
int64_t model_ttl_s(const struct model *model, const struct model_item *item);

/* Seconds since it was read or written. */
uint64_t model_idle_s(const struct model *model, const struct model_item *item);

/* The live item of the key, or NULL. */
struct model_item *model_find(struct model *model, struct slice key);

/* Somebody has read it. */
void model_mark_read(const struct model *model, struct model_item *item);

/* A new item, in the old one's place if there is one. */
struct model_item *model_make(struct model *model, struct slice key, struct slice value,
                              uint32_t client_flags, uint64_t expiry_s, const struct model_cas *cas,
                              bool in_base64);

void model_remove(struct model_item *item);

enum model_mode {
	MODEL_SET,
	MODEL_ADD,
	MODEL_REPLACE,
	MODEL_APPEND,
	MODEL_PREPEND,
	MODEL_CAS, /* set, but only over `expected_cas` */
};

struct model_store {
	enum model_mode mode;
	struct slice key;
	uint32_t client_flags;
	uint64_t expiry_s;
	uint64_t expected_cas; /* CAS; APPEND and PREPEND when it is not 0 */
	bool takes_older;      /* CAS: an older cas unique stores as well, stale */
	bool makes;            /* APPEND, PREPEND: on a miss */
	bool in_base64;
	struct model_cas cas;
};

/* The command has come, and says how long its value is. TOO_LARGE: that is the answer. */
enum model_verdict model_store_begin(struct model *model, const struct model_store *store,
                                     uint64_t value_bytes);

/* The value has come. STORED: *ret_item is the item as it is now; else NULL. */
enum model_verdict model_store(struct model *model, const struct model_store *store,
                               struct slice value, struct model_item **ret_item);

struct model_delta {
	struct slice key;
	uint64_t delta;
	uint64_t expected_cas; /* 0: any */
	bool is_decrement;
	bool makes; /* on a miss, with … */
	uint64_t initial;
	uint64_t expiry_s;
	bool in_base64;
	struct model_cas cas;
};

/* DONE: *ret_item and *ret_number; *ret_is_made: it was a miss. */
enum model_verdict model_delta(struct model *model, const struct model_delta *delta,
                               struct model_item **ret_item, uint64_t *ret_number,
                               bool *ret_is_made);

struct model_delete {
	struct slice key;
	bool compares;
	uint64_t expected_cas;
	bool empties; /* only the value goes, and what follows takes its place: */
	uint32_t client_flags;
	uint64_t expiry_s;
	bool invalidates; /* it stays, stale, */
	bool renews;      /* and gets the expiry */
	bool in_base64;
	struct model_cas cas;
};

enum model_verdict model_delete(struct model *model, const struct model_delete *delete);

/* DONE, NOT_FOUND */
enum model_verdict model_touch(struct model *model, struct slice key, uint64_t expiry_s,
                               struct model_item **ret_item);

void model_flush(struct model *model, int64_t delay);
