/* SPDX-License-Identifier: Apache-2.0 */
#include "keys_rig.h"

#include "base/random.h"
#include "disk_faults.h"
#include "seed.h"

#include <inttypes.h>

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
/* A record of which parts are replaced below. */
#define RECORD(id, rest)                                                                           \
	"{\"id\":\"" id "\",\"hash\":\"" ZEROS "\",\"name\":\"a\",\"role\":\"admin\","             \
	"\"created\":1,\"creator\":\"c\",\"expires\":0,\"revoked\":0" rest "}"
#define LIST(records) "{\"version\": 1, \"keys\": [\n" records "\n]}\n"

static void put(const struct rig *rig, const char *text)
{
	file_put(rig->path, text, strlen(text), 0600);
}

static void keys_outlive_the_process(void)
{
	struct keys_made good, revoked, expiring;
	struct stat status;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "good", ROLE_operator, 0), 0);
	good = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "revoked", ROLE_admin, 0), 0);
	revoked = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "expiring", ROLE_viewer, NOW + 5), 0);
	expiring = rig.made;
	CU_ASSERT_EQUAL(revoke_id(&rig, revoked.id), 0);
	CU_ASSERT_EQUAL(stat(rig.path, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 1);
	CU_ASSERT_EQUAL_FATAL(keys_read(&rig), 0);
	CU_ASSERT_EQUAL(check(&rig, good.text, NOW), 0);
	CU_ASSERT_EQUAL(rig.who.role, ROLE_operator);
	CU_ASSERT_STRING_EQUAL(rig.who.name, "good");
	CU_ASSERT_EQUAL(check(&rig, revoked.text, NOW), -EKEYREVOKED);
	CU_ASSERT_EQUAL(check(&rig, expiring.text, NOW + 4), 0);
	CU_ASSERT_EQUAL(check(&rig, expiring.text, NOW + 5), -EKEYEXPIRED);
	rig_close(&rig);
}

static void a_corrupt_file_is_refused_with_its_line_and_left_alone(void)
{
	static const struct {
		const char *text, *reason;
	} tries[] = {
	    {LIST(RECORD("0123456789", "") ",\n" RECORD("0123456789", "")),
	     ":3: its id is given twice"},
	    {LIST(RECORD("012345678", "")), ":2: its id is not 10 letters and digits"},
	    {LIST(RECORD("01234567890", "")), ":2: its id is not 10 letters and digits"},
	    {LIST(RECORD("012345678-", "")), ":2: its id is not 10 letters and digits"},
	    {LIST(RECORD("0123456789", ",\"x\":1")),
	     ":2: has not exactly id, hash, name, role, created, creator, expires and revoked"},
	    {LIST("{}"),
	     ":2: has not exactly id, hash, name, role, created, creator, expires and revoked"},
	    {LIST("7"),
	     ":2: has not exactly id, hash, name, role, created, creator, expires and revoked"},
	    {"{\"version\": 1, \"keys\": [\n" RECORD("0123456789", ""),
	     ":2: ']' expected near end of file"},
	    {"", ":1: '[' or '{' expected near end of file"},
	    {"\xff", ":1: unable to decode byte 0xff"},
	};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		char expected[256], *text;

		put(&rig, tries[i].text);
		snprintf(expected, sizeof(expected), "%s%s: put a copy back", rig.path,
		         tries[i].reason);
		CU_ASSERT_EQUAL(keys_read(&rig), -EINVAL);
		CU_ASSERT_STRING_EQUAL(rig.error, expected);
		CU_ASSERT_PTR_NULL(rig.keys);
		text = file_get(rig.path, NULL);
		CU_ASSERT_STRING_EQUAL(text, tries[i].text);
		free(text);
	}
	rig_close(&rig);
}

