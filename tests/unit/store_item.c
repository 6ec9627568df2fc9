/* SPDX-License-Identifier: Apache-2.0 */
/* What an item's header has room for, and what becomes of an item when that is not enough. */
#include "store_rig.h"

#include "store/internal.h"

#define KEY   "key"
#define VALUE "value"

static struct store_item_options options_of(struct rig *rig)
{
	struct slice key = SLICE_LITERAL(KEY);

	return (struct store_item_options){
	    .key = key,
	    .hash = store_hash(rig->store, key),
	    .value_bytes = sizeof(VALUE) - 1,
	};
}

static bool find_key(struct rig *rig, struct store_place *ret_place)
{
	struct store_item_options options = options_of(rig);

	return store_find(rig->store, options.hash, options.key, ret_place) == STORE_LIVE;
}

static struct store_place put_options(struct rig *rig, const struct store_item_options *options)
{
	struct store_reservation reservation;
	struct store_place place;
	bool replaces = find_key(rig, &place);

	CU_ASSERT_TRUE_FATAL(store_reserve(rig->store, options, &reservation));
	CU_ASSERT_TRUE_FATAL(
	    store_write(rig->store, &reservation, (const uint8_t *)VALUE, options->value_bytes));
	store_publish(rig->store, &reservation, replaces ? &place : NULL);
	store_check(rig->store);
	CU_ASSERT_TRUE_FATAL(find_key(rig, &place));
	return place;
}

static uint32_t head_bytes(const struct item *item)
{
	return shape_head_bytes(item_shape(item));
}

/* All is as said, but for what the caller looks at. */
static void check_item(const struct rig *rig, const struct item *item,
                       const struct store_item_options *options)
{
	struct store_piece piece = store_value(rig->store, item);

	CU_ASSERT_TRUE(slice_equal(item_key(item), options->key));
	CU_ASSERT_TRUE(slice_equal((struct slice){piece.data, piece.length},
	                           (struct slice)SLICE_LITERAL(VALUE)));
	CU_ASSERT_EQUAL(item_client_flags(item), options->client_flags);
	CU_ASSERT_EQUAL(store_expiry_s(rig->store, item), options->expiry_s);
	CU_ASSERT_EQUAL(item_marks(item), options->marks);
	if (options->cas_is_given)
		CU_ASSERT_EQUAL(store_cas_unique(rig->store, item), options->cas_unique);
}

static void test_client_flags(void)
{
	static const struct {
		uint32_t flags;
		uint32_t head_bytes;
	} cases[] = {{0, 14},   {1, 14},     {12, 14},    {13, 15},        {255, 15},
	             {256, 16}, {65535, 16}, {65536, 18}, {INT32_MAX, 18}, {UINT32_MAX, 18}};
	struct rig rig;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_item_options options = options_of(&rig);
		struct store_place place;

		options.client_flags = cases[i].flags;
		options.marks = (uint32_t)i % 8;
		place = put_options(&rig, &options);
		CU_ASSERT_EQUAL(head_bytes(place.item), cases[i].head_bytes);
		check_item(&rig, place.item, &options);
	}
	rig_destroy(&rig);
}

static void test_expiry(void)
{
	const uint32_t now_s = 100000;
	const struct {
		uint32_t expiry_s;
		uint32_t head_bytes;
	} cases[] = {{0, 14},
	             {now_s + 1, 14},
	             {now_s + EXPIRY_NEAR_S, 14},
	             {now_s + EXPIRY_NEAR_S + 1, 14},
	             {UINT32_MAX - 1, 16}}; /* is not expected to expire here */
	struct rig rig;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	store_tick(rig.store, now_s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_item_options options = options_of(&rig);
		struct store_place place;

		options.expiry_s = cases[i].expiry_s;
		place = put_options(&rig, &options);
		CU_ASSERT_EQUAL(head_bytes(place.item), cases[i].head_bytes);
		check_item(&rig, place.item, &options);
	}
	rig_destroy(&rig);
}

/* The active segment serves as long as what is near finds room in it, and not a second longer. */
static void test_active_segment_grows_old(void)
{
	struct rig rig;
	struct store_place place, first;
	struct store_item_options options;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	options = options_of(&rig);
	first = put_options(&rig, &options);
	store_tick(rig.store, 1 + EXPIRY_NEAR_S);
	place = put_options(&rig, &options);
	CU_ASSERT_PTR_EQUAL(store_segment_of(rig.store, place.item),
	                    store_segment_of(rig.store, first.item));
	check_item(&rig, place.item, &options);
	CU_ASSERT_TRUE(store_change(rig.store, &place, 1 + 2 * EXPIRY_NEAR_S, 1));
	CU_ASSERT_PTR_EQUAL(store_segment_of(rig.store, place.item),
	                    store_segment_of(rig.store, first.item));
	store_tick(rig.store, 2 + EXPIRY_NEAR_S);
	place = put_options(&rig, &options);
	CU_ASSERT_PTR_NOT_EQUAL(store_segment_of(rig.store, place.item),
	                        store_segment_of(rig.store, first.item));
	check_item(&rig, place.item, &options);
	rig_destroy(&rig);
}

