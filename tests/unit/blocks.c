/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks_rig.h"

#include "base/random.h"
#include "seed.h"

static void what_is_added_is_listed_by_address_and_length(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_TRUE(lists(&rig, ""));
	CU_ASSERT_EQUAL(add(&rig, "fd00::/64 198.18.0.2 10.0.0.0/8 198.18.0.0/24"), 0);
	CU_ASSERT_EQUAL(rig.added.fresh, 4);
	CU_ASSERT_EQUAL(rig.added.changed, 0);
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.0/8 198.18.0.0/24 198.18.0.2 fd00::/64"));
	/* before, between and behind those, and within them */
	CU_ASSERT_EQUAL(add(&rig, "ff00::/8 2001:db8::/32 9.0.0.0/8 198.18.0.0/23 198.18.0.0"), 0);
	CU_ASSERT_TRUE(lists(&rig, "9.0.0.0/8 10.0.0.0/8 198.18.0.0/23 198.18.0.0/24 198.18.0.0 "
	                           "198.18.0.2 2001:db8::/32 fd00::/64 ff00::/8"));
	rig_close(&rig);
}

static void one_prefix_is_one_however_it_is_written(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add(&rig, "198.18.0.2 198.18.0.2/32 ::ffff:198.18.0.2 fd00::1 "
	                          "FD00:0::1/128 198.18.0.2"),
	                0);
	CU_ASSERT_EQUAL(rig.added.fresh, 2);
	CU_ASSERT_EQUAL(rig.added.changed, 0);
	CU_ASSERT_TRUE(lists(&rig, "198.18.0.2 fd00::1"));
	CU_ASSERT_EQUAL(add(&rig, "::ffff:198.18.0.2/128 198.18.0.3"), 0);
	CU_ASSERT_EQUAL(rig.added.fresh, 1);
	CU_ASSERT_EQUAL(rig.added.changed, 1);
	CU_ASSERT_EQUAL(take_off(&rig, "198.18.0.2/32"), 0);
	CU_ASSERT_TRUE(lists(&rig, "198.18.0.3 fd00::1"));
	rig_close(&rig);
}

static void what_is_there_is_replaced(void)
{
	struct ip_prefix there = prefix("198.18.0.0/24"), other = prefix("198.18.0.0/25");
	const struct block_entry *found;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add_until(&rig, "198.18.0.0/24 198.18.0.0/25", NOW + 5, "a scan"), 0);
	found = blocks_find(rig.blocks, &there);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->created_s, NOW);
	CU_ASSERT_EQUAL(found->expires_s, NOW + 5);
	CU_ASSERT_STRING_EQUAL(found->by, "CN=ops");
	CU_ASSERT_STRING_EQUAL(found->reason, "a scan");
	CU_ASSERT_EQUAL(add(&rig, "198.18.0.0/24"), 0);
	found = blocks_find(rig.blocks, &there);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->expires_s, 0);
	CU_ASSERT_STRING_EQUAL(found->reason, "");
	found = blocks_find(rig.blocks, &other);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->expires_s, NOW + 5);
	CU_ASSERT_STRING_EQUAL(found->reason, "a scan");
	rig_close(&rig);
}

