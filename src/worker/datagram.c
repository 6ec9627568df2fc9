/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/datagram.h"

#include "proto/binary.h"
#include "proto/text.h"
#include "proto/udp_frame.h"

#define RATE_BYTES (sizeof(struct datagram_rate) * DATAGRAM_RATE_ROWS * DATAGRAM_RATE_COUNT)

/* The payload of a reply as it grows: where it will be sent from while it fits one datagram, then
 * in server->reply. */
struct payload {
	const struct datagram_server *server;
	const struct datagram_sink *sink;
	uint8_t *datagram; /* NULL: it is not there, or not any more */
	uint8_t *bytes;
	uint32_t length;
	uint32_t capacity;
};

static uint32_t reply_capacity(const struct datagram_options *options)
{
	return max_u32(options->reply_bytes_max, DATAGRAM_REPLY_BYTES);
}

size_t datagram_bytes(const struct datagram_options *options)
{
	return memory_rounded(reply_capacity(options)) + memory_rounded(RATE_BYTES);
}

void datagram_create(struct datagram_server *server, const struct datagram_options *options,
                     struct shard *shard, struct lookahead *lookahead, struct memory *memory)
{
	*server = (struct datagram_server){
	    .options = *options,
	    .shard = shard,
	    .lookahead = lookahead,
	    .reply = memory_take(memory, reply_capacity(options)),
	    .reply_capacity = reply_capacity(options),
	    .rates = memory_take(memory, RATE_BYTES),
	};
}

void datagram_set_limits(struct datagram_server *server, uint32_t reply_bytes_max,
                         uint32_t amplification_max, uint32_t rate_max)
{
	server->options.reply_bytes_max = min_u32(reply_bytes_max, server->reply_capacity);
	server->options.amplification_max = amplification_max;
	server->options.rate_max = rate_max;
}

static uint32_t datagram_count(uint32_t payload_bytes)
{
	return (payload_bytes + UDP_FRAME_BODY_BYTES - 1) / UDP_FRAME_BODY_BYTES;
}

static uint64_t reply_bytes(uint32_t payload_bytes)
{
	return payload_bytes + (uint64_t)UDP_FRAME_BYTES * datagram_count(payload_bytes);
}

static void payload_begin(struct payload *payload, const struct datagram_server *server,
                          const struct datagram_sink *sink)
{
	uint32_t bytes_max = server->options.reply_bytes_max;

	*payload = (struct payload){.server = server,
	                            .sink = sink,
	                            .datagram = sink->reserve(sink->context),
	                            .bytes = server->reply,
	                            .capacity = bytes_max};
	if (payload->datagram == NULL)
		return;
	payload->bytes = payload->datagram + UDP_FRAME_BYTES;
	payload->capacity = min_u32(bytes_max, UDP_FRAME_TOTAL_BYTES) - UDP_FRAME_BYTES;
}

/* It is not sent from there. */
static void payload_leave_datagram(struct payload *payload)
{
	if (payload->datagram != NULL)
		payload->sink->drop(payload->sink->context);
	payload->datagram = NULL;
}

/* Where so many bytes go; NULL: that is too many for a reply. */
static uint8_t *payload_room(struct payload *payload, uint64_t length)
{
	if (length > payload->capacity - payload->length && payload->datagram != NULL) {
		memcpy(payload->server->reply, payload->bytes, payload->length);
		payload->bytes = payload->server->reply;
		payload->capacity = payload->server->options.reply_bytes_max;
		payload_leave_datagram(payload);
	}
	return length > payload->capacity - payload->length ? NULL
	                                                    : payload->bytes + payload->length;
}

static bool payload_append(struct payload *payload, struct slice bytes)
{
	uint8_t *to = payload_room(payload, bytes.length);

	if (to == NULL)
		return false;
	memcpy(to, bytes.data, bytes.length);
	payload->length += (uint32_t)bytes.length;
	return true;
}

static bool payload_append_value(struct payload *payload, struct shard *shard,
                                 const struct reply *reply)
{
	uint8_t *to = payload_room(payload, reply->value_bytes);

	if (to == NULL)
		return false;
	shard_copy_value(shard, reply, to);
	payload->length += (uint32_t)reply->value_bytes;
	return true;
}

