/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_rig.h"

#define HUGE      "sys/kernel/mm/hugepages/hugepages-2048kB/"
#define ITEMS_64M "memory: 64MiB\n" RIG_SOCKET

static void test_a_good_host_is_good(void)
{
	static const char *const checks[] = {"hugepages",   "hugetlbfs",    "transparent pages",
	                                     "free memory", "memory limit", "swap",
	                                     "overcommit"};
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, ITEMS_64M);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		rig_expect(&rig, checks[i], DOCTOR_GOOD, "", "");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "memory file"));
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "nodes"));
	rig_close(&rig);
}

static void test_without_a_config_the_host_alone_is_told_of(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, NULL);
	rig_expect(&rig, "config", DOCTOR_SKIPPED, "none is given", "--config FILE");
	rig_expect(&rig, "hugepages", DOCTOR_GOOD, "1024 pages of 2 MiB are free of 1024", "");
	rig_expect(&rig, "free memory", DOCTOR_GOOD, "8192 MiB are available of 16.0 GiB", "");
	rig_close(&rig);
}

/* The number behind a word; 0: there is none. */
static unsigned number_after(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at == NULL ? 0 : (unsigned)strtoul(at + strlen(word), NULL, 10);
}

static void test_hugepages_that_are_missing_are_counted(void)
{
	const struct doctor_finding *finding;
	unsigned needed;
	struct rig rig;

	rig_open(&rig);
	rig_pages(&rig, 20, 10);
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "hugepages", DOCTOR_NOTE, "10 pages of 2 MiB are free of 20",
	           "sysctl -w vm.nr_hugepages=");
	finding = rig_finding(&rig, "hugepages");
	needed = number_after(finding->found, "needs ");
	CU_ASSERT_EQUAL(number_after(finding->mend, "nr_hugepages="), 20 + needed - 10);
	CU_ASSERT_TRUE(needed > 32 && needed < 70);
	CU_ASSERT_PTR_NOT_NULL(finding->fix);

	rig_pages(&rig, needed + 3, needed);
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "hugepages", DOCTOR_GOOD, "", "");
	rig_file(&rig, HUGE "resv_hugepages", "1\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "hugepages", DOCTOR_NOTE, "", NULL);
	rig_close(&rig);
}

static void test_what_a_running_kanted_holds_counts_as_free(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_pages(&rig, 100, 0);
	rig_process(&rig, 321, "kanted", 1); /* 200 MiB in hugepages, 100 MiB besides */
	rig_memory(&rig, 50, 0);
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "kanted", DOCTOR_GOOD, "runs (pid 321)", "");
	rig_expect(&rig, "hugepages", DOCTOR_GOOD, "100 pages of 2 MiB are free of 100", "");
	rig_expect(&rig, "free memory", DOCTOR_GOOD, "150 MiB are available", "");
	rig_close(&rig);
}

static void test_more_than_half_of_free_memory_is_not_taken(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_pages(&rig, 0, 0);
	rig_memory(&rig, 200, 0);
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "hugepages", DOCTOR_NOTE, "0 pages of 2 MiB are free of 0",
	           "over half of what is available (200 MiB)");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "hugepages")->fix);
	rig_mend(&rig);
	CU_ASSERT_EQUAL(rig.report.deed_count, 0);
	rig_expect_file(&rig, HUGE "nr_hugepages", "0\n");
	rig_close(&rig);
}

static void test_hugepages_of_another_size_are_no_use(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "proc/meminfo", "Hugepagesize:    1048576 kB\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "hugepages", DOCTOR_NOTE, "the default size is 1024 MiB",
	           "default_hugepagesz=2M");
	rig_expect(&rig, "free memory", DOCTOR_SKIPPED, "/proc/meminfo", "");
	rig_remove(&rig, "sys/kernel/mm/hugepages");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "hugepages", DOCTOR_NOTE, "the kernel has no pages of 2 MiB",
	           "CONFIG_HUGETLBFS");
	rig_close(&rig);
}

static void test_fix_reserves_hugepages(void)
{
	char text[32];
	struct rig rig;

	rig_open(&rig);
	rig_pages(&rig, 8, 0);
	rig_examine(&rig, ITEMS_64M);
	snprintf(text, sizeof(text), "%llu",
	         (unsigned long long)rig_finding(&rig, "hugepages")->fix_value);
	rig_mend(&rig);
	rig_expect_deed(&rig, "hugepages", 0,
	                "(was 8); after a reboot, too: echo vm.nr_hugepages=");
	rig_expect_file(&rig, HUGE "nr_hugepages", text);
	rig_close(&rig);
}

