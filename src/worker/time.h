/* SPDX-License-Identifier: Apache-2.0 */
/* The time of one turn of a worker's loop: read once by the loop, handed to all that run in it. */
#pragma once

#include <stdint.h>

struct worker_time {
	uint64_t now_us;      /* monotonic */
	uint32_t now_s;       /* monotonic, as the shard wants it: 1 at start */
	uint32_t fraction_us; /* of a second, since that one began */
};
