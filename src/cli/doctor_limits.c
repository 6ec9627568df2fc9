/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SOMAXCONN_FILE    "/proc/sys/net/core/somaxconn"
#define DESCRIPTORS_SPARE 256 /* as kanted asks for */
#define TEXT_BYTES        256

struct limit {
	const char *name;
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
	bool is_found;
};

static uint64_t limit_parse(const char *text)
{
	return strcmp(text, "unlimited") == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

/* "Max open files            1024                 524288               files" */
static bool take_limit(void *context, char *line)
{
	struct limit *limit = context;
	char soft[32], hard[32];
	size_t length = strlen(limit->name);

	if (strncmp(line, limit->name, length) != 0 ||
	    sscanf(line + length, "%31s %31s", soft, hard) != 2)
		return true;
	limit->soft = limit_parse(soft);
	limit->hard = limit_parse(hard);
	limit->is_found = true;
	return false;
}

/* False: unknown, and that was said. */
static bool limit_read(struct doctor *doctor, struct limit *limit)
{
	int r = doctor_read_lines(doctor, "/proc/self/limits", take_limit, limit);

	if (r < 0 || !limit->is_found)
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, "/proc/self/limits does not tell%s%s",
		           r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	return r == 0 && limit->is_found;
}

/* What devices read and write is locked in memory. */
void doctor_check_memory_lock(struct doctor *doctor)
{
	struct limit limit = {.name = "Max locked memory"};
	uint64_t needed = doctor->need.packets;
	char has[DOCTOR_SIZE_BYTES], needs[DOCTOR_SIZE_BYTES];
	struct doctor_finding *finding;

	if (doctor_has_kind(doctor, PORT_PCI))
		needed += doctor->need.items + doctor->need.common;
	if ((!doctor_has_kind(doctor, PORT_XDP) && !doctor_has_kind(doctor, PORT_PCI)) ||
	    !limit_read(doctor, &limit))
		return;
	doctor_format_size(has, limit.hard);
	doctor_format_size(needs, needed);
	/* With the second one, kanted raises it itself; for a pci port it does not. */
	if (doctor_may(doctor, CAP_IPC_LOCK) ||
	    (doctor_may(doctor, CAP_SYS_RESOURCE) && !doctor_has_kind(doctor, PORT_PCI))) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "does not hold for user %u", doctor->user);
		return;
	}
	if (limit.soft >= needed) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "is high enough for %s", needs);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, NULL, "is %llu KiB, the config's ports need %s",
	                     (unsigned long long)limit.soft / 1024, needs);
	doctor_advise(finding,
	              "LimitMEMLOCK=infinity in kanted's unit, or `ulimit -l unlimited` as "
	              "root before it is started");
}

void doctor_check_files(struct doctor *doctor)
{
	struct limit limit = {.name = "Max open files"};
	uint64_t wanted = DESCRIPTORS_SPARE, most = UINT64_MAX;
	struct doctor_finding *finding;

	if (doctor->config == NULL || !doctor_has_kind(doctor, PORT_SOCKET))
		return;
	wanted += doctor->config->connection_count_max;
	(void)doctor_read_number(doctor, &most, "/proc/sys/fs/nr_open");
	if (most < wanted) {
		finding = doctor_say(doctor, DOCTOR_FAULT, NULL,
		                     "fs.nr_open is %llu, max_connections %llu needs %llu",
		                     (unsigned long long)most,
		                     (unsigned long long)doctor->config->connection_count_max,
		                     (unsigned long long)wanted);
		doctor_advise(finding, "sysctl -w fs.nr_open=%llu, or lower max_connections",
		              (unsigned long long)wanted);
		return;
	}
	if (!limit_read(doctor, &limit))
		return;
	if (limit.hard >= wanted) {
		doctor_say(doctor, DOCTOR_GOOD, NULL,
		           "may be %llu, max_connections %llu needs %llu",
		           (unsigned long long)limit.hard,
		           (unsigned long long)doctor->config->connection_count_max,
		           (unsigned long long)wanted);
		return;
	}
	if (doctor_may(doctor, CAP_SYS_RESOURCE)) {
		doctor_say(doctor, DOCTOR_GOOD, NULL,
		           "is %llu, max_connections %llu needs %llu: user %u may raise it, and "
		           "kanted does",
		           (unsigned long long)limit.hard,
		           (unsigned long long)doctor->config->connection_count_max,
		           (unsigned long long)wanted, doctor->user);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, NULL, "is %llu, max_connections %llu needs %llu",
	                     (unsigned long long)limit.hard,
	                     (unsigned long long)doctor->config->connection_count_max,
	                     (unsigned long long)wanted);
	doctor_advise(finding, "LimitNOFILE=%llu in kanted's unit, or lower max_connections",
	              (unsigned long long)wanted);
}

void doctor_check_core_files(struct doctor *doctor)
{
	struct limit limit = {.name = "Max core file size"};
	struct doctor_finding *finding;
	char pattern[TEXT_BYTES];

	if (!limit_read(doctor, &limit))
		return;
	(void)doctor_read(doctor, pattern, sizeof(pattern), "/proc/sys/kernel/core_pattern");
	if (pattern[0] == '|') { /* no limit holds for a program that takes them (core(5)) */
		doctor_say(doctor, DOCTOR_GOOD, NULL, "are given to %s", pattern + 1);
		return;
	}
	if (limit.soft > 0) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "are written as \"%s\"", pattern);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
	                     "the limit is 0: a crash would leave nothing to find out why");
	doctor_advise(finding,
	              "LimitCORE=infinity in kanted's unit, or `ulimit -c unlimited` before "
	              "it is started; `memory` has to fit on the disk, too");
}

/* fix_value: what it is to be. */
static int fix_somaxconn(const struct doctor *doctor, const struct doctor_finding *finding,
                         char *text, size_t text_bytes)
{
	unsigned long long wanted = finding->fix_value;
	uint64_t before = 0;
	char number[24];
	int r;

	(void)doctor_read_number(doctor, &before, SOMAXCONN_FILE);
	snprintf(number, sizeof(number), "%llu", wanted);
	r = doctor_write(doctor, number, SOMAXCONN_FILE);
	if (r < 0)
		return doctor_fix_failed(text, text_bytes, r, "cannot set net.core.somaxconn");
	snprintf(text, text_bytes,
	         "set net.core.somaxconn to %llu (was %llu); after a reboot, too: echo "
	         "net.core.somaxconn=%llu >> /etc/sysctl.d/60-kante.conf",
	         wanted, (unsigned long long)before, wanted);
	return 0;
}

void doctor_check_somaxconn(struct doctor *doctor)
{
	struct doctor_finding *finding;
	uint64_t most, backlog = 0;
	int r;

	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++)
		if (doctor->config->ports[i].kind == PORT_SOCKET)
			backlog = max_u64(backlog, doctor->config->ports[i].backlog);
	if (backlog == 0)
		return;
	r = doctor_read_number(doctor, &most, SOMAXCONN_FILE);
	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, SOMAXCONN_FILE " cannot be read: %s",
		           strerror(-r));
		return;
	}
	if (most >= backlog) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "net.core.somaxconn is %llu, `backlog` %llu",
		           (unsigned long long)most, (unsigned long long)backlog);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
	                     "net.core.somaxconn is %llu, below the config's `backlog` of %llu: "
	                     "more clients at once have to come again",
	                     (unsigned long long)most, (unsigned long long)backlog);
	doctor_advise(finding, "sysctl -w net.core.somaxconn=%llu", (unsigned long long)backlog);
	finding->fix = fix_somaxconn;
	finding->fix_value = backlog;
}
