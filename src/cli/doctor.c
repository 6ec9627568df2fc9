/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "base/assert.h"
#include "cli/doctor_internal.h"

#include <stdarg.h>
#include <string.h>

#define FAULTS_SHOWN 16 /* of a config */

static void check_config(struct doctor *doctor);
static void check_kanted(struct doctor *doctor);

/* A check that finds nothing to look at, as the config has no port of its kind, says nothing. */
const struct doctor_check doctor_checks[] = {
    {"config", "Whether there is one, and kanted takes it", check_config},
    {"kanted", "Whether one runs: what it holds counts as free", check_kanted},
    {"kernel", "Its version, and what xdp ports need of it", doctor_check_kernel},
    {"capabilities", "What this user may, against what the ports need", doctor_check_capabilities},
    {"hugepages", "Free ones, against what the config needs", doctor_check_hugepages},
    {"nodes", "Free ones of each NUMA node that has workers", doctor_check_nodes},
    {"hugetlbfs", "Mounted or not", doctor_check_hugetlbfs},
    {"transparent pages", "Whether kanted may have them without hugepages",
     doctor_check_huge_by_itself},
    {"free memory", "Against what the config needs besides hugepages", doctor_check_free_memory},
    {"memory limit", "Of the cgroup", doctor_check_memory_limit},
    {"swap", "Whether items can end up on a disk", doctor_check_swap},
    {"overcommit", "Whether the kernel promises as much memory as the config needs",
     doctor_check_overcommit},
    {"memory file", "Its file system, owner and room", doctor_check_memory_file},
    {"memory lock", "The limit, against what devices reach", doctor_check_memory_lock},
    {"open files", "The limit, against max_connections", doctor_check_files},
    {"core files", "Whether a crash leaves one", doctor_check_core_files},
    {"cores", "Those of the workers, against those that may be used", doctor_check_cores},
    {"isolation", "Whether anything else runs on workers' cores", doctor_check_isolation},
    {"siblings", "Whether workers share a physical core", doctor_check_siblings},
    {"caches", "Whether workers share a last-level cache", doctor_check_caches},
    {"governor", "Of the workers' cores", doctor_check_governor},
    {"cpu quota", "Of the cgroup: it would make workers stand still", doctor_check_quota},
    {"clock", "Whether it is synchronised", doctor_check_clock},
    {"clock source", "Whether reading the clock is cheap", doctor_check_clock_source},
    {"vfio-pci", "Whether it is loaded, for pci ports", doctor_check_vfio},
    {"device", "Of pci ports: its driver, and what hangs on it", doctor_check_devices},
    {"iommu", "Of pci ports: whether the device is behind one", doctor_check_iommu},
    {"interface", "Of xdp ports: whether it is there", doctor_check_interfaces},
    {"link", "Of xdp ports: up, and how fast", doctor_check_link},
    {"mtu", "Of xdp ports: what XDP takes", doctor_check_mtu},
    {"addresses", "Of xdp ports: whether there are any", doctor_check_addresses},
    {"queues", "Of xdp ports: against the workers", doctor_check_queues},
    {"native xdp", "Of xdp ports: whether the driver runs it", doctor_check_native},
    {"interrupts", "Of xdp ports: which cores they go to", doctor_check_interrupts},
    {"xdp program", "Of xdp ports: whether another one is attached", doctor_check_program},
    {"tun", "Of tap ports: /dev/net/tun, and the name", doctor_check_tap},
    {"port", "Of sockets and xdp ports: whether somebody has it", doctor_check_taken},
    {"path", "Of Unix and memif sockets: whether it can be made", doctor_check_paths},
    {"somaxconn", "Against the config's backlog", doctor_check_somaxconn},
    {"auth_file", "Whether it is good, and who may read it", doctor_check_auth_file},
};

const uint32_t doctor_check_count = sizeof(doctor_checks) / sizeof(doctor_checks[0]);

/* Three checks name several ports, with two findings each; three more say up to four things. */
_Static_assert(sizeof(doctor_checks) / sizeof(doctor_checks[0]) + PORT_COUNT_MAX * 16 +
                       FAULTS_SHOWN <=
                   DOCTOR_FINDING_COUNT_MAX,
               "all findings have room");

const char *doctor_level_name(enum doctor_level level)
{
	static const char *const names[] = {
	    [DOCTOR_GOOD] = "good",       [DOCTOR_SKIPPED] = "skipped", [DOCTOR_NOTE] = "note",
	    [DOCTOR_WARNING] = "warning", [DOCTOR_FAULT] = "fault",
	};

	return names[level];
}

