/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log on a disk that is really full. */
#include "audit_rig.h"

#include <sched.h>
#include <sys/mount.h>

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Mounts of the test's own. Who may not make them may as root of a user namespace of his own. */
static void unshare_mounts(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[32];

	CU_ASSERT_EQUAL_FATAL(unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS), 0);
	CU_ASSERT_EQUAL_FATAL(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	if (uid == 0)
		return;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/uid_map", map);
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_text("/proc/self/gid_map", map);
}

static uint64_t told_lost(const json_t *lines)
{
	uint64_t count = 0;

	for (size_t i = 0; i < json_array_size(lines); i++)
		if (strcmp(text_at(lines, i, "action"), "audit.lost") == 0)
			count +=
			    number_at(lines, i, "count") == 0 ? 1 : number_at(lines, i, "count");
	return count;
}

static void a_full_disk_loses_lines_and_says_how_many(void)
{
	char ballast[8192] = "", target[900];
	struct audit_state state;
	struct rig rig;
	json_t *lines;
	int r;

	rig_folder(&rig);
	unshare_mounts();
	CU_ASSERT_EQUAL_FATAL(mount("tmpfs", rig.folder, "tmpfs", 0, "size=64k"), 0);
	for (size_t length = 1; length < sizeof(target); length += 31) {
		uint64_t written = 0;

		memset(target, 'x', length);
		target[length] = '\0';
		set_file(rig.folder, "ballast", ballast, sizeof(ballast));
		rig.options.file_bytes_max = length % 2 == 0 ? 1 << 20 : 16384;
		rig_open_log(&rig);
		while ((r = rig_append(&rig, AUDIT_change, target)) == 0)
			written++;
		CU_ASSERT_EQUAL(r, -ENOSPC);
		CU_ASSERT_TRUE(written > 30);
		rig_verifies(&rig);
		for (int i = 0; i < 5; i++) {
			audit_tick(rig.audit, rig.now_us); /* that lines were lost may have room */
			rig.now_us += SECOND_US;
			CU_ASSERT_EQUAL(rig_append(&rig, AUDIT_erasure, target), -ENOSPC);
			CU_ASSERT_PTR_NOT_NULL_FATAL(audit_failure(rig.audit));
			CU_ASSERT_PTR_NOT_NULL(strstr(audit_failure(rig.audit), ": make room"));
			rig_verifies(&rig);
		}
		audit_state(rig.audit, &state);
		CU_ASSERT_EQUAL(state.lost_count, 6);
		unlink(path_of(rig.folder, "ballast"));
		rig_appends(&rig, AUDIT_change, "room");
		CU_ASSERT_PTR_NULL(audit_failure(rig.audit));
		rig_verifies(&rig);
		lines = all_lines(rig.folder);
		CU_ASSERT_STRING_EQUAL(text_at(lines, json_array_size(lines) - 1, "target"),
		                       "room");
		CU_ASSERT_STRING_EQUAL(text_at(lines, json_array_size(lines) - 2, "action"),
		                       "audit.lost");
		CU_ASSERT_EQUAL(told_lost(lines), 6);
		json_decref(lines);
		rig_close_log(&rig);
		rig_open_log(&rig);
		rig_verifies(&rig);
		rig_close_log(&rig);
		empty_folder(rig.folder);
	}
	CU_ASSERT_EQUAL(umount(rig.folder), 0);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a full disk loses lines, and says how many",
	     a_full_disk_loses_lines_and_says_how_many},
	};

	return UNIT_RUN("audit_full", cases);
}
