/* SPDX-License-Identifier: Apache-2.0 */
#include "load/workload.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void workload_create(struct workload *workload, const struct workload_options *options)
{
	ASSERT(options->key_count >= 1 && options->key_count <= WORKLOAD_KEY_COUNT_MAX);
	ASSERT(options->value_bytes_min <= options->value_bytes_max);
	ASSERT(options->value_bytes_max <= VALUE_BYTES_MAX);
	memset(workload, 0, sizeof(*workload));
	workload->options = *options;
	workload->random = random_seeded(options->seed);
	zipf_create(&workload->zipf, options->key_count, options->zipf_exponent);
}

void workload_populate(struct workload *workload)
{
	workload->is_populating = true;
	workload->populate_key_next = 0;
}

void workload_measure(struct workload *workload)
{
	workload->is_populating = false;
	memset(&workload->counters, 0, sizeof(workload->counters));
	memset(&workload->latency, 0, sizeof(workload->latency));
}

/* Log-uniform on the continuous [min + 1, max + 2), rounded down, less one: so that 0 has a
 * logarithm and max its share. */
static uint32_t next_value_bytes(struct workload *workload)
{
	uint32_t min = workload->options.value_bytes_min;
	uint32_t max = workload->options.value_bytes_max;
	double ratio = ((double)max + 2) / ((double)min + 1);
	double size;

	if (min == max)
		return min;
	size = ((double)min + 1) * exp(random_fraction(&workload->random) * log(ratio)) - 1;
	return max_u32(min, min_u32((uint32_t)size, max));
}

struct request workload_next(struct workload *workload, uint64_t intended_ns)
{
	enum protocol protocol = workload->options.protocol;
	uint64_t key;

	if (workload->is_populating) {
		ASSERT(workload->populate_key_next < workload->options.key_count);
		key = workload->populate_key_next++;
	} else {
		double percent = 100 * random_fraction(&workload->random);

		key = zipf_rank(&workload->zipf, &workload->random);
		if (percent >= workload->options.set_percent)
			return request_get(protocol, key, intended_ns);
	}
	return request_set(protocol, key, ++workload->version, next_value_bytes(workload),
	                   intended_ns);
}

double workload_gap_ns(struct workload *workload, double requests_per_second)
{
	return -log1p(-random_fraction(&workload->random)) * 1e9 / requests_per_second;
}

