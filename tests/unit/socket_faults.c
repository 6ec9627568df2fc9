/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel sockets when the kernel fails, and peers and users that do what is unusual. */
#include "net/socket.h"

#include "faults.h"
#include "socket_rig.h"

#include <sys/epoll.h>

static int wait_asked_ms; /* of the newest epoll_wait() */

FAULTY(int, -1, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
       (fd, address, length, flags))
FAULTY(ssize_t, -1, recv, (int fd, void *to, size_t length, int flags), (fd, to, length, flags))
FAULTY(ssize_t, -1, sendmsg, (int fd, const struct msghdr *message, int flags),
       (fd, message, flags))
FAULTY(int, -1, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),
       (fd, messages, count, flags))
FAULTY(int, -1, epoll_create1, (int flags), (flags))
FAULTY(int, -1, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event),
       (epoll, operation, fd, event))
FAULTY(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAULTY(int, -1, bind, (int fd, const struct sockaddr *address, socklen_t length),
       (fd, address, length))
FAULTY(int, -1, listen, (int fd, int backlog), (fd, backlog))
FAULTY(int, -1, setsockopt, (int fd, int level, int option, const void *value, socklen_t length),
       (fd, level, option, value, length))

/* Time is data: nobody waits. */
int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
	int (*next)(int, struct epoll_event *, int, int);

	wait_asked_ms = timeout_ms;
	if (fault_hits("epoll_wait"))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
	return next(fd, events, count, timeout_ms > 1 ? 1 : timeout_ms);
}

static void reset(int fd)
{
	struct linger none = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

static void test_want_of_memory_pauses_accepting(void)
{
	static const int errors[] = {ENFILE, ENOBUFS, ENOMEM};
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd;

	for (uint32_t i = 0; i < 3; i++) {
		fd = rig_connect_with(rig, 0);
		fault_set("accept4", errors[i], 0, 1);
		rig_poll(rig);
		CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->accept_paused), i + 1);
		/* it rests, and nobody waits longer than its pause */
		socket_poll(rig->sockets, rig->now_us, 5000);
		CU_ASSERT_EQUAL(wait_asked_ms, 100);
		CU_ASSERT_EQUAL(rig->opened_count, i);
		rig->now_us += 100000;
		poll_until(rig, &rig->opened_count, i + 1);
		close(fd);
	}
	rig_destroy(rig);
}

static void test_a_connection_that_is_gone_stops_no_other(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect_with(rig, 0);

	fault_set("accept4", ECONNABORTED, 0, 1);
	rig_poll(rig);
	CU_ASSERT_EQUAL(rig->opened_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->accept_paused), 0);
	close(fd);
	rig_destroy(rig);
}

static void test_interrupted_calls_lose_nothing(void)
{
	static const struct {
		const char *call;
		int error_number;
	} tries[] = {{"epoll_wait", EINTR},
	             {"recv", EINTR},
	             {"recv", EAGAIN},
	             {"sendmsg", EINTR},
	             {"sendmsg", EAGAIN}};
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig);

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		send_text(fd, "all of it");
		fault_set(tries[i].call, tries[i].error_number, 0, 1);
		while (!fault_over())
			rig_poll(rig);
		CU_ASSERT_TRUE(rig_gets(rig, fd, "all of it"));
	}
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->reset_by_peer), 0);
	close(fd);
	rig_destroy(rig);
}

static void test_a_reset_ends_whoever_reads(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig);

	reset(fd);
	poll_until(rig, &rig->closed_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->reset_by_peer), 1);
	CU_ASSERT_EQUAL(rig->finished_count, 0);
	rig_destroy(rig);
}

static void test_a_reset_ends_whoever_sends(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig);

	fault_set("sendmsg", EPIPE, 0, 1);
	send_text(fd, "lost");
	poll_until(rig, &rig->closed_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->reset_by_peer), 1);
	close(fd);
	rig_destroy(rig);
}