static bool payload_append_hit(struct payload *payload, struct shard *shard,
                               const struct request *request, const struct reply *reply)
{
	uint8_t head[TEXT_VALUE_HEAD_BYTES_MAX];
	uint8_t *to = head, *end;

	/* in its place, if there surely is room */
	if (payload->capacity - payload->length >= TEXT_VALUE_HEAD_BYTES_MAX)
		to = payload->bytes + payload->length;
	end = text_write_value_head(to, request->key, reply, request->with_cas);
	if (to != head)
		payload->length += (uint32_t)(end - to);
	else if (!payload_append(payload, (struct slice){head, (size_t)(end - head)}))
		return false;
	return payload_append_value(payload, shard, reply) &&
	       payload_append(payload, SLICE_LITERAL("\r\n"));
}

/* What becomes of a request. */
enum outcome {
	OUTCOME_REPLY,
	OUTCOME_TOO_LARGE, /* the reply does not fit its buffer */
	OUTCOME_REFUSED,
	OUTCOME_DROPPED, /* and counted, or there is nothing to say */
};

/* False: it is dropped. */
static bool datagram_execute(struct datagram_server *server, const struct request *request,
                             uint32_t now_s, struct reply *ret_reply)
{
	if (!shard_admit(server->shard, request->key, now_s)) {
		ret_reply->status = REPLY_RATE_LIMITED;
		return true;
	}
	if (shard_execute(server->shard, request, now_s, ret_reply))
		return true;
	counter_add(&server->counters.udp_dropped_busy, 1);
	return false;
}

/* All keys of the line. */
static enum outcome payload_append_hits(struct payload *payload, struct datagram_server *server,
                                        struct request *request, uint32_t now_s)
{
	struct slice rest = request->more_keys;
	struct slice end = SLICE_LITERAL("END\r\n");
	struct reply reply;

	for (; request->key.length > 0; request->key = line_next_word(&rest)) {
		if (rest.length > 0)
			lookahead_keys(server->lookahead, request->key, rest);
		request->hash = lookahead_hash(server->lookahead, request->key);
		if (!datagram_execute(server, request, now_s, &reply))
			return OUTCOME_DROPPED;
		if (reply.status == REPLY_RATE_LIMITED)
			end = text_status(reply.status);
		if (reply.status == REPLY_HIT &&
		    !payload_append_hit(payload, server->shard, request, &reply))
			return OUTCOME_TOO_LARGE;
	}
	return payload_append(payload, end) ? OUTCOME_REPLY : OUTCOME_TOO_LARGE;
}

static enum outcome payload_append_get(struct payload *payload, struct datagram_server *server,
                                       struct request *request, uint32_t now_s)
{
	bool has_many = request->more_keys.length > 0;
	enum outcome outcome = payload_append_hits(payload, server, request, now_s);

	if (has_many)
		lookahead_end(server->lookahead);
	return outcome;
}

/* mg, with its one key. */
static enum outcome payload_append_meta(struct payload *payload, struct datagram_server *server,
                                        struct text_request *text, uint32_t now_s)
{
	uint8_t line[META_REPLY_BYTES_MAX];
	struct reply reply;
	bool sends_value;
	uint8_t *end;

	text->request.hash = lookahead_hash(server->lookahead, text->request.key);
	if (!datagram_execute(server, &text->request, now_s, &reply))
		return OUTCOME_DROPPED;
	if (reply.status == REPLY_RATE_LIMITED)
		return payload_append(payload, text_status(reply.status)) ? OUTCOME_REPLY
		                                                          : OUTCOME_TOO_LARGE;
	sends_value = meta_sends_value(&text->echo, &text->request, &reply);
	end = meta_write_reply(line, &text->echo,
	                       reply.status == REPLY_HIT ? reply.key : text->request.key,
	                       sends_value, &reply);
	if (payload_append(payload, (struct slice){line, (size_t)(end - line)}) &&
	    (!sends_value || (payload_append_value(payload, server->shard, &reply) &&
	                      payload_append(payload, SLICE_LITERAL("\r\n")))))
		return OUTCOME_REPLY;
	return OUTCOME_TOO_LARGE;
}

/* What only reads: get, and an mg that sets or makes nothing. */
static bool is_served(const struct request *request)
{
	return request->op == REQUEST_GET &&
	       !(request->modifiers & (REQUEST_RENEW | REQUEST_VIVIFY | REQUEST_RECACHE));
}

struct answer {
	struct payload payload;
	struct slice error; /* of a refusal; or what is said when the reply is over a limit */
	uint8_t error_head[BINARY_REPLY_BYTES_MAX]; /* where that of a head lies */
};

