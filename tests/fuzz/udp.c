/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of text, meta and binary requests, between what two clients store over streams.
 *
 * Those that only read are answered to the byte, in numbered datagrams of at most 1,400 bytes, and
 * with no more bytes than may be; all else is dropped, and counted.
 *
 * Input: a byte. Even: then a datagram's payload as it comes, see raw.h. Odd: then a program, see
 * play.h, in which a step may be a datagram. */
#include "play.h"
#include "raw.h"

#define HEAD_BYTES         8
#define DATAGRAM_BYTES_MAX 1400
#define AMPLIFICATION_MAX  10 /* the rig's */
#define OVER_LIMIT         "SERVER_ERROR reply too large for UDP\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What becomes of a datagram. */
enum fate {
	FATE_SERVED,
	FATE_REFUSED,
	FATE_DROPPED_SHORT,
	FATE_DROPPED_SEQUENCE,
	FATE_DROPPED_TOTAL,
	FATE_DROPPED_LINE,
	FATE_DROPPED_COMMAND,
	FATE_DROPPED_REPLY,
	FATE_COUNT,
};

struct udp {
	struct play play;
	struct ask ask;
	struct bytes datagram;
	struct bytes reply;
	struct bytes error; /* what is told instead when the reply is too long */
	bool is_trusted;
	uint64_t fates[FATE_COUNT];
	uint64_t request_count;
	uint64_t sent_count;
	uint64_t over_reply_max;
	uint64_t over_amplification;
};

static uint64_t bytes_with_heads(size_t payload_bytes)
{
	const size_t room = DATAGRAM_BYTES_MAX - HEAD_BYTES;

	return payload_bytes + HEAD_BYTES * ((payload_bytes + room - 1) / room);
}

static uint64_t reply_bytes_max(const struct udp *udp)
{
	return udp->play.rig->datagrams.options.reply_bytes_max;
}

static uint64_t limit_of(const struct udp *udp)
{
	return udp->is_trusted
	           ? reply_bytes_max(udp)
	           : min_u64(reply_bytes_max(udp), AMPLIFICATION_MAX * udp->datagram.length);
}

/* The reply as it was sent: its datagrams belong together, and are numbered. */
static void check_sent(struct udp *udp, const struct bytes *expected)
{
	struct bytes *sent = &udp->play.rig->datagrams_sent;
	uint16_t id = load_be16(udp->datagram.data);
	struct bytes payload = {0};
	uint16_t count = 0, total = 0;
	uint64_t all_bytes = 0;

	for (size_t at = 0; at < sent->length; count++) {
		uint16_t length = load_be16(sent->data + at);
		const uint8_t *head = sent->data + at + 2;

		ASSERT(length > HEAD_BYTES && length <= DATAGRAM_BYTES_MAX);
		total = count == 0 ? load_be16(head + 4) : total;
		ASSERT(load_be16(head) == id && load_be16(head + 2) == count);
		ASSERT(load_be16(head + 4) == total && load_be16(head + 6) == 0);
		bytes_append(&payload, head + HEAD_BYTES, length - HEAD_BYTES);
		all_bytes += length;
		at += 2u + length;
	}
	ASSERT(count == total && all_bytes <= limit_of(udp));
	if (payload.length != expected->length ||
	    (payload.length > 0 && memcmp(payload.data, expected->data, payload.length) != 0))
		FUZZ_FAIL("step %u: a datagram\n%.*s\nis answered with\n%.*s\nand not with\n%.*s",
		          udp->play.step, (int)udp->ask.bytes.length, udp->ask.bytes.data,
		          (int)payload.length, payload.data, (int)expected->length, expected->data);
	free(payload.data);
	udp->sent_count += count;
	sent->length = 0;
}

static void check_counters(const struct udp *udp)
{
	const struct datagram_counters *counters = &udp->play.rig->datagrams.counters;
	const uint64_t *fates = udp->fates;
	const struct {
		const char *name;
		const _Atomic uint64_t *counter;
		uint64_t expected;
	} checks[] = {
	    {"udp_requests", &counters->udp_requests, udp->request_count},
	    {"udp_replies", &counters->udp_replies, udp->sent_count},
	    {"udp_refused", &counters->udp_refused, fates[FATE_REFUSED]},
	    {"udp_over_reply_max", &counters->udp_over_reply_max, udp->over_reply_max},
	    {"udp_over_amplification", &counters->udp_over_amplification, udp->over_amplification},
	    {"udp_dropped_short", &counters->udp_dropped_short, fates[FATE_DROPPED_SHORT]},
	    {"udp_dropped_sequence", &counters->udp_dropped_sequence, fates[FATE_DROPPED_SEQUENCE]},
	    {"udp_dropped_total", &counters->udp_dropped_total, fates[FATE_DROPPED_TOTAL]},
	    {"udp_dropped_line", &counters->udp_dropped_line, fates[FATE_DROPPED_LINE]},
	    {"udp_dropped_command", &counters->udp_dropped_command, fates[FATE_DROPPED_COMMAND]},
	    {"udp_dropped_reply", &counters->udp_dropped_reply, fates[FATE_DROPPED_REPLY]},
	};

	for (size_t i = 0; i < COUNT_OF(checks); i++)
		if (counter_read(checks[i].counter) != checks[i].expected)
			FUZZ_FAIL("step %u: %s is not %llu after\n%.*s", udp->play.step,
			          checks[i].name, (unsigned long long)checks[i].expected,
			          (int)udp->ask.bytes.length, udp->ask.bytes.data);
}

