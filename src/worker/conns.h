/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of `stats conns`: memcached's, and what our TCP knows of the connection. */
#pragma once

#include "worker/stats.h"

/* One client's. False: no memory. */
bool conns_add(const struct stats_sink *sink, const struct session *session, uint64_t last_us,
               uint64_t now_us);
/* How many had no room. */
bool conns_add_left_out(const struct stats_sink *sink, uint32_t count);