static enum outcome serve_line(struct datagram_server *server, struct slice body, uint32_t now_s,
                               struct answer *answer)
{
	const struct foreseen *get = lookahead_get(server->lookahead, body.data);
	struct datagram_counters *counters = &server->counters;
	enum parse_verdict verdict;
	struct text_request text;
	struct refusal refusal;
	uint32_t line_bytes;

	answer->error = SLICE_LITERAL("SERVER_ERROR reply too large for UDP\r\n");
	if (get != NULL && get->request_bytes == body.length &&
	    body.data[body.length - 2] == '\r') {
		text.request = (struct request){.op = REQUEST_GET, .key = get->key};
		return payload_append_get(&answer->payload, server, &text.request, now_s);
	}
	if (line_find((struct slice){0}, body, &line_bytes) != PARSE_DONE ||
	    line_bytes != body.length || line_bytes < 2 || body.data[line_bytes - 2] != '\r') {
		counter_add(&counters->udp_dropped_line, 1);
		return OUTCOME_DROPPED;
	}
	text.request.op = REQUEST_QUIT; /* what an unknown command leaves */
	text.request.modifiers = 0;
	verdict = text_parse_line((struct slice){body.data, line_bytes - 1}, &text, &refusal);
	if (!is_served(&text.request)) {
		counter_add(&counters->udp_dropped_command, 1);
		return OUTCOME_DROPPED;
	}
	if (verdict != PARSE_DONE) {
		answer->error = text_refusal(refusal.reason);
		return OUTCOME_REFUSED;
	}
	if (text.is_meta)
		return payload_append_meta(&answer->payload, server, &text, now_s);
	return payload_append_get(&answer->payload, server, &text.request, now_s);
}

static enum outcome serve_head(struct datagram_server *server, struct slice body, uint32_t now_s,
                               struct answer *answer)
{
	static const struct reply too_large = {.status = REPLY_TOO_LARGE};
	struct datagram_counters *counters = &server->counters;
	uint8_t head[BINARY_REPLY_BYTES_MAX];
	struct binary_request binary;
	struct refusal refusal;
	struct reply reply;
	uint32_t head_bytes;
	uint8_t *end;

	if (binary_find_head((struct slice){0}, body, &head_bytes) != PARSE_DONE ||
	    head_bytes != body.length) {
		counter_add(&counters->udp_dropped_line, 1);
		return OUTCOME_DROPPED;
	}
	if (binary_parse_head(body, &binary, &refusal) != PARSE_DONE ||
	    !is_served(&binary.request)) {
		counter_add(&counters->udp_dropped_command, 1);
		return OUTCOME_DROPPED;
	}
	end = binary_write_reply(answer->error_head, &binary.echo, binary.request.key, &too_large);
	answer->error = (struct slice){answer->error_head, (size_t)(end - answer->error_head)};
	binary.request.hash = lookahead_hash(server->lookahead, binary.request.key);
	if (!datagram_execute(server, &binary.request, now_s, &reply))
		return OUTCOME_DROPPED;
	end = binary_write_reply(head, &binary.echo, binary.request.key, &reply);
	if (!payload_append(&answer->payload, (struct slice){head, (size_t)(end - head)}) ||
	    (reply.status == REPLY_HIT &&
	     !payload_append_value(&answer->payload, server->shard, &reply)))
		return OUTCOME_TOO_LARGE;
	return OUTCOME_REPLY;
}

/* Of a reply with this payload. */
static void count_reply(struct datagram_server *server, uint32_t payload_bytes)
{
	counter_add(&server->counters.udp_replies, datagram_count(payload_bytes));
	counter_add(&server->counters.udp_reply_bytes, reply_bytes(payload_bytes));
}

static void datagram_send(struct datagram_server *server, uint16_t id, struct slice payload,
                          const struct datagram_sink *sink)
{
	uint32_t total = datagram_count((uint32_t)payload.length);

	count_reply(server, (uint32_t)payload.length);
	for (uint32_t i = 0; i < total; i++) {
		uint32_t part = (uint32_t)min_u64(payload.length, UDP_FRAME_BODY_BYTES);
		uint8_t *to = sink->reserve(sink->context);

		if (to == NULL)
			return; /* the others are of no use without it */
		udp_frame_write(to, id, (uint16_t)i, (uint16_t)total);
		memcpy(to + UDP_FRAME_BYTES, payload.data, part);
		sink->send(sink->context, UDP_FRAME_BYTES + part);
		payload.data += part;
		payload.length -= part;
	}
}

