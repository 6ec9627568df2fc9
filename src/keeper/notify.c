/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/notify.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define MESSAGE_BYTES 512

/* Paths and, after '@', names without a file. */
static int find_address(struct notify *notify, const char *given)
{
	size_t length = strlen(given);

	if (given[0] != '/' && given[0] != '@')
		return -EAFNOSUPPORT;
	if (length < 2)
		return -EINVAL;
	if (length > sizeof(notify->address.sun_path))
		return -ENAMETOOLONG;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, given, length); /* a NUL is not needed */
	if (given[0] == '@')
		notify->address.sun_path[0] = '\0';
	notify->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return 0;
}

static int open_socket(struct notify *notify)
{
	/* he may be slow, but not hold us for long */
	const struct timeval patience = {.tv_sec = 1};

	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		return -errno;
	(void)setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return 0;
}

/* WATCHDOG_PID: whom it is for. */
static uint64_t find_watchdog_us(const char *given, const char *pid)
{
	unsigned long long us;
	char *end;

	if (given == NULL || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
		return 0;
	errno = 0;
	us = strtoull(given, &end, 10);
	if (errno == 0 && end != given && *end == '\0' && given[0] != '-')
		return us;
	log_warning("WATCHDOG_USEC is no number of microseconds: the watchdog hears nothing");
	return 0;
}

void notify_create(struct notify *notify)
{
	const char *given = getenv("NOTIFY_SOCKET");
	int r;

	*notify = (struct notify){.fd = -1};
	if (given == NULL)
		return;
	r = find_address(notify, given);
	if (r == 0)
		r = open_socket(notify);
	if (r < 0)
		log_warning("NOTIFY_SOCKET=%s cannot be used: %s: nobody is told that kanted is "
		            "ready",
		            given, strerror(-r));
	else
		notify->watchdog_us =
		    find_watchdog_us(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_destroy(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

void notify_send(const struct notify *notify, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list arguments;
	int length;

	if (notify->fd < 0)
		return;
	va_start(arguments, format);
	length = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(message))
		length = sizeof(message) - 1;
	if (sendto(notify->fd, message, (size_t)length, MSG_NOSIGNAL,
	           (const struct sockaddr *)&notify->address, notify->address_bytes) < 0)
		log_warning("the service manager cannot be told how kanted does: %s",
		            strerror(errno));
}
