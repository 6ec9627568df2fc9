/* SPDX-License-Identifier: Apache-2.0 */
/* What several checks ask for: who we are, which cores the workers have, whether kanted runs, and
 * how much memory the config needs. */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* kanted's memory but for the items, as its modules take it: at least that much, and 13 % too much
 * at most, with a million connections (tests/e2e/test_doctor.py holds it against a kanted that
 * runs). */
#define CLIENT_BYTES       1310u /* connection, session, scoreboard and what lingers of it */
#define BLOCK_BYTES        2112u
#define BLOCKS_A_CLIENT    16u
#define BLOCK_COUNT_MIN    8192u
#define BLOCK_COUNT_MAX    262144u
#define WORKER_BYTES       (7100u << 10) /* with what the keeper asks it by */
#define WORKER_CALLS_BYTES (2400u << 10) /* that ask each other */
#define PAIR_OF_WORKERS    (110u << 10)
#define DEVICES_BYTES      (48u << 20) /* DPDK itself */
#define PCI_QUEUE_BYTES    (17u << 20)
#define XDP_QUEUE_BYTES    (33u << 20)
#define TAP_QUEUE_BYTES    (4u << 20)
#define MEMORY_FILE_BYTES  DOCTOR_PAGE_BYTES /* its head */

static uint64_t queue_bytes(enum port_kind kind)
{
	switch (kind) {
	case PORT_PCI: return PCI_QUEUE_BYTES;
	case PORT_XDP: return XDP_QUEUE_BYTES;
	case PORT_TAP: return TAP_QUEUE_BYTES;
	case PORT_MEMIF:
	case PORT_SOCKET: break;
	}
	return 0;
}

/* It is taken like that whether there are hugepages or not. */
static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + DOCTOR_PAGE_BYTES - 1) / DOCTOR_PAGE_BYTES * DOCTOR_PAGE_BYTES;
}

static void need_estimate(struct doctor_need *need, const struct config *config)
{
	uint64_t clients = config->connection_count_max, workers = config->worker_count;
	uint64_t blocks =
	    min_u64(max_u64(clients * BLOCKS_A_CLIENT, BLOCK_COUNT_MIN), BLOCK_COUNT_MAX);

	need->items = config->memory_bytes;
	if (config->memory_file[0] != '\0')
		need->items += MEMORY_FILE_BYTES;
	need->items = whole_pages(need->items);
	need->common = workers * (WORKER_BYTES + clients * CLIENT_BYTES + blocks * BLOCK_BYTES);
	if (workers > 1)
		need->common += workers * WORKER_CALLS_BYTES + workers * workers * PAIR_OF_WORKERS;
	need->common = whole_pages(need->common);
	for (uint32_t i = 0; i < config->port_count; i++) {
		enum port_kind kind = config->ports[i].kind;

		if (kind != PORT_SOCKET && need->packets == 0)
			need->packets = DEVICES_BYTES;
		need->packets += workers * queue_bytes(kind);
	}
}

/* Lines of /proc/self/status. */
static bool take_status(void *context, char *line)
{
	struct doctor *doctor = context;
	unsigned long long capabilities;
	unsigned user;

	if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
		doctor->capabilities = capabilities;
	else if (sscanf(line, "Uid: %*u %u", &user) == 1)
		doctor->user = user;
	else if (strncmp(line, "Cpus_allowed_list:", 18) == 0)
		(void)doctor_parse_cores(&doctor->allowed, line + 18);
	return true;
}

/* As kanted chooses them: those of the config, else the last that it may use. */
static void workers_choose(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	uint32_t left = config == NULL ? 0 : (uint32_t)config->worker_count;

	if (left > 0 && (config->cores_given || left <= (uint32_t)CPU_COUNT(&doctor->allowed)))
		doctor->worker_count = left;
	else
		return;
	for (int core = CPU_SETSIZE - 1; left > 0 && !config->cores_given; core--)
		if (CPU_ISSET(core, &doctor->allowed))
			doctor->workers[--left] = (uint16_t)core;
	if (config->cores_given)
		memcpy(doctor->workers, config->cores, sizeof(doctor->workers));
	for (uint32_t i = 0; i < doctor->worker_count; i++)
		CPU_SET(doctor->workers[i], &doctor->worker_cores);
}

static bool take_process(void *context, const char *name)
{
	struct doctor *doctor = context;
	uint64_t bytes = 0;
	char command[32];

	if (strspn(name, "0123456789") != strlen(name) || strlen(name) > 9)
		return true;
	(void)doctor_read(doctor, command, sizeof(command), "/proc/%s/comm", name);
	if (strcmp(command, "kanted") != 0)
		return true;
	doctor->kanted = (pid_t)atoi(name);
	if (doctor_read_field(doctor, &bytes, "HugetlbPages", "/proc/%s/status", name) == 0)
		doctor->kanted_hugepage_bytes += bytes;
	if (doctor_read_field(doctor, &bytes, "VmRSS", "/proc/%s/status", name) == 0)
		doctor->kanted_resident_bytes += bytes;
	return true;
}

static uint32_t linux_version(const struct doctor *doctor)
{
	unsigned major, minor;
	char release[64];

	(void)doctor_read(doctor, release, sizeof(release), "/proc/sys/kernel/osrelease");
	if (sscanf(release, "%5u.%5u", &major, &minor) != 2)
		return 0;
	return DOCTOR_LINUX(major, minor);
}

void doctor_gather(struct doctor *doctor)
{
	doctor->linux_version = linux_version(doctor);
	(void)doctor_read_lines(doctor, "/proc/self/status", take_status, doctor);
	workers_choose(doctor);
	(void)doctor_read_directory(doctor, "/proc", take_process, doctor);
	if (doctor->config != NULL)
		need_estimate(&doctor->need, doctor->config);
}

bool doctor_has_kind(const struct doctor *doctor, enum port_kind kind)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++)
		if (doctor->config->ports[i].kind == kind)
			return true;
	return false;
}

bool doctor_has_device(const struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++)
		if (doctor->config->ports[i].kind != PORT_SOCKET)
			return true;
	return false;
}
