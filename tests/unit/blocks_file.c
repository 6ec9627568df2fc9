/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks_rig.h"

#include "base/random.h"
#include "disk_faults.h"
#include "seed.h"

#include <time.h>

#define RECORD(prefix, rest)                                                                       \
	"{\"prefix\":\"" prefix                                                                    \
	"\",\"created\":1,\"expires\":0,\"by\":\"c\",\"reason\":\"r\"" rest "}"
#define LIST(records) "{\"version\": 1, \"blocks\": [\n" records "\n]}\n"
#define TEN           "xxxxxxxxxx"
#define FIFTY         TEN TEN TEN TEN TEN

static void put(const struct rig *rig, const char *text)
{
	file_put(rig->path, text, strlen(text), 0600);
}

static bool file_is(const struct rig *rig, const char *expected)
{
	char *text = file_get(rig->path, NULL);
	bool is = strcmp(text, expected) == 0;

	free(text);
	return is;
}

static void the_list_outlives_the_process(void)
{
	struct ip_prefix expiring = prefix("fd00::/64");
	const struct block_entry *found;
	struct stat status;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 0);
	CU_ASSERT_EQUAL(add(&rig, "198.18.0.0/24 198.18.0.2"), 0);
	CU_ASSERT_EQUAL(add_until(&rig, "fd00::/64", NOW + 5, "a scan"), 0);
	CU_ASSERT_TRUE(
	    file_is(&rig, "{\"version\": 1, \"blocks\": [\n"
	                  "{\"prefix\":\"198.18.0.0/24\",\"created\":1764277200,\"expires\":0,"
	                  "\"by\":\"CN=ops\",\"reason\":\"\"},\n"
	                  "{\"prefix\":\"198.18.0.2\",\"created\":1764277200,\"expires\":0,"
	                  "\"by\":\"CN=ops\",\"reason\":\"\"},\n"
	                  "{\"prefix\":\"fd00::/64\",\"created\":1764277200,\"expires\":1764277205,"
	                  "\"by\":\"CN=ops\",\"reason\":\"a scan\"}\n]}\n"));
	CU_ASSERT_EQUAL(stat(rig.path, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 1);
	CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
	CU_ASSERT_TRUE(lists(&rig, "198.18.0.0/24 198.18.0.2 fd00::/64"));
	found = blocks_find(rig.blocks, &expiring);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->created_s, NOW);
	CU_ASSERT_EQUAL(found->expires_s, NOW + 5);
	CU_ASSERT_STRING_EQUAL(found->by, "CN=ops");
	CU_ASSERT_STRING_EQUAL(found->reason, "a scan");
	CU_ASSERT_EQUAL(take_off(&rig, "198.18.0.2"), 0);
	CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
	CU_ASSERT_TRUE(lists(&rig, "198.18.0.0/24 fd00::/64"));
	rig_close(&rig);
}

static void a_file_in_any_order_is_sorted(void)
{
	struct rig rig;

	rig_open(&rig);
	put(&rig, LIST(RECORD("fd00::", "") ",\n" RECORD("10.0.0.0/8", "") ",\n" RECORD(
	              "10.0.0.0", "") ",\n" RECORD("9.0.0.1/32", "")));
	CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
	CU_ASSERT_TRUE(lists(&rig, "9.0.0.1 10.0.0.0/8 10.0.0.0 fd00::"));
	rig_close(&rig);
}

