/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the control process, with a kanted of ours at the other end of the link. */
#include "control/ask.h"

#include "control/link.h"
#include "unit.h"

#include <event2/bufferevent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG_BYTES 1048576u

struct rig {
	struct event_base *base;
	int link[2];          /* ours, kanted's */
	struct event *heard;  /* a question has come */
	const char *answer;   /* of kanted, when the question is at its end */
	bool answers_at_once; /* without having read to the end */
	char line[LINK_LINE_BYTES_MAX + 1];
	struct bufferevent *socket; /* that the question came with */
	char *text;                 /* what came by it */
	size_t text_bytes;
	bool text_ended;
	struct ask *ask;
	uint32_t ended_count;
	bool is_whole;
	char said[256];
};

static void answered(struct bufferevent *socket, void *context)
{
	struct rig *rig = context;

	bufferevent_free(socket);
	rig->socket = NULL;
}

static void answer(struct rig *rig)
{
	if (rig->answer == NULL)
		return;
	bufferevent_setcb(rig->socket, NULL, answered, NULL, rig);
	bufferevent_write(rig->socket, rig->answer, strlen(rig->answer));
}

static void on_text(struct bufferevent *socket, void *context)
{
	struct rig *rig = context;

	rig->text_bytes +=
	    bufferevent_read(socket, rig->text + rig->text_bytes, LONG_BYTES - rig->text_bytes);
}

static void on_text_end(struct bufferevent *socket, short events, void *context)
{
	struct rig *rig = context;

	rig->text_ended = events & BEV_EVENT_EOF;
	if (rig->answer == NULL)
		event_base_loopbreak(rig->base);
	else
		answer(rig);
}

static void on_question(evutil_socket_t fd, short events, void *context)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct rig *rig = context;
	struct iovec line = {.iov_base = rig->line, .iov_len = sizeof(rig->line) - 1};
	struct msghdr message = {.msg_iov = &line,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	int socket_fd;

	CU_ASSERT_TRUE_FATAL(length > 0 && CMSG_FIRSTHDR(&message) != NULL);
	memcpy(&socket_fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(socket_fd));
	rig->line[length] = '\0';
	rig->socket = bufferevent_socket_new(rig->base, socket_fd, BEV_OPT_CLOSE_ON_FREE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->socket);
	if (rig->answers_at_once) {
		answer(rig);
		return;
	}
	bufferevent_setcb(rig->socket, on_text, NULL, on_text_end, rig);
	bufferevent_enable(rig->socket, EV_READ);
}

static void rig_open(struct rig *rig)
{
	*rig = (struct rig){.base = event_base_new(), .text = calloc(1, LONG_BYTES + 1)};
	CU_ASSERT_TRUE_FATAL(rig->base != NULL && rig->text != NULL);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, rig->link), 0);
	rig->heard = event_new(rig->base, rig->link[1], EV_READ | EV_PERSIST, on_question, rig);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->heard);
	event_add(rig->heard, NULL);
}

static void rig_close(struct rig *rig)
{
	ask_cancel(rig->ask);
	if (rig->socket != NULL)
		bufferevent_free(rig->socket);
	event_free(rig->heard);
	event_base_free(rig->base);
	close(rig->link[0]);
	close(rig->link[1]);
	free(rig->text);
}

static void ended(void *context, bool is_whole, struct evbuffer *said)
{
	struct rig *rig = context;
	ev_ssize_t length = evbuffer_copyout(said, rig->said, sizeof(rig->said) - 1);

	rig->said[length < 0 ? 0 : length] = '\0';
	rig->is_whole = is_whole;
	rig->ended_count++;
	rig->ask = NULL;
	event_base_loopbreak(rig->base);
}

/* Asks with that text, and waits for its end. */
static void play(struct rig *rig, const char *text, size_t length)
{
	CU_ASSERT_EQUAL_FATAL(
	    ask_with_text(&rig->ask, rig->base, rig->link[0], "block 7", text, length, ended, rig),
	    0);
	event_base_dispatch(rig->base);
}

