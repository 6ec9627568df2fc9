/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"
#include "login/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_BYTES   256
#define CLOCK_SOURCE "/sys/devices/system/clocksource/clocksource0/"

/* Whether a protocol of sockets is built into the kernel that runs: /proc/net/protocols. What a
 * /boot/config says may be another kernel's. */
struct protocol {
	const char *name;
	bool is_found;
};

static bool take_protocol(void *context, char *line)
{
	struct protocol *protocol = context;

	line[strcspn(line, " ")] = '\0';
	protocol->is_found = strcmp(line, protocol->name) == 0;
	return !protocol->is_found;
}

static void check_xdp_needs(struct doctor *doctor, const char *release)
{
	struct protocol sockets = {.name = "XDP"};
	struct doctor_finding *finding;
	uint64_t jit = 1;

	if (doctor->linux_version < DOCTOR_LINUX(5, 18)) {
		finding = doctor_say(doctor, DOCTOR_FAULT, NULL,
		                     "Linux %s: an xdp port needs 5.18 or newer", release);
		doctor_advise(finding, "boot a newer kernel");
	}
	if (!doctor_exists(doctor, "/proc/sys/kernel/unprivileged_bpf_disabled")) {
		finding =
		    doctor_say(doctor, DOCTOR_FAULT, NULL,
		               "Linux %s has no BPF system call, which an xdp port needs", release);
		doctor_advise(finding, "boot a kernel with CONFIG_BPF_SYSCALL");
	}
	if (doctor_read_lines(doctor, "/proc/net/protocols", take_protocol, &sockets) == 0 &&
	    !sockets.is_found) {
		finding =
		    doctor_say(doctor, DOCTOR_FAULT, NULL,
		               "Linux %s has no AF_XDP sockets, which an xdp port needs", release);
		doctor_advise(finding, "boot a kernel with CONFIG_XDP_SOCKETS");
	}
	if (doctor_read_number(doctor, &jit, "/proc/sys/net/core/bpf_jit_enable") == 0 &&
	    jit == 0) {
		finding =
		    doctor_say(doctor, DOCTOR_NOTE, NULL,
		               "net.core.bpf_jit_enable is 0: the XDP program is interpreted, "
		               "several times slower");
		doctor_advise(finding, "sysctl -w net.core.bpf_jit_enable=1");
	}
}

void doctor_check_kernel(struct doctor *doctor)
{
	uint32_t before = doctor->report->finding_count;
	char release[TEXT_BYTES];
	int r = doctor_read(doctor, release, sizeof(release), "/proc/sys/kernel/osrelease");

	if (r < 0 || doctor->linux_version == 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL,
		           "/proc/sys/kernel/osrelease does not say which it is: %s",
		           r < 0 ? strerror(-r) : release);
		return;
	}
	if (doctor_has_kind(doctor, PORT_XDP))
		check_xdp_needs(doctor, release);
	if (doctor->report->finding_count == before)
		doctor_say(doctor, DOCTOR_GOOD, NULL, "Linux %s", release);
}

struct capability {
	unsigned number;
	const char *name;
	uint32_t kinds; /* bits 1 << enum port_kind that need it */
};

#define KIND(kind) (1u << (kind))

static const struct capability capabilities[] = {
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", KIND(PORT_XDP) | KIND(PORT_TAP)},
    {CAP_NET_RAW, "CAP_NET_RAW", KIND(PORT_XDP)},
    {CAP_BPF, "CAP_BPF", KIND(PORT_XDP)},
};

void doctor_check_capabilities(struct doctor *doctor)
{
	struct doctor_finding *finding;
	char missing[TEXT_BYTES] = "";
	uint32_t kinds = 0;

	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++)
		kinds |= KIND(doctor->config->ports[i].kind);
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		const struct capability *capability = &capabilities[i];
		size_t used = strlen(missing);

		/* CAP_SYS_ADMIN is what CAP_BPF was cut out of. */
		if ((capability->kinds & kinds) == 0 || doctor_may(doctor, capability->number) ||
		    (capability->number == CAP_BPF && doctor_may(doctor, CAP_SYS_ADMIN)))
			continue;
		snprintf(missing + used, sizeof(missing) - used, "%s%s", used == 0 ? "" : " ",
		         capability->name);
	}
	if (missing[0] != '\0') {
		finding = doctor_say(doctor, DOCTOR_FAULT, NULL,
		                     "user %u lacks %s, which the config's ports need",
		                     doctor->user, missing);
		doctor_advise(finding,
		              "start kanted as root, or with AmbientCapabilities=%s in its "
		              "unit",
		              missing);
		return;
	}
	if (doctor->config != NULL && !doctor_may(doctor, CAP_SYS_NICE)) {
		finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
		                     "user %u lacks CAP_SYS_NICE: workers cannot go before other "
		                     "processes on their cores",
		                     doctor->user);
		doctor_advise(finding, "start kanted as root, or with "
		                       "AmbientCapabilities=CAP_SYS_NICE in its unit");
		return;
	}
	doctor_say(doctor, DOCTOR_GOOD, NULL, "user %u has all that the config needs",
	           doctor->user);
}

