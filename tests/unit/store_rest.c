/* SPDX-License-Identifier: Apache-2.0 */
/* A store comes to rest, its memory turns up elsewhere, and it goes on: nothing is lost, and what
 * has changed in between is noticed. */
#include "store_rig.h"

#include "base/random.h"
#include "store/internal.h"

#define MEMORY_BYTES (8u << 20)
#define VALUE_MAX    (1u << 20)
#define NUMBERS      20000u
#define ALIGNMENT    (2u << 20)

struct model {
	uint32_t size[NUMBERS]; /* of the value, + 1; 0: it is not there */
	uint32_t expiry_s[NUMBERS];
	uint64_t cas[NUMBERS];
};

struct place_in_memory {
	uint8_t *mapping;
	struct memory memory; /* of a store */
};

static struct place_in_memory map(void)
{
	struct place_in_memory place = {.mapping = mmap(NULL, MEMORY_BYTES + ALIGNMENT,
	                                                PROT_READ | PROT_WRITE,
	                                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(place.mapping, MAP_FAILED);
	place.memory.base = place.mapping + (-(uintptr_t)place.mapping & (ALIGNMENT - 1));
	place.memory.bytes = MEMORY_BYTES;
	return place;
}

static void unmap(const struct place_in_memory *place)
{
	munmap(place->mapping, MEMORY_BYTES + ALIGNMENT);
}

static void put_with(struct rig *rig, uint32_t number, uint32_t value_bytes, uint32_t expiry_s)
{
	static uint8_t bytes[VALUE_MAX];
	struct store_reservation reservation;
	struct store_place place;
	enum store_verdict verdict;
	char key[32];
	struct store_item_options options = item_options(rig, number, value_bytes, key);

	options.expiry_s = expiry_s;
	memset(bytes, (int)(number + value_bytes), value_bytes);
	CU_ASSERT_TRUE_FATAL(store_reserve(rig->store, &options, &reservation));
	CU_ASSERT_TRUE_FATAL(store_write(rig->store, &reservation, bytes, value_bytes));
	verdict = store_find(rig->store, options.hash, options.key, &place);
	store_publish(rig->store, &reservation, verdict == STORE_MISSING ? NULL : &place);
}

static void change_some(struct rig *rig, struct random *random, uint32_t count, uint32_t now_s)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = (uint32_t)random_below(random, NUMBERS);
		uint32_t bits = random_below(random, 2000) == 0 ? 20 : 11;
		uint32_t expiry_s = random_below(random, 3) == 0
		                        ? now_s + 100 + (uint32_t)random_below(random, 5000)
		                        : 0;
		struct store_place place;

		if (i % 50 == 0)
			store_tick(rig->store, now_s + i / 1000);
		if (find(rig, number, &place))
			rig_read(rig, store_hash(rig->store, item_key(place.item)), &place);
		put_with(rig, number,
		         (uint32_t)random_below(random, 1u << random_below(random, bits)),
		         expiry_s);
		store_work(rig->store);
	}
}

static void remember(struct rig *rig, struct model *model)
{
	for (uint32_t i = 0; i < NUMBERS; i++) {
		struct store_place place;

		model->size[i] = 0;
		if (!find(rig, i, &place))
			continue;
		model->size[i] = item_value_bytes(place.item) + 1;
		model->expiry_s[i] = store_expiry_s(rig->store, place.item);
		model->cas[i] = store_cas_unique(rig->store, place.item);
	}
}