static void each_part_of_a_record_has_its_limits(void)
{
	static const struct {
		const char *part, *instead, *reason;
	} tries[] = {
	    {ZEROS, "00", "its hash is not 64 hexadecimal digits"},
	    {ZEROS, ZEROS "0", "its hash is not 64 hexadecimal digits"},
	    {"\"hash\":\"0", "\"hash\":\"F", "its hash is not 64 hexadecimal digits"},
	    {"\"a\"", "\"\"", "its name is not 1 to 64 printable bytes"},
	    {"\"a\"", "\"\\u009b\"", "its name is not 1 to 64 printable bytes"},
	    {"\"a\"", "\"" ZEROS "0\"", "its name is not 1 to 64 printable bytes"},
	    {"\"admin\"", "\"Admin\"", "its role is not viewer, operator or admin"},
	    {"\"admin\"", "\"none\"", "its role is not viewer, operator or admin"},
	    {"\"c\"", "\"\"", "its creator is not 1 to 255 printable bytes"},
	    {"\"c\"", "\"" ZEROS ZEROS ZEROS ZEROS "\"",
	     "its creator is not 1 to 255 printable bytes"},
	    {"\"created\":1", "\"created\":-1", "one of its times is before 1970 or after 9999"},
	    {"\"expires\":0", "\"expires\":253402300800",
	     "one of its times is before 1970 or after 9999"},
	    {"\"revoked\":0", "\"revoked\":-9223372036854775808",
	     "one of its times is before 1970 or after 9999"},
	    {"\"revoked\":0", "\"revoked\":0.5",
	     "has not exactly id, hash, name, role, created, creator, expires and revoked"},
	    {"\"created\":1", "\"created\":null",
	     "has not exactly id, hash, name, role, created, creator, expires and revoked"},
	};
	static const char good[] = LIST(RECORD("0123456789", ""));
	struct rig rig;

	rig_open(&rig);
	put(&rig, good);
	CU_ASSERT_EQUAL(keys_read(&rig), 0);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		const char *at = strstr(good, tries[i].part);
		char text[1024], expected[256];

		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, tries[i].instead,
		         at + strlen(tries[i].part));
		put(&rig, text);
		snprintf(expected, sizeof(expected), "%s:2: %s: put a copy back", rig.path,
		         tries[i].reason);
		CU_ASSERT_EQUAL(keys_read(&rig), -EINVAL);
		CU_ASSERT_STRING_EQUAL(rig.error, expected);
	}
	rig_close(&rig);
}

static void every_fault_has_a_line(void)
{
	struct rig rig;

	rig_open(&rig);
	put(&rig, LIST("{},\n" RECORD("0123456789", "") ",\n[]"));
	CU_ASSERT_EQUAL(keys_read(&rig), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "keys.json:2: "));
	CU_ASSERT_PTR_NULL(strstr(rig.error, "keys.json:3: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "keys.json:4: "));
	rig_close(&rig);
}

static void a_file_that_others_may_write_is_not_read(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
	CU_ASSERT_EQUAL(chmod(rig.path, 0602), 0);
	CU_ASSERT_EQUAL(keys_read(&rig), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig.error, "keys.json: may be written by others: chmod go-w"));
	CU_ASSERT_EQUAL(chmod(rig.path, 0644), 0);
	CU_ASSERT_EQUAL(keys_read(&rig), 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), 0);
	rig_close(&rig);
}

/* What is in memory and on the disk is the key "a", good, and the revoked key "b". */
static void expect_unchanged(struct rig *rig, const struct keys_made *good,
                             const struct keys_made *revoked)
{
	for (int again = 0; again < 2; again++) {
		CU_ASSERT_EQUAL(check(rig, good->text, NOW), 0);
		CU_ASSERT_EQUAL(check(rig, revoked->text, NOW), -EKEYREVOKED);
		CU_ASSERT_EQUAL(list_count(rig), 2);
		CU_ASSERT_EQUAL_FATAL(keys_read(rig), 0);
	}
}

/* Tries to create, to revoke and to prune, all of which must fail so. */
static void try_all(struct rig *rig, const struct keys_made *good, const char *fault_name,
                    int error_number)
{
	struct keys_made before = rig->made;
	uint64_t pruned_count = 77;
	int results[3];

	fault_set(fault_name, error_number, 0, 3);
	results[0] = create(rig, "c", ROLE_admin, 0);
	results[1] = revoke_id(rig, good->id);
	results[2] = keys_prune(rig->keys, 0, NOW + 20, &pruned_count, rig->error, ERROR_BYTES);
	fault_clear();
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(results[i], -error_number);
	CU_ASSERT_EQUAL(pruned_count, 77);
	CU_ASSERT_EQUAL(memcmp(&rig->made, &before, sizeof(before)), 0);
}

