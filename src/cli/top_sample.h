/* SPDX-License-Identifier: Apache-2.0 */
/* A node's counters at one moment, as `kante top` wants them, and what happened between two. Plain
 * data; nobody's. */
#pragma once

#include "cli/buckets.h"

#define TOP_WORKER_COUNT_MAX 64
#define TOP_CLASS_COUNT_MAX  64
#define TOP_CLASS_NAME_BYTES 40

/* Of a worker, a class of keys, or the node; where it has none of something that is 0. */
struct top_figures {
	uint64_t gets, hits, sets, evictions, bytes_in, bytes_out, busy_us;
	uint64_t connections, items, bytes, bytes_max; /* how it is now */
};

struct top_class {
	char name[TOP_CLASS_NAME_BYTES];
	struct top_figures figures;
};

struct top_sample {
	uint64_t now_us; /* of a clock that never steps */
	struct top_figures node;
	struct buckets latency; /* of all requests */
	uint32_t worker_count, class_count;
	struct top_figures workers[TOP_WORKER_COUNT_MAX];
	struct top_class classes[TOP_CLASS_COUNT_MAX];
};

void top_sample_read(struct top_sample *ret_sample, const json_t *counters, uint64_t now_us);

/* Each a second. */
struct top_rates {
	double gets, sets, evictions, bytes_in, bytes_out;
	double hits; /* of the GETs, 0 to 1; below 0: there were none */
	double busy; /* of the time, 0 to 1 */
};

struct top_difference {
	struct top_rates node;
	struct buckets latency;
	struct top_rates workers[TOP_WORKER_COUNT_MAX], classes[TOP_CLASS_COUNT_MAX];
};

/* False: it cannot be told: kanted was started anew, or no time has passed. */
bool top_difference_read(struct top_difference *ret_difference, const struct top_sample *before,
                         const struct top_sample *now);
