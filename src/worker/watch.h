/* SPDX-License-Identifier: Apache-2.0 */
/* How the workers tell each other what their clients want to watch, and what happens. */
#pragma once

#include "base/epoch.h"
#include "base/spsc.h"
#include "proto/request.h"
#include "proto/uri.h"

#define WATCH_LINE_BYTES (URI_BYTES_MAX(KEY_BYTES_MAX) + 384)

struct watch_line {
	uint32_t kind;  /* enum watch_kind */
	uint32_t now_s; /* when it was */
	uint32_t fraction_us;
	uint32_t length;
	uint8_t text[WATCH_LINE_BYTES]; /* from its type on */
};

struct watch_exchange {
	uint32_t count; /* of workers */
	/* What each one's clients watch. Relaxed: what is seen late is told late. */
	_Atomic uint32_t kinds[EPOCH_READERS_MAX];
	struct spsc *lines;     /* struct watch_line, from each to each */
	_Atomic uint64_t *lost; /* likewise, how many found no room; the writer's */
};

/* Bytes of memory that watch_exchange_create() takes. */
size_t watch_exchange_bytes(uint32_t count);
void watch_exchange_create(struct watch_exchange *exchange, uint32_t count, struct memory *memory);