void doctor_check_clock(struct doctor *doctor)
{
	struct doctor_finding *finding;
	struct timex clock = {0};
	int r = doctor->host->clock(doctor->host, &clock);

	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, "the kernel does not tell: %s",
		           strerror(-r));
		return;
	}
	if (!(clock.status & STA_UNSYNC)) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "is synchronised, to about %.1f ms",
		           (double)clock.esterror / 1000);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_WARNING, NULL,
	                     "is not synchronised: expiry times, certificates and the audit log go "
	                     "wrong as it does");
	doctor_advise(finding, "apt-get install chrony, or timedatectl set-ntp true; unless the "
	                       "hypervisor or a PTP daemon keeps it without telling the kernel");
}

/* Those that are read without a system call. */
void doctor_check_clock_source(struct doctor *doctor)
{
	static const char *const fast[] = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page",
	                                   "arch_sys_counter"};
	char current[TEXT_BYTES], available[TEXT_BYTES];
	struct doctor_finding *finding;
	int r = doctor_read(doctor, current, sizeof(current), CLOCK_SOURCE "current_clocksource");

	current[strcspn(current, " ")] = '\0';
	if (r < 0 || current[0] == '\0') {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL,
		           CLOCK_SOURCE "current_clocksource cannot be read: %s",
		           r < 0 ? strerror(-r) : "it is empty");
		return;
	}
	for (size_t i = 0; i < sizeof(fast) / sizeof(fast[0]); i++)
		if (strcmp(current, fast[i]) == 0) {
			doctor_say(doctor, DOCTOR_GOOD, NULL, "%s", current);
			return;
		}
	(void)doctor_read(doctor, available, sizeof(available),
	                  CLOCK_SOURCE "available_clocksource");
	finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
	                     "%s: every turn of a worker reads it by a system call", current);
	if (strstr(available, "tsc") != NULL)
		doctor_advise(finding, "echo tsc > " CLOCK_SOURCE "current_clocksource");
	else
		doctor_advise(
		    finding,
		    "the kernel has found the time-stamp counter unreliable: `dmesg | grep "
		    "-i tsc` says why; there are %s",
		    available);
}

void doctor_check_auth_file(struct doctor *doctor)
{
	const char *name = doctor->config == NULL ? "" : doctor->config->auth_file;
	char path[DOCTOR_PATH_BYTES], error[USERS_ERROR_BYTES];
	struct doctor_finding *finding;
	struct stat status;

	if (name[0] == '\0')
		return;
	doctor_path(doctor, path, "%s", name);
	if (users_read_check(path, error, sizeof(error)) < 0) {
		error[strcspn(error, "\n")] = '\0';
		finding = doctor_say(doctor, DOCTOR_FAULT, NULL, "%s",
		                     error + strlen(doctor->host->root));
		doctor_advise(finding,
		              "mend the file; `kanted --check -c %s` lists all that is wrong "
		              "with it",
		              doctor->options->config_path);
		return;
	}
	if (stat(path, &status) == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		finding = doctor_say(doctor, DOCTOR_WARNING, NULL,
		                     "%s has mode %04o: others may let themselves in", name,
		                     (unsigned)status.st_mode & 07777);
		doctor_advise(finding, "chmod go-w %s", name);
	} else if (stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0) {
		finding =
		    doctor_say(doctor, DOCTOR_NOTE, NULL,
		               "%s has mode %04o: everybody on this machine may read the hashes, "
		               "and guess",
		               name, (unsigned)status.st_mode & 07777);
		doctor_advise(finding, "chmod o-r %s", name);
	} else {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%s is good", name);
	}
}
