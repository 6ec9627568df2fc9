/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/board.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define SEED 7

static const struct board_limits limits = {.count_max = 4, .rate_min = 1000};

static struct board *board_made(uint32_t worker_count)
{
	struct board *board = calloc(1, sizeof(*board));
	struct memory memory = {.bytes = board_bytes(worker_count)};

	memory.base = aligned_alloc(4096, (memory.bytes + 4095) / 4096 * 4096);
	board_create(board, worker_count, SEED, &memory);
	return board;
}

static void board_gone(struct board *board)
{
	free(board->reports); /* what the memory begins with */
	free(board);
}

/* Even keys are worker 0's, odd ones worker 1's. */
static uint32_t owner_of(void *context, struct slice key)
{
	return key.data[key.length - 1] % 2;
}

/* What a worker has counted in a second. */
struct told {
	const char *key;
	uint64_t count;
	uint64_t error;
};

static void tell(struct board *board, uint32_t worker, const struct told *told, uint32_t count)
{
	struct hot_window window = {.start_us = 5, .end_us = 1000005, .key_count = count};
	struct hot hot = {.last = &window};

	for (uint32_t i = 0; i < count; i++) {
		struct hot_key *key = &window.keys[i];

		key->count = told[i].count;
		key->count_max_error = told[i].error;
		key->length = (uint8_t)strlen(told[i].key);
		memcpy(key->bytes, told[i].key, key->length);
	}
	board_tell(board, worker, &hot);
}

#define TELL(board, worker, ...)                                                                   \
	tell(board, worker, (const struct told[]){__VA_ARGS__},                                    \
	     sizeof((const struct told[]){__VA_ARGS__}) / sizeof(struct told))

static struct board_slot *find(struct board *board, const char *key)
{
	for (uint32_t i = 0; i < XDP_SLOT_COUNT; i++) {
		struct board_slot *slot = &board->slots[i];

		if (slot->state != BOARD_FREE && slot->length == strlen(key) &&
		    memcmp(slot->bytes, key, slot->length) == 0)
			return slot;
	}
	return NULL;
}

/* As owners do. */
static void obey(struct board *board)
{
	for (uint32_t i = 0; i < XDP_SLOT_COUNT; i++) {
		struct board_slot *slot = &board->slots[i];

		if (slot->state == BOARD_WANTED)
			slot->state = BOARD_TAKEN;
		else if (slot->state == BOARD_UNWANTED)
			slot->state = BOARD_FREE;
	}
}

static void decide(struct board *board)
{
	board_decide(board, &limits, owner_of, NULL);
}

static void test_a_hot_key_is_wanted_of_its_owner(void)
{
	struct board *board = board_made(2);
	uint64_t hash = slot_hash(SEED, SLICE_LITERAL("a1"));
	struct board_slot *slot;

	TELL(board, 0, {"a1", 1000, 0}, {"b2", 999, 0}, {"c3", 2000, 1001});
	decide(board);
	slot = find(board, "a1");
	CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
	CU_ASSERT_EQUAL(slot->state, BOARD_WANTED);
	CU_ASSERT_EQUAL(slot->owner, 1);
	CU_ASSERT_TRUE(slot == &board->slots[xdp_slot_number(hash, 0)] ||
	               slot == &board->slots[xdp_slot_number(hash, 1)]);
	CU_ASSERT_PTR_NULL(find(board, "b2"));
	CU_ASSERT_PTR_NULL(find(board, "c3"));
	CU_ASSERT_EQUAL(counter_read(&board->counters.keys), 1);
	CU_ASSERT_EQUAL(counter_read(&board->counters.promotions), 1);
	board_gone(board);
}

static void test_workers_counts_add_up(void)
{
	struct board *board = board_made(2);

	TELL(board, 0, {"a", 600, 0}, {"b", 600, 0});
	TELL(board, 1, {"x", 10, 0}, {"a", 400, 0});
	decide(board);
	CU_ASSERT_PTR_NOT_NULL(find(board, "a"));
	CU_ASSERT_PTR_NULL(find(board, "b"));
	/* what one has told counts until he tells something else */
	TELL(board, 1, {"b", 400, 0});
	decide(board);
	CU_ASSERT_PTR_NOT_NULL(find(board, "b"));
	board_gone(board);
}

static void test_a_report_stays_until_it_is_read(void)
{
	struct board *board = board_made(1);

	TELL(board, 0, {"a", 5000, 0});
	TELL(board, 0, {"b", 5000, 0});
	decide(board);
	CU_ASSERT_PTR_NOT_NULL(find(board, "a"));
	CU_ASSERT_PTR_NULL(find(board, "b"));
	board_gone(board);
}

static void test_a_key_goes_when_it_has_been_cold_for_a_while(void)
{
	struct board *board = board_made(1);

	TELL(board, 0, {"a", 5000, 0});
	decide(board);
	obey(board);
	TELL(board, 0, {"a", 500, 0}); /* below what it takes, but not by half */
	for (uint32_t i = 0; i < 10; i++)
		decide(board);
	CU_ASSERT_EQUAL_FATAL(find(board, "a")->state, BOARD_TAKEN);
	TELL(board, 0, {"a", 499, 0});
	decide(board);
	decide(board);
	TELL(board, 0, {"a", 700, 0}); /* and begins anew */
	decide(board);
	TELL(board, 0, {"b", 1, 0});
	decide(board);
	decide(board);
	CU_ASSERT_EQUAL_FATAL(find(board, "a")->state, BOARD_TAKEN);
	decide(board);
	CU_ASSERT_EQUAL_FATAL(find(board, "a")->state, BOARD_UNWANTED);
	decide(board); /* nothing else is decided before it is given up */
	CU_ASSERT_EQUAL_FATAL(find(board, "a")->state, BOARD_UNWANTED);
	obey(board);
	CU_ASSERT_PTR_NULL(find(board, "a"));
	CU_ASSERT_EQUAL(counter_read(&board->counters.demotions), 1);
	CU_ASSERT_EQUAL(counter_read(&board->counters.keys), 0);
	board_gone(board);
}