static void test_a_reset_while_closing_ends_it(void)
{
	static const uint8_t value[256 * 1024];
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect_with(rig, 4096);

	rig_poll(rig);
	for (int i = 0; i < 64; i++)
		chain_append_reference(&rig->stream->out, value, sizeof(value), rig);
	rig->stream->ops->close(rig->stream);
	rig_poll(rig);
	/* what comes meanwhile is of no interest, nor is the end */
	send_text(fd, "ignored");
	rig_poll(rig);
	fault_set("recv", EINTR, 0, 1);
	send_text(fd, "ignored");
	rig_poll(rig);
	rig_poll(rig);
	CU_ASSERT_EQUAL(rig->taken_bytes, 0);
	CU_ASSERT_EQUAL(rig->closed_count, 0);
	reset(fd);
	poll_until(rig, &rig->closed_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->reset_by_peer), 1);
	CU_ASSERT_EQUAL(rig->released_count, 64);
	rig_destroy(rig);
}

static void test_a_peer_that_ends_while_we_close_gets_it_all(void)
{
	static uint8_t value[256 * 1024];
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect_with(rig, 4096);
	uint8_t got[65536];
	size_t total = 0;
	ssize_t n;

	rig_poll(rig);
	for (int i = 0; i < 32; i++)
		chain_append_reference(&rig->stream->out, value, sizeof(value), rig);
	rig->stream->ops->close(rig->stream);
	rig_poll(rig);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 3; i++)
		rig_poll(rig);
	CU_ASSERT_EQUAL(rig->closed_count, 0);
	while ((n = rig_receive(rig, fd, got, sizeof(got))) > 0)
		total += (size_t)n;
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(total, 32 * sizeof(value));
	poll_until(rig, &rig->closed_count, 1);
	close(fd);
	rig_destroy(rig);
}

static void test_a_peer_that_never_stops_sending_is_cut_off(void)
{
	static char junk[256 * 1024];
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig);
	bool cut_off = false;

	rig->bye = true;
	send_text(fd, "x");
	CU_ASSERT_TRUE(rig_gets(rig, fd, "bye"));
	for (int i = 0; i < ROUND_COUNT_MAX && !cut_off; i++) {
		cut_off = send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		          errno != EAGAIN;
		rig_poll(rig);
	}
	CU_ASSERT_TRUE(cut_off);
	close(fd);
	rig_destroy(rig);
}

static void test_a_reset_while_draining_ends_it(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_connect(rig);

	rig->bye = true;
	send_text(fd, "x");
	CU_ASSERT_TRUE(rig_gets(rig, fd, "bye"));
	/* while it drains, a poll waits for no longer than is left of that */
	socket_poll(rig->sockets, rig->now_us, -1);
	CU_ASSERT_EQUAL(wait_asked_ms, 100);
	reset(fd);
	for (int i = 0; i < 5; i++)
		rig_poll(rig);
	socket_poll(rig->sockets, rig->now_us, 5000);
	CU_ASSERT_EQUAL(wait_asked_ms, 5000); /* it is gone */
	rig_destroy(rig);
}

/* A user's wishes count until it has said close. */
static void test_after_close_only_abort_counts(void)
{
	static const uint8_t value[256 * 1024];
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fds[2];
	struct stream *streams[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = rig_connect_with(rig, 4096);
		rig_poll(rig);
		streams[i] = rig->stream;
		for (int k = 0; k < 32; k++)
			chain_append_reference(&streams[i]->out, value, sizeof(value), rig);
		streams[i]->ops->close(streams[i]);
	}
	rig_poll(rig);
	streams[0]->ops->close(streams[0]);
	streams[0]->ops->push(streams[0]);
	streams[0]->ops->resume(streams[0]);
	rig_poll(rig);
	CU_ASSERT_EQUAL(rig->closed_count, 0);
	streams[0]->ops->abort(streams[0]);
	streams[0]->ops->abort(streams[0]);
	CU_ASSERT_EQUAL(rig->closed_count, 0);
	rig_poll(rig);
	CU_ASSERT_EQUAL(rig->closed_count, 1);
	CU_ASSERT(rig->released_count >= 32); /* the other sends on */
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	rig_destroy(rig);
}

static void test_what_was_pushed_before_abort_is_not_sent(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig);

	chain_append(&rig->stream->out, "news", 4);
	rig->stream->ops->push(rig->stream);
	rig->stream->ops->abort(rig->stream);
	CU_ASSERT_TRUE(rig_gets_reset(rig, fd));
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->sent_bytes), 0);
	close(fd);
	rig_destroy(rig);
}

