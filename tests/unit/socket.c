/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket.h"

#include "socket_rig.h"

static void test_many_connections_are_served_at_once(void)
{
	struct rig *rig = rig_create("127.0.0.1", CLIENT_COUNT_MAX, NULL);
	int fds[CLIENT_COUNT_MAX];
	char text[32];

	for (int i = 0; i < CLIENT_COUNT_MAX; i++)
		fds[i] = rig_connect(rig);
	for (int i = 0; i < CLIENT_COUNT_MAX; i++) {
		snprintf(text, sizeof(text), "hello from %d", i);
		send_text(fds[i], text);
	}
	for (int i = 0; i < CLIENT_COUNT_MAX; i++) {
		snprintf(text, sizeof(text), "hello from %d", i);
		CU_ASSERT_TRUE(rig_gets(rig, fds[i], text));
		close(fds[i]);
	}
	poll_until(rig, &rig->closed_count, CLIENT_COUNT_MAX);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->accepted), CLIENT_COUNT_MAX);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->open), 0);
	rig_destroy(rig);
}

/* Containers often have none. */
static bool machine_has_ip6(void)
{
	struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static void test_ip6_is_served(void)
{
	struct rig *rig;
	int fd;

	if (!machine_has_ip6())
		return;
	rig = rig_create("::1", 1, "::1");
	fd = rig_connect(rig);

	send_text(fd, "six");
	CU_ASSERT_TRUE(rig_gets(rig, fd, "six"));
	close(fd);
	rig_destroy(rig);
}

static void test_mebibytes_go_both_ways_with_a_slow_reader(void)
{
	const size_t total = 16 * 1024 * 1024; /* more than the kernel buffers */
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect_with(rig, 8192);
	uint8_t *in = malloc(total), *out = malloc(total);
	size_t sent = 0, got = 0;

	for (size_t i = 0; i < total; i++)
		in[i] = (uint8_t)(i * 2654435761u >> 13);
	/* First the client only sends, until nobody takes any more. */
	for (int idle = 0; sent < total && idle < 20;) {
		ssize_t n = send(fd, in + sent, total - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		idle = n > 0 ? 0 : idle + 1;
		sent += n > 0 ? (size_t)n : 0;
		rig_poll(rig);
		CU_ASSERT(rig->stream->out.length <= OUT_BYTES_MAX);
	}
	CU_ASSERT(sent < total);
	CU_ASSERT_TRUE(rig_is_idle(rig));
	for (int i = 0; i < ROUND_COUNT_MAX && got < total; i++) {
		ssize_t n = recv(fd, out + got, min_u64(30000, total - got), MSG_DONTWAIT);

		got += n > 0 ? (size_t)n : 0;
		n = send(fd, in + sent, total - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		if (n <= 0 || got % 5 == 0)
			rig_poll(rig);
	}
	CU_ASSERT_EQUAL(got, total);
	CU_ASSERT_EQUAL(memcmp(in, out, total), 0);
	CU_ASSERT_EQUAL(rig->taken_bytes, total);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->received_bytes), total);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->sent_bytes), total);
	close(fd);
	free(in);
	free(out);
	rig_destroy(rig);
}

static void test_a_half_close_is_answered_then_ended(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);

	send_text(fd, "last words");
	shutdown(fd, SHUT_WR);
	CU_ASSERT_TRUE(rig_gets(rig, fd, "last words"));
	CU_ASSERT_TRUE(rig_gets_end(rig, fd));
	CU_ASSERT_EQUAL(rig->finished_count, 1);
	CU_ASSERT_EQUAL(rig->closed_count, 1);
	close(fd);
	rig_destroy(rig);
}

static void test_the_end_of_a_peer_is_told_once(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);

	rig->keep_when_finished = true;
	shutdown(fd, SHUT_WR);
	poll_until(rig, &rig->finished_count, 1);
	CU_ASSERT_TRUE(rig_is_idle(rig));
	CU_ASSERT_EQUAL(rig->finished_count, 1);
	chain_append(&rig->stream->out, "later", 5);
	rig->stream->ops->push(rig->stream);
	CU_ASSERT_TRUE(rig_gets(rig, fd, "later"));
	close(fd);
	rig_destroy(rig);
}

static void test_a_user_may_close_when_all_is_sent(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);

	rig->close_when_drained = true;
	send_text(fd, "one answer");
	CU_ASSERT_TRUE(rig_gets(rig, fd, "one answer"));
	CU_ASSERT_TRUE(rig_gets_end(rig, fd));
	CU_ASSERT_EQUAL(rig->closed_count, 1);
	CU_ASSERT_TRUE(rig_is_idle(rig));
	close(fd);
	rig_destroy(rig);
}