static void what_cannot_be_written_has_not_happened(void)
{
	struct keys_made good, revoked;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
	good = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "b", ROLE_admin, 0), 0);
	revoked = rig.made;
	CU_ASSERT_EQUAL(revoke_id(&rig, revoked.id), 0);
	for (size_t i = 0; i < DISK_STEP_COUNT; i++) {
		/* close() is called twice for one file: of the file, and of the folder */
		if (strcmp(disk_steps[i], "close") == 0)
			continue;
		try_all(&rig, &good, disk_steps[i], EIO);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "keys.json: Input/output error: see"));
		expect_unchanged(&rig, &good, &revoked);
	}
	CU_ASSERT_EQUAL(create(&rig, "c", ROLE_admin, 0), 0);
	rig_close(&rig);
}

static void on_a_full_or_read_only_disk_nothing_happens(void)
{
	char filler[FOLDER_PATH_BYTES];
	struct keys_made good, revoked;
	struct rig rig;
	static const char zeros[4096];
	FILE *file;

	rig_open(&rig);
	if (folder_mount(&rig.folder, "size=64k,mode=0700")) {
		CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
		good = rig.made;
		CU_ASSERT_EQUAL(create(&rig, "b", ROLE_admin, 0), 0);
		revoked = rig.made;
		CU_ASSERT_EQUAL(revoke_id(&rig, revoked.id), 0);
		folder_file(&rig.folder, filler, "filler");
		file = fopen(filler, "w");
		while (fwrite(zeros, 1, sizeof(zeros), file) == sizeof(zeros) && fflush(file) == 0)
			;
		fclose(file);
		try_all(&rig, &good, "none", ENOSPC);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "keys.json: No space left on device: "
		                                         "make room on the disk and try again"));
		expect_unchanged(&rig, &good, &revoked);
		CU_ASSERT_EQUAL(mount("none", rig.folder.path, NULL, MS_REMOUNT | MS_RDONLY, NULL),
		                0);
		try_all(&rig, &good, "none", EROFS);
		expect_unchanged(&rig, &good, &revoked);
	}
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
		/* the latter by OpenSSL's generator, or as jansson tells it (kept.c) */
		CU_ASSERT_TRUE(r == 0 || r == -ENOMEM || r == -EIO || r == -EINVAL);
		CU_ASSERT_TRUE_FATAL(skip < 10000);
	}
}

static int attempt_open(struct rig *rig)
{
	return keys_read(rig);
}

static int attempt_create(struct rig *rig)
{
	return create(rig, "c", ROLE_admin, 0);
}

static int attempt_list(struct rig *rig)
{
	json_t *list = keys_list(rig->keys, NOW);

	json_decref(list);
	return list == NULL ? -ENOMEM : 0;
}

static int attempt_revoke(struct rig *rig)
{
	return revoke_id(rig, rig->made.id);
}

static int attempt_prune(struct rig *rig)
{
	uint64_t count;

	return keys_prune(rig->keys, 0, NOW + 20, &count, rig->error, ERROR_BYTES);
}

static void without_memory_nothing_happens(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
	exhaust(&rig, attempt_open);
	exhaust(&rig, attempt_create);
	if (MEMORY_CAN_FAIL)
		CU_ASSERT_EQUAL(list_count(&rig), 2);
	exhaust(&rig, attempt_list);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), 0);
	exhaust(&rig, attempt_revoke);
	if (MEMORY_CAN_FAIL)
		CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), -EKEYREVOKED);
	exhaust(&rig, attempt_prune);
	CU_ASSERT_EQUAL(list_count(&rig), 1);
	rig_close(&rig);
}

static void ten_thousand_keys_are_the_limit(void)
{
	struct rig rig;
	uint64_t count;

	rig_open(&rig);
	for (uint32_t too_many = 0; too_many < 2; too_many++) {
		FILE *file = fopen(rig.path, "w");

		fputs("{\"version\": 1, \"keys\": [", file);
		for (uint32_t i = 0; i < KEYS_COUNT_MAX + too_many; i++)
			fprintf(
			    file,
			    "%s\n{\"id\":\"id%08u\",\"hash\":\"%064u\",\"name\":\"n%u\","
			    "\"role\":\"viewer\",\"created\":1,\"creator\":\"c\",\"expires\":%u,"
			    "\"revoked\":0}",
			    i == 0 ? "" : ",", i, i, i, i == 5000 ? 2 : 0);
		fputs("\n]}\n", file);
		fclose(file);
		CU_ASSERT_EQUAL(keys_read(&rig), too_many ? -EINVAL : 0);
		if (too_many)
			continue;
		CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), -ENOSPC);
		CU_ASSERT_STRING_EQUAL(
		    rig.error, "10000 keys, with the revoked and expired ones: prune those first");
		CU_ASSERT_EQUAL(revoke_id(&rig, "id00009999"), 0);
		CU_ASSERT_EQUAL(keys_prune(rig.keys, 0, NOW, &count, rig.error, ERROR_BYTES), 0);
		CU_ASSERT_EQUAL(count, 1);
		CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), 0);
		CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), 0);
		CU_ASSERT_EQUAL(list_count(&rig), KEYS_COUNT_MAX);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, ": keys: 10001 of them: at most 10000 can be"));
	rig_close(&rig);
}

