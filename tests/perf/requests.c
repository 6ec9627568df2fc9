/* SPDX-License-Identifier: Apache-2.0 */
/* What one request costs a worker, without a network: cycles of the time-stamp counter.
 *
 *     requests [--keys MANY] [--rounds N] [--turns N] [--only TEXT] [--json] [--once]
 *
 * Frames of 32 clients are replayed to a whole worker (replayed.h): receive, IP, UDP or TCP,
 * parsing, store, reply, checksums. Each case is a protocol, a transport, an op, how many requests
 * come in a turn, and how many keys there are: 1,000, which stay in the processor's caches, or MANY
 * (10,000,000), which do not. Values have 32 bytes, keys 16, and any is as likely as another. Every
 * byte of every reply is looked at, but for cas uniques of the binary protocol. All cases take
 * turns; medians of the rounds are told, in JSON the rounds, sorted, and the requests of one. Turns
 * in which a neighbour of the virtual machine disturbed the core (pace.h) do not count, and more
 * are run for them, up to four times as many in all. --once: all count.
 *
 * Under callgrind, --collect-atstart=no --toggle-collect=measured_turn --dump-after=measured_case
 * gives the instructions of each case, in the order of what is printed. */
#include "replayed.h"

#include "pace.h"
#include "proto/binary.h"

#include <stdio.h>
#include <stdlib.h>

#define CLIENTS       32 /* with a connection each for text and for binary, and a UDP port */
#define FEW_KEYS      1000
#define VALUE_BYTES   32
#define KEYS_A_GET    32 /* of a multi-get */
#define ROUNDS_MAX    101
#define WARM_REQUESTS 4000 /* before each measurement */
#define CASES_MAX     256
#define TEXT_MAX      4096

#define OPCODE_GET  0x00
#define OPCODE_SET  0x01
#define OPCODE_GETQ 0x09
#define OPCODE_NOOP 0x0a

enum protocol {
	TEXT,
	META,
	BINARY
};
enum transport {
	UDP,
	TCP
};
enum op {
	HIT,
	MISS,
	SET,
	MULTI_GET
};

static const char *const protocol_names[] = {"text", "meta", "binary"};
static const char *const transport_names[] = {"udp", "tcp"};
static const char *const op_names[] = {"hit", "miss", "set", "multi-get"};

struct world {
	struct replayed *replayed;
	uint64_t keys;
	struct random random;
};

/* The requests of one turn. */
struct burst {
	uint32_t count;      /* of frames, each of another client, */
	uint32_t in_a_frame; /* … with so many requests */
};

struct kind {
	char name[64];
	enum protocol protocol;
	enum transport transport;
	enum op op;
	struct burst burst;
	uint32_t world;
	double cycles[ROUNDS_MAX];
};

/* In one turn; of a multi-get, keys. */
static uint32_t kind_requests(const struct kind *kind)
{
	return kind->burst.count * kind->burst.in_a_frame;
}

struct text {
	uint8_t bytes[TEXT_MAX];
	size_t length;
};

