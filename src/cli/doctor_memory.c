/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UNLIMITED_BYTES (1ull << 60) /* cgroups of version 1 say "none" by a number near 2^63 */

/* What is taken of ordinary pages. */
static uint64_t ordinary_bytes(const struct doctor *doctor)
{
	const struct doctor_need *need = &doctor->need;
	struct doctor_mount mount;
	bool has_file = doctor->config->memory_file[0] != '\0';

	if (!doctor_hugepages_suffice(doctor))
		return need->items + need->common + need->packets;
	if (has_file && (doctor_mount_of(doctor, &mount, doctor->config->memory_file) < 0 ||
	                 strcmp(mount.type, "hugetlbfs") != 0))
		return need->items;
	return 0;
}

void doctor_check_free_memory(struct doctor *doctor)
{
	char has[DOCTOR_SIZE_BYTES], needs[DOCTOR_SIZE_BYTES], all[DOCTOR_SIZE_BYTES];
	struct doctor_finding *finding;
	uint64_t available, total, needed;
	int r = doctor_read_field(doctor, &available, "MemAvailable", "/proc/meminfo");

	if (r == 0)
		r = doctor_read_field(doctor, &total, "MemTotal", "/proc/meminfo");
	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, "/proc/meminfo cannot be read: %s",
		           strerror(-r));
		return;
	}
	doctor_format_size(all, total);
	doctor_format_size(has, available);
	if (doctor->config == NULL) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s are available of %s", has, all);
		return;
	}
	available += doctor->kanted_resident_bytes;
	doctor_format_size(has, available);
	needed = ordinary_bytes(doctor);
	doctor_format_size(needs, needed);
	if (needed <= available) {
		doctor_say(doctor, DOCTOR_GOOD, NULL,
		           "%s are available of %s, the config takes up to %s besides hugepages",
		           has, all, needs);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_WARNING, NULL,
	                     "%s are available of %s, the config takes up to %s besides hugepages: "
	                     "the kernel will kill kanted, or others, when they run out",
	                     has, all, needs);
	doctor_advise(
	    finding,
	    "lower `memory` (%llu MiB) or `max_connections` (%llu) in the config, or free "
	    "memory",
	    (unsigned long long)(doctor->config->memory_bytes >> 20),
	    (unsigned long long)doctor->config->connection_count_max);
}

/* kanted asks for them where there are no reserved ones. */
void doctor_check_huge_by_itself(struct doctor *doctor)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	struct doctor_finding *finding;
	char text[128];
	int r = doctor_read(doctor, text, sizeof(text), "%s", path);

	if (r < 0 || text[0] == '\0') {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, "%s cannot be read: %s", path,
		           r < 0 ? strerror(-r) : "it is empty");
		return;
	}
	if (strstr(text, "[never]") == NULL) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s", text);
		return;
	}
	if (doctor->config != NULL && doctor_hugepages_suffice(doctor)) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s: not needed, there are hugepages", text);
		return;
	}
	finding =
	    doctor_say(doctor, DOCTOR_NOTE, NULL,
	               "%s: kanted cannot have them where reserved hugepages do not suffice", text);
	doctor_advise(finding, "echo madvise > %s", path);
}

void doctor_check_swap(struct doctor *doctor)
{
	struct doctor_finding *finding;
	char size[DOCTOR_SIZE_BYTES];
	uint64_t bytes;
	bool is_huge = doctor->config != NULL && doctor_hugepages_suffice(doctor);
	int r = doctor_read_field(doctor, &bytes, "SwapTotal", "/proc/meminfo");

	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, "/proc/meminfo cannot be read: %s",
		           strerror(-r));
		return;
	}
	doctor_format_size(size, bytes);
	if (bytes == 0) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "there is none");
		return;
	}
	if (is_huge && doctor->config->memory_file[0] == '\0') {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s: hugepages are never put there", size);
		return;
	}
	finding =
	    doctor_say(doctor, DOCTOR_NOTE, NULL,
	               "%s: items can be put there, and who asks for one waits for the disk", size);
	doctor_advise(finding, "swapoff -a, or MemorySwapMax=0 in kanted's unit, or reserve "
	                       "hugepages");
}

