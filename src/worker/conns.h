/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of `stats conns`: memcached's, and below them what our TCP knows of the connection. */
#pragma once

#include "net/stream.h"

#include <stdbool.h>

/* One client's lines. False: no blocks. */
bool conns_append(struct chain *out, const struct stream *stream, uint64_t last_us,
                  uint64_t now_us);
/* How many had no room. */
bool conns_append_left_out(struct chain *out, uint32_t count);
