/* SPDX-License-Identifier: Apache-2.0 */
#include "control/kept.h"

#include "base/random.h"
#include "control/printable.h"
#include "control/private_file.h"
#include "disk_faults.h"
#include "folder.h"
#include "seed.h"
#include "unit.h"

#define ERROR_BYTES 1024

struct rig {
	struct folder folder;
	char path[FOLDER_PATH_BYTES];
	char error[ERROR_BYTES];
	struct faults faults;
	char *text;
	size_t length;
};

static void rig_open(struct rig *rig)
{
	*rig = (struct rig){0};
	folder_make(&rig->folder);
	folder_file(&rig->folder, rig->path, "list");
}

static void rig_close(struct rig *rig)
{
	private_file_release(rig->text, rig->length);
	folder_remove(&rig->folder);
}

static int read_path(struct rig *rig, const char *path, bool is_secret)
{
	private_file_release(rig->text, rig->length);
	rig->text = NULL;
	faults_create(&rig->faults, path, rig->error, sizeof(rig->error));
	return private_file_read(&rig->text, &rig->length, path, 1024, is_secret, &rig->faults);
}

static int write_text(struct rig *rig, const char *text)
{
	faults_create(&rig->faults, rig->path, rig->error, sizeof(rig->error));
	return private_file_write(rig->path, text, strlen(text), &rig->faults);
}

/* True: that is the one fault, behind the path. */
static bool says(const struct rig *rig, const char *path, const char *reason)
{
	size_t length = strlen(path);
	bool is_so = rig->faults.count == 1 && strncmp(rig->error, path, length) == 0 &&
	             strcmp(rig->error + length, reason) == 0;

	if (!is_so)
		printf("\nwant %s%s\ngot  %s\n", path, reason, rig->error);
	return is_so;
}

static bool holds(const char *path, const char *text)
{
	char *held = file_get(path, NULL);
	bool is_so = strcmp(held, text) == 0;

	free(held);
	return is_so;
}

static void what_is_written_is_read(void)
{
	struct rig rig;
	struct stat status;

	rig_open(&rig);
	CU_ASSERT_EQUAL(write_text(&rig, "one\n"), 0);
	CU_ASSERT_EQUAL(write_text(&rig, "another\n"), 0);
	CU_ASSERT_EQUAL(stat(rig.path, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 1);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, true), 0);
	CU_ASSERT_EQUAL(rig.length, 8);
	CU_ASSERT_STRING_EQUAL(rig.text, "another\n");
	CU_ASSERT_EQUAL(rig.faults.count, 0);
	rig_close(&rig);
}

static void what_a_crash_has_left_is_no_hindrance(void)
{
	struct rig rig;
	char left[FOLDER_PATH_BYTES], target[FOLDER_PATH_BYTES];

	rig_open(&rig);
	folder_file(&rig.folder, left, "list.new");
	folder_file(&rig.folder, target, "target");
	file_put(target, "mine", 4, 0600);
	CU_ASSERT_EQUAL(symlink(target, left), 0);
	CU_ASSERT_EQUAL(write_text(&rig, "new"), 0);
	CU_ASSERT_TRUE(holds(rig.path, "new"));
	CU_ASSERT_TRUE(holds(target, "mine"));
	CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 2);
	rig_close(&rig);
}

static void a_name_without_a_folder_is_in_the_working_directory(void)
{
	struct rig rig;
	char before[512];

	rig_open(&rig);
	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof(before)));
	CU_ASSERT_EQUAL_FATAL(chdir(rig.folder.path), 0);
	CU_ASSERT_EQUAL(write_text(&rig, "x"), 0);
	CU_ASSERT_EQUAL(read_path(&rig, "list", false), 0);
	CU_ASSERT_EQUAL(chdir(before), 0);
	rig_close(&rig);
}

static void what_others_could_change_is_not_read(void)
{
	static const struct {
		mode_t mode;
		bool is_secret;
		const char *reason; /* NULL: it is read */
	} tries[] = {
	    {0600, true, NULL},
	    {0400, true, NULL},
	    {0640, true, NULL},
	    {0644, false, NULL},
	    {0644, true, ": a secret that others may read: chmod o-rwx, and best make a new one"},
	    {0604, true, ": a secret that others may read: chmod o-rwx, and best make a new one"},
	    {0620, false, ": may be written by others: chmod go-w"},
	    {0602, false, ": may be written by others: chmod go-w"},
	    {0666, true, ": may be written by others: chmod go-w"},
	};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		file_put(rig.path, "x", 1, tries[i].mode);
		CU_ASSERT_EQUAL(read_path(&rig, rig.path, tries[i].is_secret),
		                tries[i].reason == NULL ? 0 : -EPERM);
		CU_ASSERT_TRUE(tries[i].reason == NULL || says(&rig, rig.path, tries[i].reason));
	}
	rig_close(&rig);
}