void doctor_check_overcommit(struct doctor *doctor)
{
	uint64_t mode, limit = 0, committed = 0, needed;
	char left_text[DOCTOR_SIZE_BYTES], needs[DOCTOR_SIZE_BYTES];
	struct doctor_finding *finding;
	int r = doctor_read_number(doctor, &mode, "/proc/sys/vm/overcommit_memory");

	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL,
		           "/proc/sys/vm/overcommit_memory cannot be read: %s", strerror(-r));
		return;
	}
	if (mode != 2 || doctor->config == NULL) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "vm.overcommit_memory is %llu",
		           (unsigned long long)mode);
		return;
	}
	(void)doctor_read_field(doctor, &limit, "CommitLimit", "/proc/meminfo");
	(void)doctor_read_field(doctor, &committed, "Committed_AS", "/proc/meminfo");
	limit -= min_u64(limit, committed);
	limit += doctor->kanted_resident_bytes;
	needed = ordinary_bytes(doctor);
	doctor_format_size(left_text, limit);
	doctor_format_size(needs, needed);
	if (needed <= limit) {
		doctor_say(
		    doctor, DOCTOR_GOOD, NULL,
		    "vm.overcommit_memory is 2, %s can still be promised, the config takes %s",
		    left_text, needs);
		return;
	}
	finding =
	    doctor_say(doctor, DOCTOR_FAULT, NULL,
	               "vm.overcommit_memory is 2, %s can still be promised, the config takes "
	               "%s: kanted will get no memory",
	               left_text, needs);
	doctor_advise(finding, "sysctl -w vm.overcommit_memory=0, raise vm.overcommit_ratio, or "
	                       "lower `memory`");
}

static uint64_t parse_memory_limit(const struct doctor *doctor, const char *directory,
                                   bool is_version_2)
{
	uint64_t bytes;

	if (doctor_read_number(doctor, &bytes, "%s/%s", directory,
	                       is_version_2 ? "memory.max" : "memory.limit_in_bytes") < 0 ||
	    bytes >= UNLIMITED_BYTES)
		return UINT64_MAX; /* "max", or the root, which has no such file */
	return bytes;
}

void doctor_check_memory_limit(struct doctor *doctor)
{
	uint64_t limit = doctor_cgroup_limit(doctor, "memory", parse_memory_limit), needed;
	char has[DOCTOR_SIZE_BYTES], needs[DOCTOR_SIZE_BYTES];
	struct doctor_finding *finding;

	if (limit == UINT64_MAX) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "this shell's cgroup has none");
		return;
	}
	doctor_format_size(has, limit);
	needed = doctor->config == NULL ? 0 : ordinary_bytes(doctor);
	doctor_format_size(needs, needed);
	if (needed <= limit) {
		doctor_say(doctor, DOCTOR_GOOD, NULL,
		           "this shell's cgroup may have %s; the config takes up to %s", has,
		           needs);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_WARNING, NULL,
	                     "this shell's cgroup may have %s, the config takes up to %s: kanted "
	                     "will be killed when it is full",
	                     has, needs);
	doctor_advise(finding,
	              "raise the limit (MemoryMax= in the unit, --memory of a container) to "
	              "%llu MiB, or lower `memory`",
	              (unsigned long long)(needed >> 20) + 64);
}

/* Free hugepages of a hugetlbfs, whose blocks are its pages; it knows room only if it was mounted
 * with a size. */
static uint64_t hugetlbfs_room(const struct doctor *doctor, const struct statvfs *room)
{
	uint64_t count = 0;

	(void)doctor_read_number(doctor, &count,
	                         "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
	                         (unsigned long long)room->f_bsize / 1024);
	count = count > UINT64_MAX / max_u64(room->f_bsize, 1) ? 0 : count;
	if (room->f_blocks > 0)
		count = min_u64(count, room->f_bavail);
	return count * room->f_bsize;
}

