/* SPDX-License-Identifier: Apache-2.0 */
/* Replays a trace of requests through the real store: what is asked for and not there is stored.
 *
 *   replay TRACE PERCENT POLICY [SEGMENTS [VALUE]]
 *
 * TRACE: a file of lines `key,size`, or - for standard input. The memory is PERCENT of the working
 * set's bytes, the value of every key once, and has to do for the store's own needs, too: headers,
 * keys, index, ghosts. So values are made so large that the memory is about SEGMENTS segments (400)
 * and, where all have the same size, that they fill them; VALUE, a size (where sizes differ, their
 * mean), overrides that. Prints on one line: the trace's requests, memory and segments, mean value,
 * request and byte miss ratio, bytes copied in reclaiming for each byte stored, seconds taken. */
#include "base/memory.h"
#include "store/internal.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define KEY_BYTES           16
#define SEGMENT_BYTES_LEAST (64u << 10)
#define REQUESTS_A_SECOND   10000 /* of the trace's time; nothing expires */

struct request {
	uint32_t key;
	uint32_t size;
};

struct trace {
	struct request *requests;
	uint64_t count;
	uint64_t key_count;
	uint64_t bytes; /* of all keys, at their first size */
	bool is_sized;
};

struct outcome {
	uint64_t misses;
	uint64_t bytes;
	uint64_t missed_bytes;
	uint64_t stored_bytes;
};

static void die(const char *why)
{
	fprintf(stderr, "replay: %s\n", why);
	exit(1);
}

static void trace_read(struct trace *trace, const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	uint64_t capacity = 0;
	unsigned int key;
	unsigned int size;

	if (file == NULL)
		die("cannot open the trace");
	while (fscanf(file, "%u,%u", &key, &size) == 2) {
		if (trace->count == capacity) {
			capacity = capacity == 0 ? 1 << 16 : 2 * capacity;
			trace->requests =
			    realloc(trace->requests, capacity * sizeof(struct request));
		}
		if (key == trace->key_count) { /* numbered in order of first appearance */
			trace->key_count++;
			trace->bytes += size;
		}
		trace->is_sized |= size != 1;
		trace->requests[trace->count++] = (struct request){key, size};
	}
	if (!feof(file) || trace->count == 0)
		die("the trace's lines are to be `key,size`");
	if (file != stdin)
		fclose(file);
}

/* Bytes of value for one of the trace's size, and memory. */
struct scale {
	double value;
	uint64_t memory_bytes;
};

static struct scale scale_for(const struct trace *trace, uint32_t percent, uint32_t segment_count,
                              uint32_t value_bytes)
{
	double sizes = (double)trace->bytes * percent / 100;
	uint32_t segment = SEGMENT_BYTES_LEAST;
	uint32_t a_segment = max_u32((uint32_t)(sizes / segment_count + 0.5), 1);
	struct scale scale;

	if (value_bytes != 0) {
		scale.value = trace->is_sized ? (double)value_bytes * (double)trace->key_count /
		                                    (double)trace->bytes
		                              : value_bytes;
	} else if (trace->is_sized) {
		scale.value = (double)segment * segment_count / sizes;
	} else {
		while (segment < SEGMENT_BYTES_MAX && segment / a_segment < 2048)
			segment *= 2;
		scale.value =
		    (double)(segment / a_segment / 4 * 4) - (double)item_bytes_of(KEY_BYTES, 0) - 2;
	}
	scale.memory_bytes = (uint64_t)(sizes * scale.value);
	return scale;
}

static struct slice key_of(uint32_t number, char key[KEY_BYTES + 1])
{
	snprintf(key, KEY_BYTES + 1, "key:%012u", number);
	return (struct slice){(const uint8_t *)key, KEY_BYTES};
}

/* What is too large to be stored is a miss for good. */
static void request(struct store *store, const struct request *request, double scale, uint32_t now,
                    struct outcome *outcome)
{
	static const uint8_t zeros[1 << 16];
	char key[KEY_BYTES + 1];
	struct store_item_options options = {
	    .key = key_of(request->key, key),
	    .value_bytes = (uint32_t)(request->size * scale),
	};
	struct store_reservation reservation;
	struct store_place place;

	options.hash = store_hash(store, options.key);
	outcome->bytes += options.value_bytes;
	if (store_find(store, options.hash, options.key, &place) == STORE_LIVE) {
		store_mark_read(store, 0, options.hash, &place, now);
		return;
	}
	store_mark_read(store, 0, options.hash, NULL, now);
	outcome->misses++;
	outcome->missed_bytes += options.value_bytes;
	if (options.value_bytes > counter_read(&store_counters(store)->limit_maxbytes) / 2)
		return;
	if (!store_reserve(store, &options, &reservation))
		die("out of memory");
	while (reservation.left_bytes > 0)
		if (!store_write(store, &reservation, zeros,
		                 min_u32(reservation.left_bytes, sizeof(zeros))))
			die("out of memory");
	store_publish(store, &reservation, NULL);
	outcome->stored_bytes += options.value_bytes + KEY_BYTES;
}

static struct store *store_of(uint64_t memory_bytes, enum policy policy)
{
	struct store_options options = {
	    .memory_bytes = memory_bytes,
	    .value_bytes_max = 1024,
	    .hash_seed = 1,
	    .policy = policy,
	};
	struct memory memory = {.bytes = memory_bytes};
	struct store *store = NULL;

	memory.base = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory.base == MAP_FAILED || store_create(&store, &options, &memory) < 0)
		die("the memory is too small");
	return store;
}

static enum policy policy_named(const char *name)
{
#define POLICY_NAME(name) #name,
	static const char *const names[] = {POLICIES(POLICY_NAME)};

	for (uint32_t i = 0; i < POLICY_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return (enum policy)i;
	die("there is no policy of that name");
	return POLICY_COUNT;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct trace trace = {0};
	struct outcome outcome = {0};
	struct scale scale;
	struct store *store;
	enum policy policy;
	double start_s;

	if (argc < 4 || argc > 6)
		die("what is wanted is TRACE PERCENT POLICY [SEGMENTS [VALUE]]");
	policy = policy_named(argv[3]);
	trace_read(&trace, argv[1]);
	scale = scale_for(&trace, (uint32_t)atoi(argv[2]), argc > 4 ? (uint32_t)atoi(argv[4]) : 400,
	                  argc > 5 ? (uint32_t)atoi(argv[5]) : 0);
	store = store_of(scale.memory_bytes, policy);
	start_s = now_s();
	for (uint64_t i = 0; i < trace.count; i++) {
		uint32_t now = (uint32_t)(1 + i / REQUESTS_A_SECOND);

		store_tick(store, now);
		request(store, &trace.requests[i], scale.value, now, &outcome);
	}
	start_s = now_s() - start_s;
	store_check(store);
	printf("%lu requests, %.1f MiB in %lu segments, mean value %.0f: misses %.4f, bytes missed "
	       "%.4f, copied %.2f, %.1f s\n",
	       (unsigned long)trace.count, (double)scale.memory_bytes / (1 << 20),
	       (unsigned long)counter_read(&store_counters(store)->segments),
	       scale.value * (double)trace.bytes / (double)trace.key_count,
	       (double)outcome.misses / (double)trace.count,
	       (double)outcome.missed_bytes / (double)outcome.bytes,
	       (double)counter_read(&store_counters(store)->copied_bytes) /
	           (double)outcome.stored_bytes,
	       start_s);
	return 0;
}
