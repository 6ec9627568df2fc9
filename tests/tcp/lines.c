/* SPDX-License-Identifier: Apache-2.0 */
#include "lines_internal.h"

#define TOLERANCE_US   1000 /* one tick of the server's timers */
#define MAC_DEFAULT    9
#define WINDOW_DEFAULT 65535

static void start(struct scenario *scenario)
{
	if (scenario->rig != NULL)
		return;
	scenario->options.clock_us += scenario->later_us;
	scenario->rig = rig_create(&scenario->options);
	scenario->wait_start_us = scenario->rig->now_us;
}

/* The client's segments. */

/* Bytes that go on with the stream at the segment's place, or those that the line says. */
static void payload_write(const struct description *description, uint32_t relative_seq,
                          uint32_t length, uint8_t *to)
{
	const struct number *fill = &description->fields[FIELD_FILL];
	uint32_t offset = relative_seq - 1 + ((description->flags & FLAG_SYN) != 0);

	for (uint32_t i = 0; i < length; i++) {
		if (description->bytes != NULL)
			to[i] = (uint8_t)description->bytes[i % description->byte_count];
		else if (fill->kind == NUMBER_RANGE)
			to[i] = (uint8_t)fill->low;
		else
			to[i] = rig_client_byte((uint64_t)offset + i);
	}
}

static uint32_t value_of(const struct description *description, enum field field,
                         uint32_t otherwise)
{
	const struct number *number = &description->fields[field];

	return number->kind == NUMBER_RANGE ? (uint32_t)number->low : otherwise;
}

static void options_build(const struct description *description, const struct client *client,
                          struct segment *segment)
{
	const struct number *fields = description->fields;
	const struct number *echo = &fields[FIELD_TS_ECHO];
	bool syn = (description->flags & FLAG_SYN) != 0;

	segment->has_mss = fields[FIELD_MSS].kind == NUMBER_RANGE;
	segment->mss = (uint16_t)fields[FIELD_MSS].low;
	segment->has_wscale = fields[FIELD_WSCALE].kind == NUMBER_RANGE;
	segment->wscale = (uint8_t)fields[FIELD_WSCALE].low;
	segment->sack_permitted = description->sack_kind == NUMBER_ANY;
	segment->has_ts = fields[FIELD_TS_VALUE].kind == NUMBER_RANGE;
	segment->ts_value = (uint32_t)fields[FIELD_TS_VALUE].low + client->rig->options.ts_base;
	segment->ts_echo = (uint32_t)echo->low;
	if (echo->kind == NUMBER_ANY)
		segment->ts_echo = client->server_ts_last;
	else if (!syn && echo->kind == NUMBER_RANGE)
		segment->ts_echo += client->server_ts_first;
	segment->has_sack = description->sack_kind == NUMBER_RANGE;
	segment->sack_count = (uint8_t)description->sack_count;
	for (uint32_t i = 0; i < 2 * description->sack_count; i++)
		segment->sack[i / 2][i % 2] =
		    client_acknowledges(client, description->sack[i / 2][i % 2]);
	memcpy(segment->raw_options, description->raw_options, SEGMENT_OPTIONS_MAX);
	segment->raw_option_bytes = description->raw_option_bytes;
}

/* The nth of the segments that the description stands for. */
static void segment_build(const struct description *description, const struct client *client,
                          uint32_t n, uint8_t payload[SEGMENT_PAYLOAD_MAX],
                          struct segment *ret_segment)
{
	uint32_t length = min_u32(value_of(description, FIELD_LEN, 0), SEGMENT_PAYLOAD_MAX);
	uint32_t seq = value_of(description, FIELD_SEQ, 0);
	uint32_t sequence_length;

	*ret_segment = (struct segment){
	    .source_port = client->port,
	    .destination_port = (uint16_t)value_of(description, FIELD_PORT, RIG_PORT),
	    .window = (uint16_t)value_of(description, FIELD_WIN, WINDOW_DEFAULT),
	    .urgent = (uint16_t)value_of(description, FIELD_URG, 0),
	    .flags = description->flags,
	    .payload = payload,
	    .length = length,
	    .data_offset = (int32_t)value_of(description, FIELD_DOFF, UINT32_MAX),
	    .cut = (int32_t)value_of(description, FIELD_CUT, UINT32_MAX),
	    .bad_checksum = description->bad_checksum,
	};
	sequence_length = segment_sequence_length(ret_segment);
	seq += n * value_of(description, FIELD_STEP, sequence_length);
	payload_write(description, seq, length, payload);
	ret_segment->seq = client->isn + seq;
	if (description->fields[FIELD_RAWSEQ].kind == NUMBER_RANGE)
		ret_segment->seq = (uint32_t)description->fields[FIELD_RAWSEQ].low;
	if (description->flags & FLAG_ACK)
		ret_segment->ack = client_acknowledges(client, value_of(description, FIELD_ACK, 0));
	options_build(description, client, ret_segment);
}

