/* SPDX-License-Identifier: Apache-2.0 */
/* sim FIRST COUNT: runs COUNT seeds from FIRST on. sim SEED: one seed, and says what it does. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define CAPTURED_EACH 7 /* seed: with one worker and several, with a network card and without */

/* Runs a seed that went well again, with a keeper. Returns whether all was as before. */
static bool goes_the_same_captured(struct sim *sim, uint64_t seed, uint64_t *copies)
{
	uint64_t digest = sim->digest, answered = sim->answered_count;
	bool good = sim_run(sim, seed, false, true);

	*copies += sim->copy_count;
	if (good && sim->digest == digest && sim->answered_count == answered)
		return true;
	printf("seed %llu FAILED: captured: %s\n", (unsigned long long)seed,
	       good ? "other frames were sent" : sim->board.failure);
	return false;
}

int main(int argc, char **argv)
{
	struct sim *sim = malloc(sizeof(*sim));
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t answered = 0, retransmitted = 0, broken = 0, failed = 0;
	uint64_t cut = 0, referred = 0, calls = 0, copies = 0;

	for (uint64_t seed = first; seed < first + count; seed++) {
		/* an assertion that ends the process must have the seed before it */
		if (count == 1)
			fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		if (!sim_run(sim, seed, count == 1, false)) {
			printf("seed %llu FAILED: %s\n", (unsigned long long)seed,
			       sim->board.failure);
			failed++;
		}
		answered += sim->answered_count;
		retransmitted += sim->retransmitted_count;
		broken += sim->broken_count;
		cut += sim->cut_count;
		referred += sim->referred_bytes;
		calls += sim->call_count;
		if (seed % CAPTURED_EACH == 0 && sim->board.failure[0] == '\0')
			failed += !goes_the_same_captured(sim, seed, &copies);
	}
	printf("%llu replies checked, %llu segments retransmitted, %llu connections broken by "
	       "loss\n",
	       (unsigned long long)answered, (unsigned long long)retransmitted,
	       (unsigned long long)broken);
	printf("%llu calls from worker to worker, %llu frames captured\n",
	       (unsigned long long)calls, (unsigned long long)copies);
	printf("%llu packets cut up by the network card, %llu kB it read from the store\n",
	       (unsigned long long)cut, (unsigned long long)referred / 1000);
	printf("%llu passed, %llu failed\n", (unsigned long long)(count - failed),
	       (unsigned long long)failed);
	free(sim);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
