/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CPU            "/sys/devices/system/cpu/"
#define GOVERNOR       CPU "cpu%u/cpufreq/scaling_governor"
#define GOVERNOR_BYTES 32
#define TEXT_BYTES     256
#define QUOTA_SCALE    100 /* hundredths of a core */

/* Cores of a file such as "isolated"; none if it cannot be read. */
static cpu_set_t cores_of(const struct doctor *doctor, const char *name)
{
	cpu_set_t cores;

	(void)doctor_read_cores(doctor, &cores, CPU "%s", name);
	return cores;
}

static cpu_set_t without(const cpu_set_t *from, const cpu_set_t *what)
{
	cpu_set_t left;

	CPU_XOR(&left, from, what);
	CPU_AND(&left, &left, from);
	return left;
}

static void say_missing(struct doctor *doctor, const cpu_set_t *missing)
{
	cpu_set_t online = cores_of(doctor, "online"), hidden;
	char list[DOCTOR_LIST_BYTES], all[DOCTOR_LIST_BYTES], may[DOCTOR_LIST_BYTES];
	struct doctor_finding *finding;

	doctor_format_cores(list, missing);
	doctor_format_cores(all, &online);
	doctor_format_cores(may, &doctor->allowed);
	CPU_AND(&hidden, &online, missing);
	if (!CPU_EQUAL(&hidden, missing)) {
		finding = doctor_say(doctor, DOCTOR_FAULT, NULL,
		                     "`workers` names core %s, online are %s", list, all);
		doctor_advise(finding, "name others in `workers`, or turn them on: echo 1 > " CPU
		                       "cpuN/online");
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, NULL,
	                     "`workers` names core %s, this shell may use %s only", list, may);
	doctor_advise(
	    finding,
	    "start kanted by `taskset -c %s kanted …` (CPUAffinity= in its unit), as must "
	    "be with isolated cores, or give its cgroup these cores (AllowedCPUs=)",
	    all);
}

void doctor_check_cores(struct doctor *doctor)
{
	uint64_t wanted = doctor->config == NULL ? 0 : doctor->config->worker_count;
	cpu_set_t missing = without(&doctor->worker_cores, &doctor->allowed);
	cpu_set_t left = without(&doctor->allowed, &doctor->worker_cores);
	char workers[DOCTOR_LIST_BYTES], may[DOCTOR_LIST_BYTES];
	struct doctor_finding *finding;

	doctor_format_cores(may, &doctor->allowed);
	doctor_format_cores(workers, &doctor->worker_cores);
	if (CPU_COUNT(&doctor->allowed) == 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL,
		           "/proc/self/status does not say which "
		           "cores may be used");
	} else if (wanted == 0) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s may be used", may);
	} else if (doctor->worker_count == 0) {
		finding =
		    doctor_say(doctor, DOCTOR_FAULT, NULL,
		               "`workers: %llu` needs a core for each, and %d may be used: %s",
		               (unsigned long long)wanted, CPU_COUNT(&doctor->allowed), may);
		doctor_advise(finding, "workers: %d", CPU_COUNT(&doctor->allowed));
	} else if (CPU_COUNT(&missing) > 0) {
		say_missing(doctor, &missing);
	} else if (CPU_COUNT(&left) == 0 && doctor_has_device(doctor)) {
		finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
		                     "workers have all cores that may be used (%s): the kernel and "
		                     "all else share them",
		                     workers);
		doctor_advise(finding,
		              "leave one without a worker: `workers: %llu`, if there are "
		              "several",
		              (unsigned long long)max_u64(wanted - 1, 1));
	} else {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s may be used, workers have %s", may,
		           workers);
	}
}

