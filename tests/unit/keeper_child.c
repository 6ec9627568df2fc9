/* SPDX-License-Identifier: Apache-2.0 */
/* A control process for tests/unit/keeper.c: does what its first argument says, and says that it is
 * ready only when all went well. */
#include "control/link.h"
#include "net/captured.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TALK_BYTES  1000000u
#define COPIES      3000u
#define PATIENCE_MS 60000 /* for what never comes: no test waits for it */

/* Reads up to the end, or the buffer's. */
static size_t read_all(int fd, char *to, size_t bytes)
{
	size_t used = 0;

	while (used < bytes) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t n;

		poll(&wait, 1, PATIENCE_MS);
		n = read(fd, to + used, bytes - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	return used;
}

static bool answers(const char *line, const char *expected)
{
	char text[512];
	int fd;
	size_t length;

	if (link_ask(LINK_FD, line, &fd) < 0)
		return false;
	length = read_all(fd, text, sizeof(text));
	close(fd);
	return length == strlen(expected) && memcmp(text, expected, length) == 0;
}

/* A text that no socket holds at once, and one too long. */
static bool a_text_comes_along(size_t bytes, bool is_too_long)
{
	static char sent[1100000], heard[1100016];
	size_t sent_bytes = 0, length;
	int fd;

	for (size_t i = 0; i < bytes; i++)
		sent[i] = (char)('a' + i % 26);
	if (link_ask(LINK_FD, "echo hello", &fd) < 0)
		return false;
	while (sent_bytes < bytes) {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};
		ssize_t n;

		poll(&wait, 1, PATIENCE_MS);
		n = write(fd, sent + sent_bytes, bytes - sent_bytes);
		if (n <= 0)
			break;
		sent_bytes += (size_t)n;
	}
	shutdown(fd, SHUT_WR);
	length = read_all(fd, heard, sizeof(heard));
	close(fd);
	if (is_too_long)
		return length == 0;
	return length == bytes + 7 && memcmp(heard, "hello: ", 7) == 0 &&
	       memcmp(heard + 7, sent, bytes) == 0;
}

/* An answer that no socket holds at once. */
static bool answers_at_length(void)
{
	static char text[3000001];
	int fd;
	size_t length;

	if (link_ask(LINK_FD, "long", &fd) < 0)
		return false;
	usleep(20000); /* so that it has to wait for us */
	length = read_all(fd, text, sizeof(text));
	close(fd);
	for (size_t i = 0; i < length; i++)
		if (text[i] != (char)('a' + i % 26))
			return false;
	return length == 3000000 / 26 * 26;
}

static bool worker_echoes(void)
{
	static uint8_t sent[TALK_BYTES], heard[TALK_BYTES];
	size_t sent_bytes = 0, heard_bytes = 0;
	int fd;

	for (uint32_t i = 0; i < TALK_BYTES; i++)
		sent[i] = (uint8_t)(i * 31 >> 3);
	if (link_ask(LINK_FD, "worker 0", &fd) < 0)
		return false;
	while (heard_bytes < TALK_BYTES) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (sent_bytes < TALK_BYTES)
			wait.events |= POLLOUT;
		if (poll(&wait, 1, PATIENCE_MS) <= 0) {
			fprintf(stderr, "stuck after %zu bytes there and %zu back\n", sent_bytes,
			        heard_bytes);
			return false;
		}
		if (wait.revents & POLLOUT) {
			n = write(fd, sent + sent_bytes, TALK_BYTES - sent_bytes);
			sent_bytes += n > 0 ? (size_t)n : 0;
		}
		n = read(fd, heard + heard_bytes, TALK_BYTES - heard_bytes);
		if (n == 0)
			return false;
		heard_bytes += n > 0 ? (size_t)n : 0;
	}
	shutdown(fd, SHUT_WR);
	sent_bytes = read_all(fd, (char *)sent, 1); /* the end: then the stream is free again */
	close(fd);
	return sent_bytes == 0 && memcmp(sent + 1, heard + 1, TALK_BYTES - 1) == 0;
}