/* What comes out of files and other programs' names is one line of text. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = *text == '\t' ? ' ' : '?';
}

struct doctor_finding *doctor_say(struct doctor *doctor, enum doctor_level level, const char *about,
                                  const char *format, ...)
{
	struct doctor_report *report = doctor->report;
	struct doctor_finding *finding = &report->findings[report->finding_count];
	va_list arguments;

	ASSERT(report->finding_count < DOCTOR_FINDING_COUNT_MAX);
	report->finding_count++;
	*finding = (struct doctor_finding){.check = doctor->check, .level = level};
	snprintf(finding->about, sizeof(finding->about), "%s", about == NULL ? "" : about);
	va_start(arguments, format);
	vsnprintf(finding->found, sizeof(finding->found), format, arguments);
	va_end(arguments);
	make_printable(finding->found);
	return finding;
}

void doctor_advise(struct doctor_finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding->mend, sizeof(finding->mend), format, arguments);
	va_end(arguments);
	make_printable(finding->mend);
}

void doctor_about_port(char ret_about[DOCTOR_ABOUT_BYTES], const struct port_options *port)
{
	static const char *const kinds[] = {
	    [PORT_PCI] = "pci",     [PORT_XDP] = "xdp",       [PORT_TAP] = "tap",
	    [PORT_MEMIF] = "memif", [PORT_SOCKET] = "socket",
	};
	char address[IP_ADDRESS_TEXT_MAX];

	if (port->kind != PORT_SOCKET || port_is_unix(port)) {
		snprintf(ret_about, DOCTOR_ABOUT_BYTES, "%s %s", kinds[port->kind], port->name);
		return;
	}
	ip_address_format(&port->addresses[0].address, address);
	snprintf(ret_about, DOCTOR_ABOUT_BYTES, "%s %s", kinds[port->kind], address);
}

/* The file's own faults are told one by one. */
static void check_config(struct doctor *doctor)
{
	const struct doctor_options *options = doctor->options;
	const char *line = options->config_faults;
	struct doctor_finding *finding;

	if (options->config_path == NULL) {
		finding = doctor_say(doctor, DOCTOR_SKIPPED, NULL,
		                     "none is given: only the host is looked at");
		doctor_advise(finding, "kante doctor --config FILE");
		return;
	}
	if (options->config != NULL) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s: %llu worker%s, %llu MiB, %u port%s",
		           options->config_path, (unsigned long long)options->config->worker_count,
		           options->config->worker_count == 1 ? "" : "s",
		           (unsigned long long)(options->config->memory_bytes >> 20),
		           options->config->port_count,
		           options->config->port_count == 1 ? "" : "s");
		return;
	}
	for (uint32_t i = 0; i < FAULTS_SHOWN && *line != '\0'; i++) {
		size_t length = strcspn(line, "\n");

		finding = doctor_say(doctor, DOCTOR_FAULT, NULL, "%.*s", (int)length, line);
		doctor_advise(finding, "mend the file; kanted --check -c %s", options->config_path);
		line += length + (line[length] == '\n');
	}
}

static void check_kanted(struct doctor *doctor)
{
	if (doctor->kanted == 0)
		doctor_say(doctor, DOCTOR_GOOD, NULL, "none runs");
	else
		doctor_say(doctor, DOCTOR_GOOD, NULL,
		           "runs (pid %d): what it holds counts as free, for this config's",
		           (int)doctor->kanted);
}

static struct doctor doctor_of(struct doctor_report *report, const struct doctor_options *options)
{
	struct doctor doctor = {
	    .host = options->host,
	    .config = options->config,
	    .options = options,
	    .report = report,
	};

	doctor_gather(&doctor);
	return doctor;
}

void doctor_examine(struct doctor_report *report, const struct doctor_options *options)
{
	struct doctor doctor = doctor_of(report, options);

	report->finding_count = 0;
	for (uint32_t i = 0; i < doctor_check_count; i++) {
		doctor.check = doctor_checks[i].name;
		doctor_checks[i].run(&doctor);
	}
}

void doctor_mend(struct doctor_report *report, const struct doctor_options *options)
{
	const struct doctor doctor = doctor_of(report, options);

	report->deed_count = 0;
	for (uint32_t i = 0; i < report->finding_count; i++) {
		const struct doctor_finding *finding = &report->findings[i];
		struct doctor_deed *deed = &report->deeds[report->deed_count];

		if (finding->fix == NULL)
			continue;
		*deed = (struct doctor_deed){.check = finding->check};
		memcpy(deed->about, finding->about, sizeof(deed->about));
		deed->result = finding->fix(&doctor, finding, deed->text, sizeof(deed->text));
		make_printable(deed->text);
		report->deed_count++;
	}
}

int doctor_exit_status(const struct doctor_report *report)
{
	enum doctor_level worst = DOCTOR_GOOD;

	for (uint32_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].level > worst)
			worst = report->findings[i].level;
	for (uint32_t i = 0; i < report->deed_count; i++)
		if (report->deeds[i].result < 0)
			worst = DOCTOR_FAULT;
	return worst == DOCTOR_FAULT ? 2 : worst == DOCTOR_WARNING ? 1 : 0;
}