static char *long_text(void)
{
	char *text = malloc(LONG_BYTES + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (uint32_t i = 0; i < LONG_BYTES; i++)
		text[i] = (char)('a' + i % 23);
	text[LONG_BYTES] = '\0';
	return text;
}

static void a_text_that_no_socket_holds_arrives_whole(void)
{
	char *text = long_text();
	struct rig rig;

	rig_open(&rig);
	rig.answer = "blocked 7\n";
	play(&rig, text, LONG_BYTES);
	CU_ASSERT_STRING_EQUAL(rig.line, "block 7");
	CU_ASSERT_EQUAL(rig.text_bytes, LONG_BYTES);
	CU_ASSERT_EQUAL(memcmp(rig.text, text, LONG_BYTES), 0);
	CU_ASSERT_TRUE(rig.text_ended);
	CU_ASSERT_TRUE(rig.is_whole);
	CU_ASSERT_EQUAL(rig.ended_count, 1);
	CU_ASSERT_STRING_EQUAL(rig.said, "blocked 7\n");
	rig_close(&rig);
	free(text);
}

static void an_empty_text_ends_at_once(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.answer = "blocked 0\n";
	play(&rig, "", 0);
	CU_ASSERT_EQUAL(rig.text_bytes, 0);
	CU_ASSERT_TRUE(rig.text_ended);
	CU_ASSERT_TRUE(rig.is_whole);
	CU_ASSERT_STRING_EQUAL(rig.said, "blocked 0\n");
	rig_close(&rig);
}

static void a_question_without_a_text_has_no_end(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.answer = "version 1\n";
	rig.answers_at_once = true;
	CU_ASSERT_EQUAL(ask_begin(&rig.ask, rig.base, rig.link[0], "facts", ended, &rig), 0);
	event_base_dispatch(rig.base);
	CU_ASSERT_STRING_EQUAL(rig.line, "facts");
	CU_ASSERT_FALSE(rig.text_ended);
	CU_ASSERT_TRUE(rig.is_whole);
	CU_ASSERT_STRING_EQUAL(rig.said, "version 1\n");
	rig_close(&rig);
}

static void a_worker_is_asked_in_its_protocol(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.answer = "END\r\n";
	CU_ASSERT_EQUAL(ask_worker(&rig.ask, rig.base, rig.link[0], 3, "stats\r\n", ended, &rig),
	                0);
	event_base_dispatch(rig.base);
	CU_ASSERT_STRING_EQUAL(rig.line, "worker 3");
	CU_ASSERT_STRING_EQUAL(rig.text, "stats\r\n");
	CU_ASSERT_TRUE(rig.text_ended);
	CU_ASSERT_TRUE(rig.is_whole);
	CU_ASSERT_STRING_EQUAL(rig.said, "END\r\n");
	rig_close(&rig);
}

static void who_does_not_read_to_the_end_has_not_answered(void)
{
	char *text = long_text();
	struct rig rig;

	rig_open(&rig);
	rig.answer = "blocked 7\n";
	rig.answers_at_once = true;
	play(&rig, text, LONG_BYTES);
	CU_ASSERT_EQUAL(rig.ended_count, 1);
	CU_ASSERT_FALSE(rig.is_whole);
	rig_close(&rig);
	free(text);
}

static void what_is_cancelled_is_not_heard_of_any_more(void)
{
	char *text = long_text();
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(ask_with_text(&rig.ask, rig.base, rig.link[0], "block 7", text, LONG_BYTES,
	                              ended, &rig),
	                0);
	while (rig.text_bytes == 0)
		event_base_loop(rig.base, EVLOOP_ONCE);
	ask_cancel(rig.ask);
	rig.ask = NULL;
	event_base_dispatch(rig.base);
	CU_ASSERT_EQUAL(rig.ended_count, 0);
	/* an end as any other: so the question says how much there is */
	CU_ASSERT_TRUE(rig.text_ended);
	CU_ASSERT_TRUE(rig.text_bytes < LONG_BYTES);
	rig_close(&rig);
	free(text);
}

static void without_kanted_nothing_is_asked(void)
{
	struct rig rig;

	rig_open(&rig);
	event_del(rig.heard);
	close(rig.link[1]);
	rig.link[1] = -1;
	CU_ASSERT_TRUE(
	    ask_with_text(&rig.ask, rig.base, rig.link[0], "block 7", "x", 1, ended, &rig) < 0);
	CU_ASSERT_TRUE(ask_begin(&rig.ask, rig.base, rig.link[0], "facts", ended, &rig) < 0);
	CU_ASSERT_PTR_NULL(rig.ask);
	CU_ASSERT_EQUAL(rig.ended_count, 0);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a text that no socket holds arrives whole",
	     a_text_that_no_socket_holds_arrives_whole},
	    {"an empty text ends at once", an_empty_text_ends_at_once},
	    {"a question without a text has no end", a_question_without_a_text_has_no_end},
	    {"a worker is asked in its protocol", a_worker_is_asked_in_its_protocol},
	    {"who does not read to the end has not answered",
	     who_does_not_read_to_the_end_has_not_answered},
	    {"what is cancelled is not heard of any more",
	     what_is_cancelled_is_not_heard_of_any_more},
	    {"without kanted nothing is asked", without_kanted_nothing_is_asked},
	};

	signal(SIGPIPE, SIG_IGN); /* as the control process does */
	return UNIT_RUN("ask", cases);
}