/* The next copy of a frame, or notice of missed ones. */
static bool read_copy(int fd, struct captured *ret_captured, uint64_t *ret_number)
{
	char bytes[64];

	if (read_all(fd, (char *)ret_captured, sizeof(*ret_captured)) != sizeof(*ret_captured) ||
	    ret_captured->kept > sizeof(bytes) ||
	    read_all(fd, bytes, ret_captured->kept) != ret_captured->kept)
		return false;
	memcpy(ret_number, bytes, sizeof(*ret_number));
	return true;
}

/* Frames are numbered by the turns that they come in: what is not there was missed. The worker
 * makes more of them than can be told. */
static bool copies_are_in_order(int fd)
{
	uint64_t number = 0, last = 0, skipped = 0, missed = 0;
	struct captured captured;

	if (!read_copy(fd, &captured, &number) || captured.length != 0 || captured.missed != 0)
		return false;
	for (uint32_t i = 0; i < COPIES || missed < skipped || skipped == 0; i++) {
		if (!read_copy(fd, &captured, &number))
			return false;
		missed += captured.missed;
		if (captured.length == 0)
			continue;
		if (captured.length != 60 || captured.kept != 60 || captured.is_sent ||
		    captured.time_us != number || number <= last)
			return false;
		skipped += last == 0 ? 0 : number - last - 1;
		last = number;
	}
	return true;
}

static bool copies_come(void)
{
	char byte;
	int fd, other;

	if (!answers("capture", "") || !answers("capture 0", "") || !answers("capture x 64", "") ||
	    !answers("capture 0 64 1", "") || !answers("capture 8 64", "") ||
	    !answers("capture 0 63", "") || !answers("capture 0 65536", ""))
		return false;
	if (link_ask(LINK_FD, "capture 0 64", &fd) < 0 || !copies_are_in_order(fd))
		return false;
	/* another one ends it */
	if (link_ask(LINK_FD, "capture 0 64", &other) < 0 || !copies_are_in_order(other))
		return false;
	while (read_all(fd, &byte, 1) == 1) {
	}
	close(fd);
	close(other);
	return true;
}

/* More at once than there are; those who came first are served still. */
static bool too_many_are_refused(void)
{
	char byte = 'x';
	uint32_t open = 0;
	int fds[12];

	for (uint32_t i = 0; i < 12; i++) {
		struct pollfd wait = {.events = POLLIN};

		if (link_ask(LINK_FD, "worker 0", &fds[i]) < 0)
			return false;
		wait.fd = fds[i];
		if (write(fds[i], &byte, 1) == 1 && poll(&wait, 1, PATIENCE_MS) == 1 &&
		    read(fds[i], &byte, 1) == 1)
			open++;
	}
	for (uint32_t i = 0; i < 12; i++)
		close(fds[i]);
	if (open != 8)
		fprintf(stderr, "%u streams were open at once\n", open);
	return open == 8;
}

int main(int argc, char **argv)
{
	const char *task = argv[1];
	bool ok = true;

	signal(SIGPIPE, SIG_IGN); /* of a stream that was refused */
	if (strcmp(task, "answers") == 0)
		ok = answers("greet you", "hello you\n") && answers("greet", "hello \n") &&
		     answers("nothing", "") && answers("unknown", "") && answers_at_length() &&
		     a_text_comes_along(0, false) && a_text_comes_along(1000000, false) &&
		     a_text_comes_along(1000001, true);
	if (strcmp(task, "worker") == 0)
		ok = worker_echoes() && worker_echoes() && answers("worker 1", "") &&
		     answers("worker x", "") && answers("worker", "") && too_many_are_refused();
	if (strcmp(task, "captures") == 0)
		ok = copies_come();
	if (!ok)
		return 3;
	if (strcmp(task, "fails") == 0)
		return 4;
	link_tell(LINK_FD, "ready");
	if (strcmp(task, "crashes") == 0)
		abort();
	if (strcmp(task, "holds") == 0) { /* streams that are open when all ends */
		int fd;

		link_ask(LINK_FD, "worker 0", &fd);
		link_ask(LINK_FD, "long", &fd);
		link_ask(LINK_FD, "capture 0 64", &fd);
	}
	for (;;)
		pause();
}
