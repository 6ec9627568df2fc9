/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spsc.h"

#include "unit.h"

#include <pthread.h>
#include <sched.h>

#define CAPACITY 8u

struct entry {
	uint64_t number;
	uint32_t check[4]; /* follows from the number */
};

struct rig {
	struct spsc spsc;
	struct memory memory;
	_Alignas(CACHE_LINE_BYTES) uint8_t bytes[CAPACITY * 2 * sizeof(struct entry)];
};

static void rig_create(struct rig *rig, uint32_t capacity)
{
	memset(rig, 0, sizeof(*rig));
	rig->memory = (struct memory){.base = rig->bytes, .bytes = sizeof(rig->bytes)};
	spsc_create(&rig->spsc, sizeof(struct entry), capacity, &rig->memory);
}

static struct entry entry_of(uint64_t number)
{
	struct entry entry = {.number = number};

	for (uint32_t i = 0; i < 4; i++)
		entry.check[i] = (uint32_t)(number * 2654435761u + i);
	return entry;
}

static bool push(struct rig *rig, uint64_t number)
{
	struct entry entry = entry_of(number);

	return spsc_push(&rig->spsc, &entry);
}

/* True: the oldest entry is this one, and whole. */
static bool pops(struct rig *rig, uint64_t number)
{
	struct entry wanted = entry_of(number), got;

	return spsc_pop(&rig->spsc, &got) && got.number == wanted.number &&
	       memcmp(got.check, wanted.check, sizeof(got.check)) == 0;
}

static void test_an_empty_ring_gives_nothing(void)
{
	struct entry untouched = entry_of(7), wanted = untouched;
	struct rig rig;

	rig_create(&rig, CAPACITY);
	CU_ASSERT_FALSE(spsc_pop(&rig.spsc, &untouched));
	CU_ASSERT_EQUAL(untouched.number, wanted.number);
	CU_ASSERT_PTR_NULL(spsc_peek(&rig.spsc));
	CU_ASSERT_TRUE(push(&rig, 1));
	CU_ASSERT_TRUE(pops(&rig, 1));
	CU_ASSERT_FALSE(spsc_pop(&rig.spsc, &untouched));
}

static void test_room_for_several_is_told_before_the_first(void)
{
	struct rig rig;

	for (uint32_t filled = 0; filled <= CAPACITY; filled++) {
		rig_create(&rig, CAPACITY);
		for (uint32_t i = 0; i < filled; i++)
			CU_ASSERT_TRUE(push(&rig, i));
		for (uint32_t count = 0; count <= CAPACITY; count++)
			CU_ASSERT_EQUAL(spsc_has_room(&rig.spsc, count),
			                filled + count <= CAPACITY);
		if (filled == 0)
			continue;
		CU_ASSERT_TRUE(pops(&rig, 0));
		CU_ASSERT_TRUE(spsc_has_room(&rig.spsc, CAPACITY - filled + 1));
		CU_ASSERT_FALSE(spsc_has_room(&rig.spsc, CAPACITY - filled + 2));
	}
}

static void test_a_full_ring_takes_no_more(void)
{
	struct rig rig;

	for (uint32_t capacity = 1; capacity <= CAPACITY; capacity *= 2) {
		rig_create(&rig, capacity);
		for (uint32_t i = 0; i < capacity; i++)
			CU_ASSERT_TRUE(push(&rig, i));
		CU_ASSERT_FALSE(push(&rig, capacity));
		CU_ASSERT_PTR_NULL(spsc_reserve(&rig.spsc));
		CU_ASSERT_TRUE(pops(&rig, 0));
		CU_ASSERT_TRUE(push(&rig, capacity));
		CU_ASSERT_FALSE(push(&rig, capacity + 1));
		for (uint32_t i = 1; i <= capacity; i++)
			CU_ASSERT_TRUE(pops(&rig, i));
	}
}

static void test_entries_come_in_the_order_pushed_when_the_indices_wrap(void)
{
	uint32_t start = UINT32_MAX - 2 * CAPACITY;
	uint64_t pushed = 0, popped = 0;
	struct rig rig;

	rig_create(&rig, CAPACITY);
	atomic_store_explicit(&rig.spsc.head, start, memory_order_relaxed);
	atomic_store_explicit(&rig.spsc.tail, start, memory_order_relaxed);
	rig.spsc.tail_seen = start;
	while (popped < 8 * CAPACITY) {
		while (push(&rig, pushed))
			pushed++;
		CU_ASSERT_EQUAL(pushed - popped, CAPACITY);
		for (uint32_t i = 0; i < CAPACITY - 1; i++)
			CU_ASSERT_TRUE(pops(&rig, popped++));
	}
}

static void test_what_is_reserved_is_seen_only_when_committed(void)
{
	struct rig rig;
	struct entry *entry;

	rig_create(&rig, CAPACITY);
	entry = spsc_reserve(&rig.spsc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
	*entry = entry_of(3);
	CU_ASSERT_PTR_NULL(spsc_peek(&rig.spsc));
	CU_ASSERT_PTR_EQUAL(spsc_reserve(&rig.spsc), entry);
	spsc_commit(&rig.spsc);
	CU_ASSERT_PTR_EQUAL(spsc_peek(&rig.spsc), entry);
	CU_ASSERT_TRUE(pops(&rig, 3));
}

static void test_a_place_is_not_used_again_before_its_entry_is_dropped(void)
{
	struct rig rig;

	rig_create(&rig, 1);
	CU_ASSERT_TRUE(push(&rig, 1));
	CU_ASSERT_PTR_NOT_NULL(spsc_peek(&rig.spsc));
	CU_ASSERT_FALSE(push(&rig, 2));
	spsc_drop(&rig.spsc);
	CU_ASSERT_TRUE(push(&rig, 2));
	CU_ASSERT_TRUE(pops(&rig, 2));
}

#define PASSED_COUNT 200000u

static void *produce(void *context)
{
	struct rig *rig = context;

	for (uint64_t number = 0; number < PASSED_COUNT; number++)
		while (!push(rig, number))
			sched_yield();
	return NULL;
}

/* ThreadSanitizer is meant to watch. */
static void test_two_threads_pass_entries_whole_and_in_order(void)
{
	uint64_t number = 0;
	pthread_t producer;
	struct rig rig;
	bool good = true;

	rig_create(&rig, CAPACITY);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&producer, NULL, produce, &rig), 0);
	while (number < PASSED_COUNT) {
		if (spsc_peek(&rig.spsc) == NULL) {
			sched_yield();
			continue;
		}
		good = pops(&rig, number++) && good;
	}
	pthread_join(producer, NULL);
	CU_ASSERT_TRUE(good);
	CU_ASSERT_PTR_NULL(spsc_peek(&rig.spsc));
}

static const struct unit_case cases[] = {
    {"an empty ring gives nothing", test_an_empty_ring_gives_nothing},
    {"a full ring takes no more", test_a_full_ring_takes_no_more},
    {"room for several is told before the first", test_room_for_several_is_told_before_the_first},
    {"entries come in the order pushed when the indices wrap",
     test_entries_come_in_the_order_pushed_when_the_indices_wrap},
    {"what is reserved is seen only when committed",
     test_what_is_reserved_is_seen_only_when_committed},
    {"a place is not used again before its entry is dropped",
     test_a_place_is_not_used_again_before_its_entry_is_dropped},
    {"two threads pass entries whole and in order",
     test_two_threads_pass_entries_whole_and_in_order},
};

int main(void)
{
	return UNIT_RUN("spsc", cases);
}
