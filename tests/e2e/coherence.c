/* SPDX-License-Identifier: Apache-2.0 */
/* Whether reads by UDP are ever older than the last acknowledged write:
 *
 *	coherence ADDRESS READS SEED
 *
 * One thread writes a few keys by TCP, in every way there is (UDP only reads); others read them by
 * UDP, many requests at a time. A reader notes how far the writes of a key had been acknowledged
 * before it asks, and how far they had begun when the reply is there: the reply has to be what the
 * key was after one of the writes between these. Prints how many reads there were; exit status 1:
 * one was wrong. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEYS        4
#define HISTORY     4096 /* writes of a key that are remembered; a power of two */
#define READERS     2
#define BATCH       32
#define STATE_BYTES 64
#define PORT        11211

/* What a key is after a write: the reply to mg KEY v; empty: it is not there. */
struct state {
	char text[STATE_BYTES];
};

struct key {
	_Atomic uint64_t begun; /* writes: each is in `states` before it is sent */
	_Atomic uint64_t acknowledged;
	struct state states[HISTORY];
};

static struct key keys[KEYS];
static _Atomic bool is_over;
static _Atomic uint64_t reads, lost, wrong;
static struct sockaddr_storage server;
static socklen_t server_bytes;
static uint64_t reads_wanted;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint32_t next_random(uint64_t *random)
{
	*random ^= *random << 13; /* xorshift */
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random >> 32);
}

/* The writer. */

struct writer {
	int fd;
	uint64_t random;
	bool is_there[KEYS];
	char value[KEYS][STATE_BYTES];
};

static void note(struct writer *writer, uint32_t number)
{
	struct key *key = &keys[number];
	uint64_t begun = key->begun + 1;
	struct state *state = &key->states[begun % HISTORY];

	if (writer->is_there[number])
		snprintf(state->text, sizeof(state->text), "VA %zu\r\n%s\r\n",
		         strlen(writer->value[number]), writer->value[number]);
	else
		strcpy(state->text, "EN\r\n");
	key->begun = begun;
}

/* Sends it, and waits for so many lines of reply. */
static void write_and_wait(struct writer *writer, const char *request, int lines)
{
	char reply[512];

	if (send(writer->fd, request, strlen(request), 0) < 0)
		die("send");
	while (lines > 0) {
		ssize_t got = recv(writer->fd, reply, sizeof(reply), 0);

		if (got <= 0)
			die("the writer's connection");
		for (ssize_t i = 0; i < got; i++)
			lines -= reply[i] == '\n';
	}
}

static void gone(struct writer *writer, uint32_t number)
{
	writer->is_there[number] = false;
	note(writer, number);
}

static void becomes(struct writer *writer, uint32_t number, const char *value)
{
	writer->is_there[number] = true;
	snprintf(writer->value[number], STATE_BYTES, "%s", value);
	note(writer, number);
}

/* All keys at once. */
static void clear(struct writer *writer, const char *request)
{
	for (uint32_t i = 0; i < KEYS; i++)
		gone(writer, i);
	write_and_wait(writer, request, 1);
	for (uint32_t i = 0; i < KEYS; i++)
		keys[i].acknowledged = keys[i].begun;
}

static void store(struct writer *writer, uint32_t number, const char *command)
{
	char request[256], value[STATE_BYTES];

	/* so that incr and decr, by little, keep its length */
	snprintf(value, sizeof(value), "%u", 2000000 + next_random(&writer->random) % 7000000);
	becomes(writer, number, value);
	snprintf(request, sizeof(request), "%s hot%u 0 0 %zu\r\n%s\r\n", command, number,
	         strlen(value), value);
	write_and_wait(writer, request, 1);
}

/* With the unique of what is there. */
static void store_cas(struct writer *writer, uint32_t number)
{
	char request[256], reply[256] = "";
	ssize_t got;

	snprintf(request, sizeof(request), "mg hot%u c\r\n", number);
	if (send(writer->fd, request, strlen(request), 0) < 0)
		die("send");
	got = recv(writer->fd, reply, sizeof(reply) - 1, 0); /* so short comes at once */
	if (got < 6 || strncmp(reply, "HD c", 4) != 0)
		die("the reply to mg c");
	becomes(writer, number, "1234567");
	snprintf(request, sizeof(request), "cas hot%u 0 0 7 %llu\r\n1234567\r\n", number,
	         strtoull(reply + 4, NULL, 10));
	write_and_wait(writer, request, 1);
}

