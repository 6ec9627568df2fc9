/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_rig.h"

#define CPU "sys/devices/system/cpu/"

static void test_a_good_host_is_good(void)
{
	static const char *const checks[] = {"cores", "siblings", "caches", "governor",
	                                     "cpu quota"};
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, "workers: [4, 5]\n" RIG_SOCKET);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		rig_expect(&rig, checks[i], DOCTOR_GOOD, "", "");
	rig_expect(&rig, "cores", DOCTOR_GOOD, "0-7 may be used, workers have 4-5", "");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "isolation")); /* kernel sockets do not poll */
	rig_close(&rig);
}

static void test_workers_have_the_last_cores(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "proc/self/status", "Cpus_allowed_list:\t1,3,5\n");
	rig_examine(&rig, "workers: 2\n" RIG_SOCKET);
	rig_expect(&rig, "cores", DOCTOR_GOOD, "1,3,5 may be used, workers have 3,5", "");
	rig_close(&rig);
}

static void test_each_worker_needs_a_core(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, "workers: 9\n" RIG_SOCKET);
	rig_expect(&rig, "cores", DOCTOR_FAULT, "needs a core for each, and 8 may be used: 0-7",
	           "workers: 8");
	rig_examine(&rig, "workers: [3, 12]\n" RIG_SOCKET);
	rig_expect(&rig, "cores", DOCTOR_FAULT, "`workers` names core 12, online are 0-7",
	           "echo 1 > /sys/devices/system/cpu/cpuN/online");
	rig_file(&rig, "proc/self/status", "Cpus_allowed_list:\t0-3\n");
	rig_examine(&rig, "workers: [3, 6, 7]\n" RIG_SOCKET);
	rig_expect(&rig, "cores", DOCTOR_FAULT,
	           "`workers` names core 6-7, this shell may use 0-3 only", "taskset -c 0-7");
	rig_remove(&rig, "proc/self/status");
	rig_examine(&rig, "workers: 1\n" RIG_SOCKET);
	rig_expect(&rig, "cores", DOCTOR_SKIPPED, "/proc/self/status", "");
	rig_close(&rig);
}

static void test_the_kernel_wants_a_core_too(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, "workers: 8\n" RIG_XDP);
	rig_expect(&rig, "cores", DOCTOR_NOTE, "workers have all cores that may be used (0-7)",
	           "`workers: 7`");
	rig_close(&rig);
}

static void test_workers_that_poll_want_cores_of_their_own(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, "workers: [4, 5]\n" RIG_XDP);
	rig_expect(&rig, "isolation", DOCTOR_GOOD, "(4-5) are for them alone", "");
	rig_examine(&rig, "workers: [3, 4]\n" RIG_XDP);
	rig_expect(&rig, "isolation", DOCTOR_NOTE, "other processes may run on workers' cores (3)",
	           "isolcpus=3-4 nohz_full=3-4 rcu_nocbs=3-4");
	rig_file(&rig, CPU "nohz_full", "  (null)\n"); /* as Linux says "none" */
	rig_examine(&rig, "workers: [4, 5]\n" RIG_XDP);
	rig_expect(&rig, "isolation", DOCTOR_NOTE, "the timer interrupts workers on cores 4-5",
	           "nohz_full=4-5");
	rig_close(&rig);
}

static void test_workers_on_one_physical_core_are_told_of(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, CPU "cpu4/topology/thread_siblings_list", "4-5\n");
	rig_file(&rig, CPU "cpu5/topology/thread_siblings_list", "4-5\n");
	rig_examine(&rig, "workers: [4, 5, 6]\n" RIG_SOCKET);
	rig_expect(&rig, "siblings", DOCTOR_NOTE, "workers on 4-5 share physical cores",
	           "smt/control");
	rig_examine(&rig, "workers: [4, 6]\n" RIG_SOCKET);
	rig_expect(&rig, "siblings", DOCTOR_GOOD, "no two workers", "");
	rig_close(&rig);
}

static void test_workers_of_several_caches_are_told_of(void)
{
	struct rig rig;

	rig_open(&rig);
	for (int core = 4; core < 8; core++) {
		char path[96];

		snprintf(path, sizeof(path), CPU "cpu%d/cache/index3/shared_cpu_list", core);
		rig_file(&rig, path, "4-7\n");
	}
	rig_examine(&rig, "workers: [3, 4]\n" RIG_SOCKET);
	rig_expect(&rig, "caches", DOCTOR_NOTE, "over 2 last-level caches", "lscpu -e");
	rig_examine(&rig, "workers: [4, 7]\n" RIG_SOCKET);
	rig_expect(&rig, "caches", DOCTOR_GOOD, "one last-level cache", "");
	rig_remove(&rig, CPU "cpu4/cache");
	rig_remove(&rig, CPU "cpu7/cache");
	rig_examine(&rig, "workers: [4, 7]\n" RIG_SOCKET);
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "caches"));
	rig_close(&rig);
}

static void test_fix_sets_the_governor_of_workers_cores(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, CPU "cpu2/cpufreq/scaling_governor", "powersave\n");
	rig_file(&rig, CPU "cpu3/cpufreq/scaling_governor", "powersave\n");
	rig_examine(&rig, "workers: [3, 4]\n" RIG_SOCKET);
	rig_expect(&rig, "governor", DOCTOR_NOTE, "powersave on workers' cores 3",
	           "cpupower -c 3 frequency-set -g performance");
	rig_mend(&rig);
	rig_expect_deed(&rig, "governor", 0, "governor of 1 cores to performance");
	rig_expect_file(&rig, CPU "cpu3/cpufreq/scaling_governor", "performance");
	rig_expect_file(&rig, CPU "cpu2/cpufreq/scaling_governor", "powersave\n");
	rig_examine(&rig, "workers: [3, 4]\n" RIG_SOCKET);
	rig_expect(&rig, "governor", DOCTOR_GOOD, "performance", "");
	rig_remove(&rig, CPU "cpu3/cpufreq");
	rig_remove(&rig, CPU "cpu4/cpufreq");
	rig_examine(&rig, "workers: [3, 4]\n" RIG_SOCKET);
	rig_expect(&rig, "governor", DOCTOR_SKIPPED, "does not set the cores' frequency", "");
	rig_close(&rig);
}

