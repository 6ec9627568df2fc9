/* SPDX-License-Identifier: Apache-2.0 */
/* Clients do what they like to keys that are shown, and to many others, in little memory: whatever
 * a slot tells at any moment is what a client would be told who asks the worker at that moment. */
#include "rig.h"

#include "seed.h"
#include "shard/show.h"
#include "unit.h"

#include <stdio.h>

#define KEY_COUNT  24
#define STEP_COUNT 40000

struct world {
	struct rig *rig;
	struct random random;
	struct xdp_slot *slots;
	struct xdp_hits *hits;
	struct show *shows[RIG_SHARD_COUNT_MAX];
	bool is_wanted[KEY_COUNT];
	uint32_t shown_count; /* times that a slot was seen to be shown */
	uint32_t filler;
	uint32_t wrong;
};

static uint32_t below(struct world *world, uint32_t bound)
{
	return (uint32_t)random_below(&world->random, bound);
}

static struct world *world_create(uint32_t shard_count, uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));
	struct rig_options options = {.memory_bytes = 4 << 20,
	                              .value_bytes_max = 64 << 10,
	                              .shard_count = shard_count,
	                              .seed = seed};
	struct show_options show = {
	    .program_count = 1, .hits_count = 2, .value_bytes_max = 700, .hash_seed = seed};

	world->random = random_seeded(seed);
	world->rig = rig_create(&options);
	world->slots = calloc(XDP_SLOT_COUNT, sizeof(*world->slots));
	world->hits = calloc(XDP_HITS_COUNT, sizeof(*world->hits));
	show.programs[0] = (struct show_program){world->slots, world->hits};
	for (uint32_t i = 0; i < shard_count; i++) {
		world->shows[i] = calloc(1, sizeof(struct show));
		shard_show_to(world->rig->all[i], world->shows[i], &show);
	}
	return world;
}

static uint32_t key_text(char key[16], uint32_t number)
{
	return (uint32_t)snprintf(key, 16, "key%u", number);
}

static struct shard *owner_of(struct world *world, struct slice key)
{
	return world->rig
	    ->all[world->rig->shard_count == 1 ? 0 : shards_owner(&world->rig->shards, key)];
}

/* Says that a key is to be shown, or not any more. Key i has slot i. */
static void turn_over(struct world *world, uint32_t number)
{
	char text[16];
	struct slice key = {(const uint8_t *)text, key_text(text, number)};

	if (world->is_wanted[number])
		shard_unshow(owner_of(world, key), number);
	else
		ASSERT(shard_show(owner_of(world, key), key, number));
	world->is_wanted[number] = !world->is_wanted[number];
}

static uint32_t make_set(struct world *world, char *to, const char *command, const char *key,
                         const char *rest)
{
	static const uint32_t lengths[] = {0, 1, 5, 30, 300, 700, 701, 3000};
	static const uint32_t ttls[] = {0, 0, 0, 1, 3, 100, 100000};
	uint32_t bytes = lengths[below(world, 8)];
	int at = sprintf(to, "%s %s %u %u %u%s\r\n", command, key, below(world, 3) * 70000,
	                 ttls[below(world, 7)], bytes, rest);

	for (uint32_t i = 0; i < bytes; i++)
		to[at++] = (char)('0' + below(world, below(world, 2) ? 10 : 75));
	return (uint32_t)at + (uint32_t)sprintf(to + at, "\r\n");
}

/* Most writes that there are, and what makes others go. */
static uint32_t make_request(struct world *world, char *to)
{
	static const char *const sets[] = {"set", "add", "replace", "append", "prepend"};
	char key[16];

	key_text(key, below(world, KEY_COUNT));
	switch (below(world, 22)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4: return make_set(world, to, "set", key, "");
	case 5: return make_set(world, to, sets[below(world, 5)], key, "");
	case 6: return (uint32_t)sprintf(to, "set %s 0 0 2\r\n41\r\n", key);
	case 7: return (uint32_t)sprintf(to, "incr %s %u\r\n", key, below(world, 1000));
	case 8: return (uint32_t)sprintf(to, "decr %s 3\r\n", key);
	case 9: return (uint32_t)sprintf(to, "delete %s\r\n", key);
	case 10: return (uint32_t)sprintf(to, "touch %s %u\r\n", key, below(world, 5));
	case 11: return (uint32_t)sprintf(to, "gat %u %s\r\n", 100 * below(world, 700), key);
	case 12: return (uint32_t)sprintf(to, "mg %s T%u v\r\n", key, below(world, 90000));
	case 13: return (uint32_t)sprintf(to, "mg %s R%u N30 v\r\n", key, below(world, 200));
	case 14: return (uint32_t)sprintf(to, "md %s I T30\r\n", key);
	case 15: return (uint32_t)sprintf(to, "md %s x\r\n", key);
	case 16: return (uint32_t)sprintf(to, "ms %s 3 I C1 E%u\r\nabc\r\n", key, below(world, 9));
	case 17: return (uint32_t)sprintf(to, "ms %s 3 MA N0 T9\r\nabc\r\n", key);
	case 18: return (uint32_t)sprintf(to, "ma %s MI D7 N100 J3 v\r\n", key);
	case 19:
		if (below(world, 10) == 0)
			return (uint32_t)sprintf(to, "flush_all %u\r\n", below(world, 4));
		if (below(world, 10) == 0)
			return (uint32_t)sprintf(to, "purge prefix key1\r\n");
		return (uint32_t)sprintf(to, "get %s\r\n", key);
	case 20: return (uint32_t)sprintf(to, "mg %s s v t f c\r\n", key);
	default:
		snprintf(key, sizeof(key), "f%u", world->filler++ % 100000);
		return make_set(world, to, "set", key, "");
	}
}