static void what_belongs_to_another_user_is_not_read(void)
{
	struct rig rig;

	rig_open(&rig);
	file_put(rig.path, "x", 1, 0600);
	if (chown(rig.path, 12345, 0) == 0) {
		CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), -EPERM);
		CU_ASSERT_TRUE(says(&rig, rig.path,
		                    ": belongs to another user: chown it to root or to Kante's "
		                    "user"));
		CU_ASSERT_EQUAL(chown(rig.path, 0, 12345), 0); /* a group may */
		CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), 0);
		CU_ASSERT_EQUAL(chown(rig.folder.path, 12345, 0), 0);
		CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), -EPERM);
		CU_ASSERT_TRUE(says(&rig, rig.path,
		                    ": its folder belongs to another user: chown it to root or to "
		                    "Kante's user"));
	}
	rig_close(&rig);
}

static void a_folder_that_others_could_change_is_not_used(void)
{
	struct rig rig;

	rig_open(&rig);
	file_put(rig.path, "x", 1, 0600);
	for (mode_t mode = 0770; mode <= 0777; mode += 7) {
		CU_ASSERT_EQUAL(chmod(rig.folder.path, mode), 0);
		CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), -EPERM);
		CU_ASSERT_TRUE(
		    says(&rig, rig.path, ": its folder may be written by others: chmod go-w"));
		CU_ASSERT_EQUAL(write_text(&rig, "y"), -EPERM);
	}
	CU_ASSERT_EQUAL(chmod(rig.folder.path, 01777), 0);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), 0);
	CU_ASSERT_STRING_EQUAL(rig.text, "x");
	CU_ASSERT_EQUAL(chmod(rig.folder.path, 0755), 0);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), 0);
	rig_close(&rig);
}

static void what_is_no_file_of_ours_says_why(void)
{
	char long_path[5000], deep[FOLDER_PATH_BYTES];
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), -ENOENT);
	CU_ASSERT_EQUAL(rig.faults.count, 0);
	folder_file(&rig.folder, deep, "none/list");
	CU_ASSERT_EQUAL(read_path(&rig, deep, false), -ENOTDIR);
	CU_ASSERT_TRUE(says(&rig, deep, ": there is no such folder: make it, or check the path"));
	CU_ASSERT_EQUAL(read_path(&rig, "/dev/null", false), -ENXIO);
	CU_ASSERT_TRUE(says(&rig, "/dev/null", ": not a regular file: give the path of one"));
	CU_ASSERT_EQUAL(read_path(&rig, "/tmp/..", false), -ENXIO);
	CU_ASSERT_EQUAL(mkfifo(rig.path, 0600), 0);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), -ENXIO);
	unlink(rig.path);
	file_put(rig.path, "x", 1, 0600);
	folder_file(&rig.folder, deep, "list/x");
	CU_ASSERT_EQUAL(read_path(&rig, deep, false), -ENOTDIR);
	CU_ASSERT_TRUE(says(&rig, deep, ": Not a directory: check the path"));
	CU_ASSERT_EQUAL(truncate(rig.path, 1025), 0);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), -EFBIG);
	CU_ASSERT_TRUE(says(&rig, rig.path, ": larger than 1 KiB: this is no file of ours"));
	CU_ASSERT_EQUAL(truncate(rig.path, 1024), 0);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), 0);
	memset(long_path, 'a', sizeof(long_path));
	long_path[0] = long_path[4998] = '/';
	long_path[4999] = '\0';
	CU_ASSERT_EQUAL(read_path(&rig, long_path, false), -ENAMETOOLONG);
	long_path[300] = '\0'; /* a name of 300 bytes in a folder that is there */
	CU_ASSERT_EQUAL(read_path(&rig, long_path, false), -ENAMETOOLONG);
	long_path[253] = '\0'; /* 252 bytes, and ".new" */
	faults_create(&rig.faults, long_path, rig.error, sizeof(rig.error));
	CU_ASSERT_EQUAL(private_file_write(long_path, "x", 1, &rig.faults), -ENAMETOOLONG);
	rig_close(&rig);
}