static void test_a_user_may_abort_while_it_is_offered_more(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig);
	char junk[3 * BLOCK_CAPACITY];

	memset(junk, 'j', sizeof(junk));
	rig->refuse_bytes = true;
	CU_ASSERT_EQUAL(send(fd, junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
	rig_poll(rig);
	rig->refuse_bytes = false;
	rig->abort_at_once = true;
	rig->stream->ops->resume(rig->stream);
	poll_until(rig, &rig->closed_count, 1);
	CU_ASSERT_TRUE(rig_gets_reset(rig, fd));
	close(fd);
	rig_destroy(rig);
}

static void test_refused_bytes_that_find_no_block_reset(void)
{
	struct rig *rig = rig_create("127.0.0.1", 4, NULL);
	int fd = rig_connect(rig);
	static const uint8_t block[BLOCK_CAPACITY];
	struct chain hoard;

	chain_create(&hoard, &rig->pool);
	while (rig->pool.free_count > 0)
		CU_ASSERT_TRUE_FATAL(chain_append(&hoard, block, sizeof(block)));
	rig->refuse_bytes = true;
	send_text(fd, "x");
	poll_until(rig, &rig->closed_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->reset_no_memory), 1);
	chain_clear(&hoard);
	close(fd);
	rig_destroy(rig);
}

/* epoll has a limit of its own (fs.epoll.max_user_watches). */
static void test_connections_that_cannot_be_watched_are_refused(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fds[CLIENT_COUNT_MAX], first = rig_connect(rig);
	char error[200];
	uint32_t refused = 0;

	/* the kernel spreads them over two listeners, so that a poll takes more than there are
	 * places */
	CU_ASSERT_EQUAL_FATAL(socket_listen(rig->sockets, &rig->port, NULL, error, sizeof(error)),
	                      0);
	for (int i = 0; i < CLIENT_COUNT_MAX; i++)
		fds[i] = rig_connect_with(rig, 0);
	fault_set("epoll_ctl", ENOSPC, 0, UINT32_MAX);
	for (int i = 0; i < 20 && refused < CLIENT_COUNT_MAX; i++) {
		rig_poll(rig);
		refused = (uint32_t)counter_read(&rig_counters(rig)->refused_full);
	}
	fault_clear();
	CU_ASSERT_EQUAL(refused, CLIENT_COUNT_MAX);
	CU_ASSERT_EQUAL(rig->opened_count, 1);
	for (int i = 0; i < CLIENT_COUNT_MAX; i++)
		close(fds[i]);
	send_text(first, "still here");
	CU_ASSERT_TRUE(rig_gets(rig, first, "still here"));
	close(first);
	rig_destroy(rig);
}

static int datagram_socket(struct rig *rig)
{
	struct sockaddr_storage address;
	socklen_t length = rig_address(rig, &address);
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, length), 0);
	return fd;
}

static void test_replies_that_the_kernel_refuses_are_counted(void)
{
	static const struct {
		int error_number;
		uint64_t drops; /* of three replies */
	} tries[] = {{EINTR, 0}, {EPERM, 1}, {EAGAIN, 3}, {ENOBUFS, 3}};
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = datagram_socket(rig);
	uint64_t sent = 0, drops = 0;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		fault_set("sendmmsg", tries[i].error_number, 0, 1);
		for (int k = 0; k < 3; k++)
			send_text(fd, "to be answered");
		poll_until(rig, &rig->datagram_count, ((uint32_t)i + 1) * 3);
		drops += tries[i].drops;
		sent += 3 - tries[i].drops;
		CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->udp_send_drops), drops);
		CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->udp_sent), sent);
	}
	close(fd);
	rig_destroy(rig);
}