static void test_hugepages_that_cannot_be_had_are_left_as_they_were(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_pages(&rig, 8, 0);
	rig_examine(&rig, ITEMS_64M);
	rig_link(&rig, HUGE "nr_hugepages", "/dev/full");
	rig_mend(&rig);
	rig_expect_deed(&rig, "hugepages", -EINVAL, "cannot set /sys/kernel/mm/hugepages");
	CU_ASSERT_EQUAL(doctor_exit_status(&rig.report), 2);

	/* A number that is read otherwise than it was written, as it is hexadecimal: like that of
	 * a kernel that can make a part of the pages only. */
	rig_link(&rig, HUGE "nr_hugepages", "/proc/self/coredump_filter");
	rig_examine(&rig, ITEMS_64M);
	rig_mend(&rig);
	rig_expect_deed(&rig, "hugepages", -ENOMEM, "free memory is in pieces");

	rig_pages(&rig, 8, 0);
	rig_examine(&rig, ITEMS_64M);
	rig_remove(&rig, HUGE "nr_hugepages");
	rig_mend(&rig);
	rig_expect_deed(&rig, "hugepages", -ENOENT, "No such file or directory");
	rig_close(&rig);
}

static void test_nodes_are_looked_at_one_by_one(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "sys/devices/system/node/node0/cpulist", "0-3\n");
	rig_file(&rig, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages",
	         "1000\n");
	rig_file(&rig, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
	         "1000\n");
	rig_file(&rig, "sys/devices/system/node/possible", "0-1\n");
	rig_examine(&rig, "workers: [5, 6]\n" RIG_SOCKET);
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "nodes"));
	rig_file(&rig, "sys/devices/system/node/node1/cpulist", "4-7\n");
	rig_file(&rig, "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages",
	         "24\n");
	rig_file(&rig, "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages",
	         "24\n");
	rig_examine(&rig, "workers: [5, 6]\n" RIG_SOCKET);
	rig_expect(&rig, "nodes", DOCTOR_NOTE, "node1 has 24 free and 2 workers",
	           "> /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
	rig_examine(&rig, "workers: [1, 2]\n" RIG_SOCKET);
	rig_expect(&rig, "nodes", DOCTOR_GOOD, "node0 has 1000 free and 2 workers", "");
	rig_close(&rig);
}

static void test_fix_mounts_a_hugetlbfs(void)
{
	char path[128];
	struct rig rig;

	rig_open(&rig);
	rig_mounts(&rig, "");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "hugetlbfs", DOCTOR_GOOD, "is not mounted, and nothing", "");
	rig_examine(&rig, "memory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "hugetlbfs", DOCTOR_NOTE, "is not mounted",
	           "mount -t hugetlbfs -o nosuid,nodev hugetlbfs /dev/hugepages");
	rig_mend(&rig);
	rig_expect_deed(&rig, "hugetlbfs", 0, ">> /etc/fstab");
	snprintf(path, sizeof(path), "%s/dev/hugepages", rig.root);
	CU_ASSERT_STRING_EQUAL(rig.mounted, path);
	rig.mount_result = -EPERM;
	rig_mend(&rig);
	rig_expect_deed(&rig, "hugetlbfs", -EPERM, "Operation not permitted: run it as root");
	rig_remove(&rig, "proc/self/mountinfo");
	rig_examine(&rig, "memory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "hugetlbfs", DOCTOR_SKIPPED, "/proc/self/mountinfo cannot be read", "");
	rig_expect(&rig, "memory file", DOCTOR_SKIPPED, "/proc/self/mountinfo cannot be read", "");
	rig_close(&rig);
}

static void test_transparent_pages_matter_without_hugepages(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "transparent pages", DOCTOR_GOOD, "not needed", "");
	rig_pages(&rig, 0, 0);
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "transparent pages", DOCTOR_NOTE, "[never]", "echo madvise >");
	rig_file(&rig, "sys/kernel/mm/transparent_hugepage/enabled", "\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "transparent pages", DOCTOR_SKIPPED, "it is empty", "");
	rig_remove(&rig, "sys/kernel/mm/transparent_hugepage/enabled");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "transparent pages", DOCTOR_SKIPPED, "No such file", "");
	rig_close(&rig);
}