static void what_is_no_prefix_is_refused_with_what_was_meant(void)
{
	static const struct {
		const char *text, *reason;
	} tries[] = {
	    {"198.18.0.2/24",
	     "\"198.18.0.2/24\" has bits beyond its length: did you mean 198.18.0.0/24?"},
	    {"198.18.0.1/31", "did you mean 198.18.0.0/31?"},
	    {"1.0.0.0/0", "did you mean 0.0.0.0/0?"},
	    {"fd00::1/64", "did you mean fd00::/64?"},
	    {"fd00:8000::/16", "did you mean fd00::/16?"},
	    {"::ffff:198.18.0.2/120", "did you mean 198.18.0.0/24?"},
	    {"::ffff:0:0/95", "did you mean ::fffe:0:0/95?"},
	    {"", "\"\" is no network or address: write one such as 198.18.0.0/24, fd00::/64 or "
	         "198.18.0.2"},
	    {"198.18.0", "is no network or address"},
	    {"198.18.0.0/33", "is no network or address"},
	    {"198.18.0.0/24 ", "is no network or address"},
	    {"198.18.0.0-198.18.0.9", "is no network or address"},
	    {"host.example\033[2J", "\"host.example?[2J\" is no network or address"},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct ip_prefix parsed;
		char error[ERROR_BYTES] = "";

		CU_ASSERT_EQUAL(blocks_parse(&parsed, tries[i].text, error, sizeof(error)),
		                -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, tries[i].reason));
	}
}

static void everybody_cannot_be_blocked(void)
{
	static const char *const everybody[] = {"0.0.0.0/0", "::/0",  "::/1",
	                                        "::/64",     "::/80", "::ffff:0:0/96"};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(everybody) / sizeof(everybody[0]); i++) {
		CU_ASSERT_EQUAL(add(&rig, everybody[i]), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "would block everybody: give longer"));
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "0.0.0.0/0 has every IPv4 address in it"));
	/* with others, these are not blocked either */
	CU_ASSERT_EQUAL(add(&rig, "198.18.0.0/24 ::/0 fd00::/64"), -EINVAL);
	CU_ASSERT_TRUE(lists(&rig, ""));
	/* halves, and what is not IPv4 */
	CU_ASSERT_EQUAL(add(&rig, "0.0.0.0/1 128.0.0.0/1 8000::/1 ::/96 ::fffe:0:0/96"), 0);
	CU_ASSERT_EQUAL(list_count(&rig), 5);
	rig_close(&rig);
}

static void expiry_and_reason_have_their_limits(void)
{
	static const char *const wrong[] = {"a\nb", "\x1b[2J", "\xff", "a\x7f"};
	char reason[BLOCKS_REASON_BYTES_MAX + 2];
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", NOW, ""), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "would expire in the past"));
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", 1, ""), -EINVAL);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", 253402300800ull, ""), -EINVAL);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", UINT64_MAX, ""), -EINVAL);
	memset(reason, 'x', sizeof(reason));
	reason[BLOCKS_REASON_BYTES_MAX + 1] = '\0';
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", 0, reason), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "a reason is up to 127 bytes of UTF-8"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", 0, wrong[i]), -EINVAL);
	CU_ASSERT_TRUE(lists(&rig, ""));
	reason[BLOCKS_REASON_BYTES_MAX] = '\0';
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", NOW + 1, reason), 0);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.2", 253402300799ull, "über \"alles\""), 0);
	CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.1 10.0.0.2"));
	CU_ASSERT_STRING_EQUAL(blocks_list(rig.blocks, &(uint32_t){0})[0].reason, reason);
	CU_ASSERT_STRING_EQUAL(blocks_list(rig.blocks, &(uint32_t){0})[1].reason, "über \"alles\"");
	rig_close(&rig);
}