static void test_each_failure_to_listen_has_its_sentence(void)
{
	static const struct {
		const char *call;
		int error_number;
		uint32_t skip_count;
		const char *said;
	} tries[] = {
	    {"socket", EAFNOSUPPORT, 0, "no IPv6"},   {"socket", EMFILE, 0, "ulimit -n"},
	    {"socket", ENFILE, 0, "ulimit -n"},       {"bind", EACCES, 0, "CAP_NET_BIND_SERVICE"},
	    {"bind", EPERM, 0, "no permission"},      {"bind", EADDRNOTAVAIL, 0, "no such address"},
	    {"listen", EADDRINUSE, 0, "taken"},       {"setsockopt", EINVAL, 0, "Invalid"},
	    {"setsockopt", EINVAL, 1, "Invalid"},     {"setsockopt", EINVAL, 2, "Invalid"},
	    {"setsockopt", EINVAL, 3, "Invalid"},     {"setsockopt", EINVAL, 4, "Invalid"},
	    {"epoll_ctl", ENOSPC, 0, "epoll: No sp"}, {"epoll_ctl", ENOSPC, 1, "epoll: No sp"},
	    {"socket", EMFILE, 1, "(udp)"},
	};
	struct rig *rig = rig_create("::1", 1, NULL);
	char error[200];

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		fault_set(tries[i].call, tries[i].error_number, tries[i].skip_count, 1);
		CU_ASSERT_EQUAL(socket_listen(rig->sockets, &rig->port, NULL, error, sizeof(error)),
		                -tries[i].error_number);
		CU_ASSERT_TRUE(fault_over());
		CU_ASSERT_PTR_NOT_NULL(strstr(error, tries[i].said));
		CU_ASSERT_EQUAL(strncmp(error, "port socket", 11), 0);
	}
	fault_clear();
	CU_ASSERT_EQUAL(socket_listen(rig->sockets, &rig->port, NULL, error, sizeof(error)), 0);
	rig_destroy(rig);
}

static void test_a_free_address_is_found_free(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	struct port_options port = rig->port;
	char error[200];

	ip_address_parse(&port.addresses[0].address, "127.0.0.2");
	CU_ASSERT_EQUAL(socket_check_free(&port, error, sizeof(error)), 0);
	/* a port of datagrams alone */
	port.tcp_port = 0;
	CU_ASSERT_EQUAL(socket_check_free(&port, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(socket_listen(rig->sockets, &port, NULL, error, sizeof(error)), 0);
	port = rig->port;
	port.udp_port = 0;
	CU_ASSERT_EQUAL(socket_listen(rig->sockets, &port, NULL, error, sizeof(error)), 0);
	rig_destroy(rig);
}

static void test_without_epoll_there_are_no_sockets(void)
{
	struct socket_options options = {.connection_count_max = 1};
	struct memory memory = {0};
	struct sockets *sockets;

	fault_set("epoll_create1", EMFILE, 0, 1);
	CU_ASSERT_EQUAL(sockets_create(&sockets, &options, &memory), -EMFILE);
	sockets_destroy(NULL);
}

static const struct unit_case cases[] = {
    {"want of memory pauses accepting", test_want_of_memory_pauses_accepting},
    {"a connection that is gone stops no other", test_a_connection_that_is_gone_stops_no_other},
    {"interrupted calls lose nothing", test_interrupted_calls_lose_nothing},
    {"a reset ends whoever reads", test_a_reset_ends_whoever_reads},
    {"a reset ends whoever sends", test_a_reset_ends_whoever_sends},
    {"a reset while closing ends it", test_a_reset_while_closing_ends_it},
    {"a peer that ends while we close gets it all",
     test_a_peer_that_ends_while_we_close_gets_it_all},
    {"a peer that never stops sending is cut off", test_a_peer_that_never_stops_sending_is_cut_off},
    {"a reset while draining ends it", test_a_reset_while_draining_ends_it},
    {"after close() only abort() counts", test_after_close_only_abort_counts},
    {"what was pushed before abort() is not sent", test_what_was_pushed_before_abort_is_not_sent},
    {"a user may abort while it is offered more", test_a_user_may_abort_while_it_is_offered_more},
    {"refused bytes that find no block reset", test_refused_bytes_that_find_no_block_reset},
    {"connections that cannot be watched are refused",
     test_connections_that_cannot_be_watched_are_refused},
    {"replies that the kernel refuses are counted",
     test_replies_that_the_kernel_refuses_are_counted},
    {"each failure to listen has its sentence", test_each_failure_to_listen_has_its_sentence},
    {"a free address is found free", test_a_free_address_is_found_free},
    {"without epoll there are no sockets", test_without_epoll_there_are_no_sockets},
};

int main(void)
{
	return UNIT_RUN("socket_faults", cases);
}