static void test_given_cas(void)
{
	const uint64_t newest = (uint64_t)5 << 32;
	const struct {
		uint64_t cas_unique;
		uint32_t head_bytes;
	} cases[] = {{newest, 14},
	             {newest - CAS_NEAR + 1, 14},
	             {newest - CAS_NEAR, 18},
	             {newest + 1, 18},
	             {0, 18},
	             {1, 18},
	             {UINT64_MAX, 18},
	             {(uint64_t)INT64_MAX, 18}};
	struct rig rig;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	rig.store->cas_newest = newest;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_item_options options = options_of(&rig);
		struct store_place place;

		options.cas_is_given = true;
		options.cas_unique = cases[i].cas_unique;
		options.client_flags = i % 2 == 0 ? 0 : 1000;
		place = put_options(&rig, &options);
		CU_ASSERT_EQUAL(head_bytes(place.item) - (i % 2 == 0 ? 0 : 2), cases[i].head_bytes);
		check_item(&rig, place.item, &options);
	}
	rig_destroy(&rig);
}

/* Numbers go on past every power of two, with one segment after another. */
static void test_cas_goes_on_for_years(void)
{
	struct rig rig;
	struct store_item_options options;
	uint64_t cas_unique = 0;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	options = options_of(&rig);
	while (cas_unique < (uint64_t)1 << 40) {
		struct store_place place = put_options(&rig, &options);

		cas_unique = store_cas_unique(rig.store, place.item);
		CU_ASSERT_EQUAL_FATAL(cas_unique, rig.store->cas_newest);
		CU_ASSERT_EQUAL_FATAL(head_bytes(place.item), 14);
		rig.store->cas_newest += (1u << 29) + 12345;
	}
	rig_destroy(&rig);
}

/* A value that took so long that its segment's numbers have run out moves on. */
static void test_settling_after_many_writes(void)
{
	struct rig rig;
	struct store_reservation reservation;
	struct store_item_options options;
	struct store_place place;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	options = options_of(&rig);
	CU_ASSERT_TRUE(store_reserve(rig.store, &options, &reservation));
	store_write(rig.store, &reservation, (const uint8_t *)VALUE, options.value_bytes);
	rig.store->cas_newest = UINT32_MAX;
	CU_ASSERT_TRUE(store_settle(rig.store, &reservation));
	store_publish(rig.store, &reservation, NULL);
	CU_ASSERT_TRUE(find_key(&rig, &place));
	CU_ASSERT_EQUAL(store_cas_unique(rig.store, place.item), (uint64_t)1 << 32);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* As long as half a segment; with a wide cas unique it is longer, and has a segment of its own. */
static void test_settling_makes_it_large(void)
{
	static const uint8_t value[32768];
	struct rig rig;
	struct store_reservation reservation;
	struct store_item_options options;
	struct store_place place;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, sizeof(value)), 0);
	options = options_of(&rig);
	options.value_bytes = (uint32_t)(sizeof(value) - 14 - options.key.length);
	options.cas_is_given = true;
	options.cas_unique = 5;
	rig.store->cas_newest = 5;
	CU_ASSERT_TRUE(store_reserve(rig.store, &options, &reservation));
	store_write(rig.store, &reservation, value, options.value_bytes);
	rig.store->cas_newest = UINT32_MAX;
	CU_ASSERT_EQUAL(reservation.segment_count, 0);
	CU_ASSERT_TRUE(store_settle(rig.store, &reservation));
	CU_ASSERT_EQUAL(reservation.segment_count, 1);
	store_publish(rig.store, &reservation, NULL);
	CU_ASSERT_TRUE(find_key(&rig, &place));
	CU_ASSERT_EQUAL(store_cas_unique(rig.store, place.item), 5);
	CU_ASSERT_EQUAL(item_value_bytes(place.item), options.value_bytes);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* Changes of an item: in place as long as there is room; then it moves, and is the same otherwise.
 */