static void test_there_are_so_many_and_far_hotter_ones_get_in(void)
{
	struct board *board = board_made(1);

	TELL(board, 0, {"a", 5000, 0}, {"b", 4000, 0}, {"c", 3000, 0}, {"d", 2000, 0},
	     {"e", 1999, 0});
	decide(board);
	obey(board);
	CU_ASSERT_EQUAL(counter_read(&board->counters.keys), 4);
	CU_ASSERT_PTR_NULL(find(board, "e"));
	TELL(board, 0, {"a", 5000, 0}, {"b", 4000, 0}, {"c", 3000, 0}, {"d", 2000, 0},
	     {"e", 3999, 0});
	decide(board);
	CU_ASSERT_EQUAL_FATAL(find(board, "d")->state, BOARD_TAKEN); /* not twice as hot */
	TELL(board, 0, {"a", 5000, 0}, {"b", 4000, 0}, {"c", 3000, 0}, {"d", 2000, 0},
	     {"e", 4003, 0});
	decide(board);
	CU_ASSERT_EQUAL_FATAL(find(board, "d")->state, BOARD_UNWANTED);
	CU_ASSERT_PTR_NULL(find(board, "e"));
	obey(board);
	decide(board);
	CU_ASSERT_PTR_NOT_NULL(find(board, "e"));
	board_gone(board);
}

static void test_with_none_allowed_all_go(void)
{
	struct board *board = board_made(1);
	struct board_limits none = {.rate_min = 1000};

	TELL(board, 0, {"a", 5000, 0}, {"b", 4000, 0});
	decide(board);
	obey(board);
	board_decide(board, &none, owner_of, NULL);
	CU_ASSERT_EQUAL_FATAL(find(board, "a")->state, BOARD_UNWANTED);
	CU_ASSERT_EQUAL_FATAL(find(board, "b")->state, BOARD_UNWANTED);
	obey(board);
	board_decide(board, &none, owner_of, NULL);
	CU_ASSERT_PTR_NULL(find(board, "a"));
	board_gone(board);
}

static void test_both_places_may_be_others(void)
{
	struct board *board = board_made(1);
	uint64_t hash = slot_hash(SEED, SLICE_LITERAL("a"));

	for (int second = 0; second < 2; second++) {
		struct board_slot *slot = &board->slots[xdp_slot_number(hash, second)];

		slot->state = BOARD_TAKEN;
		slot->length = 1;
		slot->bytes[0] = 'x';
	}
	TELL(board, 0, {"a", 5000, 0});
	decide(board);
	CU_ASSERT_PTR_NULL(find(board, "a"));
	CU_ASSERT_EQUAL(counter_read(&board->counters.no_slot), 1);
	board_gone(board);
}

static void test_the_worker_does_what_is_wanted(void)
{
	struct board *board = board_made(1);
	struct shard_options options = {.memory_bytes = 16 << 20, .value_bytes_max = 65536};
	struct show *show = calloc(1, sizeof(*show));
	struct show_options show_options = {.hash_seed = SEED, .value_bytes_max = 100};
	struct memory memory = {.bytes = 16 << 20};
	struct board_slot *slot;
	struct shard *shard;
	uint32_t version = 0;
	void *base = aligned_alloc(4096, memory.bytes);

	memory.base = base;
	CU_ASSERT_EQUAL_FATAL(shard_create(&shard, &options, &memory), 0);
	shard_show_to(shard, show, &show_options);
	TELL(board, 0, {"a0", 5000, 0}, {"b1", 5000, 0}); /* b1 is another's */
	decide(board);
	slot = find(board, "a0");
	board_take(board, 0, shard, &version);
	CU_ASSERT_EQUAL(slot->state, BOARD_TAKEN);
	CU_ASSERT_EQUAL(find(board, "b1")->state, BOARD_WANTED);
	CU_ASSERT_EQUAL(show->count, 1);
	CU_ASSERT_EQUAL(&board->slots[show->keys[0].slot], slot);
	slot->state = BOARD_UNWANTED;
	board_take(board, 0, shard, &version); /* nothing was decided */
	CU_ASSERT_EQUAL(slot->state, BOARD_UNWANTED);
	decide(board);
	board_take(board, 0, shard, &version);
	CU_ASSERT_EQUAL(slot->state, BOARD_FREE);
	CU_ASSERT_EQUAL(show->count, 0);
	free(base);
	free(show);
	board_gone(board);
}

static const struct unit_case cases[] = {
    {"a hot key is wanted of its owner", test_a_hot_key_is_wanted_of_its_owner},
    {"workers' counts add up", test_workers_counts_add_up},
    {"a report stays until it is read", test_a_report_stays_until_it_is_read},
    {"a key goes when it has been cold for a while",
     test_a_key_goes_when_it_has_been_cold_for_a_while},
    {"there are so many, and far hotter ones get in",
     test_there_are_so_many_and_far_hotter_ones_get_in},
    {"with none allowed all go", test_with_none_allowed_all_go},
    {"both places may be others'", test_both_places_may_be_others},
    {"the worker does what is wanted", test_the_worker_does_what_is_wanted},
};

int main(void)
{
	return UNIT_RUN("board", cases);
}