static void what_is_not_on_the_list_is_told_with_what_is(void)
{
	static const struct {
		const char *text, *reason;
	} tries[] = {
	    {"10.0.0.1", "10.0.0.1 is not on the list: see the list of blocks"},
	    {"198.18.0.5",
	     "198.18.0.5 is not on the list, but it is in 198.18.0.0/24, which is: remove that"},
	    {"198.18.0.0/25", "but it is in 198.18.0.0/24, which is: remove that"},
	    {"198.18.0.128/25", "but it is in 198.18.0.0/24, which is: remove that"},
	    /* the nearest */
	    {"fd00:0:0:1::/64", "but it is in fd00::/48, which is: remove that"},
	    {"fd00:0:1::1", "but it is in fd00::/16, which is: remove that"},
	    {"198.18.0.0/16",
	     "198.18.0.0/16 is not on the list, but 198.18.0.0/24 in it is: remove that"},
	    {"192.0.0.0/2", "is not on the list, but 192.0.2.1 and 1 more in it are: remove those"},
	    {"0.0.0.0/0", "is not on the list, but 192.0.2.1 and 1 more in it are: remove those"},
	    {"::/0", "is not on the list, but 192.0.2.1 and 3 more in it are: remove those"},
	};
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(take_off(&rig, "10.0.0.1"), -ENOENT);
	CU_ASSERT_EQUAL(add(&rig, "192.0.2.1 198.18.0.0/24 fd00::/16 fd00::/48"), 0);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		CU_ASSERT_EQUAL(take_off(&rig, tries[i].text), -ENOENT);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, tries[i].reason));
	}
	CU_ASSERT_EQUAL(list_count(&rig), 4);
	CU_ASSERT_EQUAL(take_off(&rig, "fd00::/16"), 0);
	CU_ASSERT_TRUE(lists(&rig, "192.0.2.1 198.18.0.0/24 fd00::/48"));
	CU_ASSERT_EQUAL(take_off(&rig, "192.0.2.1"), 0);
	CU_ASSERT_EQUAL(take_off(&rig, "fd00::/48"), 0);
	CU_ASSERT_TRUE(lists(&rig, "198.18.0.0/24"));
	rig_close(&rig);
}

static void what_has_expired_goes_in_its_second(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(expire(&rig, NOW), 0);
	CU_ASSERT_EQUAL(add(&rig, "10.0.0.2"), 0);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1 10.0.0.3", NOW + 5, ""), 0);
	CU_ASSERT_EQUAL(add_until(&rig, "fd00::1", NOW + 6, ""), 0);
	CU_ASSERT_EQUAL(expire(&rig, NOW + 4), 0);
	CU_ASSERT_EQUAL(rig.expired_count, 0);
	CU_ASSERT_STRING_EQUAL(rig.expired, "");
	CU_ASSERT_EQUAL(expire(&rig, NOW + 5), 0);
	CU_ASSERT_EQUAL(rig.expired_count, 2);
	CU_ASSERT_STRING_EQUAL(rig.expired, "10.0.0.1 10.0.0.3 ");
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.2 fd00::1"));
	/* the file has them no more either */
	CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.2 fd00::1"));
	CU_ASSERT_EQUAL(expire(&rig, NOW + 1000), 0);
	CU_ASSERT_STRING_EQUAL(rig.expired, "fd00::1 ");
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.2"));
	rig_close(&rig);
}

#define MODEL_COUNT 64

/* Number i of a set of prefixes that lie within each other. */
static struct ip_prefix of_number(uint32_t i)
{
	static const uint8_t lengths[] = {128, 127, 120, 112};
	const uint8_t four[] = {198, 18, (uint8_t)(i / 32), (uint8_t)(i / 4 % 8 * 32)};
	struct ip_prefix made = {ip_address_from_ip4(four), lengths[i % 4]};

	if (made.length <= 120)
		made.address.bytes[15] = 0;
	if (made.length <= 112)
		made.address.bytes[14] = 0;
	return made;
}

static bool is_same(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_address_equal(&a->address, &b->address) && a->length == b->length;
}

/* What is on the list by the model. */
struct model {
	struct ip_prefix list[MODEL_COUNT];
	uint64_t expires_s[MODEL_COUNT];
	uint32_t count;
};

static uint32_t model_find(const struct model *model, const struct ip_prefix *wanted)
{
	uint32_t i = 0;

	while (i < model->count && !is_same(&model->list[i], wanted))
		i++;
	return i;
}

static void model_remove(struct model *model, uint32_t i)
{
	model->count--;
	model->list[i] = model->list[model->count];
	model->expires_s[i] = model->expires_s[model->count];
}