void workload_note_fault(struct workload *workload, const char *format, ...)
{
	va_list arguments;

	if (workload->first_fault[0] != '\0')
		return;
	va_start(arguments, format);
	vsnprintf(workload->first_fault, sizeof(workload->first_fault), format, arguments);
	va_end(arguments);
	/* It quotes what a peer has sent, and is to be one line on a terminal. */
	for (char *at = workload->first_fault; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
}

static void note_line(struct workload *workload, const struct request *request,
                      const struct reply *reply, const char *what)
{
	uint32_t length = reply->line_bytes;

	while (length > 0 && reply->line[length - 1] <= ' ')
		length--;
	workload_note_fault(workload, "%s to the %s of key %llu: \"%.*s\"", what,
	                    request->kind == REQUEST_GET ? "get" : "set",
	                    (unsigned long long)request->key, (int)min_u32(length, 120),
	                    (const char *)reply->line);
}

static void count_hit(struct workload *workload, const struct request *request,
                      const struct reply *reply)
{
	workload->counters.hits++;
	workload->counters.value_bytes_read += reply->value_bytes;
	if (!reply->is_wrong)
		return;
	workload->counters.wrong_values++;
	workload->counters.wrong_bytes += reply->wrong_bytes;
	workload_note_fault(
	    workload, "the get of key %llu returned %u bytes of which %u are wrong%s",
	    (unsigned long long)request->key, reply->value_bytes, reply->wrong_bytes,
	    reply->wrong_bytes == 0 ? ", but another key or other flags" : "");
}

void workload_count_reply(struct workload *workload, const struct request *request,
                          const struct reply *reply, enum reply_verdict verdict, uint64_t now_ns)
{
	struct workload_counters *counters = &workload->counters;

	switch (verdict) {
	case REPLY_HIT: count_hit(workload, request, reply); break;
	case REPLY_MISS: counters->misses++; break;
	case REPLY_STORED:
		counters->stored++;
		counters->value_bytes_written += request->value.length;
		break;
	case REPLY_SERVER_ERROR:
		counters->server_errors++;
		note_line(workload, request, reply, "the server's error");
		break;
	case REPLY_CLIENT_ERROR:
		counters->client_errors++;
		note_line(workload, request, reply, "the server's refusal");
		break;
	case REPLY_BROKEN:
		counters->protocol_errors++;
		/* The value's bytes came, right or wrong, before what broke. */
		counters->wrong_bytes += reply->wrong_bytes;
		note_line(workload, request, reply, "no proper reply");
		return;
	case REPLY_REFLECTED: break;
	case REPLY_MORE: ASSERT(verdict != REPLY_MORE); return;
	}
	counters->requests++;
	histogram_record(&workload->latency,
	                 now_ns > request->intended_ns ? now_ns - request->intended_ns : 0);
}

#define IS_FAILURE(name, failure, always, label) failed |= (failure) && counters->name > 0;

bool workload_counters_failed(const struct workload_counters *counters)
{
	bool failed = false;

	WORKLOAD_COUNTERS(IS_FAILURE)
	return failed;
}

/* A power of two, since the free-running numbers wrap. */
static uint32_t ring_count(uint32_t pipeline)
{
	return pipeline == 1 ? 1 : 1u << (32 - __builtin_clz(pipeline - 1));
}

size_t conversation_bytes(uint32_t pipeline)
{
	return memory_rounded(ring_count(pipeline) * sizeof(struct request));
}

void conversation_create(struct conversation *conversation, struct workload *workload,
                         uint32_t pipeline, struct memory *memory)
{
	ASSERT(pipeline >= 1 && pipeline <= CONVERSATION_PIPELINE_MAX);
	memset(conversation, 0, sizeof(*conversation));
	conversation->workload = workload;
	conversation->pipeline = pipeline;
	conversation->ring_mask = ring_count(pipeline) - 1;
	conversation->ring = memory_take(memory, ring_count(pipeline) * sizeof(struct request));
	reply_begin(&conversation->reply);
}

bool conversation_has_room(const struct conversation *conversation)
{
	/* A request's place is free when it is both sent and answered. */
	return conversation->asked - conversation->answered < conversation->pipeline &&
	       conversation->asked - conversation->sent < conversation->pipeline;
}

static struct request *conversation_request(const struct conversation *conversation,
                                            uint32_t number)
{
	return &conversation->ring[number & conversation->ring_mask];
}

void conversation_ask(struct conversation *conversation, uint64_t intended_ns)
{
	ASSERT(conversation_has_room(conversation));
	*conversation_request(conversation, conversation->asked) =
	    workload_next(conversation->workload, intended_ns);
	conversation->asked++;
}

size_t conversation_peek(const struct conversation *conversation, uint8_t *to, size_t capacity)
{
	uint32_t offset = conversation->sent_offset;
	size_t written = 0;

	for (uint32_t number = conversation->sent;
	     number != conversation->asked && written < capacity; number++) {
		const struct request *request = conversation_request(conversation, number);
		uint32_t piece = (uint32_t)min_u64(request->bytes - offset, capacity - written);

		request_fill(request, offset, to + written, piece);
		written += piece;
		offset = 0;
	}
	return written;
}

void conversation_sent(struct conversation *conversation, size_t bytes)
{
	while (bytes > 0) {
		const struct request *request =
		    conversation_request(conversation, conversation->sent);
		uint32_t rest = request->bytes - conversation->sent_offset;

		ASSERT(conversation->sent != conversation->asked);
		if (bytes < rest) {
			conversation->sent_offset += (uint32_t)bytes;
			return;
		}
		bytes -= rest;
		conversation->sent++;
		conversation->sent_offset = 0;
	}
}

/* Whether the server has seen enough of the oldest unanswered request to answer it. */
static bool is_answer_due(const struct conversation *conversation)
{
	const struct request *request = conversation_request(conversation, conversation->answered);

	if (conversation->answered == conversation->asked)
		return false;
	if ((int32_t)(conversation->sent - conversation->answered) > 0)
		return true;
	return conversation->answered == conversation->sent &&
	       conversation->sent_offset >= request->line_bytes;
}

bool conversation_receive(struct conversation *conversation, const uint8_t *bytes, size_t length,
                          uint64_t now_ns)
{
	struct workload *workload = conversation->workload;
	struct slice input = {bytes, length};

	while (input.length > 0) {
		const struct request *request =
		    conversation_request(conversation, conversation->answered);
		enum reply_verdict verdict;

		if (!is_answer_due(conversation)) {
			workload->counters.protocol_errors++;
			workload_note_fault(workload, "the server sent unasked: \"%.*s\"",
			                    (int)min_u64(input.length, 60),
			                    (const char *)input.data);
			return false;
		}
		verdict = reply_check(&conversation->reply, request, &input);
		if (verdict == REPLY_MORE)
			return true;
		workload_count_reply(workload, request, &conversation->reply, verdict, now_ns);
		if (verdict == REPLY_BROKEN)
			return false;
		conversation->answered++;
		reply_begin(&conversation->reply);
	}
	return true;
}