static bool say(struct scenario *scenario, const struct description *description, bool more)
{
	struct client *client = &scenario->rig->clients[description->connection];
	uint8_t mac = (uint8_t)value_of(description, FIELD_MAC, MAC_DEFAULT);

	for (int i = 0; i < FIELD_COUNT; i++)
		if (description->fields[i].low != description->fields[i].high)
			return fail(scenario, "the client needs to know the number");
	if (description->fields[FIELD_SEQ].kind == NUMBER_UNSAID &&
	    description->fields[FIELD_RAWSEQ].kind == NUMBER_UNSAID)
		return fail(scenario, "seq is missing");
	if ((description->flags & FLAG_ACK) && description->fields[FIELD_ACK].kind == NUMBER_UNSAID)
		return fail(scenario, "ack is missing");
	if (value_of(description, FIELD_LEN, 0) > SEGMENT_PAYLOAD_MAX)
		return fail(scenario, "that is more than one frame holds");
	for (uint32_t n = 0; n < description->times; n++) {
		uint8_t payload[SEGMENT_PAYLOAD_MAX];
		struct segment segment;

		segment_build(description, client, n, payload, &segment);
		rig_say(scenario->rig, client, &segment, mac, more);
	}
	return rig_good(scenario);
}

static bool run_say(struct scenario *scenario, const struct words *words, bool more)
{
	struct description description;
	char error[ERROR_MAX];

	if (!description_parse(&description, words, 1, false, error))
		return fail(scenario, "%s", error);
	if (description.has_time)
		return fail(scenario, "the client says things now");
	return say(scenario, &description, more);
}

/* The server's segments. */

static bool match_sack(const struct description *description, const struct client *client,
                       const struct segment *segment)
{
	bool is_there = segment->sack_permitted || segment->has_sack;

	if (description->sack_kind == NUMBER_UNSAID)
		return true;
	if (description->sack_kind == NUMBER_ABSENT)
		return !is_there;
	if (description->sack_kind == NUMBER_ANY)
		return is_there;
	if (segment->sack_count < description->sack_count ||
	    (segment->sack_count > description->sack_count && !description->sack_more))
		return false;
	for (uint32_t i = 0; i < 2 * description->sack_count; i++)
		if (segment->sack[i / 2][i % 2] - client->isn != description->sack[i / 2][i % 2])
			return false;
	return true;
}

/* NULL, or the name of the first field that is not as expected. */
static const char *mismatch(const struct description *description, const struct client *client,
                            const struct segment *segment, uint32_t n)
{
	struct segment_base base = client_base(client);
	uint32_t step = value_of(description, FIELD_STEP, segment_sequence_length(segment));
	struct number length = description->fields[FIELD_LEN];
	bool ack = (segment->flags & FLAG_ACK) != 0;
	const struct {
		enum field field;
		const char *name;
		bool is_there;
		uint32_t value;
	} values[] = {
	    {FIELD_SEQ, "seq", true, segment->seq - base.seq - n * step},
	    {FIELD_ACK, "ack", ack, segment->ack - base.ack},
	    {FIELD_WIN, "win", true, segment->window},
	    {FIELD_MSS, "mss", segment->has_mss, segment->mss},
	    {FIELD_WSCALE, "wscale", segment->has_wscale, segment->wscale},
	    {FIELD_TS_VALUE, "ts", segment->has_ts, segment->ts_value - base.ts_value},
	    {FIELD_TS_ECHO, "ts echo", segment->has_ts, segment->ts_echo - base.ts_echo},
	    {FIELD_MAC, "mac", true, segment->destination_mac[5]},
	    {FIELD_RAWSEQ, "rawseq", true, segment->seq},
	    {FIELD_DF, "df", true, segment->dont_fragment},
	};

	/* PSH says nothing of a segment without data */
	if (((segment->flags ^ description->flags) & ~(segment->length == 0 ? FLAG_PSH : 0u)) != 0)
		return "set of flags";
	if (segment->source_port != value_of(description, FIELD_PORT, RIG_PORT))
		return "port";
	if (length.kind == NUMBER_UNSAID)
		length.kind = NUMBER_RANGE;
	if (!number_matches(&length, true, segment->length))
		return "len";
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (!number_matches(&description->fields[values[i].field], values[i].is_there,
		                    values[i].value))
			return values[i].name;
	return match_sack(description, client, segment) ? NULL : "sack";
}

