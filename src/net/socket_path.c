/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int __attribute__((format(printf, 4, 5)))
refuse(int r, char *error, size_t error_bytes, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_bytes, format, arguments);
	va_end(arguments);
	return r;
}

static int directory_check(const char *path, char *error, size_t error_bytes)
{
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || path[0] != '/')
		return refuse(-EINVAL, error, error_bytes,
		              "the socket has to be given by its whole path, from / on");
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path + 1), path);
	if (faccessat(AT_FDCWD, directory, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return refuse(-errno, error, error_bytes,
		              "the socket cannot be made in %s (%s): create the directory, or give "
		              "kanted the right to write there",
		              directory, strerror(errno));
	return 0;
}

int socket_path_free(const char *path, int type, char *error, size_t error_bytes)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	int fd, r;

	r = directory_check(path, error, error_bytes);
	if (r < 0)
		return r;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0
		                       : refuse(-errno, error, error_bytes, "%s", strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return refuse(-EEXIST, error, error_bytes,
		              "there is a file of that name that is no socket: choose another "
		              "name");
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refuse(-errno, error, error_bytes, "%s", strerror(errno));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	close(fd);
	if (r != -ECONNREFUSED)
		return refuse(-EADDRINUSE, error, error_bytes,
		              "another process listens on that socket: stop it, or choose another "
		              "name");
	if (unlink(path) < 0)
		return refuse(-errno, error, error_bytes,
		              "cannot remove the stale socket: %s: remove it by hand",
		              strerror(errno));
	return 0;
}