static void a_disk_that_fails_leaves_what_was_there(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(write_text(&rig, "old"), 0);
	for (size_t i = 0; i < DISK_STEP_COUNT; i++) {
		int r;

		fault_set(disk_steps[i], EIO, 0, 1);
		r = write_text(&rig, "new");
		CU_ASSERT_TRUE(fault_over());
		fault_clear();
		CU_ASSERT_EQUAL(r, -EIO);
		CU_ASSERT_TRUE(says(&rig, rig.path,
		                    ": Input/output error: see what the kernel's log says of the "
		                    "disk"));
		CU_ASSERT_TRUE(holds(rig.path, "old"));
		CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 1);
	}
	fault_set("fsync", EIO, 1, 1); /* the folder's */
	CU_ASSERT_EQUAL(write_text(&rig, "new"), -EIO);
	fault_set("short write", 0, 0, 1);
	CU_ASSERT_EQUAL(write_text(&rig, "newest"), 0);
	CU_ASSERT_TRUE(holds(rig.path, "newest"));
	fault_set("read", EIO, 0, 1);
	CU_ASSERT_EQUAL(read_path(&rig, rig.path, false), -EIO);
	fault_clear();
	rig_close(&rig);
}

static void a_full_or_read_only_disk_leaves_what_was_there(void)
{
	static char much[256 * 1024];
	struct rig rig;

	rig_open(&rig);
	if (folder_mount(&rig.folder, "size=64k,mode=0700")) {
		CU_ASSERT_EQUAL(write_text(&rig, "old"), 0);
		memset(much, 'x', sizeof(much) - 1);
		CU_ASSERT_EQUAL(write_text(&rig, much), -ENOSPC);
		CU_ASSERT_TRUE(
		    says(&rig, rig.path,
		         ": No space left on device: make room on the disk and try again"));
		CU_ASSERT_TRUE(holds(rig.path, "old"));
		CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 1);
		CU_ASSERT_EQUAL(write_text(&rig, "new"), 0);
		CU_ASSERT_EQUAL(mount("none", rig.folder.path, NULL, MS_REMOUNT | MS_RDONLY, NULL),
		                0);
		CU_ASSERT_EQUAL(write_text(&rig, "newer"), -EROFS);
		CU_ASSERT_TRUE(says(&rig, rig.path,
		                    ": Read-only file system: put it where it can be written"));
		CU_ASSERT_TRUE(holds(rig.path, "new"));
	}
	rig_close(&rig);
}

static void without_memory_nothing_is_read(void)
{
	struct rig rig;
	int r;

	rig_open(&rig);
	if (MEMORY_CAN_FAIL) {
		file_put(rig.path, "x", 1, 0600);
		fault_set("memory", ENOMEM, 0, 1);
		r = read_path(&rig, rig.path, false);
		fault_clear();
		CU_ASSERT_EQUAL(r, -ENOMEM);
		CU_ASSERT_TRUE(says(&rig, rig.path, ": Cannot allocate memory: try again"));
	}
	rig_close(&rig);
}

static int read_list(struct rig *rig, struct kept *ret_kept, const char *text)
{
	file_put(rig->path, text, strlen(text), 0600);
	faults_create(&rig->faults, rig->path, rig->error, sizeof(rig->error));
	return kept_read(ret_kept, rig->path, "keys", 3, &rig->faults);
}

static void a_list_is_kept(void)
{
	struct rig rig;
	struct kept kept;
	json_t *records = json_pack("[{s:s},{s:i}]", "a", "\"\n\\", "b", 2);

	rig_open(&rig);
	faults_create(&rig.faults, rig.path, rig.error, sizeof(rig.error));
	CU_ASSERT_EQUAL_FATAL(kept_read(&kept, rig.path, "keys", 3, &rig.faults), 0);
	CU_ASSERT_EQUAL(json_array_size(kept.records), 0);
	kept_release(&kept);
	CU_ASSERT_EQUAL(kept_write(rig.path, "keys", records, &rig.faults), 0);
	CU_ASSERT_TRUE(holds(rig.path, "{\"version\": 1, \"keys\": [\n{\"a\":\"\\\"\\n\\\\\"},\n"
	                               "{\"b\":2}\n]}\n"));
	CU_ASSERT_EQUAL_FATAL(kept_read(&kept, rig.path, "keys", 3, &rig.faults), 0);
	CU_ASSERT_TRUE(json_equal(kept.records, records));
	CU_ASSERT_EQUAL(kept_line(&kept, 0), 2);
	CU_ASSERT_EQUAL(kept_line(&kept, 1), 3);
	kept_release(&kept);
	json_decref(records);
	rig_close(&rig);
}

