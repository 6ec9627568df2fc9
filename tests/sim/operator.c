/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator changes while all of it runs: settings, which clients do not notice, and the
 * block list, which some do. */
#include "sim.h"

#include <stdlib.h>

#define SELDOM          1000     /* steps from one change to the next, about */
#define BLOCK_US_MAX    20000000 /* a block lasts so long at most */
#define BLOCK_TAKEN_AGE 2        /* turns of all: by then nobody goes by the list before */

static void settings_change(struct sim *sim)
{
	struct worker_settings settings = {
	    .policy = random_below(&sim->turns, POLICY_COUNT),
	    .request_timeout_us = 3600000000ull,
	    .idle_timeout_us = 300000000,
	    .udp_reply_bytes_max = 1400,
	    .udp_amplification_max = 10,
	};

	workers_change(&sim->workers, &settings);
}

/* NULL: nobody is blocked. False: the workers have not taken the list before it. */
static bool publish(struct sim *sim, struct blocked *blocked)
{
	const struct blocked *unused = NULL;
	bool counts = workers_block(&sim->workers, blocked, &unused);

	free(counts ? (void *)(uintptr_t)unused : blocked);
	return counts;
}

/* One client, among others that are none. */
static void block(struct sim *sim)
{
	struct client *client =
	    &sim->clients[random_below(&sim->operations.random, sim->client_count)];
	struct ip_prefix prefixes[3] = {[0].length = 120, [2].length = 64};
	struct blocked *blocked = malloc(blocked_bytes(3));

	ip_address_parse(&prefixes[0].address, "10.2.0.0");
	prefixes[1] = (struct ip_prefix){client->path.local, 128};
	ip_address_parse(&prefixes[2].address, "fd01::");
	blocked_create(blocked, prefixes, 3);
	if (!publish(sim, blocked))
		return;
	if (client->blocked_us == 0)
		client->blocked_us = sim->now_us;
	sim->operations.blocked = client;
	sim->operations.age = 0;
	sim->operations.end_us = sim->now_us + random_below(&sim->operations.random, BLOCK_US_MAX);
}

/* Every fifth seed, and others every seventh: those before were found without. */
void operator_act(struct sim *sim)
{
	struct operations *it = &sim->operations;

	if (sim->seed % 5 == 0 && random_below(&sim->turns, SELDOM) == 0)
		settings_change(sim);
	if (sim->seed % OPERATOR_BLOCKS != 0)
		return;
	if (it->blocked == NULL && random_below(&it->random, SELDOM) == 0)
		block(sim);
	else if (it->blocked != NULL && sim->now_us >= it->end_us && publish(sim, NULL))
		it->blocked = NULL;
}

void operator_check_sent(struct sim *sim, const uint8_t *data, uint16_t length)
{
	const struct operations *it = &sim->operations;
	struct frame frame;

	if (it->blocked == NULL || it->age < BLOCK_TAKEN_AGE || it->blocked->index != data[5] ||
	    !frame_parse(&frame, data, length))
		return;
	if (frame.kind == FRAME_UDP ||
	    (frame.kind == FRAME_TCP && frame.l4.length > (frame.l4.data[12] >> 4) * 4u))
		board_fail(&sim->board, "client %u is blocked and was answered",
		           it->blocked->index);
}

void operator_leave(struct sim *sim)
{
	free((void *)(uintptr_t)sim->workers.blocked.before);
	free((void *)(uintptr_t)atomic_load_explicit(&sim->workers.blocked.current,
	                                             memory_order_relaxed));
}