static bool expect(struct scenario *scenario, const struct description *description)
{
	struct rig *rig = scenario->rig;
	uint64_t from_us = rig->now_us, to_us = rig->now_us;

	if (description->has_time) {
		from_us = scenario->wait_start_us + description->from_us;
		to_us = scenario->wait_start_us + description->to_us;
	}
	for (uint32_t n = 0; n < description->times; n++) {
		const struct sent_segment *sent = &rig->sent[rig->sent_matched];
		const char *name;

		if (rig->sent_matched == rig->sent_count)
			return fail(scenario, "a segment was expected (%u of %u)", n + 1,
			            description->times);
		if (sent->client != description->connection)
			return fail(scenario, "a segment of another connection was sent");
		name = mismatch(description, &rig->clients[sent->client], &sent->segment, n);
		if (name != NULL)
			return fail(scenario, "another %s was expected (%u of %u)", name, n + 1,
			            description->times);
		if (sent->time_us + TOLERANCE_US < from_us || sent->time_us > to_us + TOLERANCE_US)
			return fail(scenario, "another time was expected (%u of %u): now is %.6f",
			            n + 1, description->times,
			            (double)(rig->now_us - scenario->wait_start_us) / 1e6);
		rig->sent_matched++;
	}
	return true;
}

static bool run_expect(struct scenario *scenario, const struct words *words)
{
	struct description description;
	char error[ERROR_MAX];

	if (!description_parse(&description, words, 1, false, error))
		return fail(scenario, "%s", error);
	return expect(scenario, &description);
}

static bool run_silence(struct scenario *scenario)
{
	if (scenario->rig->sent_matched == scenario->rig->sent_count)
		return true;
	return fail(scenario, "nobody expected what was sent");
}

static bool run_handshake(struct scenario *scenario, const struct words *words)
{
	struct description syn, answer = {.times = 1, .flags = FLAG_SYN | FLAG_ACK}, ack;
	struct number zero = {NUMBER_RANGE, 0, 0}, one = {NUMBER_RANGE, 1, 1};
	struct number any = {NUMBER_ANY, 0, 0};
	char error[ERROR_MAX];

	if (!description_parse(&syn, words, 1, true, error))
		return fail(scenario, "%s", error);
	syn.flags = FLAG_SYN;
	syn.fields[FIELD_SEQ] = zero;
	answer.connection = syn.connection;
	answer.fields[FIELD_SEQ] = zero;
	answer.fields[FIELD_ACK] = one;
	ack = (struct description){.times = 1, .flags = FLAG_ACK, .connection = syn.connection};
	ack.fields[FIELD_SEQ] = one;
	ack.fields[FIELD_ACK] = one;
	ack.fields[FIELD_WIN] = syn.fields[FIELD_WIN];
	ack.fields[FIELD_TS_VALUE] = syn.fields[FIELD_TS_VALUE];
	ack.fields[FIELD_TS_ECHO] = any;
	if (!say(scenario, &syn, false) || !expect(scenario, &answer))
		return false;
	if (value_of(&syn, FIELD_RTT_MS, 0) > 0)
		rig_pass(scenario->rig, value_of(&syn, FIELD_RTT_MS, 0) * 1000ull, false);
	return say(scenario, &ack, false);
}

/* The rest. */

static bool run_pass(struct scenario *scenario, const struct words *words)
{
	char error[ERROR_MAX];
	bool until_sent = words->count == 2 && strncmp(words->word[1], "..", 2) == 0;
	uint64_t us;

	if (words->count != 2 || !seconds_parse(&us, words->word[1] + (until_sent ? 2 : 0), error))
		return fail(scenario, "--> wants seconds");
	if (!run_silence(scenario))
		return false;
	scenario->wait_start_us = scenario->rig->now_us;
	rig_pass(scenario->rig, us, until_sent);
	return rig_good(scenario);
}