static void payload_send(struct payload *payload, struct datagram_server *server, uint16_t id)
{
	if (payload->datagram == NULL) {
		datagram_send(server, id, (struct slice){payload->bytes, payload->length},
		              payload->sink);
		return;
	}
	count_reply(server, payload->length);
	udp_frame_write(payload->datagram, id, 0, 1);
	payload->sink->send(payload->sink->context, UDP_FRAME_BYTES + payload->length);
}

/* The error goes out only when it is within the limits too. */
static void datagram_refuse(struct datagram_server *server, uint16_t id, struct slice error,
                            uint64_t bytes_max, const struct datagram_sink *sink)
{
	if (reply_bytes((uint32_t)error.length) > bytes_max) {
		counter_add(&server->counters.udp_dropped_reply, 1);
		return;
	}
	counter_add(&server->counters.udp_refused, 1);
	datagram_send(server, id, error, sink);
}

/* Unpacks the one request of a datagram; false: it was dropped. */
static bool datagram_read(struct datagram_server *server, struct slice datagram, uint16_t *ret_id,
                          struct slice *ret_body)
{
	struct datagram_counters *counters = &server->counters;

	switch (udp_frame_parse(datagram, ret_id, ret_body)) {
	case UDP_FRAME_GOOD: return true;
	case UDP_FRAME_SHORT: counter_add(&counters->udp_dropped_short, 1); return false;
	case UDP_FRAME_BAD_SEQUENCE: counter_add(&counters->udp_dropped_sequence, 1); return false;
	default: counter_add(&counters->udp_dropped_total, 1); return false;
	}
}

/* Counts one request more; false: it is one too many. */
static bool rate_admit(struct datagram_server *server, const struct ip_address *address,
                       uint32_t now_s)
{
	struct ip_address source = ip_address_source(address);
	uint64_t hash = siphash(&server->options.key, &source, sizeof(source));
	uint32_t least = UINT32_MAX;

	for (uint32_t row = 0; row < DATAGRAM_RATE_ROWS; row++, hash >>= 32) {
		struct datagram_rate *rate =
		    &server->rates[row * DATAGRAM_RATE_COUNT + hash % DATAGRAM_RATE_COUNT];

		if (rate->second != now_s)
			*rate = (struct datagram_rate){.second = now_s};
		if (rate->count < UINT32_MAX)
			rate->count++;
		least = min_u32(least, rate->count);
	}
	return least <= server->options.rate_max;
}

void datagram_serve(struct datagram_server *server, struct slice datagram,
                    const struct ip_address *source, uint32_t now_s,
                    const struct datagram_sink *sink)
{
	struct datagram_counters *counters = &server->counters;
	uint64_t amplified = (uint64_t)server->options.amplification_max * datagram.length;
	uint64_t bytes_max = server->options.reply_bytes_max;
	struct answer answer;
	enum outcome outcome;
	struct slice body;
	uint16_t id;

	counter_add(&counters->udp_requests, 1);
	counter_add(&counters->udp_request_bytes, datagram.length);
	if (source != NULL) {
		bytes_max = min_u64(bytes_max, amplified);
		if (server->options.rate_max > 0 && !rate_admit(server, source, now_s)) {
			counter_add(&counters->udp_dropped_rate, 1);
			return;
		}
	}
	if (!datagram_read(server, datagram, &id, &body))
		return;
	payload_begin(&answer.payload, server, sink);
	outcome = body.data[0] == BINARY_MAGIC_REQUEST ? serve_head(server, body, now_s, &answer)
	                                               : serve_line(server, body, now_s, &answer);
	if (outcome == OUTCOME_REPLY && answer.payload.length == 0)
		outcome = OUTCOME_DROPPED; /* a quiet one, without a word */
	if (outcome == OUTCOME_REPLY && reply_bytes(answer.payload.length) <= bytes_max) {
		payload_send(&answer.payload, server, id);
		return;
	}
	payload_leave_datagram(&answer.payload);
	if (outcome == OUTCOME_DROPPED)
		return;
	if (outcome == OUTCOME_REPLY &&
	    reply_bytes(answer.payload.length) <= server->options.reply_bytes_max)
		counter_add(&counters->udp_over_amplification, 1);
	else if (outcome != OUTCOME_REFUSED)
		counter_add(&counters->udp_over_reply_max, 1);
	datagram_refuse(server, id, answer.error, bytes_max, sink);
}