static void compare(struct rig *rig, const struct model *model)
{
	for (uint32_t i = 0; i < NUMBERS; i++) {
		struct store_place place;
		struct store_piece piece;

		CU_ASSERT_EQUAL_FATAL(find(rig, i, &place), model->size[i] != 0);
		if (model->size[i] == 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(item_value_bytes(place.item) + 1, model->size[i]);
		CU_ASSERT_EQUAL(store_expiry_s(rig->store, place.item), model->expiry_s[i]);
		CU_ASSERT_EQUAL(store_cas_unique(rig->store, place.item), model->cas[i]);
		piece = store_value(rig->store, place.item);
		do {
			for (uint32_t j = 0; j < piece.length; j++)
				CU_ASSERT_EQUAL_FATAL(piece.data[j],
				                      (uint8_t)(i + model->size[i] - 1));
		} while (store_value_next(rig->store, &piece));
	}
}

/* What of the memory matters: a bit of it is another one, and that is noticed. */
static void flip_bits(const struct store_options *options, struct memory *memory, uint64_t sum,
                      const struct parts *parts, struct random *random)
{
	uint32_t shift = parts->store->segments.shift;

	CU_ASSERT_FALSE(store_is_rested(options, memory, 7, sum + 1));
	CU_ASSERT_FALSE(store_is_rested(options, memory, 8, sum));
	for (uint32_t i = 0; i < 200; i++) {
		uint8_t *at = NULL;
		uint32_t segment = (uint32_t)random_below(random, parts->store->segments.count);

		if (i % 4 == 0)
			at = (uint8_t *)parts->store + random_below(random, sizeof(struct store));
		else if (i % 4 == 1)
			at = (uint8_t *)&parts->headers[segment] +
			     random_below(random, sizeof(struct segment));
		else if (parts->headers[segment].state == SEGMENT_SEALED)
			at = parts->arena + ((uint64_t)segment << shift) +
			     random_below(random, parts->headers[segment].used_bytes);
		else if (parts->headers[segment].state == SEGMENT_PAGE)
			at = parts->arena + ((uint64_t)segment << shift) +
			     random_below(random, 1u << shift);
		if (at == NULL)
			continue;
		*at ^= (uint8_t)(1u << (i % 8));
		CU_ASSERT_FALSE_FATAL(store_is_rested(options, memory, 7, sum));
		*at ^= (uint8_t)(1u << (i % 8));
	}
	CU_ASSERT_TRUE(store_is_rested(options, memory, 7, sum));
}

static void begin_writes(struct rig *rig)
{
	static struct store_reservation small, large, waiting;
	static const uint8_t zeros[300000];
	char key[32];
	struct store_item_options options = item_options(rig, 1, 500, key);

	CU_ASSERT_TRUE_FATAL(store_reserve(rig->store, &options, &small));
	options = item_options(rig, 2, 700, key);
	CU_ASSERT_TRUE_FATAL(store_reserve(rig->store, &options, &waiting));
	store_wait(rig->store, &waiting);
	options = item_options(rig, 3, sizeof(zeros) + 1, key);
	CU_ASSERT_TRUE_FATAL(store_reserve(rig->store, &options, &large));
	CU_ASSERT_TRUE_FATAL(store_write(rig->store, &large, zeros, sizeof(zeros)));
	store_wait(rig->store, &large);
}

/* With values on their way in, pins, a purge under way, another policy and a resize. */
static void test_it_goes_on_elsewhere(void)
{
	for (uint64_t seed = 0; seed < POLICY_COUNT; seed++) {
		struct store_options options = {.memory_bytes = MEMORY_BYTES,
		                                .value_bytes_max = VALUE_MAX,
		                                .hash_seed = seed,
		                                .policy = (enum policy)seed};
		struct purge_target target = {.prefix = SLICE_LITERAL("12"),
		                              .class = PURGE_ANY_CLASS};
		struct model *model = malloc(sizeof(*model));
		struct random random = random_seeded(seed);
		struct place_in_memory here = map();
		struct store_place place;
		struct rig rig = {0};
		uint32_t now_s = 1;

		CU_ASSERT_EQUAL_FATAL(
		    store_create(&rig.store, &options,
		                 &(struct memory){here.memory.base, MEMORY_BYTES, 0}),
		    0);
		for (uint32_t n = 0; n < 3; n++) {
			struct place_in_memory there = map();
			struct memory memory;
			struct parts parts;
			uint64_t sum, items;

			change_some(&rig, &random, 30000, now_s);
			now_s += 40;
			store_tick(rig.store, now_s);
			begin_writes(&rig);
			if (find(&rig, 19, &place))
				store_pin(rig.store, place.item);
			store_purge(rig.store, 5, &target);
			remember(&rig, model);
			sum = store_rest(rig.store, 7);
			memcpy(there.memory.base, here.memory.base, MEMORY_BYTES);
			memset(here.memory.base, 0xee, MEMORY_BYTES);
			unmap(&here);
			here = there;
			memory = here.memory;
			CU_ASSERT_EQUAL_FATAL(store_take_parts(&parts, &options, &memory), 0);
			flip_bits(&options, &here.memory, sum, &parts, &random);
			memory = here.memory;
			options.policy = (enum policy)((seed + n) % POLICY_COUNT);
			CU_ASSERT_EQUAL_FATAL(store_wake(&rig.store, &options, &memory), 0);
			store_check(rig.store);
			items = COUNTER(&rig, curr_items);
			compare(&rig, model);
			CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), items);
			CU_ASSERT_EQUAL(COUNTER(&rig, total_items), 0);
			CU_ASSERT_EQUAL(COUNTER(&rig, reservations), 0);
			CU_ASSERT_EQUAL(COUNTER(&rig, pins), 0);
			CU_ASSERT_EQUAL(COUNTER(&rig, purges), 0);
			CU_ASSERT_TRUE(items > 2000);
			/* an hour later some are gone, and no others */
			now_s += 3600;
			store_tick(rig.store, now_s);
			for (uint32_t i = 0; i < NUMBERS; i++)
				if (model->expiry_s[i] != 0 && model->expiry_s[i] <= now_s)
					model->size[i] = 0;
			compare(&rig, model);
		}
		change_some(&rig, &random, 30000, now_s);
		store_check(rig.store);
		unmap(&here);
		free(model);
	}
}