static void a_corrupt_file_is_refused_with_its_line_and_left_alone(void)
{
	static const struct {
		const char *text, *reason;
	} tries[] = {
	    {LIST(RECORD("10.0.0.1", "") ",\n" RECORD("10.0.0.1/32", "")),
	     ":3: its prefix is given twice"},
	    {LIST(RECORD("10.0.0.1/8", "")), ":2: its prefix is no network or address"},
	    {LIST(RECORD("", "")), ":2: its prefix is no network or address"},
	    {LIST(RECORD("::/0", "")), ":2: its prefix is that of everybody"},
	    {LIST(RECORD("0.0.0.0/0", "")), ":2: its prefix is that of everybody"},
	    {LIST(RECORD("10.0.0.1", ",\"x\":1")),
	     ":2: has not exactly prefix, created, expires, by and reason"},
	    {LIST("{}"), ":2: has not exactly prefix, created, expires, by and reason"},
	    {LIST("7"), ":2: has not exactly prefix, created, expires, by and reason"},
	    {"{\"version\": 1, \"blocks\": [\n" RECORD("10.0.0.1", ""),
	     ":2: ']' expected near end of file"},
	    {"", ":1: '[' or '{' expected near end of file"},
	    {"\xff", ":1: unable to decode byte 0xff"},
	};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		char expected[256];

		put(&rig, tries[i].text);
		snprintf(expected, sizeof(expected), "%s%s: put a copy back", rig.path,
		         tries[i].reason);
		CU_ASSERT_EQUAL(blocks_read(&rig), -EINVAL);
		CU_ASSERT_STRING_EQUAL(rig.error, expected);
		CU_ASSERT_PTR_NULL(rig.blocks);
		CU_ASSERT_TRUE(file_is(&rig, tries[i].text));
	}
	put(&rig, LIST("{},\n" RECORD("10.0.0.1", "") ",\n[]"));
	CU_ASSERT_EQUAL(blocks_read(&rig), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "blocks.json:2: "));
	CU_ASSERT_PTR_NULL(strstr(rig.error, "blocks.json:3: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "blocks.json:4: "));
	rig_close(&rig);
}

static void each_part_of_a_record_has_its_limits(void)
{
	static const struct {
		const char *part, *instead, *reason;
	} tries[] = {
	    {"\"c\"", "\"\"", "its by is not 1 to 255 printable bytes"},
	    {"\"c\"", "\"\\u009b\"", "its by is not 1 to 255 printable bytes"},
	    {"\"c\"", "\"" FIFTY FIFTY FIFTY FIFTY FIFTY "xxxxxx\"",
	     "its by is not 1 to 255 printable bytes"},
	    {"\"r\"", "\"\\n\"", "its reason is not 0 to 127 printable bytes"},
	    {"\"r\"", "\"" FIFTY FIFTY TEN TEN "xxxxxxxx\"",
	     "its reason is not 0 to 127 printable bytes"},
	    {"\"created\":1", "\"created\":-1", "one of its times is before 1970 or after 9999"},
	    {"\"expires\":0", "\"expires\":253402300800",
	     "one of its times is before 1970 or after 9999"},
	    {"\"created\":1", "\"created\":1.0",
	     "has not exactly prefix, created, expires, by and reason"},
	    {"\"expires\":0", "\"expires\":null",
	     "has not exactly prefix, created, expires, by and reason"},
	    {"\"r\"", "null", "has not exactly prefix, created, expires, by and reason"},
	};
	static const char good[] = LIST(RECORD("10.0.0.1", ""));
	struct rig rig;

	rig_open(&rig);
	put(&rig, good);
	CU_ASSERT_EQUAL(blocks_read(&rig), 0);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		const char *at = strstr(good, tries[i].part);
		char text[1024], expected[256];

		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, tries[i].instead,
		         at + strlen(tries[i].part));
		put(&rig, text);
		snprintf(expected, sizeof(expected), "%s:2: %s: put a copy back", rig.path,
		         tries[i].reason);
		CU_ASSERT_EQUAL(blocks_read(&rig), -EINVAL);
		CU_ASSERT_STRING_EQUAL(rig.error, expected);
	}
	rig_close(&rig);
}

static void a_file_that_others_may_write_is_not_read(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add(&rig, "10.0.0.1"), 0);
	CU_ASSERT_EQUAL(chmod(rig.path, 0602), 0);
	CU_ASSERT_EQUAL(blocks_read(&rig), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig.error, "blocks.json: may be written by others: chmod go-w"));
	rig_close(&rig);
}

static void what_cannot_be_written_has_not_happened(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1 10.0.0.2", NOW + 5, ""), 0);
	for (size_t i = 0; i < DISK_STEP_COUNT; i++) {
		/* close() is called twice for one file: of the file, and of the folder */
		if (strcmp(disk_steps[i], "close") == 0)
			continue;
		rig.added = (struct blocks_added){77, 77};
		fault_set(disk_steps[i], EIO, 0, 2);
		CU_ASSERT_EQUAL(add(&rig, "10.0.0.1 10.0.0.3"), -EIO);
		CU_ASSERT_EQUAL(take_off(&rig, "10.0.0.1"), -EIO);
		fault_clear();
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "blocks.json: Input/output error: see"));
		CU_ASSERT_TRUE(rig.added.fresh == 77 && rig.added.changed == 77);
		for (int again = 0; again < 2; again++) {
			CU_ASSERT_TRUE(lists(&rig, "10.0.0.1 10.0.0.2"));
			CU_ASSERT_EQUAL(blocks_list(rig.blocks, &(uint32_t){0})->expires_s,
			                NOW + 5);
			CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
		}
	}
	CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 1);
	rig_close(&rig);
}