/* What a request makes of a value. */
static void add_7(char *value)
{
	snprintf(value, STATE_BYTES, "%llu", strtoull(value, NULL, 10) + 7);
}

static void add_1(char *value)
{
	snprintf(value, STATE_BYTES, "%llu", strtoull(value, NULL, 10) + 1);
}

static void take_3(char *value)
{
	snprintf(value, STATE_BYTES, "%llu", strtoull(value, NULL, 10) - 3);
}

static void append_5(char *value)
{
	strcat(value, "5");
}

static void prepend_9(char *value)
{
	memmove(value + 1, value, strlen(value) + 1);
	value[0] = '9';
}

static void become_1234567(char *value)
{
	strcpy(value, "1234567");
}

static void stay(char *value)
{
}

static const struct change {
	const char *request;
	int reply_lines;
	void (*apply)(char *value); /* NULL: the key goes */
} changes[] = {
    {"incr hot%u 7\r\n", 1, add_7},
    {"decr hot%u 3\r\n", 1, take_3},
    {"ma hot%u\r\n", 1, add_1},
    {"append hot%u 0 0 1\r\n5\r\n", 1, append_5},
    {"prepend hot%u 0 0 1\r\n9\r\n", 1, prepend_9},
    {"ms hot%u 1 MA\r\n5\r\n", 1, append_5},
    {"ms hot%u 7 T500\r\n1234567\r\n", 1, become_1234567},
    {"touch hot%u 1000\r\n", 1, stay},
    {"gat 2000 hot%u\r\n", 3, stay},
    {"mg hot%u T3000\r\n", 1, stay},
    {"delete hot%u\r\n", 1, NULL},
    {"md hot%u\r\n", 1, NULL},
    {"touch hot%u -1\r\n", 1, NULL},
};

#define CHANGES (sizeof(changes) / sizeof(changes[0]))

static void change(struct writer *writer, uint32_t number)
{
	const struct change *change = &changes[next_random(&writer->random) % CHANGES];
	char request[256], value[STATE_BYTES];

	strcpy(value, writer->value[number]);
	if (change->apply == NULL) {
		gone(writer, number);
	} else {
		change->apply(value);
		becomes(writer, number, value);
	}
	snprintf(request, sizeof(request), change->request, number);
	write_and_wait(writer, request, change->reply_lines);
}

static void write_once(struct writer *writer, uint32_t number)
{
	uint32_t chance = next_random(&writer->random) % 400;

	if (chance == 0)
		clear(writer, "flush_all\r\n");
	else if (chance == 1)
		clear(writer, "purge prefix hot\r\n");
	else if (!writer->is_there[number])
		store(writer, number, chance % 2 ? "set" : "add");
	else if (chance < 40 || strlen(writer->value[number]) > 12)
		store(writer, number, chance % 2 ? "set" : "replace");
	else if (chance < 60)
		store_cas(writer, number);
	else
		change(writer, number);
	keys[number].acknowledged = keys[number].begun;
}

static void *write_all(void *context)
{
	struct writer *writer = context;

	while (!is_over) {
		write_once(writer, next_random(&writer->random) % KEYS);
		/* so that it is shown again, mostly */
		if (next_random(&writer->random) % 3 == 0)
			usleep(next_random(&writer->random) % 25000);
	}
	return NULL;
}

/* The readers. */

struct asked {
	uint32_t key;
	uint64_t acknowledged;
	bool is_open;
};

struct reader {
	int fd;
	uint64_t random;
	uint16_t id;
	struct asked asked[BATCH];
};

static void ask(struct reader *reader, uint32_t place)
{
	struct asked *asked = &reader->asked[place];
	char request[64] = {(char)(reader->id >> 8), (char)place, 0, 0, 0, 1, 0, 0};
	int length;

	asked->key = next_random(&reader->random) % KEYS;
	asked->is_open = true;
	length = 8 + sprintf(request + 8, "mg hot%u v\r\n", asked->key);
	asked->acknowledged = keys[asked->key].acknowledged;
	if (send(reader->fd, request, (size_t)length, 0) < 0)
		die("send by UDP");
}