static void test_abort_resets(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);

	rig->abort_at_once = true;
	send_text(fd, "x");
	CU_ASSERT_TRUE(rig_gets_reset(rig, fd));
	CU_ASSERT_EQUAL(rig->closed_count, 1);
	close(fd);
	rig_destroy(rig);
}

static void test_close_with_unread_input_loses_no_reply(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);
	char junk[100000];

	/* More than one read, and all of it there before the reply. */
	memset(junk, 'j', sizeof(junk));
	rig->bye = true;
	CU_ASSERT_EQUAL(send(fd, junk, sizeof(junk), MSG_NOSIGNAL), (ssize_t)sizeof(junk));
	CU_ASSERT_TRUE(rig_gets(rig, fd, "bye"));
	CU_ASSERT_TRUE(rig_gets_end(rig, fd));
	send_text(fd, "more"); /* no reset came after the reply */
	CU_ASSERT_EQUAL(rig->closed_count, 1);
	CU_ASSERT_EQUAL(rig->finished_count, 0);
	close(fd);
	rig_destroy(rig);
}

static void test_a_drained_connection_gives_its_place_back(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);
	int second;

	rig->bye = true;
	send_text(fd, "x");
	CU_ASSERT_TRUE(rig_gets(rig, fd, "bye"));
	/* The client does not close, yet the user is gone and another may come. */
	second = rig_connect(rig);
	CU_ASSERT_EQUAL(rig->opened_count, 2);
	CU_ASSERT_TRUE(rig_is_idle(rig));
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->open), 1);
	/* When the time for draining is over the socket is gone: what it is sent gets a reset. */
	rig->now_us += 2000000;
	rig_poll(rig);
	CU_ASSERT_TRUE(rig_gets_end(rig, fd));
	send_text(fd, "y");
	CU_ASSERT_TRUE(send(fd, "z", 1, MSG_NOSIGNAL) < 0);
	close(fd);
	close(second);
	rig_destroy(rig);
}

static void test_refused_bytes_come_again_after_resume(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);
	uint64_t received_bytes;

	rig->refuse_bytes = true;
	send_text(fd, "one ");
	for (int i = 0; i < 3; i++)
		rig_poll(rig);
	/* No reading while bytes wait. */
	received_bytes = counter_read(&rig_counters(rig)->received_bytes);
	send_text(fd, "two ");
	for (int i = 0; i < 3; i++)
		rig_poll(rig);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->received_bytes), received_bytes);
	CU_ASSERT_TRUE(rig_is_idle(rig));
	/* Refused once more. */
	rig->stream->ops->resume(rig->stream);
	rig_poll(rig);
	rig->refuse_bytes = false;
	rig->stream->ops->resume(rig->stream);
	CU_ASSERT_TRUE(rig_gets(rig, fd, "one two "));
	close(fd);
	rig_destroy(rig);
}

static void test_a_user_may_ask_for_more_while_it_refuses(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);

	rig->one_at_a_time = true;
	send_text(fd, "byte by byte");
	CU_ASSERT_TRUE(rig_gets(rig, fd, "byte by byte"));
	CU_ASSERT_EQUAL(rig->taken_bytes, 12);
	CU_ASSERT_TRUE(rig_is_idle(rig));
	close(fd);
	rig_destroy(rig);
}

static void test_refused_bytes_take_no_more_than_their_share(void)
{
	struct rig *rig = rig_create("127.0.0.1", CLIENT_COUNT_MAX, NULL);
	int fds[CLIENT_COUNT_MAX];
	char junk[40000];

	memset(junk, 'j', sizeof(junk));
	rig->refuse_bytes = true;
	for (int i = 0; i < CLIENT_COUNT_MAX; i++) {
		fds[i] = rig_connect(rig);
		send(fds[i], junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
		rig_poll(rig);
	}
	CU_ASSERT(rig->pool.free_count >= BLOCK_COUNT / 4 * 3);
	CU_ASSERT(counter_read(&rig_counters(rig)->reset_no_memory) > 0);
	for (int i = 0; i < CLIENT_COUNT_MAX; i++)
		close(fds[i]);
	rig_destroy(rig);
}

static void test_a_reset_reaches_a_user_that_refuses_bytes(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);
	struct linger none = {.l_onoff = 1};

	rig->refuse_bytes = true;
	send_text(fd, "x");
	rig_poll(rig);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	poll_until(rig, &rig->closed_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->reset_by_peer), 1);
	rig_destroy(rig);
}

