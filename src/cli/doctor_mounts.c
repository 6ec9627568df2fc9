/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One line of /proc/self/mountinfo (proc(5)), cut up. */
struct line {
	const char *root, *point, *type, *options;
};

/* "a\040b" is how blanks are written there. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at != '\0'; at++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
		    at[3] >= '0' && at[3] <= '7') {
			*to++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw" */
static bool line_cut(struct line *ret_line, char *text)
{
	char *rest = text, *fields[5], *separator = strstr(text, " - ");

	if (separator == NULL)
		return false;
	*separator = '\0';
	for (int i = 0; i < 5; i++) {
		fields[i] = strsep(&rest, " ");
		if (fields[i] == NULL)
			return false;
	}
	rest = separator + 3;
	ret_line->type = strsep(&rest, " ");
	if (rest == NULL || strsep(&rest, " ") == NULL || rest == NULL)
		return false;
	ret_line->options = rest;
	unescape(fields[3]);
	unescape(fields[4]);
	ret_line->root = fields[3];
	ret_line->point = fields[4];
	return strlen(fields[3]) < DOCTOR_PATH_BYTES && strlen(fields[4]) < DOCTOR_PATH_BYTES;
}

static void mount_fill(struct doctor_mount *mount, const struct line *line)
{
	snprintf(mount->point, sizeof(mount->point), "%s", line->point);
	snprintf(mount->root, sizeof(mount->root), "%s", line->root);
	snprintf(mount->type, sizeof(mount->type), "%s", line->type);
}

static bool path_is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (strcmp(directory, "/") == 0)
		return path[0] == '/';
	return strncmp(path, directory, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

struct search {
	struct doctor_mount *mount;
	const char *path;
	const char *type;
	const char *option; /* NULL: any */
	bool is_found;
};

/* The longest; of those that lie on each other, the last. */
static bool take_mount_of(void *context, char *text)
{
	struct search *search = context;
	struct line line;

	if (!line_cut(&line, text) || !path_is_below(search->path, line.point) ||
	    (search->is_found && strlen(line.point) < strlen(search->mount->point)))
		return true;
	mount_fill(search->mount, &line);
	search->is_found = true;
	return true;
}

static bool options_have(const char *options, const char *option)
{
	size_t length = strlen(option);

	while (*options != '\0') {
		size_t next = strcspn(options, ",");

		if (next == length && strncmp(options, option, length) == 0)
			return true;
		options += next + (options[next] == ',');
	}
	return false;
}

static bool take_mount_with(void *context, char *text)
{
	struct search *search = context;
	struct line line;

	if (!line_cut(&line, text) || strcmp(line.type, search->type) != 0 ||
	    (search->option != NULL && !options_have(line.options, search->option)))
		return true;
	mount_fill(search->mount, &line);
	search->is_found = true;
	return false;
}

/* Follows the links in the path of the directory that a file lies in, if that is there. */
static void resolve(const struct doctor *doctor, char ret_path[DOCTOR_PATH_BYTES], const char *path)
{
	const char *root = doctor->host->root, *slash = strrchr(path, '/');
	char directory[DOCTOR_PATH_BYTES];
	char *real;

	doctor_path(doctor, directory, "%.*s/", slash == NULL ? 0 : (int)(slash - path), path);
	real = realpath(directory, NULL);
	if (real != NULL && slash != NULL && strncmp(real, root, strlen(root)) == 0)
		snprintf(ret_path, DOCTOR_PATH_BYTES, "%s%s",
		         strcmp(real, "/") == 0 ? "" : real + strlen(root), slash);
	else
		snprintf(ret_path, DOCTOR_PATH_BYTES, "%s", path);
	free(real);
}

int doctor_mount_of(const struct doctor *doctor, struct doctor_mount *ret_mount, const char *path)
{
	char resolved[DOCTOR_PATH_BYTES];
	struct search search = {.mount = ret_mount, .path = resolved};
	int r;

	resolve(doctor, resolved, path);
	r = doctor_read_lines(doctor, "/proc/self/mountinfo", take_mount_of, &search);
	return r < 0 ? r : search.is_found ? 0 : -ENODATA;
}

int doctor_mount_with(const struct doctor *doctor, struct doctor_mount *ret_mount, const char *type,
                      const char *option)
{
	struct search search = {.mount = ret_mount, .type = type, .option = option};
	int r = doctor_read_lines(doctor, "/proc/self/mountinfo", take_mount_with, &search);

	return r < 0 ? r : search.is_found ? 0 : -ENODATA;
}

/* Which cgroup of a hierarchy this process is in. */
struct membership {
	const char *controller; /* NULL: version 2 */
	char path[DOCTOR_PATH_BYTES];
	bool is_found;
};

/* "4:cpu,cpuacct:/path", of version 2 "0::/path" */
static bool take_membership(void *context, char *text)
{
	struct membership *membership = context;
	const char *controllers, *wanted = membership->controller;
	char *rest = text;

	if (strsep(&rest, ":") == NULL || rest == NULL)
		return true;
	controllers = strsep(&rest, ":");
	if (rest == NULL || strlen(rest) >= sizeof(membership->path))
		return true;
	if (wanted == NULL ? controllers[0] != '\0' : !options_have(controllers, wanted))
		return true;
	snprintf(membership->path, sizeof(membership->path), "%s", rest);
	membership->is_found = true;
	return false;
}

static uint64_t limit_of_hierarchy(const struct doctor *doctor, const char *controller,
                                   uint64_t (*parse)(const struct doctor *doctor,
                                                     const char *directory, bool is_version_2))
{
	struct membership membership = {.controller = controller};
	struct doctor_mount mount;
	const char *inside = membership.path;
	char directory[DOCTOR_PATH_BYTES * 2];
	uint64_t limit = UINT64_MAX;
	char *slash;

	if (doctor_read_lines(doctor, "/proc/self/cgroup", take_membership, &membership) < 0 ||
	    !membership.is_found ||
	    doctor_mount_with(doctor, &mount, controller == NULL ? "cgroup2" : "cgroup",
	                      controller) < 0)
		return limit;
	/* In a container the mount may begin at our own cgroup. */
	if (strcmp(mount.root, "/") != 0 && path_is_below(membership.path, mount.root))
		inside += strlen(mount.root);
	snprintf(directory, sizeof(directory), "%s%s", mount.point, inside);
	for (;;) {
		limit = min_u64(limit, parse(doctor, directory, controller == NULL));
		slash = strrchr(directory, '/');
		if (slash == NULL || strlen(directory) <= strlen(mount.point))
			return limit;
		*slash = '\0';
	}
}

uint64_t doctor_cgroup_limit(const struct doctor *doctor, const char *controller,
                             uint64_t (*parse)(const struct doctor *doctor, const char *directory,
                                               bool is_version_2))
{
	return min_u64(limit_of_hierarchy(doctor, NULL, parse),
	               limit_of_hierarchy(doctor, controller, parse));
}