static void test_memory_that_is_not_there_is_a_warning(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_memory(&rig, 1000, 0);
	rig_examine(&rig, "memory: 4GiB\n" RIG_SOCKET);
	rig_expect(&rig, "free memory", DOCTOR_WARNING, "1000 MiB are available of 16.0 GiB",
	           "lower `memory` (4096 MiB)");
	rig_pages(&rig, 4096, 4096); /* then it is not taken from there */
	rig_examine(&rig, "memory: 4GiB\n" RIG_SOCKET);
	rig_expect(&rig, "free memory", DOCTOR_GOOD, "takes up to 0 MiB besides", "");
	rig_examine(&rig, "memory: 4GiB\nmemory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "free memory", DOCTOR_WARNING, "takes up to 4098 MiB besides", NULL);
	rig_close(&rig);
}

static void test_a_cgroup_limits_memory(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_pages(&rig, 0, 0);
	rig_file(&rig, "sys/fs/cgroup/user.slice/kante/memory.max", "max\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "memory limit", DOCTOR_GOOD, "has none", "");
	rig_file(&rig, "sys/fs/cgroup/user.slice/memory.max", "67108864\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "memory limit", DOCTOR_WARNING, "may have 64 MiB", "MemoryMax=");
	rig_file(&rig, "sys/fs/cgroup/user.slice/memory.max", "1073741824\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "memory limit", DOCTOR_GOOD, "may have 1024 MiB", "");

	/* version 1, in a container: the mount begins at its own cgroup */
	rig_file(&rig, "proc/self/cgroup", "4:memory:/docker/ab\\040c\n");
	rig_mounts(&rig, "34 27 0:31 /docker/ab\\134040c /sys/fs/cgroup/memory ro - cgroup cgroup "
	                 "rw,memory\n");
	rig_file(&rig, "sys/fs/cgroup/memory/memory.limit_in_bytes", "33554432\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "memory limit", DOCTOR_WARNING, "may have 32 MiB", NULL);
	rig_file(&rig, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "memory limit", DOCTOR_GOOD, "has none", "");
	rig_close(&rig);
}

static void test_swap_is_told_of_unless_items_are_in_hugepages(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_memory(&rig, 8192, 2048);
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "swap", DOCTOR_GOOD, "2048 MiB: hugepages are never put there", "");
	rig_pages(&rig, 0, 0);
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "swap", DOCTOR_NOTE, "2048 MiB: items can be put there", "swapoff -a");
	rig_remove(&rig, "proc/meminfo");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "swap", DOCTOR_SKIPPED, "No such file", "");
	rig_close(&rig);
}

static void test_a_strict_kernel_must_promise_enough(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_pages(&rig, 0, 0);
	rig_file(&rig, "proc/sys/vm/overcommit_memory", "2\n");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "overcommit", DOCTOR_GOOD, "1024 MiB can still be promised", "");
	rig_examine(&rig, "memory: 2GiB\n" RIG_SOCKET);
	rig_expect(&rig, "overcommit", DOCTOR_FAULT, "1024 MiB can still be promised",
	           "vm.overcommit_memory=0");
	rig_remove(&rig, "proc/sys/vm/overcommit_memory");
	rig_examine(&rig, ITEMS_64M);
	rig_expect(&rig, "overcommit", DOCTOR_SKIPPED, "No such file", "");
	rig_close(&rig);
}

static void test_a_memory_file_must_be_in_memory(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, "memory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_GOOD,
	           "has room for 1024 MiB on a tmpfs, and takes "
	           "66 MiB",
	           "");
	rig_examine(&rig, "memory_file: /run/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT, "/run/kante lies on ext4, mounted at /",
	           "choose /dev/shm/kante");
	rig_mounts(&rig, "");
	rig_examine(&rig, "memory_file: /dev/hugepages/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_WARNING, "lies in the memory of /dev,",
	           "with a hugetlbfs mounted there");
	rig_link(&rig, "run/shm", "../dev/shm"); /* as some have it, the other way round */
	rig_examine(&rig, "memory_file: /run/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_GOOD, "on a tmpfs", "");
	rig_examine(&rig, "memory_file: /dev/shm/nowhere/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT, "No such file", "mkdir -p");
	rig_close(&rig);
}

static void test_a_memory_file_needs_room(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, "memory: 2GiB\nmemory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT,
	           "has room for 1024 MiB on a tmpfs, but takes 2050 MiB",
	           "mount -o remount,size=2051M /dev/shm");
	rig_examine(&rig, "memory_file: /dev/hugepages/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT, "has room for 0 MiB", "reserve hugepages");
	rig.room = (struct statvfs){.f_bsize = 2 << 20, .f_frsize = 2 << 20};
	rig_examine(&rig, "memory_file: /dev/hugepages/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_GOOD, "has room for 2048 MiB on a hugetlbfs", "");
	rig.room.f_blocks = 100; /* mounted with size= */
	rig.room.f_bavail = 16;
	rig_examine(&rig, "memory_file: /dev/hugepages/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT, "has room for 32 MiB on a hugetlbfs", NULL);
	rig.room_result = -EIO;
	rig_examine(&rig, "memory_file: /dev/hugepages/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT, "Input/output error", NULL);
	rig_close(&rig);
}

static void test_a_memory_file_of_others_is_a_fault(void)
{
	char path[128];
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "dev/shm/kante", "items");
	snprintf(path, sizeof(path), "%s/dev/shm/kante", rig.root);
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	rig_examine(&rig, "memory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_GOOD, "has room for 1024 MiB", "");
	CU_ASSERT_EQUAL(chmod(path, 0640), 0);
	rig_examine(&rig, "memory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT, "mode 0640", "rm /dev/shm/kante");
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	rig_be_nobody(&rig);
	rig_examine(&rig, "memory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_FAULT, "no file of this user (65534)", NULL);
	rig_close(&rig);
}

static void test_what_is_already_in_a_memory_file_counts_as_room(void)
{
	char path[128];
	struct rig rig;
	int fd;

	rig_open(&rig);
	rig.room = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1024};
	rig_file(&rig, "dev/shm/kante", "%s", "");
	snprintf(path, sizeof(path), "%s/dev/shm/kante", rig.root);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(fchmod(fd, 0600), 0);
	CU_ASSERT_EQUAL(posix_fallocate(fd, 0, 6 << 20), 0);
	close(fd);
	rig_examine(&rig,
	            "memory: 4MiB\nitem_size_max: 1MiB\nmemory_file: /dev/shm/kante\n" RIG_SOCKET);
	rig_expect(&rig, "memory file", DOCTOR_GOOD, "takes 6 MiB", "");
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a good host is good", test_a_good_host_is_good},
	    {"without a config the host alone is told of",
	     test_without_a_config_the_host_alone_is_told_of},
	    {"hugepages that are missing are counted", test_hugepages_that_are_missing_are_counted},
	    {"what a running kanted holds counts as free",
	     test_what_a_running_kanted_holds_counts_as_free},
	    {"more than half of free memory is not taken",
	     test_more_than_half_of_free_memory_is_not_taken},
	    {"hugepages of another size are no use", test_hugepages_of_another_size_are_no_use},
	    {"--fix reserves hugepages", test_fix_reserves_hugepages},
	    {"hugepages that cannot be had are left as they were",
	     test_hugepages_that_cannot_be_had_are_left_as_they_were},
	    {"nodes are looked at one by one", test_nodes_are_looked_at_one_by_one},
	    {"--fix mounts a hugetlbfs", test_fix_mounts_a_hugetlbfs},
	    {"transparent pages matter without hugepages",
	     test_transparent_pages_matter_without_hugepages},
	    {"memory that is not there is a warning", test_memory_that_is_not_there_is_a_warning},
	    {"a cgroup limits memory", test_a_cgroup_limits_memory},
	    {"swap is told of unless items are in hugepages",
	     test_swap_is_told_of_unless_items_are_in_hugepages},
	    {"a strict kernel must promise enough", test_a_strict_kernel_must_promise_enough},
	    {"a memory file must be in memory", test_a_memory_file_must_be_in_memory},
	    {"a memory file needs room", test_a_memory_file_needs_room},
	    {"a memory file of others is a fault", test_a_memory_file_of_others_is_a_fault},
	    {"what is already in a memory file counts as room",
	     test_what_is_already_in_a_memory_file_counts_as_room},
	};

	return UNIT_RUN("doctor_memory", cases);
}