static void test_one_over_the_limit_is_told(void)
{
	struct rig *rig = rig_create("127.0.0.1", 2, NULL);
	int first = rig_connect(rig), second = rig_connect(rig), third;

	third = rig_connect(rig);
	send_text(third, "get a\r\n");
	CU_ASSERT_TRUE(rig_gets(rig, third, "ERROR Too many open connections\r\n"));
	CU_ASSERT_TRUE(rig_gets_end(rig, third));
	close(third);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->refused_full), 1);
	CU_ASSERT_EQUAL(rig->opened_count, 2);
	close(first);
	poll_until(rig, &rig->closed_count, 1);
	third = rig_connect(rig);
	send_text(third, "in");
	CU_ASSERT_TRUE(rig_gets(rig, third, "in"));
	close(second);
	close(third);
	rig_destroy(rig);
}

static void test_any_number_over_the_limit_is_told(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int first = rig_connect(rig);
	int fds[CLIENT_COUNT_MAX];

	/* More than there are places for those that end. */
	for (int i = 0; i < CLIENT_COUNT_MAX; i++) {
		fds[i] = rig_connect_with(rig, 0);
		send_text(fds[i], "get a\r\n");
		rig_poll(rig);
	}
	for (int i = 0; i < CLIENT_COUNT_MAX; i++) {
		CU_ASSERT_TRUE(rig_gets(rig, fds[i], "ERROR Too many open connections\r\n"));
		CU_ASSERT_TRUE(rig_gets_end(rig, fds[i]));
		send_text(fds[i], "no reset came");
		close(fds[i]);
	}
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->refused_full), CLIENT_COUNT_MAX);
	send_text(first, "still here");
	CU_ASSERT_TRUE(rig_gets(rig, first, "still here"));
	close(first);
	rig_destroy(rig);
}

static void test_a_user_without_room_counts_as_the_limit(void)
{
	struct rig *rig = rig_create("127.0.0.1", 2, NULL);
	int fd;

	rig->refuse_opened = true;
	fd = rig_connect(rig);
	CU_ASSERT_TRUE(rig_gets(rig, fd, "ERROR Too many open connections\r\n"));
	CU_ASSERT_TRUE(rig_gets_end(rig, fd));
	close(fd);
	rig_destroy(rig);
}

static void test_a_source_not_allowed_is_closed_unserved(void)
{
	struct rig *rig = rig_create("127.0.0.1", 2, "10.0.0.0/8");
	int fd = rig_connect(rig);
	char byte;

	CU_ASSERT(rig_receive(rig, fd, &byte, 1) <= 0);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->refused_source), 1);
	CU_ASSERT_EQUAL(rig->opened_count, 0);
	close(fd);
	rig_destroy(rig);
}

static void test_a_blocked_source_is_closed_unserved(void)
{
	struct rig *rig = rig_create("127.0.0.1", 2, "127.0.0.0/8");
	struct blocked *blocked = rig_block(rig, "127.0.0.0/30");
	int fd = rig_connect(rig);
	char byte;

	CU_ASSERT(rig_receive(rig, fd, &byte, 1) <= 0);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->refused_blocked), 1);
	CU_ASSERT_EQUAL(rig->opened_count, 0);
	close(fd);
	sockets_block(rig->sockets, NULL);
	free(blocked);
	fd = rig_connect(rig);
	send(fd, "x", 1, 0);
	CU_ASSERT_EQUAL(rig_receive(rig, fd, &byte, 1), 1);
	close(fd);
	rig_destroy(rig);
}

static void test_a_peer_that_takes_no_last_reply_is_reset(void)
{
	static const uint8_t value[256 * 1024];
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect_with(rig, 4096);
	uint64_t left_bytes;

	/* More than the kernel's buffers hold. */
	rig_poll(rig);
	for (int i = 0; i < 64; i++)
		chain_append_reference(&rig->stream->out, value, sizeof(value), rig);
	rig->stream->ops->close(rig->stream);
	for (int i = 0; i < 5; i++)
		rig_poll(rig);
	CU_ASSERT_EQUAL(rig->closed_count, 0);
	/* Progress gives it more time. */
	rig->now_us += 9000000;
	left_bytes = rig->stream->out.length;
	while (rig->stream->out.length == left_bytes) {
		char taken[4096];

		CU_ASSERT_FATAL(rig_receive(rig, fd, taken, sizeof(taken)) > 0);
		rig_poll(rig);
	}
	CU_ASSERT_FATAL(rig->closed_count == 0);
	CU_ASSERT_TRUE(rig_is_idle(rig));
	rig->now_us += 9000000;
	rig_poll(rig);
	CU_ASSERT_EQUAL(rig->closed_count, 0);
	rig->now_us += 1000000;
	rig_poll(rig);
	CU_ASSERT_EQUAL(rig->closed_count, 1);
	CU_ASSERT_EQUAL(rig->released_count, 64);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->reset_overdue), 1);
	close(fd);
	rig_destroy(rig);
}