static void a_record_has_its_line_however_it_is_written(void)
{
	static const char text[] = "\n{\"keys\":\n[ [1,2,{}], {\"a\\\"],[\":\n{\"b\": [1,\n2]}},\n"
	                           "\n  7], \"version\":1}";
	static const uint32_t lines[] = {3, 3, 7};
	struct rig rig;
	struct kept kept;

	rig_open(&rig);
	CU_ASSERT_EQUAL_FATAL(read_list(&rig, &kept, text), 0);
	CU_ASSERT_EQUAL_FATAL(json_array_size(kept.records), 3);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(kept_line(&kept, i), lines[i]);
	kept_release(&kept);
	rig_close(&rig);
}

static void what_is_no_list_is_refused(void)
{
	static const struct {
		const char *text, *reason;
	} tries[] = {
	    {"", ":1: '[' or '{' expected near end of file: put a copy back"},
	    {"{\"version\": 1,\n \"keys\": [\n",
	     ":3: ']' expected near end of file: put a copy back"},
	    {"{\"version\": 1,\n \"version\": 1}",
	     ":2: duplicate object key near '\"version\"': put a copy back"},
	    {"{\"version\": 1, \"keys\": []}\nx",
	     ":2: end of file expected near 'x': put a copy back"},
	    {"{\"version\": 2, \"keys\": []}",
	     ": version: not 1: use the Kante that has written it"},
	    {"{\"keys\": []}", ": not {\"version\": 1, \"keys\": [...]}: put a copy back"},
	    {"{\"version\": \"1\", \"keys\": []}",
	     ": not {\"version\": 1, \"keys\": [...]}: put a copy back"},
	    {"{\"version\": 1, \"keys\": {}}",
	     ": not {\"version\": 1, \"keys\": [...]}: put a copy back"},
	    {"{\"version\": 1, \"keys\": [], \"a\": 1}",
	     ": not {\"version\": 1, \"keys\": [...]}: put a copy back"},
	    {"[1]", ": not {\"version\": 1, \"keys\": [...]}: put a copy back"},
	    {"{\"version\": 1, \"keys\": [1,2,3,4]}", ": keys: 4 of them: at most 3 can be kept"},
	};
	struct rig rig;
	struct kept kept;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		CU_ASSERT_EQUAL(read_list(&rig, &kept, tries[i].text), -EINVAL);
		CU_ASSERT_TRUE(says(&rig, rig.path, tries[i].reason));
		CU_ASSERT_TRUE(holds(rig.path, tries[i].text));
	}
	rig_close(&rig);
}

static void a_list_that_finds_no_memory_is_neither_read_nor_written(void)
{
	static const char text[] = "{\"version\": 1, \"keys\": [{\"a\": \"b\"}]}";
	json_t *records = json_pack("[{s:s}]", "a", "another");
	struct rig rig;
	struct kept kept;
	uint32_t no_memory_count = 0;
	int r = -ENOMEM;

	rig_open(&rig);
	file_put(rig.path, text, strlen(text), 0600);
	for (uint32_t skip = 0; MEMORY_CAN_FAIL && r < 0; skip++) {
		faults_create(&rig.faults, rig.path, rig.error, sizeof(rig.error));
		fault_set("memory", ENOMEM, skip, 1);
		r = kept_read(&kept, rig.path, "keys", 3, &rig.faults);
		fault_clear();
		/* jansson takes some of it for a fault of the text */
		CU_ASSERT_TRUE(r == 0 || ((r == -ENOMEM || r == -EINVAL) && rig.faults.count == 1));
		no_memory_count += r == -ENOMEM;
	}
	CU_ASSERT_TRUE(no_memory_count >= 10 || !MEMORY_CAN_FAIL);
	if (r == 0)
		kept_release(&kept);
	r = -ENOMEM;
	for (uint32_t skip = 0; MEMORY_CAN_FAIL && r < 0; skip++) {
		CU_ASSERT_TRUE(holds(rig.path, text));
		faults_create(&rig.faults, rig.path, rig.error, sizeof(rig.error));
		fault_set("memory", ENOMEM, skip, 1);
		r = kept_write(rig.path, "keys", records, &rig.faults);
		fault_clear();
		CU_ASSERT_TRUE(r == 0 || (r == -ENOMEM && rig.faults.count == 1));
	}
	json_decref(records);
	rig_close(&rig);
}

