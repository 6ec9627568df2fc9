/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a frame of `kante top`. Owner: none. */
#pragma once

#include "cli/top_frame.h"

/* Draws one into the area, as many of its rows as there is room for. Returns how many rows it has
 * used. */
typedef uint32_t top_table_draw(struct screen *screen, const struct screen_area *area,
                                const struct top_view *view);

top_table_draw top_table_workers, top_table_classes, top_table_hot, top_table_latency;
