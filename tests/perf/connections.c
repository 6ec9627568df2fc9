/* SPDX-License-Identifier: Apache-2.0 */
/* What many connections cost one worker: connections [CONNECTIONS [ACTIVE [FEW [ROUNDS]]]]
 *
 * Two whole workers in this process, each with replayed clients: one holds CONNECTIONS (100,000),
 * of which ACTIVE (10,000) ask one after the other for values of 100 bytes; the other holds FEW
 * (100), all of them active. Turns of both are measured alternately, in time that the worker alone
 * takes: receive, TCP, session, store, transmit, in huge pages as kanted has them. Prints medians
 * of ROUNDS (5), the ratio, and the bytes of memory that an idle connection takes (of a third
 * worker, in small pages); every reply is looked at. */
#include "replayed.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BURST       32
#define KEYS        1000
#define VALUE_BYTES 100
#define TURNS       20000 /* a measurement */

struct world {
	struct replayed *replayed;
	uint32_t active_count;
	uint32_t next;
};

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t resident_bytes(void)
{
	unsigned long long total, resident;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%llu %llu", &total, &resident) != 2)
		replayed_fail("/proc/self/statm cannot be read");
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct world world_create(uint32_t peer_count, uint32_t active_count, bool is_huge)
{
	return (struct world){
	    .replayed = replayed_create(&(struct replayed_options){
	        .memory_bytes = 64u << 20,
	        .peer_count = peer_count,
	        .block_count = 8 * active_count + 8192,
	        .is_huge = is_huge,
	    }),
	    .active_count = active_count,
	};
}

static void say(struct world *world, uint32_t peer, const char *text)
{
	replayed_say(world->replayed, peer, (struct slice){(const uint8_t *)text, strlen(text)});
}

static void populate(struct world *world)
{
	for (uint32_t key = 0; key < KEYS; key++) {
		char text[256];

		snprintf(text, sizeof(text), "set key-%04u 0 0 %u noreply\r\n%0*u\r\n", key,
		         VALUE_BYTES, VALUE_BYTES, key);
		say(world, key % world->active_count, text);
		replayed_turn(world->replayed);
		replayed_hear(world->replayed, NULL, NULL);
	}
}

static void count_bytes(void *context, const struct replayed_reply *reply)
{
	*(uint32_t *)context += (uint32_t)reply->payload.length;
}

/* Nanoseconds that one request takes the worker. */
static double measure(struct world *world)
{
	uint32_t wanted =
	    BURST * ((uint32_t)strlen("VALUE key-0000 0 100\r\n\r\nEND\r\n") + VALUE_BYTES);
	uint64_t ns = 0;

	for (uint32_t i = 0; i < TURNS; i++) {
		uint32_t bytes = 0;
		uint64_t start_ns;

		for (uint32_t j = 0; j < BURST; j++) {
			char text[32];

			snprintf(text, sizeof(text), "get key-%04u\r\n",
			         (i * BURST + j) * 7 % KEYS);
			say(world, world->next, text);
			world->next = (world->next + 1) % world->active_count;
		}
		start_ns = nanoseconds();
		replayed_turn(world->replayed);
		ns += nanoseconds() - start_ns;
		replayed_hear(world->replayed, count_bytes, &bytes);
		if (bytes != wanted)
			replayed_fail("a reply is missing");
	}
	return (double)ns / (TURNS * (double)BURST);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint32_t argument(int argc, char **argv, int index, uint32_t otherwise)
{
	return argc > index ? (uint32_t)strtoul(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	uint32_t connections = argument(argc, argv, 1, 100000);
	uint32_t active = argument(argc, argv, 2, 10000);
	uint32_t few = argument(argc, argv, 3, 100);
	uint32_t rounds = argument(argc, argv, 4, 5);
	struct world counted_world = world_create(connections, active, false);
	struct world many_world = world_create(connections, active, true);
	struct world few_world = world_create(few, few, true);
	double many_ns[64], few_ns[64];
	uint64_t before_bytes;

	if (rounds == 0 || rounds > 64 || few < BURST || active < BURST || connections < active)
		replayed_fail("CONNECTIONS >= ACTIVE >= 32, FEW >= 32, ROUNDS 1 … 64");
	/* what all share is touched first */
	replayed_connect(counted_world.replayed, 0, few);
	before_bytes = resident_bytes();
	replayed_connect(counted_world.replayed, few, connections);
	printf("%u connections: %llu bytes each while idle\n", connections,
	       (unsigned long long)((resident_bytes() - before_bytes) / (connections - few)));
	replayed_free(counted_world.replayed);
	replayed_connect(many_world.replayed, 0, connections);
	replayed_connect(few_world.replayed, 0, few);
	populate(&many_world);
	populate(&few_world);
	measure(&many_world);
	measure(&few_world);
	for (uint32_t i = 0; i < rounds; i++) {
		few_ns[i] = measure(&few_world);
		many_ns[i] = measure(&many_world);
	}
	qsort(few_ns, rounds, sizeof(double), compare);
	qsort(many_ns, rounds, sizeof(double), compare);
	printf("%u active of %u: %.0f ns a request, %.0f requests/s\n", few, few,
	       few_ns[rounds / 2], 1e9 / few_ns[rounds / 2]);
	printf("%u active of %u: %.0f ns a request, %.0f requests/s\n", active, connections,
	       many_ns[rounds / 2], 1e9 / many_ns[rounds / 2]);
	printf("rate: %.2f of that with %u\n", few_ns[rounds / 2] / many_ns[rounds / 2], few);
	replayed_free(many_world.replayed);
	replayed_free(few_world.replayed);
	return 0;
}