static void append(struct text *text, const void *bytes, size_t length)
{
	if (text->length + length > TEXT_MAX)
		replayed_fail("a frame is too long");
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

static void append_line(struct text *text, const char *format, const char *key)
{
	char line[128];
	int length = snprintf(line, sizeof(line), format, key);

	append(text, line, (size_t)length);
}

/* Of a number that stands for a key that is there. */
static void write_key(char key[REPLAYED_KEY_BYTES + 1], uint64_t number)
{
	snprintf(key, REPLAYED_KEY_BYTES + 1, "key-%012llu",
	         (unsigned long long)(number % 1000000000000u));
}

static void append_value(struct text *text, const char *key)
{
	append(text, key, REPLAYED_KEY_BYTES);
	append(text, key, VALUE_BYTES - REPLAYED_KEY_BYTES);
}

static void append_head(struct text *text, uint8_t magic, uint8_t opcode, uint32_t key_bytes,
                        uint32_t extras_bytes, uint32_t value_bytes)
{
	uint8_t head[BINARY_HEADER_BYTES] = {magic, opcode};

	store_be16(head + 2, (uint16_t)key_bytes);
	head[4] = (uint8_t)extras_bytes;
	store_be32(head + 8, key_bytes + extras_bytes + value_bytes);
	append(text, head, sizeof(head));
}

/* The head of a reply; what it says of cas uniques is not looked at. */
static void append_reply_head(struct text *text, uint8_t opcode, uint8_t status,
                              uint32_t extras_bytes, uint32_t value_bytes)
{
	append_head(text, BINARY_MAGIC_RESPONSE, opcode, 0, extras_bytes, value_bytes);
	text->bytes[text->length - BINARY_HEADER_BYTES + 7] = status;
}

static void ask_text(const struct kind *kind, const char *key, struct text *ask, struct text *reply)
{
	if (kind->op == SET) {
		append_line(ask, "set %s 0 0 32\r\n", key);
		append_value(ask, key);
		append_line(ask, "\r\n", key);
		append_line(reply, "STORED\r\n", key);
		return;
	}
	append_line(ask, "get %s\r\n", key);
	if (kind->op == HIT) {
		append_line(reply, "VALUE %s 0 32\r\n", key);
		append_value(reply, key);
		append_line(reply, "\r\n", key);
	}
	append_line(reply, "END\r\n", key);
}

static void ask_meta(const struct kind *kind, const char *key, struct text *ask, struct text *reply)
{
	if (kind->op == SET) {
		append_line(ask, "ms %s 32\r\n", key);
		append_value(ask, key);
		append_line(ask, "\r\n", key);
		append_line(reply, "HD\r\n", key);
		return;
	}
	append_line(ask, "mg %s v\r\n", key);
	if (kind->op == HIT) {
		append_line(reply, "VA 32\r\n", key);
		append_value(reply, key);
		append_line(reply, "\r\n", key);
	} else {
		append_line(reply, "EN\r\n", key);
	}
}

static void ask_binary(const struct kind *kind, const char *key, struct text *ask,
                       struct text *reply)
{
	static const uint8_t extras[8];

	if (kind->op == SET) {
		append_head(ask, BINARY_MAGIC_REQUEST, OPCODE_SET, REPLAYED_KEY_BYTES,
		            sizeof(extras), VALUE_BYTES);
		append(ask, extras, sizeof(extras));
		append(ask, key, REPLAYED_KEY_BYTES);
		append_value(ask, key);
		append_reply_head(reply, OPCODE_SET, 0, 0, 0);
		return;
	}
	append_head(ask, BINARY_MAGIC_REQUEST, OPCODE_GET, REPLAYED_KEY_BYTES, 0, 0);
	append(ask, key, REPLAYED_KEY_BYTES);
	if (kind->op == HIT) {
		append_reply_head(reply, OPCODE_GET, 0, 4, VALUE_BYTES);
		append(reply, extras, 4);
		append_value(reply, key);
	} else {
		append_reply_head(reply, OPCODE_GET, 1, 0, sizeof("Not found") - 1);
		append_line(reply, "Not found", key);
	}
}

static void take_key(struct world *world, const struct kind *kind, char key[REPLAYED_KEY_BYTES + 1])
{
	write_key(key, random_below(&world->random, world->keys));
	if (kind->op == MISS)
		key[0] = 'n';
}

static void ask_many(struct world *world, const struct kind *kind, struct text *ask,
                     struct text *reply)
{
	char key[REPLAYED_KEY_BYTES + 1];

	if (kind->protocol == TEXT)
		append_line(ask, "get", "");
	for (uint32_t i = 0; i < KEYS_A_GET; i++) {
		take_key(world, kind, key);
		if (kind->protocol == TEXT) {
			append_line(ask, " %s", key);
			append_line(reply, "VALUE %s 0 32\r\n", key);
			append_value(reply, key);
			append_line(reply, "\r\n", key);
			continue;
		}
		append_head(ask, BINARY_MAGIC_REQUEST, OPCODE_GETQ, REPLAYED_KEY_BYTES, 0, 0);
		append(ask, key, REPLAYED_KEY_BYTES);
		append_reply_head(reply, OPCODE_GETQ, 0, 4, VALUE_BYTES);
		append(reply, "\0\0\0\0", 4);
		append_value(reply, key);
	}
	if (kind->protocol == TEXT) {
		append_line(ask, "\r\n", "");
		append_line(reply, "END\r\n", "");
		return;
	}
	append_head(ask, BINARY_MAGIC_REQUEST, OPCODE_NOOP, 0, 0, 0);
	append_reply_head(reply, OPCODE_NOOP, 0, 0, 0);
}

static void ask(struct world *world, const struct kind *kind, struct text *ask, struct text *reply)
{
	static void (*const asks[])(const struct kind *kind, const char *key, struct text *ask,
	                            struct text *reply) = {ask_text, ask_meta, ask_binary};
	char key[REPLAYED_KEY_BYTES + 1];

	if (kind->op == MULTI_GET) {
		ask_many(world, kind, ask, reply);
		return;
	}
	for (uint32_t i = 0; i < kind->burst.in_a_frame; i++) {
		take_key(world, kind, key);
		asks[kind->protocol](kind, key, ask, reply);
	}
}

static uint32_t peer_of(const struct kind *kind, uint32_t client)
{
	return kind->protocol == BINARY ? CLIENTS + client : client;
}

/* The replies to a turn's requests, of each client. */
struct talk {
	const struct kind *kind;
	struct text wanted[CLIENTS];
	struct text heard[CLIENTS];
};

/* All that the clients say before a turn. */
static void speak(struct world *world, const struct kind *kind, struct talk *talk)
{
	for (uint32_t i = 0; i < kind->burst.count; i++) {
		struct text *reply = &talk->wanted[i];
		struct text text = {.length = 0};

		reply->length = 0;
		talk->heard[i].length = 0;
		if (kind->transport == UDP)
			append(&text, "\0\0\0\0\0\1\0\0", 8);
		ask(world, kind, &text, reply);
		if (kind->transport == UDP)
			replayed_ask(world->replayed, i, (struct slice){text.bytes, text.length});
		else
			replayed_say(world->replayed, peer_of(kind, i),
			             (struct slice){text.bytes, text.length});
	}
}

/* Cas uniques count up, whatever is asked for. */
static void forget_cas(const struct text *wanted, uint8_t *heard)
{
	for (size_t at = 0; at + BINARY_HEADER_BYTES <= wanted->length;
	     at += BINARY_HEADER_BYTES + load_be32(wanted->bytes + at + 8))
		memset(heard + at + 16, 0, 8);
}

static void hear(void *context, const struct replayed_reply *reply)
{
	struct talk *talk = context;
	size_t skipped = reply->is_datagram ? 8 : 0;
	uint32_t client = reply->peer % CLIENTS;

	append(&talk->heard[client], reply->payload.data + skipped,
	       reply->payload.length - skipped);
}

static void check(struct talk *talk)
{
	for (uint32_t i = 0; i < talk->kind->burst.count; i++) {
		const struct text *wanted = &talk->wanted[i];
		struct text *got = &talk->heard[i];

		if (got->length == wanted->length && talk->kind->protocol == BINARY)
			forget_cas(wanted, got->bytes);
		if (got->length != wanted->length ||
		    memcmp(got->bytes, wanted->bytes, got->length) != 0) {
			fprintf(stderr, "wanted %zu bytes: %.*s\ngot %zu bytes: %.*s\n",
			        wanted->length, (int)wanted->length, wanted->bytes, got->length,
			        (int)got->length, got->bytes);
			replayed_fail("a reply is wrong");
		}
	}
}

__attribute__((noinline)) static uint64_t measured_turn(struct replayed *replayed)
{
	uint64_t start = __rdtsc();

	replayed_turn(replayed);
	return __rdtsc() - start;
}

struct turns {
	uint64_t best_pace; /* 0: nobody looks */
	uint64_t cycles;
	uint32_t count;
	uint64_t quiet_cycles;
	uint32_t quiet_count;
};

static void measure_turn(struct replayed *replayed, struct turns *turns)
{
	uint64_t before = turns->best_pace == 0 ? 0 : pace_look();
	uint64_t cycles = measured_turn(replayed);
	uint64_t after = turns->best_pace == 0 ? 0 : pace_look();

	turns->cycles += cycles;
	turns->count++;
	if (!pace_is_good(before, turns->best_pace) || !pace_is_good(after, turns->best_pace))
		return;
	turns->quiet_cycles += cycles;
	turns->quiet_count++;
}

/* One turn with what comes before and after it. turns NULL: it is not measured. */
static void run_turn(struct world *world, const struct kind *kind, struct turns *turns)
{
	static struct talk talk;

	talk.kind = kind;
	speak(world, kind, &talk);
	if (turns != NULL)
		measure_turn(world->replayed, turns);
	else
		replayed_turn(world->replayed);
	replayed_hear(world->replayed, hear, &talk);
	check(&talk);
}

/* What part of the turns was disturbed, and in how many measurements most were: these have to be
 * taken as they are. */
struct quality {
	uint64_t best_pace;
	uint64_t turns;
	uint64_t disturbed_turns;
	uint32_t disturbed_measurements;
};

/* Cycles a request; of a multi-get, a key. */
__attribute__((noinline)) static double measured_case(struct world *world, const struct kind *kind,
                                                      uint32_t count, struct quality *quality)
{
	struct turns turns = {.best_pace = quality->best_pace};

	while (turns.quiet_count < count && turns.count < 4 * count)
		run_turn(world, kind, &turns);
	replayed_acknowledge(world->replayed, 0, 2 * CLIENTS);
	quality->turns += turns.count;
	quality->disturbed_turns += turns.count - turns.quiet_count;
	if (turns.quiet_count * 4 >= count)
		return (double)turns.quiet_cycles / turns.quiet_count / kind_requests(kind);
	quality->disturbed_measurements++;
	return (double)turns.cycles / turns.count / kind_requests(kind);
}

/* What the cases before have left in the caches is not this one's. */
static void warm_up(struct world *world, const struct kind *kind)
{
	for (uint32_t i = 0; i < WARM_REQUESTS; i += kind_requests(kind))
		run_turn(world, kind, NULL);
}

static void populate(struct world *world)
{
	struct kind kind = {.protocol = TEXT, .transport = TCP, .op = SET};
	struct text reply;

	for (uint64_t number = 0; number < world->keys; number++) {
		char key[REPLAYED_KEY_BYTES + 1];
		struct text text = {.length = 0};

		reply.length = 0;
		write_key(key, number);
		ask_text(&kind, key, &text, &reply);
		replayed_say(world->replayed, (uint32_t)(number % CLIENTS),
		             (struct slice){text.bytes, text.length});
		if (number % CLIENTS < CLIENTS - 1 && number < world->keys - 1)
			continue;
		replayed_turn(world->replayed);
		replayed_hear(world->replayed, NULL, NULL);
	}
	replayed_acknowledge(world->replayed, 0, CLIENTS);
	if (counter_read(&world->replayed->published.store->curr_items) != world->keys)
		replayed_fail("not all keys were stored");
}

static struct world world_create(uint64_t keys)
{
	struct world world = {
	    .replayed = replayed_create(&(struct replayed_options){
	        .memory_bytes = (32u << 20) + keys * 96,
	        .peer_count = 2 * CLIENTS,
	        .block_count = 16384,
	        .is_huge = true,
	    }),
	    .keys = keys,
	    .random = random_seeded(keys),
	};

	replayed_connect(world.replayed, 0, 2 * CLIENTS);
	populate(&world);
	return world;
}

/* A multi-get is a frame with one request of 32 keys. By UDP there is nothing but gets, and one
 * request in a frame. */
static bool exists(const struct kind *kind)
{
	bool is_one_frame = kind->burst.in_a_frame == KEYS_A_GET;

	if (kind->op == MULTI_GET)
		return is_one_frame && kind->protocol != META &&
		       (kind->transport == TCP || kind->protocol == TEXT);
	return kind->transport == TCP || (kind->op != SET && !is_one_frame);
}

/* All there are whose names have this in them. */
static uint32_t list_kinds(struct kind kinds[CASES_MAX], const char *only)
{
	static const struct burst bursts[] = {{1, 1}, {8, 1}, {32, 1}, {1, 32}};
	uint32_t count = 0;

	for (uint32_t i = 0; i < 2u * 2 * 3 * 4 * 4; i++) {
		struct kind *kind = &kinds[count];

		*kind = (struct kind){.burst = bursts[i % 4],
		                      .op = (enum op)(i / 4 % 4),
		                      .protocol = (enum protocol)(i / 16 % 3),
		                      .transport = (enum transport)(i / 48 % 2),
		                      .world = i / 96};
		if (!exists(kind))
			continue;
		snprintf(kind->name, sizeof(kind->name), "%s %s %s %ux%u %s",
		         transport_names[kind->transport], protocol_names[kind->protocol],
		         op_names[kind->op], kind->burst.count, kind->burst.in_a_frame,
		         kind->world == 0 ? "cache" : "dram");
		count += strstr(kind->name, only) != NULL;
	}
	return count;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct arguments {
	uint64_t keys;
	uint32_t rounds;
	uint32_t turns;
	const char *only;
	bool is_json;
	bool is_once;
};

static void print(struct kind *kind, const struct arguments *arguments, bool is_last)
{
	double *cycles = kind->cycles;
	uint32_t last = arguments->rounds - 1;

	qsort(cycles, arguments->rounds, sizeof(*cycles), compare);
	if (!arguments->is_json) {
		printf("%-36s %8.0f %8.0f %8.0f\n", kind->name, cycles[last / 2], cycles[0],
		       cycles[last]);
		return;
	}
	printf("  {\"case\": \"%s\", \"requests\": %llu, \"cycles\": [", kind->name,
	       (unsigned long long)arguments->turns * kind_requests(kind));
	for (uint32_t i = 0; i <= last; i++)
		printf("%s%.0f", i == 0 ? "" : ", ", cycles[i]);
	printf("]}%s\n", is_last ? "" : ",");
}

static struct arguments parse(int argc, char **argv)
{
	struct arguments arguments = {.keys = 10000000, .rounds = 5, .turns = 300, .only = ""};

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--json") == 0) {
			arguments.is_json = true;
			continue;
		}
		if (strcmp(argv[i], "--once") == 0) {
			arguments.is_once = true;
			continue;
		}
		if (strcmp(argv[i], "--keys") == 0)
			arguments.keys = strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--rounds") == 0)
			arguments.rounds = (uint32_t)strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--turns") == 0)
			arguments.turns = (uint32_t)strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			arguments.only = value;
		else
			replayed_fail("usage: requests [--keys MANY] [--rounds N] [--turns N] "
			              "[--only TEXT] [--json] [--once]");
		i++;
	}
	if (arguments.keys < FEW_KEYS || arguments.rounds == 0 || arguments.rounds > ROUNDS_MAX ||
	    arguments.turns == 0)
		replayed_fail("--keys from 1000, --rounds 1 to 101, --turns from 1");
	return arguments;
}