static void random_add(struct rig *rig, struct random *random, struct model *model, uint64_t now_s)
{
	struct ip_prefix prefixes[8];
	struct blocks_wanted wanted = {
	    .prefixes = prefixes,
	    .expires_s = random_below(random, 2) ? 0 : now_s + 1 + random_below(random, 30),
	    .by = "CN=ops",
	    .reason = ""};
	uint32_t before = model->count, given = 1 + (uint32_t)random_below(random, 8);

	for (uint32_t i = 0; i < given; i++)
		prefixes[i] = of_number((uint32_t)random_below(random, MODEL_COUNT));
	wanted.count = blocks_sort(prefixes, given);
	for (uint32_t i = 0; i < wanted.count; i++) {
		uint32_t place = model_find(model, &prefixes[i]);

		model->list[place] = prefixes[i];
		model->expires_s[place] = wanted.expires_s;
		model->count += place == model->count;
	}
	CU_ASSERT_EQUAL(
	    blocks_add(rig->blocks, &wanted, now_s, &rig->added, rig->error, ERROR_BYTES), 0);
	CU_ASSERT_EQUAL(rig->added.fresh, model->count - before);
	CU_ASSERT_EQUAL(rig->added.changed, wanted.count - rig->added.fresh);
}

static void random_histories_leave_what_they_should(void)
{
	struct random random = random_seeded(seed_of_this_run());
	struct model model = {.count = 0};
	uint64_t now_s = NOW;
	struct rig rig;

	rig_open(&rig);
	for (uint32_t step = 0; step < 2000; step++) {
		struct ip_prefix one = of_number((uint32_t)random_below(&random, MODEL_COUNT));
		uint32_t place = model_find(&model, &one), count = model.count, wrong_count = 0;

		switch (random_below(&random, 4)) {
		case 0: random_add(&rig, &random, &model, now_s); break;
		case 1:
			CU_ASSERT_EQUAL(blocks_remove(rig.blocks, &one, rig.error, ERROR_BYTES),
			                place == count ? -ENOENT : 0);
			if (place < count)
				model_remove(&model, place);
			break;
		case 2:
			now_s += random_below(&random, 5);
			for (uint32_t i = count; i-- > 0;)
				if (model.expires_s[i] != 0 && model.expires_s[i] <= now_s)
					model_remove(&model, i);
			CU_ASSERT_EQUAL(expire(&rig, now_s), 0);
			CU_ASSERT_EQUAL(rig.expired_count, count - model.count);
			break;
		default:
			if (random_below(&random, 10) == 0)
				CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
		}
		CU_ASSERT_EQUAL(list_count(&rig), model.count);
		for (uint32_t i = 0; i < MODEL_COUNT; i++) {
			struct ip_prefix any = of_number(i);
			const struct block_entry *found = blocks_find(rig.blocks, &any);

			place = model_find(&model, &any);
			wrong_count +=
			    (found != NULL) != (place < model.count) ||
			    (found != NULL && found->expires_s != model.expires_s[place]);
		}
		CU_ASSERT_EQUAL(wrong_count, 0);
	}
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"what is added is listed by address and length",
	     what_is_added_is_listed_by_address_and_length},
	    {"one prefix is one, however it is written", one_prefix_is_one_however_it_is_written},
	    {"what is there is replaced", what_is_there_is_replaced},
	    {"what is no prefix is refused, with what was meant",
	     what_is_no_prefix_is_refused_with_what_was_meant},
	    {"everybody cannot be blocked", everybody_cannot_be_blocked},
	    {"expiry and reason have their limits", expiry_and_reason_have_their_limits},
	    {"what is not on the list is told, with what is",
	     what_is_not_on_the_list_is_told_with_what_is},
	    {"what has expired goes in its second", what_has_expired_goes_in_its_second},
	    {"random histories leave what they should", random_histories_leave_what_they_should},
	};

	return UNIT_RUN("blocks", cases);
}
