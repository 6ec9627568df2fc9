/* SPDX-License-Identifier: Apache-2.0 */
/* One frame of `kante top`: what is known, laid out on a screen of any size. Owner: none. */
#pragma once

#include "cli/screen.h"
#include "cli/top_sample.h"

struct top_view {
	const char *node;                        /* as it was given */
	const json_t *status;                    /* of /v1/status */
	const struct top_sample *sample;         /* the newest */
	const struct top_difference *difference; /* NULL: it is not known */
	const json_t *hot;                       /* the keys of /v1/hot; NULL: not known */
	const char *hot_fault;                   /* why; "": it is */
	const char *lost;                        /* why the node does not answer; "": it does */
	uint32_t interval_s;
	bool is_live; /* keys do something */
	bool is_paused;
	bool shows_help;
};

void top_frame_draw(struct screen *screen, const struct top_view *view);
