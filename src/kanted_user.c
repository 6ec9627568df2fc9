/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_user.h"

#include "base/assert.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the calling thread. */
static void capabilities_read(struct __user_cap_data_struct ret_sets[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	long r = syscall(SYS_capget, &header, ret_sets);

	ASSERT(r == 0);
}

static bool has_capabilities(void)
{
	struct __user_cap_data_struct sets[2];

	capabilities_read(sets);
	return (sets[0].permitted | sets[1].permitted | sets[0].inheritable |
	        sets[1].inheritable) != 0;
}

/* What programs that we begin could have; what we have ourselves stays until we are somebody else.
 * All threads inherit it. What is not ours to give up we have not got. */
static void give_up(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	capabilities_read(sets);
	sets[0].inheritable = sets[1].inheritable = 0;
	(void)syscall(SYS_capset, &header, sets);
}

int kanted_user_find(struct kanted_user *user, const char *name)
{
	const struct passwd *found;

	*user = (struct kanted_user){0};
	if (name[0] == '\0')
		return 0;
	errno = 0;
	found = getpwnam(name);
	if (found == NULL && errno != 0 && errno != ENOENT) {
		log_error("user: %s cannot be looked up: %m", name);
		return -errno;
	}
	if (found == NULL) {
		log_error("user: there is no %s on this machine: make it (useradd --system --shell "
		          "/usr/sbin/nologin %s), or name another",
		          name, name);
		return -ESRCH;
	}
	if (found->pw_uid == 0) {
		log_error("user: %s is root: name one who is not, or leave `user` out", name);
		return -EINVAL;
	}
	if (geteuid() != 0 && geteuid() != found->pw_uid) {
		log_error("user: kanted was started as uid %u, who cannot become %s: start it as "
		          "root or as %s, or leave `user` out",
		          geteuid(), name, name);
		return -EPERM;
	}
	if (geteuid() != 0 && has_capabilities()) {
		log_error(
		    "user: kanted was started as %s, but with capabilities, which a process "
		    "can give up in all of its threads by ceasing to be root only: start it as "
		    "root",
		    name);
		return -EINVAL;
	}
	*user = (struct kanted_user){name, found->pw_uid, found->pw_gid};
	give_up();
	return 0;
}

int kanted_user_give(const struct kanted_user *user, int fd)
{
	if (user->name == NULL || geteuid() != 0)
		return 0;
	/* fchown() takes no place (O_PATH) */
	return fchownat(fd, "", user->uid, user->gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

bool kanted_user_owns(const struct kanted_user *user, uid_t owner)
{
	return owner == geteuid() || (user->name != NULL && owner == user->uid);
}

/* Folders and sockets. */

static const char *folder_of(char ret_folder[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(ret_folder, PATH_MAX, "%.*s", (int)(slash == path ? 1 : slash - path), path);
	return ret_folder;
}

/* One that is there already stays as it is. */
static int folder_make(const struct kanted_user *user, const char *parameter, const char *path,
                       mode_t mode)
{
	int fd = -1, r = 0;

	if (mkdir(path, mode) < 0) {
		if (errno == EEXIST)
			return 0;
		goto fail;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		goto fail;
	r = kanted_user_give(user, fd);
	close(fd);
	if (r == 0)
		return 0;
	errno = -r;
fail:
	r = -errno;
	log_error("%s: the folder %s cannot be made: %s: make it for %s (install -d -o %s)",
	          parameter, path, strerror(-r), user->name, user->name);
	return r;
}

/* The file of a socket that we have just made. Whoever has put something else there gets nothing.
 */
static int socket_give(const struct kanted_user *user, const char *path)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), r;
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		r = -errno;
	else
		r = S_ISSOCK(status.st_mode) ? kanted_user_give(user, fd) : -ENOTSOCK;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		log_error("user: %s cannot be given to %s: %s", path, user->name, strerror(-r));
	return r;
}

static bool has_socket(const struct port_options *port)
{
	return port->kind == PORT_MEMIF || port_is_unix(port);
}

static int files_give(const struct kanted_user *user, const struct config *config)
{
	char folder[PATH_MAX];
	int r = 0;

	for (uint32_t i = 0; i < config->port_count && r == 0; i++)
		if (has_socket(&config->ports[i]))
			r = socket_give(user, config->ports[i].name);
	if (r < 0 || !admin_is_given(&config->admin))
		return r;
	r = folder_make(user, "admin.directory", config->admin.directory, 0700);
	if (r == 0)
		r = folder_make(user, "admin.socket", folder_of(folder, config->admin.socket),
		                0755);
	return r;
}

/* What he has to be able to do. */

static int check(const struct kanted_user *user, const char *path, int mode, const char *advice)
{
	if (access(path, mode) == 0)
		return 0;
	log_error("user: %s may not %s %s (%m): %s", user->name, mode == R_OK ? "read" : "write to",
	          path, advice);
	return -EACCES;
}

static int files_check(const struct kanted_user *user, const struct config *config,
                       const char *config_path)
{
	static const char to_read[] = "it is read again while kanted runs: chgrp it to a group of "
	                              "that user, chmod g+r, and look at the folders that it is in";
	static const char to_write[] = "a socket there is to be removed at the end: chown the "
	                               "folder to that user, or choose another";
	char folder[PATH_MAX];
	int r = check(user, config_path, R_OK, to_read);

	if (r == 0 && config->auth_file[0] != '\0')
		r = check(user, config->auth_file, R_OK, to_read);
	for (uint32_t i = 0; i < config->port_count && r == 0; i++)
		if (has_socket(&config->ports[i]))
			r = check(user, folder_of(folder, config->ports[i].name), W_OK | X_OK,
			          to_write);
	if (r < 0 || !admin_is_given(&config->admin))
		return r;
	r = check(user, config->admin.directory, R_OK | W_OK | X_OK,
	          "admin.directory is to be his with all that is in it: chown -R");
	if (r == 0)
		r = check(user, folder_of(folder, config->admin.socket), W_OK | X_OK, to_write);
	return r;
}

/* glibc has all threads do it, and without root they lose their capabilities: capabilities(7). */
static int become(const struct kanted_user *user)
{
	if (geteuid() == 0 && (initgroups(user->name, user->gid) < 0 ||
	                       setresgid(user->gid, user->gid, user->gid) < 0 ||
	                       setresuid(user->uid, user->uid, user->uid) < 0)) {
		int r = -errno;

		log_error("user: the kernel does not let kanted become %s: %s", user->name,
		          strerror(-r));
		return r;
	}
	ASSERT(!has_capabilities() && setuid(0) < 0);
	/* clients' values are not for a core's file, nor for the control process to look at */
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int kanted_user_become(const struct kanted_user *user, const struct config *config,
                       const char *config_path)
{
	int r;

	if (user->name == NULL)
		return 0;
	r = files_give(user, config);
	if (r == 0)
		r = become(user);
	if (r == 0)
		r = files_check(user, config, config_path);
	return r;
}