/* Nobody is blocked for longer than was said as the disk is full. */
static void what_has_expired_is_out_whatever_the_disk_does(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1", NOW + 5, ""), 0);
	CU_ASSERT_EQUAL(add(&rig, "10.0.0.2"), 0);
	fault_set("write", ENOSPC, 0, 1);
	CU_ASSERT_EQUAL(expire(&rig, NOW + 5), -ENOSPC);
	fault_clear();
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "make room on the disk"));
	CU_ASSERT_STRING_EQUAL(rig.expired, "10.0.0.1 ");
	CU_ASSERT_EQUAL(rig.expired_count, 1);
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.2"));
	CU_ASSERT_EQUAL(expire(&rig, NOW + 6), 0);
	CU_ASSERT_EQUAL(rig.expired_count, 0);
	/* who reads it later sees that it has expired */
	CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.1 10.0.0.2"));
	CU_ASSERT_EQUAL(expire(&rig, NOW + 7), 0);
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.2"));
	rig_close(&rig);
}

/* Fails each allocation in turn until `attempt` has none left to fail. */
static void exhaust(struct rig *rig, int (*attempt)(struct rig *rig))
{
	int r = -ENOMEM;

	for (uint32_t skip = 0; MEMORY_CAN_FAIL && r != 0; skip++) {
		fault_set("memory", ENOMEM, skip, 1);
		r = attempt(rig);
		fault_clear();
		/* the latter as jansson tells it (kept.c) */
		CU_ASSERT_TRUE(r == 0 || r == -ENOMEM || r == -EINVAL);
		CU_ASSERT_TRUE_FATAL(skip < 10000);
	}
}

static int attempt_open(struct rig *rig)
{
	return blocks_read(rig);
}

static int attempt_add(struct rig *rig)
{
	return add_until(rig, "10.0.0.1 10.0.0.3", NOW + 9, "a scan");
}

static int attempt_remove(struct rig *rig)
{
	return take_off(rig, "10.0.0.1");
}

static void without_memory_nothing_happens(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add(&rig, "10.0.0.1 10.0.0.2"), 0);
	exhaust(&rig, attempt_open);
	CU_ASSERT_TRUE(lists(&rig, "10.0.0.1 10.0.0.2"));
	exhaust(&rig, attempt_add);
	if (MEMORY_CAN_FAIL)
		CU_ASSERT_TRUE(lists(&rig, "10.0.0.1 10.0.0.2 10.0.0.3"));
	exhaust(&rig, attempt_remove);
	if (MEMORY_CAN_FAIL)
		CU_ASSERT_TRUE(lists(&rig, "10.0.0.2 10.0.0.3"));
	rig_close(&rig);
}

/* Addresses from that number on. */
static int add_many(struct rig *rig, uint32_t first, uint32_t count)
{
	struct ip_prefix *prefixes = calloc(count, sizeof(*prefixes));
	struct blocks_wanted wanted = {.prefixes = prefixes, .by = "CN=ops", .reason = ""};
	struct timespec begin, end;
	int r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(prefixes);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t four[4];

		/* mixed: they are to be sorted */
		store_be32(four, 0x0a000000 | (first + (i ^ 0x55)));
		prefixes[i] = (struct ip_prefix){ip_address_from_ip4(four), 128};
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	wanted.count = blocks_sort(prefixes, count);
	r = blocks_add(rig->blocks, &wanted, NOW, &rig->added, rig->error, sizeof(rig->error));
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("(%u: %lld ms) ", count,
	       (end.tv_sec - begin.tv_sec) * 1000ll + (end.tv_nsec - begin.tv_nsec) / 1000000);
	free(prefixes);
	return r;
}