static bool run_user(struct scenario *scenario, const struct words *words)
{
	uint8_t index = 0;
	int first = 1;

	if (connection_parse(&index, words->word[1]))
		first = 2;
	user_run(scenario->rig, &scenario->rig->clients[index], words, first);
	if (!rig_good(scenario))
		return false;
	rig_settle(scenario->rig);
	return rig_good(scenario);
}

#define FIND(name, unit, kind, help)                                                               \
	if (strcmp(counter, #name) == 0) {                                                         \
		uint64_t now = counter_read(&current->name);                                       \
		*ret_delta = (int64_t)(now - counter_read(&seen->name));                           \
		counter_set(&seen->name, now);                                                     \
		return true;                                                                       \
	}

static bool counter_delta(struct rig *rig, const char *counter, int64_t *ret_delta)
{
	const struct tcp_counters *current = tcp_counters(rig->tcp);
	struct tcp_counters *seen = &rig->seen;

	TCP_COUNTERS(FIND)
	return false;
}

static bool run_counter(struct scenario *scenario, const struct words *words)
{
	char error[ERROR_MAX];
	struct number wanted;
	int64_t delta;

	if (words->count != 3 || !number_parse(&wanted, words->word[2], error))
		return fail(scenario, "+++ wants a counter and a number");
	if (!counter_delta(scenario->rig, words->word[1], &delta))
		return fail(scenario, "there is no counter '%s'", words->word[1]);
	if (wanted.kind == NUMBER_RANGE && (delta < wanted.low || delta > wanted.high))
		return fail(scenario, "%s grew by %lld", words->word[1], (long long)delta);
	return true;
}

static bool server_zero_check(struct scenario *scenario)
{
	struct client *client = &scenario->rig->clients[0];
	uint32_t at = scenario->server_zero;

	if (at == 0 || !client->iss_known)
		return true;
	scenario->server_zero = 0;
	return client->iss + at == 0
	           ? true
	           : fail(scenario, "the server's numbers do not start where the clock says");
}

bool line_run(struct scenario *scenario, const char *line)
{
	static const char *const directives[] = {"ip", "isn", "wrap", "wrap_server"};
	struct words words;
	char error[ERROR_MAX];
	const char *kind;
	bool good = false;

	if (!words_split(&words, line, error))
		return fail(scenario, "%s", error);
	if (words.count == 0)
		return true;
	kind = words.word[0];
	for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++)
		if (strcmp(kind, directives[i]) == 0)
			return true;
	if (strcmp(kind, "option") == 0)
		return line_option(scenario, &words);
	start(scenario);
	if (strcmp(kind, ">>>") == 0 || strcmp(kind, ">>+") == 0)
		good = run_say(scenario, &words, kind[2] == '+');
	else if (strcmp(kind, "<<<") == 0)
		good = run_expect(scenario, &words);
	else if (strcmp(kind, "<<|") == 0)
		good = run_silence(scenario);
	else if (strcmp(kind, "-->") == 0)
		good = run_pass(scenario, &words);
	else if (strcmp(kind, "===") == 0)
		good = run_user(scenario, &words);
	else if (strcmp(kind, "+++") == 0)
		good = run_counter(scenario, &words);
	else if (strcmp(kind, "handshake") == 0)
		good = run_handshake(scenario, &words);
	else if (strcmp(kind, "new") == 0)
		good = line_new(scenario, &words);
	else if (strcmp(kind, "netif") == 0)
		good = line_netif(scenario, &words);
	else if (strcmp(kind, "icmp") == 0)
		good = line_icmp(scenario, &words);
	else if (strcmp(kind, "pool") == 0)
		good = line_pool(scenario, &words);
	else
		return fail(scenario, "a line that says nothing");
	return good && server_zero_check(scenario);
}

bool line_end(struct scenario *scenario)
{
	if (scenario->rig == NULL)
		return fail(scenario, "a scenario without a line");
	if (!run_silence(scenario))
		return false;
	tcp_check(scenario->rig->tcp);
	user_check_silence(scenario->rig);
	if (!rig_good(scenario))
		return false;
	/* one family is wound up by resets, the other by the application */
	rig_wind_up(scenario->rig, !scenario->options.ip6);
	return rig_good(scenario);
}