/* A reply that is over a limit is not sent, but an error if that is not over it too. */
static enum fate limit(struct udp *udp, enum fate fate)
{
	if (fate == FATE_SERVED) {
		uint64_t bytes = bytes_with_heads(udp->reply.length);

		if (bytes <= limit_of(udp))
			return FATE_SERVED;
		if (bytes <= reply_bytes_max(udp))
			udp->over_amplification++;
		else
			udp->over_reply_max++;
		udp->reply.length = 0;
		ask_add(&udp->reply, (struct slice){udp->error.data, udp->error.length});
		fate = FATE_REFUSED;
	}
	if (fate == FATE_REFUSED && bytes_with_heads(udp->reply.length) > limit_of(udp))
		return FATE_DROPPED_REPLY;
	return fate;
}

static void send_datagram(struct udp *udp, enum fate fate)
{
	/* exactly as long as it says, so that a sanitizer sees any step over */
	uint8_t *exact = malloc(udp->datagram.length);

	ASSERT(exact != NULL);
	memcpy(exact, udp->datagram.data, udp->datagram.length);
	fate = limit(udp, fate);
	if (fate != FATE_SERVED && fate != FATE_REFUSED)
		udp->reply.length = 0;
	udp->fates[fate]++;
	udp->request_count++;
	rig_send_datagram(udp->play.rig, (struct slice){exact, udp->datagram.length},
	                  udp->is_trusted);
	free(exact);
	check_sent(udp, &udp->reply);
	check_counters(udp);
}

/* Lines that change something, or are nothing for a stranger. %: a key. */
static const char *const dropped_lines[] = {
    "set % 0 0 1",    "add % 0 0 1", "append % 0 0 1", "cas % 0 0 1 1", "incr % 1",
    "decr % 1",       "delete %",    "touch % 1",      "gat 1 %",       "gats 0 %",
    "flush_all",      "ms % 1",      "md %",           "md % I",        "ma %",
    "me %",           "mg % T1",     "mg % v N1",      "mg % R100",     "mn",
    "version",        "stats",       "quit",           "verbosity 1",   "nonsense",
    "GET / HTTP/1.0",
};

static enum fate make_dropped_line(struct udp *udp, struct input *input)
{
	uint8_t kind = input_u8(input);
	const char *line = dropped_lines[kind % COUNT_OF(dropped_lines)];

	for (; *line != '\0'; line++) {
		if (*line == '%')
			ask_add(&udp->ask.bytes, ask_key(input, false));
		else
			bytes_append(&udp->ask.bytes, line, 1);
	}
	ask_print(&udp->ask.bytes, "\r\n");
	if (kind < 200)
		return FATE_DROPPED_COMMAND;
	ask_print(&udp->ask.bytes, "1\r\n");
	return FATE_DROPPED_LINE;
}

/* One line, and all of it. */
static enum fate fate_of_line(const struct bytes *line)
{
	return line->length >= 2 && memcmp(line->data + line->length - 2, "\r\n", 2) == 0
	           ? FATE_SERVED
	           : FATE_DROPPED_LINE;
}

static enum fate make_text(struct udp *udp, struct input *input)
{
	static const char *const bad[][2] = {
	    {"get\r\n", "ERROR\r\n"},
	    {"gets \r\n", "ERROR\r\n"},
	    {"get a\x01\r\n", "CLIENT_ERROR bad command line format\r\n"},
	};
	uint8_t kind = input_u8(input);

	if (kind < 248) {
		ask_text_get(&udp->ask, input, &udp->play.model);
		return fate_of_line(&udp->ask.bytes);
	}
	ask_print(&udp->ask.bytes, "%s", bad[kind % COUNT_OF(bad)][0]);
	ask_print(&udp->reply, "%s", bad[kind % COUNT_OF(bad)][1]);
	return FATE_REFUSED;
}

/* An mg that would change something is dropped; as long as what comes before the fault, if there is
 * one, does not say so, it is refused. */
static enum fate make_meta(struct udp *udp, struct input *input)
{
	const struct ask_meta *meta = &udp->ask.meta;
	bool changes = false;