static void sixteen_thousand_are_the_limit(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add(&rig, "9.0.0.1 fd00::1"), 0);
	CU_ASSERT_EQUAL(add_many(&rig, 0, 10240), 0);
	CU_ASSERT_EQUAL(rig.added.fresh, 10240);
	CU_ASSERT_EQUAL(add_many(&rig, 5120, 10240), 0);
	CU_ASSERT_EQUAL(rig.added.fresh, 5120);
	CU_ASSERT_EQUAL(rig.added.changed, 5120);
	CU_ASSERT_EQUAL(add_many(&rig, 15360, 1024), -ENOSPC);
	CU_ASSERT_STRING_EQUAL(rig.error, "that would be 16386 prefixes, and 16384 can be "
	                                  "blocked: remove some, or block wider ones");
	CU_ASSERT_EQUAL(list_count(&rig), 15362);
	CU_ASSERT_EQUAL(take_off(&rig, "9.0.0.1"), 0);
	CU_ASSERT_EQUAL(take_off(&rig, "fd00::1"), 0);
	CU_ASSERT_EQUAL(add_many(&rig, 15360, 1024), 0);
	CU_ASSERT_EQUAL(list_count(&rig), BLOCKED_COUNT_MAX);
	CU_ASSERT_EQUAL(add(&rig, "9.0.0.1"), -ENOSPC);
	/* what is there already may be changed */
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1 10.0.63.255", NOW + 1, ""), 0);
	CU_ASSERT_EQUAL(rig.added.changed, 2);
	CU_ASSERT_EQUAL_FATAL(blocks_read(&rig), 0);
	CU_ASSERT_EQUAL(list_count(&rig), BLOCKED_COUNT_MAX);
	CU_ASSERT_EQUAL(expire(&rig, NOW + 1), 0);
	CU_ASSERT_STRING_EQUAL(rig.expired, "10.0.0.1 10.0.63.255 ");
	CU_ASSERT_EQUAL(add(&rig, "9.0.0.1 9.0.0.2"), 0);
	rig_close(&rig);
}

static void one_more_in_the_file_is_refused(void)
{
	struct rig rig;

	rig_open(&rig);
	for (uint32_t too_many = 0; too_many < 2; too_many++) {
		FILE *file = fopen(rig.path, "w");

		CU_ASSERT_PTR_NOT_NULL_FATAL(file);
		fputs("{\"version\": 1, \"blocks\": [", file);
		for (uint32_t i = 0; i < BLOCKED_COUNT_MAX + too_many; i++)
			fprintf(file,
			        "%s\n{\"prefix\":\"10.%u.%u.%u\",\"created\":1,\"expires\":0,"
			        "\"by\":\"c\",\"reason\":\"\"}",
			        i == 0 ? "" : ",", i >> 16, i >> 8 & 0xff, i & 0xff);
		fputs("\n]}\n", file);
		fclose(file);
		CU_ASSERT_EQUAL(blocks_read(&rig), too_many ? -EINVAL : 0);
	}
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig.error, ": blocks: 16385 of them: at most 16384 can be kept"));
	rig_close(&rig);
}

/* Whatever the file holds: it is read, or there is an error with its path. */
static void a_file_of_random_faults_is_read_or_refused(void)
{
	struct random random = random_seeded(seed_of_this_run());
	uint32_t read_count = 0, wrong_count = 0;
	struct rig rig;
	size_t length;
	char *good, *text;

	rig_open(&rig);
	CU_ASSERT_EQUAL(add_until(&rig, "10.0.0.1 10.0.0.0/8", NOW + 9, "a scan"), 0);
	CU_ASSERT_EQUAL(add(&rig, "fd00::/64 fd00::1"), 0);
	good = file_get(rig.path, &length);
	text = malloc(length);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (uint32_t i = 0; i < 4000; i++) {
		size_t kept = i % 4 == 0 ? random_below(&random, length + 1) : length;

		memcpy(text, good, length);
		for (uint64_t j = random_below(&random, 4); j > 0; j--)
			text[random_below(&random, length)] =
			    random_below(&random, 2) ? (char)random_below(&random, 256)
			                             : "{}[]\",:0\\"[random_below(&random, 9)];
		file_put(rig.path, text, kept, 0600);
		if (blocks_read(&rig) == 0)
			read_count++;
		else
			wrong_count += strncmp(rig.error, rig.path, strlen(rig.path)) != 0;
	}
	CU_ASSERT_EQUAL(wrong_count, 0);
	CU_ASSERT_TRUE(read_count > 400);
	free(good);
	free(text);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"the list outlives the process", the_list_outlives_the_process},
	    {"a file in any order is sorted", a_file_in_any_order_is_sorted},
	    {"a corrupt file is refused with its line, and left alone",
	     a_corrupt_file_is_refused_with_its_line_and_left_alone},
	    {"each part of a record has its limits", each_part_of_a_record_has_its_limits},
	    {"a file that others may write is not read", a_file_that_others_may_write_is_not_read},
	    {"what cannot be written has not happened", what_cannot_be_written_has_not_happened},
	    {"what has expired is out, whatever the disk does",
	     what_has_expired_is_out_whatever_the_disk_does},
	    {"without memory nothing happens", without_memory_nothing_happens},
	    {"sixteen thousand are the limit", sixteen_thousand_are_the_limit},
	    {"one more in the file is refused", one_more_in_the_file_is_refused},
	    {"a file of random faults is read or refused",
	     a_file_of_random_faults_is_read_or_refused},
	};

	return UNIT_RUN("blocks_file", cases);
}