int main(int argc, char **argv)
{
	static struct kind kinds[CASES_MAX];
	struct arguments arguments = parse(argc, argv);
	struct world worlds[2] = {world_create(FEW_KEYS), world_create(arguments.keys)};
	uint32_t count = list_kinds(kinds, arguments.only);
	struct quality quality = {.best_pace = arguments.is_once ? 0 : pace_best()};

	for (uint32_t i = 0; i < arguments.rounds; i++)
		for (uint32_t j = 0; j < count; j++) {
			warm_up(&worlds[kinds[j].world], &kinds[j]);
			kinds[j].cycles[i] = measured_case(&worlds[kinds[j].world], &kinds[j],
			                                   arguments.turns, &quality);
		}
	printf(arguments.is_json ? "{\"cases\": [\n" : "%-36s %8s %8s %8s\n",
	       "cycles a request (multi-get: a key)", "median", "lowest", "highest");
	for (uint32_t i = 0; i < count; i++)
		print(&kinds[i], &arguments, i == count - 1);
	printf(arguments.is_json
	           ? "], \"disturbed_percent\": %.0f, \"disturbed_measurements\": %u}\n"
	           : "%.0f %% of the turns were disturbed, and most of them in %u measurements\n",
	       100.0 * (double)quality.disturbed_turns / (double)quality.turns,
	       quality.disturbed_measurements);
	for (uint32_t i = 0; i < 2; i++)
		replayed_free(worlds[i].replayed);
	return EXIT_SUCCESS;
}