/* Cores that nothing else runs on: of use only to workers that poll a device. */
void doctor_check_isolation(struct doctor *doctor)
{
	cpu_set_t isolated = cores_of(doctor, "isolated"), tickless = cores_of(doctor, "nohz_full");
	cpu_set_t shared = without(&doctor->worker_cores, &isolated);
	cpu_set_t ticking = without(&doctor->worker_cores, &tickless);
	char all[DOCTOR_LIST_BYTES], list[DOCTOR_LIST_BYTES];
	struct doctor_finding *finding;

	if (doctor->worker_count == 0 || !doctor_has_device(doctor))
		return;
	doctor_format_cores(all, &doctor->worker_cores);
	if (CPU_COUNT(&shared) > 0)
		doctor_format_cores(list, &shared);
	else
		doctor_format_cores(list, &ticking);
	if (CPU_COUNT(&shared) == 0 && CPU_COUNT(&ticking) == 0) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "the workers' cores (%s) are for them alone",
		           all);
		return;
	}
	finding = doctor_say(
	    doctor, DOCTOR_NOTE, NULL,
	    CPU_COUNT(&shared) > 0
	        ? "other processes may run on workers' cores (%s), and delay them by milliseconds"
	        : "the timer interrupts workers on cores %s (no nohz_full), up to 1000 times a "
	          "second",
	    list);
	doctor_advise(
	    finding,
	    "boot with isolcpus=%s nohz_full=%s rcu_nocbs=%s on the kernel's command line, "
	    "and start kanted on these cores (CPUAffinity= in its unit)",
	    all, all, all);
}

/* Groups of cores: of each worker, those it shares something with. Says which groups have, or do
 * not have, several workers. */
struct groups {
	uint32_t count;
	cpu_set_t sets[CONFIG_WORKER_COUNT_MAX];
};

static void groups_read(const struct doctor *doctor, struct groups *groups, const char *file)
{
	groups->count = 0;
	for (uint32_t i = 0; i < doctor->worker_count; i++) {
		uint32_t at = 0;
		cpu_set_t cores;

		if (doctor_read_cores(doctor, &cores, CPU "cpu%u/%s", doctor->workers[i], file) < 0)
			continue;
		while (at < groups->count && !CPU_EQUAL(&groups->sets[at], &cores))
			at++;
		if (at == groups->count)
			groups->sets[groups->count++] = cores;
	}
}

/* Threads of one core. */
void doctor_check_siblings(struct doctor *doctor)
{
	struct doctor_finding *finding;
	struct groups groups;
	char list[DOCTOR_LIST_BYTES];
	cpu_set_t crowded;

	groups_read(doctor, &groups, "topology/thread_siblings_list");
	if (doctor->worker_count == 0 || groups.count == 0)
		return;
	CPU_ZERO(&crowded);
	for (uint32_t i = 0; i < groups.count; i++) {
		cpu_set_t workers;

		CPU_AND(&workers, &groups.sets[i], &doctor->worker_cores);
		if (CPU_COUNT(&workers) > 1)
			CPU_OR(&crowded, &crowded, &workers);
	}
	doctor_format_cores(list, &crowded);
	if (list[0] == '\0') {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "no two workers share a physical core");
		return;
	}
	finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
	                     "workers on %s share physical cores: each runs at about half of its "
	                     "speed while the other is busy",
	                     list);
	doctor_advise(finding,
	              "name one thread of each core in `workers` (`lscpu -e` shows CORE), or "
	              "turn SMT off: echo off > " CPU "smt/control");
}

void doctor_check_caches(struct doctor *doctor)
{
	struct doctor_finding *finding;
	struct groups groups;

	groups_read(doctor, &groups, "cache/index3/shared_cpu_list");
	if (doctor->worker_count == 0 || groups.count == 0)
		return;
	if (groups.count == 1) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "all workers share one last-level cache");
		return;
	}
	finding =
	    doctor_say(doctor, DOCTOR_NOTE, NULL,
	               "workers are spread over %u last-level caches: what they hand each other "
	               "takes some six times as long",
	               groups.count);
	doctor_advise(finding, "name cores of one cache in `workers` (`lscpu -e` shows L3)");
}