static void times_are_written_as_rfc_3339_has_it(void)
{
	static const struct {
		uint64_t unix_s;
		const char *text;
	} times[] = {
	    {1, "1970-01-01T00:00:01Z"},
	    {951782400, "2000-02-29T00:00:00Z"},
	    {1764277200, "2025-11-27T21:00:00Z"},
	    {KEPT_TIME_S_MAX, "9999-12-31T23:59:59Z"},
	};
	json_t *time = kept_time(0);

	CU_ASSERT_TRUE(json_is_null(time));
	json_decref(time);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		time = kept_time(times[i].unix_s);
		CU_ASSERT_STRING_EQUAL(json_string_value(time), times[i].text);
		json_decref(time);
	}
}

static void what_is_no_utf_8_or_controls_a_terminal_is_not_printable(void)
{
	static const char *const good[] = {"a",
	                                   " ",
	                                   "~",
	                                   "\xc3\xa4",
	                                   "\xc2\xa0",
	                                   "\xe0\xa0\x80",
	                                   "\xed\x9f\xbf",
	                                   "\xf0\x90\x80\x80",
	                                   "\xf4\x8f\xbf\xbf",
	                                   "a \xe2\x82\xac b"};
	static const char *const bad[] = {
	    "",         "\n",           "\x1b[0m",      "a\x7f",        "\xc2\x80",
	    "\xc2\x9f", "\x80",         "\xc3",         "\xc3\x28",     "\xc0\xaf",
	    "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",     "\xe2\x82\x28",
	    "\xf0\x8f", "\xf4\x90\x80", "\xf5\x80",     "\xf0\x90\x80", "\xff"};
	struct random random = random_seeded(seed_of_this_run());
	uint32_t wrong_count = 0;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(printable(good[i], 8));
		CU_ASSERT_EQUAL(printable(good[i], strlen(good[i]) - 1), false);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(printable(bad[i], 8));
	/* what it takes, jansson takes, who knows UTF-8, too */
	for (uint32_t i = 0; i < 1000000; i++) {
		uint64_t bytes = random_u64(&random) | (i % 2 == 0 ? 0x8080808080u : 0);
		char text[9] = "";
		json_t *judge;
		bool is_clean = true;

		memcpy(text, &bytes, 1 + i % 5);
		judge = json_string(text);
		for (const unsigned char *at = (unsigned char *)text; *at != '\0'; at++)
			is_clean = is_clean && *at >= 0x20 && *at != 0x7f &&
			           (at[0] != 0xc2 || at[1] >= 0xa0);
		wrong_count += printable(text, 8) != (judge != NULL && is_clean && text[0] != '\0');
		json_decref(judge);
	}
	CU_ASSERT_EQUAL(wrong_count, 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"what is written is read", what_is_written_is_read},
	    {"what a crash has left is no hindrance", what_a_crash_has_left_is_no_hindrance},
	    {"a name without a folder is in the working directory",
	     a_name_without_a_folder_is_in_the_working_directory},
	    {"what others could change is not read", what_others_could_change_is_not_read},
	    {"what belongs to another user is not read", what_belongs_to_another_user_is_not_read},
	    {"a folder that others could change is not used",
	     a_folder_that_others_could_change_is_not_used},
	    {"what is no file of ours says why", what_is_no_file_of_ours_says_why},
	    {"a disk that fails leaves what was there", a_disk_that_fails_leaves_what_was_there},
	    {"a full or read-only disk leaves what was there",
	     a_full_or_read_only_disk_leaves_what_was_there},
	    {"without memory nothing is read", without_memory_nothing_is_read},
	    {"a list is kept", a_list_is_kept},
	    {"a record has its line however it is written",
	     a_record_has_its_line_however_it_is_written},
	    {"what is no list is refused", what_is_no_list_is_refused},
	    {"a list that finds no memory is neither read nor written",
	     a_list_that_finds_no_memory_is_neither_read_nor_written},
	    {"times are written as RFC 3339 has it", times_are_written_as_rfc_3339_has_it},
	    {"what is no UTF-8 or controls a terminal is not printable",
	     what_is_no_utf_8_or_controls_a_terminal_is_not_printable},
	};

	return UNIT_RUN("kept", cases);
}