	ask_meta_get(&udp->ask, input, &udp->play.model);
	for (uint32_t i = 0; i < meta->flag_count; i++)
		changes = changes || strchr("TNR", meta->flags[i].letter) != NULL;
	if (fate_of_line(&udp->ask.bytes) != FATE_SERVED)
		return FATE_DROPPED_LINE;
	if (udp->ask.text == NULL)
		return changes ? FATE_DROPPED_COMMAND : FATE_SERVED;
	if (changes) { /* one or the other: not this time */
		udp->ask.bytes.length = 0;
		ask_print(&udp->ask.bytes, "mn\r\n");
		return FATE_DROPPED_COMMAND;
	}
	ask_print(&udp->reply, "%s", udp->ask.text);
	return FATE_REFUSED;
}

static enum fate make_binary(struct udp *udp, struct input *input)
{
	if (input_u8(input) < 160) {
		ask_binary_get(&udp->ask, input, &udp->play.model);
		ask_binary_too_large(&udp->ask, &udp->error);
		return FATE_SERVED;
	}
	ask_binary(&udp->ask, input, &udp->play.model);
	if (ask_binary_reads(&udp->ask)) {
		ask_binary_too_large(&udp->ask, &udp->error);
		return FATE_SERVED;
	}
	/* with a value behind it, or another request, it is not one head */
	if (udp->ask.head_bytes != 0 && udp->ask.head_bytes != udp->ask.bytes.length)
		return FATE_DROPPED_LINE;
	return FATE_DROPPED_COMMAND;
}

static enum fate make_payload(struct udp *udp, struct input *input)
{
	uint8_t kind = input_u8(input);

	if (kind % 4 < 3)
		ask_print(&udp->error, OVER_LIMIT);
	switch (kind % 4) {
	case 0: return make_text(udp, input);
	case 1: return make_meta(udp, input);
	case 2: return make_dropped_line(udp, input);
	default: return make_binary(udp, input);
	}
}

/* What can be wrong with a datagram that carries a good request. */
static enum fate spoil(struct udp *udp, struct input *input, enum fate fate)
{
	uint8_t *head = udp->datagram.data;
	uint8_t kind = input_u8(input);

	switch (input_u8(input)) {
	case 250: udp->datagram.length = kind % (HEAD_BYTES + 1); return FATE_DROPPED_SHORT;
	case 251: head[2] = 1; return FATE_DROPPED_SEQUENCE;
	case 252: head[3] = kind | 1; return FATE_DROPPED_SEQUENCE;
	case 253: head[4] = kind | 1; return FATE_DROPPED_TOTAL;
	case 254: head[5] = kind | 2; return FATE_DROPPED_TOTAL;
	case 255: /* its end is missing; of a value that does not belong here, only the last byte */
		udp->datagram.length--;
		return udp->datagram.length == HEAD_BYTES + udp->ask.head_bytes
		           ? FATE_DROPPED_COMMAND
		           : FATE_DROPPED_LINE;
	default: return fate;
	}
}

static void step_datagram(struct udp *udp, struct input *input)
{
	uint16_t id = input_u16(input);
	uint8_t kind = input_u8(input);
	const uint8_t head[HEAD_BYTES] = {(uint8_t)(id >> 8), (uint8_t)id, 0, 0, 0, 1, kind, 0};
	enum fate fate;

	for (uint32_t i = 0; i < PLAY_CLIENT_COUNT; i++)
		play_settle(&udp->play, &udp->play.clients[i]);
	ask_reset(&udp->ask);
	udp->datagram.length = 0;
	udp->reply.length = 0;
	udp->error.length = 0;
	udp->is_trusted = kind % 2 == 0;
	fate = make_payload(udp, input);
	bytes_append(&udp->datagram, head, sizeof(head));
	ask_add(&udp->datagram, (struct slice){udp->ask.bytes.data, udp->ask.bytes.length});
	fate = spoil(udp, input, fate);
	if (fate == FATE_SERVED) {
		udp->ask.reply_bytes_max = reply_bytes_max(udp);
		udp->ask.at_end(&udp->ask, &udp->play.model, &udp->reply);
	}
	send_datagram(udp, fate);
}

static void run(struct input *input)
{
	struct udp udp = {0};

	play_create(&udp.play, input);
	memcpy(udp.play.clients[0].make, (play_make[2]){ask_text, ask_meta},
	       sizeof(udp.play.clients[0].make));
	memcpy(udp.play.clients[1].make, (play_make[2]){ask_meta, ask_text},
	       sizeof(udp.play.clients[1].make));
	while (input->length > 0 && udp.play.step < PLAY_STEPS_MAX) {
		if (input_u8(input) % 8 < 3)
			play_step(&udp.play, input);
		else
			step_datagram(&udp, input);
	}
	play_check(&udp.play);
	play_destroy(&udp.play);
	ask_destroy(&udp.ask);
	free(udp.datagram.data);
	free(udp.reply.data);
	free(udp.error.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (input_u8(&input) % 2 == 0)
		raw_datagram(&input);
	else
		run(&input);
	return 0;
}