static int fix_governor(const struct doctor *doctor, const struct doctor_finding *finding,
                        char *text, size_t text_bytes)
{
	char before[CONFIG_WORKER_COUNT_MAX][GOVERNOR_BYTES] = {{0}};
	uint32_t changed = 0, i;
	int r = 0;

	for (i = 0; r == 0 && i < doctor->worker_count; i++) {
		if (doctor_read(doctor, before[i], GOVERNOR_BYTES, GOVERNOR, doctor->workers[i]) <
		        0 ||
		    strcmp(before[i], "performance") == 0) {
			before[i][0] = '\0';
			continue;
		}
		r = doctor_write(doctor, "performance", GOVERNOR, doctor->workers[i]);
		changed++;
	}
	if (r == 0) {
		snprintf(
		    text, text_bytes,
		    "set the governor of %u cores to performance; after a reboot, too: apt-get "
		    "install cpufrequtils && echo GOVERNOR=performance > "
		    "/etc/default/cpufrequtils",
		    changed);
		return 0;
	}
	while (i-- > 0)
		if (before[i][0] != '\0')
			(void)doctor_write(doctor, before[i], GOVERNOR, doctor->workers[i]);
	return doctor_fix_failed(text, text_bytes, r, "cannot set the governor");
}

void doctor_check_governor(struct doctor *doctor)
{
	char list[DOCTOR_LIST_BYTES], governor[GOVERNOR_BYTES], first[GOVERNOR_BYTES] = "";
	struct doctor_finding *finding;
	uint32_t known = 0;
	cpu_set_t slow;

	if (doctor->worker_count == 0)
		return;
	CPU_ZERO(&slow);
	for (uint32_t i = 0; i < doctor->worker_count; i++) {
		if (doctor_read(doctor, governor, sizeof(governor), GOVERNOR, doctor->workers[i]) <
		    0)
			continue;
		known++;
		if (strcmp(governor, "performance") == 0)
			continue;
		CPU_SET(doctor->workers[i], &slow);
		if (first[0] == '\0')
			snprintf(first, sizeof(first), "%s", governor);
	}
	doctor_format_cores(list, &slow);
	if (known == 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL,
		           "this kernel does not set the cores' frequency (" CPU "cpuN/cpufreq)");
		return;
	}
	if (list[0] == '\0') {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "performance, on all workers' cores");
		return;
	}
	finding =
	    doctor_say(doctor, DOCTOR_NOTE, NULL,
	               "%s on workers' cores %s: they may be slow to become fast", first, list);
	doctor_advise(finding, "cpupower -c %s frequency-set -g performance", list);
	finding->fix = fix_governor;
}

/* In hundredths of a core. */
static uint64_t parse_quota(const struct doctor *doctor, const char *directory, bool is_version_2)
{
	unsigned long long quota, period;
	uint64_t quota_us, period_us;
	char text[TEXT_BYTES];

	if (is_version_2) {
		(void)doctor_read(doctor, text, sizeof(text), "%s/cpu.max", directory);
		if (sscanf(text, "%llu %llu", &quota, &period) != 2) /* "max 100000" */
			return UINT64_MAX;
		quota_us = quota;
		period_us = period;
	} else if (doctor_read_number(doctor, &quota_us, "%s/cpu.cfs_quota_us", directory) < 0 ||
	           doctor_read_number(doctor, &period_us, "%s/cpu.cfs_period_us", directory) < 0) {
		return UINT64_MAX; /* -1, or the root, which has no such file */
	}
	if (period_us == 0 || quota_us > UINT64_MAX / QUOTA_SCALE)
		return UINT64_MAX;
	return quota_us * QUOTA_SCALE / period_us;
}

void doctor_check_quota(struct doctor *doctor)
{
	uint64_t quota = doctor_cgroup_limit(doctor, "cpu", parse_quota);
	struct doctor_finding *finding;

	if (quota == UINT64_MAX) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "this shell's cgroup has none");
		return;
	}
	if (quota / QUOTA_SCALE >= doctor->worker_count + 1u) {
		doctor_say(doctor, DOCTOR_GOOD, NULL,
		           "this shell's cgroup may use %.2f cores at a time, for %u workers",
		           (double)quota / QUOTA_SCALE, doctor->worker_count);
		return;
	}
	finding =
	    doctor_say(doctor, DOCTOR_WARNING, NULL,
	               "this shell's cgroup may use %.2f cores at a time, for %u workers and "
	               "what manages them: when busy they stand still for tens of milliseconds",
	               (double)quota / QUOTA_SCALE, doctor->worker_count);
	doctor_advise(finding,
	              "take the limit away (CPUQuota= in the unit, --cpus of a container), or "
	              "raise it to %u cores; give a container cores instead (--cpuset-cpus)",
	              doctor->worker_count + 1);
}