static void test_changes(void)
{
	const uint64_t newest = (uint64_t)7 << 32;
	const struct {
		uint32_t expiry_s;
		uint64_t cas_unique;
		bool moves;
	} cases[] = {{0, newest, false},
	             {2000, newest - 5, false},
	             {1000 + ITEM_EXPIRY_MAX, newest, false},
	             {1001 + ITEM_EXPIRY_MAX, newest, true},
	             {UINT32_MAX - 1, newest - 1, true}, /* a window has a base of its own */
	             {0, 5, true}, /* as wide as can be; but the expiry is near again */
	             {0, UINT32_MAX, false},
	             {5000, (uint64_t)1 << 32, true},
	             {5000, UINT64_MAX, true},
	             {0, newest, true}};
	struct rig rig;
	struct store_item_options options;
	struct store_place place;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	store_tick(rig.store, 1000);
	rig.store->cas_newest = newest;
	options = options_of(&rig);
	options.client_flags = 70000;
	options.marks = ITEM_STALE | ITEM_KEY_IS_BINARY;
	place = put_options(&rig, &options);
	rig_read(&rig, options.hash, &place);
	slot_store(place.slot, slot_with_mark(slot_load(place.slot), mark_of(30, 5)));
	rig.store->cas_newest = newest;
	options.cas_is_given = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct item *before = place.item;
		uint64_t total = COUNTER(&rig, total_items);

		options.expiry_s = cases[i].expiry_s;
		options.cas_unique = cases[i].cas_unique;
		CU_ASSERT_TRUE(
		    store_change(rig.store, &place, options.expiry_s, options.cas_unique));
		CU_ASSERT_EQUAL(place.item != before, cases[i].moves);
		store_check(rig.store);
		check_item(&rig, place.item, &options);
		CU_ASSERT_TRUE(item_is_read(place.item));
		CU_ASSERT_EQUAL(item_idle_s(place.item, 1007), 7);
		CU_ASSERT_EQUAL(slot_mark(slot_load(place.slot)), mark_of(30, 5));
		CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), 1);
		CU_ASSERT_EQUAL(COUNTER(&rig, total_items), total);
	}
	rig_destroy(&rig);
}

/* With nowhere to move to nothing changes. */
static void test_a_change_that_finds_no_memory(void)
{
	struct rig rig;
	struct store_item_options options;
	struct store_place place;
	uint64_t free_count;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	options = options_of(&rig);
	place = put_options(&rig, &options);
	options.expiry_s = 100;
	options.cas_is_given = true;
	options.cas_unique = 1;
	CU_ASSERT_TRUE(store_change(rig.store, &place, 100, 1));
	store_seal_all(rig.store);
	free_count = COUNTER(&rig, segments_free);
	rig.store->segment_count_max = COUNTER(&rig, segments) - (uint32_t)free_count;
	CU_ASSERT_FALSE(store_change(rig.store, &place, 1000000, 1));
	CU_ASSERT_FALSE(store_change(rig.store, &place, 200, UINT64_MAX));
	check_item(&rig, place.item, &options);
	store_check(rig.store);
	rig_destroy(&rig);
}

static void test_idle_time(void)
{
	struct rig rig;
	struct store_item_options options;
	struct store_place place;
	uint32_t now_s = (1u << 23) - 3;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 1024), 0);
	options = options_of(&rig);
	store_tick(rig.store, now_s);
	place = put_options(&rig, &options);
	CU_ASSERT_FALSE(item_is_read(place.item));
	CU_ASSERT_EQUAL(item_idle_s(place.item, now_s), 0);
	CU_ASSERT_EQUAL(item_idle_s(place.item, now_s + 100), 100);
	CU_ASSERT_EQUAL(item_idle_s(place.item, now_s + ITEM_SECOND_MASK), ITEM_SECOND_MASK);
	store_tick(rig.store, now_s + 100);
	rig_read(&rig, options.hash, &place);
	CU_ASSERT_TRUE(item_is_read(place.item));
	CU_ASSERT_EQUAL(item_idle_s(place.item, now_s + 100), 0);
	CU_ASSERT_TRUE(slice_equal(item_key(place.item), options.key));
	rig_destroy(&rig);
}

static const struct unit_case cases[] = {
    {"client flags take as many bytes as they want", test_client_flags},
    {"an expiry that is far away takes two bytes more", test_expiry},
    {"the active segment is given up when it has grown old", test_active_segment_grows_old},
    {"a given cas unique takes four bytes more if it is far away", test_given_cas},
    {"cas uniques go on for years", test_cas_goes_on_for_years},
    {"what was begun too many writes ago moves on", test_settling_after_many_writes},
    {"what moves on may be a large item then", test_settling_makes_it_large},
    {"a change is made in place, or the item moves", test_changes},
    {"a change that finds no memory changes nothing", test_a_change_that_finds_no_memory},
    {"how long an item has been idle", test_idle_time},
};

int main(void)
{
	return UNIT_RUN("store item", cases);
}
