/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket.h"

#include "socket_rig.h"

static int rig_datagram_socket(struct rig *rig)
{
	struct sockaddr_storage address;
	socklen_t length = rig_address(rig, &address);
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, length), 0);
	return fd;
}

static void test_datagrams_are_answered_in_batches(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, "127.0.0.0/8");
	int fd = rig_datagram_socket(rig);
	char text[32], got[32];

	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "datagram %d", i);
		send_text(fd, text);
	}
	for (int i = 0; i < 100; i++) {
		ssize_t n = rig_receive(rig, fd, got, sizeof(got));

		snprintf(text, sizeof(text), "datagram %d", i);
		CU_ASSERT_EQUAL(n, (ssize_t)strlen(text));
		CU_ASSERT_EQUAL(memcmp(got, text, strlen(text)), 0);
	}
	CU_ASSERT_EQUAL(rig->datagram_count, 100);
	CU_ASSERT_EQUAL(rig->listed_count, 100);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->udp_sent), 100);
	close(fd);
	rig_destroy(rig);
}

static void test_a_datagram_may_have_more_replies_than_a_batch(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_datagram_socket(rig);
	char got[32];

	for (int i = 0; i < 30; i++)
		send_text(fd, "2 replies");
	for (int i = 0; i < 60; i++)
		CU_ASSERT_EQUAL(rig_receive(rig, fd, got, sizeof(got)), 9);
	CU_ASSERT_EQUAL(rig->listed_count, 0);
	close(fd);
	rig_destroy(rig);
}

static void test_datagrams_too_long_or_not_allowed_are_dropped(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	int fd = rig_datagram_socket(rig);
	char junk[SOCKET_DATAGRAM_BYTES_MAX + 1] = "j";

	send(fd, junk, sizeof(junk), 0);
	send(fd, junk, sizeof(junk) - 1, 0);
	poll_until(rig, &rig->datagram_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->udp_too_long), 1);
	close(fd);
	rig_destroy(rig);
	rig = rig_create("127.0.0.1", 1, "10.0.0.0/8");
	fd = rig_datagram_socket(rig);
	send_text(fd, "x");
	for (int i = 0; i < 100 && counter_read(&rig_counters(rig)->udp_refused_source) == 0; i++)
		rig_poll(rig);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->udp_refused_source), 1);
	CU_ASSERT_EQUAL(rig->datagram_count, 0);
	close(fd);
	rig_destroy(rig);
}

static void test_datagrams_of_a_blocked_source_are_dropped(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	struct blocked *blocked = rig_block(rig, "127.0.0.1");
	int fd = rig_datagram_socket(rig);

	send_text(fd, "x");
	for (int i = 0; i < 100 && counter_read(&rig_counters(rig)->udp_blocked) == 0; i++)
		rig_poll(rig);
	CU_ASSERT_EQUAL(counter_read(&rig_counters(rig)->udp_blocked), 1);
	CU_ASSERT_EQUAL(rig->datagram_count, 0);
	close(fd);
	free(blocked);
	rig_destroy(rig);
}

static void test_what_cannot_be_opened_is_said_in_a_sentence(void)
{
	struct rig *rig = rig_create("127.0.0.1", 1, NULL);
	struct port_options port = rig->port;
	char error[200], wanted[200];

	/* Shared among workers, but another process is noticed. */
	CU_ASSERT_EQUAL(socket_listen(rig->sockets, &port, NULL, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(socket_check_free(&port, error, sizeof(error)), -EADDRINUSE);
	snprintf(wanted, sizeof(wanted),
	         "port socket 127.0.0.1:%u: the address is taken by another process: stop it or "
	         "choose another port",
	         port.tcp_port);
	CU_ASSERT_STRING_EQUAL(error, wanted);
	port.tcp_port = 0;
	CU_ASSERT_EQUAL(socket_check_free(&port, error, sizeof(error)), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "(udp): the address is taken"));
	port = rig->port;
	ip_address_parse(&port.addresses[0].address, "2001:db8::1");
	CU_ASSERT_EQUAL(socket_listen(rig->sockets, &port, NULL, error, sizeof(error)),
	                -EADDRNOTAVAIL);
	snprintf(wanted, sizeof(wanted), "port socket [2001:db8::1]:%u: this machine has no such",
	         port.tcp_port);
	CU_ASSERT_EQUAL(strncmp(error, wanted, strlen(wanted)), 0);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"datagrams are answered in batches", test_datagrams_are_answered_in_batches},
    {"a datagram may have more replies than a batch",
     test_a_datagram_may_have_more_replies_than_a_batch},
    {"datagrams of a blocked source are dropped", test_datagrams_of_a_blocked_source_are_dropped},
    {"datagrams too long or not allowed are dropped",
     test_datagrams_too_long_or_not_allowed_are_dropped},
    {"what cannot be opened is said in a sentence",
     test_what_cannot_be_opened_is_said_in_a_sentence},
};

int main(void)
{
	return UNIT_RUN("socket_udp", cases);
}
