/* SPDX-License-Identifier: Apache-2.0 */
/* Where ports make something in the file system, or an interface. */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_LISTENS 0x10000 /* SO_ACCEPTCON */

/* Who listens at a path. */
struct listener {
	const char *path;
	uint64_t inode;
	bool is_found;
};

/* "00000000abcdef01: 00000002 00000000 00010000 0001 01 12345 /run/a.sock" */
static bool take_unix(void *context, char *line)
{
	struct listener *listener = context;
	unsigned long long inode;
	unsigned flags;
	int end = 0;

	if (sscanf(line, "%*s %*s %*s %8x %*s %*s %llu %n", &flags, &inode, &end) != 2 ||
	    end == 0 || !(flags & STATE_LISTENS) || strcmp(line + end, listener->path) != 0)
		return true;
	listener->inode = inode;
	listener->is_found = true;
	return false;
}

/* False: the socket cannot be made there, and that was said. */
static bool check_directory(struct doctor *doctor, const char *about, const char *path)
{
	char directory[PORT_NAME_BYTES], whole[DOCTOR_PATH_BYTES];
	const char *slash = strrchr(path, '/');
	struct doctor_finding *finding;

	snprintf(directory, sizeof(directory), "%.*s", slash == path ? 1 : (int)(slash - path),
	         path);
	doctor_path(doctor, whole, "%s", directory);
	if (faccessat(AT_FDCWD, whole, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		return true;
	finding = doctor_say(doctor, DOCTOR_FAULT, about, "no socket can be made in %s: %s",
	                     directory, strerror(errno));
	if (errno == ENOENT)
		doctor_advise(finding,
		              "mkdir -p %s (in kanted's unit: RuntimeDirectory=, if it is below "
		              "/run)",
		              directory);
	else
		doctor_advise(finding,
		              "give kanted's user the right to write there: chown or "
		              "chmod %s",
		              directory);
	return false;
}

static void check_path(struct doctor *doctor, const struct port_options *port)
{
	struct listener listener = {.path = port->name};
	char about[DOCTOR_ABOUT_BYTES], holder[DOCTOR_ABOUT_BYTES], whole[DOCTOR_PATH_BYTES];
	struct doctor_finding *finding;
	bool is_kanted = false;
	struct stat status;

	doctor_about_port(about, port);
	if (!check_directory(doctor, about, port->name))
		return;
	doctor_path(doctor, whole, "%s", port->name);
	if (lstat(whole, &status) < 0) {
		doctor_say(doctor, DOCTOR_GOOD, about, "the path is free");
		return;
	}
	if (!S_ISSOCK(status.st_mode)) {
		finding = doctor_say(doctor, DOCTOR_FAULT, about,
		                     "there is a file of that name that is no socket");
		doctor_advise(finding, "choose another name, or remove it: rm %s", port->name);
		return;
	}
	(void)doctor_read_lines(doctor, "/proc/net/unix", take_unix, &listener);
	if (!listener.is_found) {
		doctor_say(doctor, DOCTOR_GOOD, about,
		           "nobody listens on the socket that is there: kanted replaces it");
		return;
	}
	doctor_describe_holder(doctor, listener.inode, holder, &is_kanted);
	finding = doctor_say(doctor, is_kanted ? DOCTOR_NOTE : DOCTOR_FAULT, about,
	                     "%s listens there", holder);
	doctor_advise(finding, "%sstop it, or choose another name",
	              is_kanted ? "if that is not the kanted of this config: " : "");
}

void doctor_check_paths(struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++) {
		const struct port_options *port = &doctor->config->ports[i];

		if (port->kind == PORT_MEMIF || port_is_unix(port))
			check_path(doctor, port);
	}
}

static void check_tap(struct doctor *doctor, const struct port_options *port)
{
	char about[DOCTOR_ABOUT_BYTES], tun[DOCTOR_PATH_BYTES];
	struct doctor_finding *finding;

	doctor_about_port(about, port);
	doctor_path(doctor, tun, "/dev/net/tun");
	if (faccessat(AT_FDCWD, tun, R_OK | W_OK, AT_EACCESS) < 0) {
		finding = doctor_say(doctor, DOCTOR_FAULT, about, "/dev/net/tun cannot be used: %s",
		                     strerror(errno));
		doctor_advise(finding, errno == ENOENT
		                           ? "modprobe tun; give a container the device "
		                             "/dev/net/tun"
		                           : "start kanted as root");
		return;
	}
	if (!doctor_exists(doctor, "/sys/class/net/%s", port->name)) {
		doctor_say(doctor, DOCTOR_GOOD, about,
		           "/dev/net/tun can be used, and no interface has the name");
		return;
	}
	finding = doctor_say(doctor, doctor->kanted != 0 ? DOCTOR_NOTE : DOCTOR_FAULT, about,
	                     "an interface of that name is there already");
	doctor_advise(finding,
	              doctor->kanted != 0
	                  ? "kanted (pid %d) may have it; if it is another's: choose another name"
	                  : "choose another name, or stop what has it (`ip -d link show` tells)",
	              (int)doctor->kanted);
}

void doctor_check_tap(struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++)
		if (doctor->config->ports[i].kind == PORT_TAP)
			check_tap(doctor, &doctor->config->ports[i]);
}