#define MODEL_COUNT 40

struct model {
	struct keys_made made;
	uint64_t expires_s;
	bool is_there, is_revoked;
};

static int model_check(const struct model *model, uint64_t now_s)
{
	if (!model->is_there)
		return -EACCES;
	if (model->is_revoked)
		return -EKEYREVOKED;
	return model->expires_s != 0 && now_s >= model->expires_s ? -EKEYEXPIRED : 0;
}

static void random_step(struct rig *rig, struct random *random, struct model *model,
                        const char *name, uint64_t now_s)
{
	int expected = model_check(model, now_s), r;

	switch (random_below(random, 4)) {
	case 0:
		if (expected == -EACCES) {
			model->expires_s =
			    random_below(random, 2) ? 0 : now_s + 1 + random_below(random, 200);
			r = keys_create(rig->keys, name, ROLE_viewer, model->expires_s, "c", now_s,
			                &model->made, rig->error, ERROR_BYTES);
			CU_ASSERT_EQUAL(r, 0);
			model->is_there = true;
			model->is_revoked = false;
		}
		break;
	case 1:
		r = keys_revoke(rig->keys, model->made.id, now_s, rig->error, ERROR_BYTES);
		CU_ASSERT_EQUAL(r, !model->is_there ? -ENOENT : model->is_revoked ? -EALREADY : 0);
		model->is_revoked = model->is_there;
		break;
	case 2: CU_ASSERT_EQUAL(check(rig, model->made.text, now_s), expected); break;
	default:
		if (random_below(random, 10) == 0)
			CU_ASSERT_EQUAL_FATAL(keys_read(rig), 0);
	}
}

static void random_histories_leave_what_they_should(void)
{
	struct random random = random_seeded(seed_of_this_run());
	struct model models[MODEL_COUNT] = {0};
	uint64_t now_s = NOW, count;
	struct rig rig;

	rig_open(&rig);
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t number = (uint32_t)random_below(&random, MODEL_COUNT);
		char name[8];

		snprintf(name, sizeof(name), "%u", number);
		random_step(&rig, &random, &models[number], name, now_s);
		now_s += random_below(&random, 3);
		if (i % 500 != 499)
			continue;
		CU_ASSERT_EQUAL(keys_prune(rig.keys, 0, ++now_s, &count, rig.error, ERROR_BYTES),
		                0);
		for (number = 0; number < MODEL_COUNT; number++)
			if (model_check(&models[number], now_s - 1) != 0 &&
			    models[number].is_there) {
				models[number].is_there = false;
				count--;
			}
		CU_ASSERT_EQUAL(count, 0);
	}
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
	for (int i = 0; i < 4; i++) {
		char name[4] = {(char)('a' + i)};

		CU_ASSERT_EQUAL(create(&rig, name, ROLE_viewer, i % 2 == 0 ? 0 : NOW + 9), 0);
	}
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
		if (keys_read(&rig) == 0)
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
	    {"keys outlive the process", keys_outlive_the_process},
	    {"a corrupt file is refused with its line, and left alone",
	     a_corrupt_file_is_refused_with_its_line_and_left_alone},
	    {"each part of a record has its limits", each_part_of_a_record_has_its_limits},
	    {"every fault has a line", every_fault_has_a_line},
	    {"a file that others may write is not read", a_file_that_others_may_write_is_not_read},
	    {"what cannot be written has not happened", what_cannot_be_written_has_not_happened},
	    {"on a full or read-only disk nothing happens",
	     on_a_full_or_read_only_disk_nothing_happens},
	    {"without memory nothing happens", without_memory_nothing_happens},
	    {"ten thousand keys are the limit", ten_thousand_keys_are_the_limit},
	    {"random histories leave what they should", random_histories_leave_what_they_should},
	    {"a file of random faults is read or refused",
	     a_file_of_random_faults_is_read_or_refused},
	};

	return UNIT_RUN("keys_file", cases);
}