static void test_a_governor_that_cannot_be_set_leaves_all_as_it_was(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, CPU "cpu3/cpufreq/scaling_governor", "powersave\n");
	rig_file(&rig, CPU "cpu4/cpufreq/scaling_governor", "powersave\n");
	rig_examine(&rig, "workers: [3, 4]\n" RIG_SOCKET);
	rig_remove(&rig, CPU "cpu4/cpufreq/scaling_governor");
	rig_mend(&rig);
	rig_expect_deed(&rig, "governor", 0, "of 1 cores"); /* one that is gone is passed over */
	rig_file(&rig, CPU "cpu3/cpufreq/scaling_governor", "powersave\n");
	rig_link(&rig, CPU "cpu4/cpufreq/scaling_governor", "/proc/version"); /* never writable */
	rig_mend(&rig);
	rig_expect_deed(&rig, "governor", geteuid() == 0 ? -EIO : -EACCES,
	                "cannot set the governor: ");
	rig_expect_file(&rig, CPU "cpu3/cpufreq/scaling_governor", "powersave");
	rig_close(&rig);
}

static void test_a_quota_would_make_workers_stand_still(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "sys/fs/cgroup/user.slice/kante/cpu.max", "max 100000\n");
	rig_file(&rig, "sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
	rig_examine(&rig, "workers: 2\n" RIG_SOCKET);
	rig_expect(&rig, "cpu quota", DOCTOR_WARNING, "1.50 cores at a time, for 2 workers",
	           "raise it to 3 cores");
	rig_file(&rig, "sys/fs/cgroup/user.slice/cpu.max", "300000 100000\n");
	rig_examine(&rig, "workers: 2\n" RIG_SOCKET);
	rig_expect(&rig, "cpu quota", DOCTOR_GOOD, "3.00 cores", "");
	rig_file(&rig, "sys/fs/cgroup/user.slice/cpu.max", "300000 0\n"); /* no kernel says so */
	rig_examine(&rig, "workers: 2\n" RIG_SOCKET);
	rig_expect(&rig, "cpu quota", DOCTOR_GOOD, "has none", "");

	rig_file(&rig, "proc/self/cgroup", "3:cpuset:/\n2:cpu,cpuacct:/kante\n0::/\n");
	rig_mounts(&rig, "34 27 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu\n");
	rig_file(&rig, "sys/fs/cgroup/cpu/kante/cpu.cfs_quota_us", "50000\n");
	rig_file(&rig, "sys/fs/cgroup/cpu/kante/cpu.cfs_period_us", "100000\n");
	rig_examine(&rig, "workers: 2\n" RIG_SOCKET);
	rig_expect(&rig, "cpu quota", DOCTOR_WARNING, "0.50 cores", NULL);
	rig_file(&rig, "sys/fs/cgroup/cpu/kante/cpu.cfs_quota_us", "-1\n");
	rig_examine(&rig, "workers: 2\n" RIG_SOCKET);
	rig_expect(&rig, "cpu quota", DOCTOR_GOOD, "has none", "");
	rig_close(&rig);
}

static void test_lists_of_cores_are_read_whole_or_not_at_all(void)
{
	static const char *const good[] = {"0", "0-3", "0-3,6", "1,3,5,1023", "1020-1023"};
	static const char *const bad[] = {
	    "x",     "3-1", "0-1024", "1,", "1,,2", "-1", "1-", "0 1", "99999999999999999999",
	    "(null)"};
	char text[DOCTOR_LIST_BYTES];
	cpu_set_t cores;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE_FATAL(doctor_parse_cores(&cores, good[i]));
		doctor_format_cores(text, &cores);
		CU_ASSERT_STRING_EQUAL(text, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(doctor_parse_cores(&cores, bad[i]));
	CU_ASSERT_TRUE(doctor_parse_cores(&cores, ""));
	CU_ASSERT_EQUAL(CPU_COUNT(&cores), 0);
	for (int core = 0; core < CPU_SETSIZE; core += 2)
		CPU_SET(core, &cores);
	doctor_format_cores(text, &cores); /* has no room for all */
	CU_ASSERT_STRING_EQUAL(text + strlen(text) - strlen(",…"), ",…");
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a good host is good", test_a_good_host_is_good},
	    {"workers have the last cores that may be used", test_workers_have_the_last_cores},
	    {"each worker needs a core", test_each_worker_needs_a_core},
	    {"the kernel wants a core, too", test_the_kernel_wants_a_core_too},
	    {"workers that poll want cores of their own",
	     test_workers_that_poll_want_cores_of_their_own},
	    {"workers on one physical core are told of",
	     test_workers_on_one_physical_core_are_told_of},
	    {"workers of several caches are told of", test_workers_of_several_caches_are_told_of},
	    {"--fix sets the governor of workers' cores",
	     test_fix_sets_the_governor_of_workers_cores},
	    {"a governor that cannot be set leaves all as it was",
	     test_a_governor_that_cannot_be_set_leaves_all_as_it_was},
	    {"a quota would make workers stand still", test_a_quota_would_make_workers_stand_still},
	    {"lists of cores are read whole or not at all",
	     test_lists_of_cores_are_read_whole_or_not_at_all},
	};

	return UNIT_RUN("doctor_cpu", cases);
}