static void test_classes_may_be_others(void)
{
	static const char *const before[] = {"1", "2"}, *const after[] = {"2", "12", "3"};
	struct classes classes;
	struct store_options options = {
	    .memory_bytes = MEMORY_BYTES, .value_bytes_max = VALUE_MAX, .classes = &classes};
	struct class_rules rules = {.share_max = 100};
	struct place_in_memory here = map();
	struct memory memory = here.memory;
	struct rig rig = {0};
	uint64_t sum;

	classes_create(&classes);
	for (uint32_t i = 0; i < 2; i++) {
		rules.prefix_bytes = (uint8_t)strlen(before[i]);
		memcpy(rules.prefix, before[i], rules.prefix_bytes);
		classes_add(&classes, &rules);
	}
	CU_ASSERT_EQUAL_FATAL(store_create(&rig.store, &options, &memory), 0);
	for (uint32_t i = 1; i < 40000; i++)
		put_with(&rig, i, i % 50, 0);
	sum = store_rest(rig.store, 7);
	classes_create(&classes);
	for (uint32_t i = 0; i < 3; i++) {
		rules.prefix_bytes = (uint8_t)strlen(after[i]);
		memcpy(rules.prefix, after[i], rules.prefix_bytes);
		classes_add(&classes, &rules);
	}
	memory = here.memory;
	CU_ASSERT_TRUE(store_is_rested(&options, &memory, 7, sum));
	CU_ASSERT_EQUAL_FATAL(store_wake(&rig.store, &options, &memory), 0);
	store_check(rig.store);
	CU_ASSERT_EQUAL(counter_read(&store_holdings(rig.store)[2].items), 1111);
	/* and then there are none */
	sum = store_rest(rig.store, 7);
	options.classes = NULL;
	memory = here.memory;
	CU_ASSERT_TRUE(store_is_rested(&options, &memory, 7, sum));
	CU_ASSERT_EQUAL_FATAL(store_wake(&rig.store, &options, &memory), 0);
	store_check(rig.store);
	unmap(&here);
}

static void test_another_size(void)
{
	struct store_options options = {.memory_bytes = MEMORY_BYTES, .value_bytes_max = 65536};
	struct place_in_memory here = map();
	struct memory memory = here.memory;
	struct store *store;
	uint64_t sum;

	CU_ASSERT_EQUAL_FATAL(store_create(&store, &options, &memory), 0);
	CU_ASSERT_FALSE(store_is_rested(&options, &here.memory, 7, 0)); /* it is at work */
	sum = store_rest(store, 7);
	CU_ASSERT_TRUE(store_is_rested(&options, &here.memory, 7, sum));
	options.memory_bytes -= 1 << 20;
	CU_ASSERT_FALSE(store_is_rested(&options, &here.memory, 7, sum));
	options.memory_bytes = 1;
	CU_ASSERT_FALSE(store_is_rested(&options, &here.memory, 7, sum));
	unmap(&here);
}

static const struct unit_case cases[] = {
    {"it goes on elsewhere", test_it_goes_on_elsewhere},
    {"classes may be others", test_classes_may_be_others},
    {"another size", test_another_size},
};

int main(void)
{
	return UNIT_RUN("store rest", cases);
}