/* True: it is one that kanted takes, or there is none; sets what it has of room already. */
static bool memory_file_is_ours(struct doctor *doctor, const char *path, uint64_t *ret_bytes)
{
	char whole[DOCTOR_PATH_BYTES];
	struct doctor_finding *finding;
	struct stat status;

	*ret_bytes = 0;
	doctor_path(doctor, whole, "%s", path);
	if (lstat(whole, &status) < 0)
		return true;
	if (!S_ISREG(status.st_mode) || status.st_uid != doctor->user ||
	    (status.st_mode & 077) != 0) {
		finding = doctor_say(
		    doctor, DOCTOR_FAULT, NULL,
		    "%s is there, and is no file of this user (%u) that nobody else "
		    "may read (mode %04o, user %u)",
		    path, doctor->user, (unsigned)status.st_mode & 07777, (unsigned)status.st_uid);
		doctor_advise(finding, "choose another name, or remove it: rm %s", path);
		return false;
	}
	*ret_bytes = (uint64_t)status.st_blocks * 512;
	return true;
}

/* True: it is in memory. */
static bool memory_file_place_is_good(struct doctor *doctor, const char *path,
                                      struct doctor_mount *ret_mount)
{
	int r = doctor_mount_of(doctor, ret_mount, path);
	struct doctor_finding *finding;

	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, "/proc/self/mountinfo cannot be read: %s",
		           strerror(-r));
		return false;
	}
	if (strcmp(ret_mount->type, "tmpfs") == 0 || strcmp(ret_mount->type, "hugetlbfs") == 0)
		return true;
	if (strcmp(ret_mount->type, "devtmpfs") == 0) { /* a tmpfs, too */
		finding = doctor_say(doctor, DOCTOR_WARNING, NULL,
		                     "%s lies in the memory of %s, where only devices should be",
		                     path, ret_mount->point);
		doctor_advise(finding, "choose /dev/shm/kante, or, for hugepages, "
		                       "/dev/hugepages/kante with a hugetlbfs mounted there (see "
		                       "hugetlbfs)");
		return true;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, NULL,
	                     "%s lies on %s, mounted at %s: it must be a tmpfs or a hugetlbfs",
	                     path, ret_mount->type, ret_mount->point);
	doctor_advise(finding, "choose /dev/shm/kante, or /dev/hugepages/kante with a hugetlbfs "
	                       "mounted there (see hugetlbfs)");
	return false;
}

void doctor_check_memory_file(struct doctor *doctor)
{
	const char *path = doctor->config == NULL ? "" : doctor->config->memory_file;
	char directory[DOCTOR_PATH_BYTES], has[DOCTOR_SIZE_BYTES], needs[DOCTOR_SIZE_BYTES];
	struct doctor_finding *finding;
	struct doctor_mount mount;
	struct statvfs room = {0};
	uint64_t bytes, own;
	bool is_huge;
	int r;

	if (path[0] == '\0' || !memory_file_place_is_good(doctor, path, &mount) ||
	    !memory_file_is_ours(doctor, path, &own))
		return;
	doctor_path(doctor, directory, "%.*s/", (int)(strrchr(path, '/') - path), path);
	r = doctor->host->room(doctor->host, directory, &room);
	if (r < 0) {
		finding = doctor_say(doctor, DOCTOR_FAULT, NULL, "the directory of %s: %s", path,
		                     strerror(-r));
		doctor_advise(finding, "make it: mkdir -p \"$(dirname %s)\"", path);
		return;
	}
	is_huge = strcmp(mount.type, "hugetlbfs") == 0;
	bytes = is_huge ? hugetlbfs_room(doctor, &room) : room.f_bavail * room.f_frsize;
	doctor_format_size(has, bytes + own);
	doctor_format_size(needs, doctor->need.items);
	if (bytes + own >= doctor->need.items) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s has room for %s on a %s, and takes %s",
		           path, has, mount.type, needs);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, NULL, "%s has room for %s on a %s, but takes %s",
	                     path, has, mount.type, needs);
	if (is_huge)
		doctor_advise(finding, "reserve hugepages (see there), or lower `memory`");
	else
		doctor_advise(finding, "mount -o remount,size=%lluM %s, or lower `memory`",
		              (unsigned long long)((room.f_blocks * room.f_frsize +
		                                    doctor->need.items - bytes - own) >>
		                                   20) +
		                  1,
		              mount.point);
}