/* Whether the worker says of the key what the slot does. */
static bool is_right(struct world *world, const struct xdp_slot *slot)
{
	struct rig *rig = world->rig;
	uint8_t request[64], wanted[2048];
	uint32_t now_s = rig->time.now_s;
	int length;

	length = sprintf((char *)request, "%cx%c%c%c\1%c%cmg %.*s v f s c t u\r\n", 1, 0, 0, 0, 0,
	                 0, slot->key_bytes, slot->line + XDP_LINE_KEY);
	rig->datagrams_sent.length = 0;
	rig_send_datagram(rig, (struct slice){request, (size_t)length}, true);
	length = slot->expiry_s == 0
	             ? sprintf((char *)wanted, "VA%.*s f%u s%u c%llu t-1", slot->size_bytes,
	                       slot->size_text, slot->client_flags, slot->value_bytes,
	                       (unsigned long long)slot->cas_unique)
	             : sprintf((char *)wanted, "VA%.*s f%u s%u c%llu t%u", slot->size_bytes,
	                       slot->size_text, slot->client_flags, slot->value_bytes,
	                       (unsigned long long)slot->cas_unique, slot->expiry_s - now_s);
	memcpy(wanted + length, slot->body, XDP_BODY_VALUE + slot->value_bytes + 2u);
	length += (int)(XDP_BODY_VALUE + slot->value_bytes + 2);
	return rig->datagrams_sent.length == 2 + 8 + (size_t)length &&
	       memcmp(rig->datagrams_sent.data + 2 + 8, wanted, (size_t)length) == 0;
}

static void check(struct world *world, uint32_t step, const char *after)
{
	for (uint32_t i = 0; i < XDP_SLOT_COUNT; i++) {
		const struct xdp_slot *slot = &world->slots[i];

		if (slot->sequence & 1 || slot->key_bytes == 0 ||
		    (slot->expiry_s != 0 && slot->expiry_s <= world->rig->time.now_s))
			continue;
		world->shown_count++;
		if (is_right(world, slot))
			continue;
		if (world->wrong++ == 0)
			printf("\nstep %u: slot %u tells what is not so, after %.80s\n", step, i,
			       after);
	}
}

static void show_some(struct world *world)
{
	struct rig *rig = world->rig;

	rig->time.now_us += SHOW_INTERVAL_US;
	for (uint32_t i = 0; i < rig->shard_count; i++)
		shard_show_some(rig->all[i], rig->time.now_us, 1, rig->time.now_s);
}

/* So many others that what is not read has to go. */
static void crowd_out(struct world *world, struct rig_client *client)
{
	char request[8192];
	char key[16];

	for (uint32_t i = 0; i < 4000; i++) {
		snprintf(key, sizeof(key), "f%u", world->filler++ % 100000);
		rig_send(client, request, make_set(world, request, "set", key, ""));
		client->replies.length = 0;
	}
}

static void live(uint32_t shard_count)
{
	uint64_t seed = seed_of_this_run();
	struct world *world = world_create(shard_count, seed);
	struct rig_client *client = rig_connect(world->rig);
	char request[8192];

	for (uint32_t i = 0; i < KEY_COUNT; i++)
		turn_over(world, i);
	for (uint32_t step = 0; step < STEP_COUNT; step++) {
		uint32_t length = make_request(world, request);

		rig_send(client, request, length);
		client->replies.length = 0;
		check(world, step, request);
		if (below(world, 3) == 0)
			show_some(world);
		if (below(world, 50) == 0)
			turn_over(world, below(world, KEY_COUNT));
		if (below(world, 100) == 0)
			rig_advance_s(world->rig, below(world, 3));
		if (below(world, 1000) == 0)
			crowd_out(world, client);
		check(world, step, "a turn");
	}
	CU_ASSERT_EQUAL(world->wrong, 0);
	CU_ASSERT_TRUE(world->shown_count > STEP_COUNT);
	printf("%u times shown ", world->shown_count);
	rig_disconnect(client);
	rig_destroy(world->rig);
	for (uint32_t i = 0; i < shard_count; i++)
		free(world->shows[i]);
	free(world->slots);
	free(world->hits);
	free(world);
}

static void test_of_one_worker(void)
{
	live(1);
}

static void test_of_three_workers(void)
{
	live(3);
}

static const struct unit_case cases[] = {
    {"slots tell what is so: of one worker", test_of_one_worker},
    {"slots tell what is so: of three workers", test_of_three_workers},
};

int main(void)
{
	return UNIT_RUN("show random", cases);
}