static void test_no_file_descriptors_pause_accepting_and_no_more(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect_with(rig, 0);
	struct rlimit before, none;

	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){.rlim_cur = (rlim_t)fd + 1, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	/* A descriptor below the limit may be free: fill up. */
	int fillers[64], filler_count = 0;

	while (filler_count < 64 && (fillers[filler_count] = dup(0)) >= 0)
		filler_count++;
	rig_poll(rig);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->accept_paused), 1);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(socket_poll(rig->sockets, rig->now_us, 0), 0);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->accept_paused), 1);
	setrlimit(RLIMIT_NOFILE, &before);
	while (filler_count > 0)
		close(fillers[--filler_count]);
	rig->now_us += 100000;
	send_text(fd, "waited");
	CU_ASSERT_TRUE(rig_gets(rig, fd, "waited"));
	close(fd);
	rig_destroy(rig);
}

struct visit {
	uint32_t count;
	bool abort;
};

static void visit_stream(void *context, struct stream *stream)
{
	struct visit *visit = context;

	visit->count++;
	if (visit->abort)
		stream->ops->abort(stream);
}

static void test_each_visits_every_stream_once_a_round(void)
{
	struct rig *rig = rig_create("127.0.0.1", 10, NULL);
	struct visit visit = {0};
	int fds[10];
	uint32_t at = 0;

	for (int i = 0; i < 10; i++)
		fds[i] = rig_connect(rig);
	do
		at = socket_each(rig->sockets, at, 3, visit_stream, &visit);
	while (at != 0);
	CU_ASSERT_EQUAL(visit.count, 10);
	visit.abort = true;
	CU_ASSERT_EQUAL(socket_each(rig->sockets, 0, UINT32_MAX, visit_stream, &visit), 0);
	CU_ASSERT_EQUAL(rig->closed_count, 0);
	rig_poll(rig);
	CU_ASSERT_EQUAL(rig->closed_count, 10);
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_TRUE(rig_gets_reset(rig, fds[i]));
		close(fds[i]);
	}
	rig_destroy(rig);
}

static void test_a_push_from_outside_does_not_wait(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);
	char got[8];

	chain_append(&rig->stream->out, "news", 4);
	rig->stream->ops->push(rig->stream);
	CU_ASSERT(recv(fd, got, sizeof(got), MSG_DONTWAIT) < 0);
	socket_poll(rig->sockets, rig->now_us, 0);
	CU_ASSERT_EQUAL(recv(fd, got, sizeof(got), MSG_DONTWAIT), 4);
	close(fd);
	rig_destroy(rig);
}

static void test_destroying_ends_all_streams(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig), second = rig_connect(rig);

	rig->refuse_bytes = true;
	send_text(fd, "x");
	rig_poll(rig);
	chain_append(&rig->stream->out, "unsent", 6);
	rig_destroy(rig); /* checks closed() and the pool */
	close(fd);
	close(second);
}

static const struct unit_case cases[] = {
    {"many connections are served at once", test_many_connections_are_served_at_once},
    {"IPv6 is served", test_ip6_is_served},
    {"mebibytes go both ways with a slow reader", test_mebibytes_go_both_ways_with_a_slow_reader},
    {"a half-close is answered, then ended", test_a_half_close_is_answered_then_ended},
    {"the end of a peer is told once", test_the_end_of_a_peer_is_told_once},
    {"a user may close when all is sent", test_a_user_may_close_when_all_is_sent},
    {"abort() resets", test_abort_resets},
    {"close() with unread input loses no reply", test_close_with_unread_input_loses_no_reply},
    {"a drained connection gives its place back", test_a_drained_connection_gives_its_place_back},
    {"refused bytes come again after resume()", test_refused_bytes_come_again_after_resume},
    {"a user may ask for more while it refuses", test_a_user_may_ask_for_more_while_it_refuses},
    {"refused bytes take no more than their share",
     test_refused_bytes_take_no_more_than_their_share},
    {"a reset reaches a user that refuses bytes", test_a_reset_reaches_a_user_that_refuses_bytes},
    {"one over the limit is told", test_one_over_the_limit_is_told},
    {"any number over the limit is told", test_any_number_over_the_limit_is_told},
    {"a user without room counts as the limit", test_a_user_without_room_counts_as_the_limit},
    {"a blocked source is closed unserved", test_a_blocked_source_is_closed_unserved},
    {"a source that is not allowed is closed unserved",
     test_a_source_not_allowed_is_closed_unserved},
    {"a peer that takes no last reply is reset", test_a_peer_that_takes_no_last_reply_is_reset},
    {"no file descriptors pause accepting and no more",
     test_no_file_descriptors_pause_accepting_and_no_more},
    {"each visits every stream once a round", test_each_visits_every_stream_once_a_round},
    {"a push from outside does not wait", test_a_push_from_outside_does_not_wait},
    {"destroying ends all streams", test_destroying_ends_all_streams},
};

int main(void)
{
	return UNIT_RUN("socket", cases);
}