static bool is_right(const struct asked *asked, const char *reply, uint64_t begun)
{
	const struct key *key = &keys[asked->key];

	for (uint64_t i = asked->acknowledged; i <= begun; i++)
		if (strcmp(key->states[i % HISTORY].text, reply) == 0)
			return true;
	return false;
}

static void judge(const struct asked *asked, const char *reply)
{
	uint64_t begun = keys[asked->key].begun;

	if (begun - asked->acknowledged >= HISTORY / 2)
		return; /* it was away for that long */
	reads++;
	if (is_right(asked, reply, begun) || wrong++ > 0)
		return;
	printf("hot%u: write %llu was acknowledged, %llu begun, and the reply is %s", asked->key,
	       (unsigned long long)asked->acknowledged, (unsigned long long)begun, reply);
	printf("after the acknowledged one it is %s",
	       keys[asked->key].states[asked->acknowledged % HISTORY].text);
}

/* A batch of requests; what has no reply within some time is lost. */
static void read_batch(struct reader *reader)
{
	uint32_t open = BATCH;
	char reply[512];

	reader->id += 256;
	for (uint32_t i = 0; i < BATCH; i++)
		ask(reader, i);
	while (open > 0) {
		ssize_t got = recv(reader->fd, reply, sizeof(reply) - 1, 0);
		struct asked *asked;

		if (got < 0)
			break;
		reply[got] = '\0';
		if (got < 8 || (uint8_t)reply[0] != reader->id >> 8 || (uint8_t)reply[1] >= BATCH)
			continue; /* of a batch before */
		asked = &reader->asked[(uint8_t)reply[1]];
		if (!asked->is_open)
			continue;
		asked->is_open = false;
		open--;
		judge(asked, reply + 8);
	}
	lost += open;
}

static void *read_all(void *context)
{
	while (reads < reads_wanted && wrong == 0)
		read_batch(context);
	return NULL;
}

static int connected(int type)
{
	const struct timeval patience = {.tv_usec = 200000};
	const int on = 1;
	int fd = socket(server.ss_family, type, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&server, server_bytes) < 0)
		die("connect");
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	else
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void parse_server(const char *text)
{
	struct sockaddr_in *ip4 = (struct sockaddr_in *)&server;
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)&server;

	if (inet_pton(AF_INET, text, &ip4->sin_addr) == 1) {
		ip4->sin_family = AF_INET;
		ip4->sin_port = htons(PORT);
		server_bytes = sizeof(*ip4);
	} else if (inet_pton(AF_INET6, text, &ip6->sin6_addr) == 1) {
		ip6->sin6_family = AF_INET6;
		ip6->sin6_port = htons(PORT);
		server_bytes = sizeof(*ip6);
	} else {
		fprintf(stderr, "coherence: %s is no address\n", text);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct writer writer = {0};
	struct reader readers[READERS] = {0};
	pthread_t threads[READERS + 1];

	if (argc != 4) {
		fprintf(stderr, "usage: coherence ADDRESS READS SEED\n");
		return 2;
	}
	parse_server(argv[1]);
	reads_wanted = strtoull(argv[2], NULL, 10);
	writer.random = strtoull(argv[3], NULL, 10) * 2 + 1;
	writer.fd = connected(SOCK_STREAM);
	clear(&writer, "flush_all\r\n");
	pthread_create(&threads[READERS], NULL, write_all, &writer);
	for (uint32_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.fd = connected(SOCK_DGRAM),
		                             .random = writer.random + 1000 * (i + 1)};
		pthread_create(&threads[i], NULL, read_all, &readers[i]);
	}
	for (uint32_t i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	is_over = true;
	pthread_join(threads[READERS], NULL);
	printf("%llu reads, %llu without a reply, %llu writes, %llu wrong\n",
	       (unsigned long long)reads, (unsigned long long)lost,
	       (unsigned long long)(keys[0].begun + keys[1].begun + keys[2].begun + keys[3].begun),
	       (unsigned long long)wrong);
	return wrong > 0 || reads < reads_wanted;
}
