/* SPDX-License-Identifier: Apache-2.0 */
/* What a session does with a head of the binary protocol. */
#include "proto/binary.h"

#include "worker/session_internal.h"
#include "worker/stats.h"

/* Where a reply of at most BINARY_REPLY_BYTES_MAX bytes may be written; NULL: the session is over.
 */
static uint8_t *session_reserve(struct session *session)
{
	uint8_t *to = chain_reserve(session_out(session), BINARY_REPLY_BYTES_MAX);

	if (to == NULL)
		session_abort(session);
	return to;
}

void session_reply_binary(struct session *session, const struct binary_echo *echo, struct slice key,
                          const struct reply *reply)
{
	struct chain *out = session_out(session);
	uint8_t *to = session_reserve(session);

	if (to == NULL)
		return;
	chain_extend(out, (uint32_t)(binary_write_reply(to, echo, key, reply) - to));
	if (reply->status == REPLY_HIT && !shard_append_value(session->sessions->shard, reply, out))
		session_abort(session);
}

/* A reply of status 0 that carries so much. */
static bool append_carrier(struct chain *out, const struct binary_echo *echo, struct slice key,
                           struct slice value)
{
	uint8_t *to = chain_reserve(out, BINARY_REPLY_BYTES_MAX);
	uint8_t *end;

	if (to == NULL)
		return false;
	end = binary_write_header(to, echo, (uint16_t)key.length, (uint32_t)value.length);
	chain_extend(out, (uint32_t)(end - to));
	return chain_append(out, key.data, key.length) &&
	       chain_append(out, value.data, value.length);
}

void session_reply_carrier(struct session *session, const struct binary_echo *echo,
                           struct slice value)
{
	if (!append_carrier(session_out(session), echo, (struct slice){0}, value))
		session_abort(session);
}

void session_refuse_head(struct session *session, const struct binary_echo *echo,
                         const struct refusal *refusal)
{
	uint8_t *to = session_reserve(session);

	session_count_refusal(session, refusal->reason);
	if (to == NULL)
		return;
	chain_extend(session_out(session),
	             (uint32_t)(binary_write_refusal(to, echo, refusal->reason) - to));
	session_swallow_next(session, refusal->swallow_bytes);
}

/* What add_stat() needs. */
struct stat_target {
	struct chain *out;
	const struct binary_echo *echo;
};

static bool add_stat(void *context, struct slice name, struct slice value)
{
	const struct stat_target *target = context;

	return append_carrier(target->out, target->echo, name, value);
}

/* `stats detail dump`: the text of the other protocol, as one figure's value. */
static bool session_append_detail(struct session *session, const struct binary_echo *echo)
{
	const struct slice name = SLICE_LITERAL("detailed");
	struct chain *out = &session->stream->out;
	uint8_t *head = chain_reserve(out, BINARY_REPLY_BYTES_MAX);
	uint64_t before;

	if (head == NULL)
		return false;
	chain_extend(out, BINARY_HEADER_BYTES);
	before = out->length;
	if (!text_append(out, name) || !session_append_prefixes(session))
		return false;
	/* now it is known how long it is */
	binary_write_header(head, echo, (uint16_t)name.length,
	                    (uint32_t)(out->length - before - name.length));
	return true;
}

/* A reply for each figure, and an empty one at the end. */
static void session_run_stats(struct session *session, const struct binary_request *binary)
{
	struct stat_target target = {&session->stream->out, &binary->echo};
	const struct stats_sink sink = {add_stat, &target};
	const struct reply unknown = {.status = REPLY_NOT_FOUND};

	switch (stats_list(session->sessions->stats, binary->request.argument, &sink)) {
	case STATS_DETAIL:
		if (!session_append_detail(session, &binary->echo))
			session_abort(session);
		else
			session_reply_carrier(session, &binary->echo, (struct slice){0});
		return;
	case STATS_SET:
		stats_follow(session->sessions->stats);
		sessions_observe(session->sessions);
		__attribute__((fallthrough));
	case STATS_LISTED:
	case STATS_RESET: session_reply_carrier(session, &binary->echo, (struct slice){0}); return;
	case STATS_NO_DETAIL:
	case STATS_UNKNOWN:
		session_reply_binary(session, &binary->echo, (struct slice){0}, &unknown);
		return;
	case STATS_NO_MEMORY: session_abort(session); return;
	}
}

static bool session_run_value(struct session *session, const struct binary_request *binary,
                              const struct worker_time *time)
{
	const struct session_echo echo = {.form = FORM_BINARY, .binary = binary->echo};

	if (!session_begin_value(session, &binary->request, &echo, 0, time))
		return false;
	/* otherwise there is nothing to come that would end it */
	if (session->state == SESSION_VALUE && binary->request.value_bytes == 0)
		session_commit_value(session, time);
	return true;
}

static bool session_run_key(struct session *session, const struct binary_request *binary,
                            const struct worker_time *time)
{
	const struct request *request = &binary->request;
	struct reply reply;

	switch (session_execute(session, request, time, &reply)) {
	case RUN_WAITS: return false;
	case RUN_ELSEWHERE:
		session_send_request(
		    session, request,
		    &(struct session_echo){.form = FORM_BINARY, .binary = binary->echo});
		return true;
	case RUN_DONE: break;
	}
	session_reply_binary(session, &binary->echo, request->key, &reply);
	return true;
}

static bool session_run_other(struct session *session, const struct binary_request *binary,
                              const struct worker_time *time)
{
	const char *version = session->sessions->options.version;
	const struct request *request = &binary->request;

	switch (request->op) {
	case REQUEST_NOOP:
		session_reply_carrier(session, &binary->echo, (struct slice){0});
		return true;
	case REQUEST_VERSION:
		session_reply_carrier(session, &binary->echo,
		                      (struct slice){(const uint8_t *)version, strlen(version)});
		return true;
	case REQUEST_STATS:
		if (!session_is_up_to_date(session))
			return false;
		session_run_stats(session, binary);
		return true;
	case REQUEST_QUIT:
		if (!request->noreply)
			session_reply_carrier(session, &binary->echo, (struct slice){0});
		if (session->state != SESSION_ENDED)
			session_close(session);
		return true;
	case REQUEST_FLUSH_ALL:
		return session_run_everywhere(
		    session, request,
		    &(struct session_echo){.form = FORM_BINARY, .binary = binary->echo}, time);
	default: return session_run_key(session, binary, time);
	}
}

static bool is_sasl(enum request_op op)
{
	return op == REQUEST_SASL_LIST || op == REQUEST_SASL_AUTH || op == REQUEST_SASL_STEP;
}

/* As with memcached, who must log in and does something else is closed. */
static enum parse_verdict parse_head(const struct session *session, struct slice head,
                                     struct binary_request *binary, struct refusal *refusal)
{
	enum parse_verdict verdict = binary_parse_head(head, binary, refusal);

	if (!session_is_stranger(session) || verdict == PARSE_CLOSE ||
	    (verdict == PARSE_DONE &&
	     (is_sasl(binary->request.op) || binary->request.op == REQUEST_VERSION)))
		return verdict;
	refusal->reason = REFUSAL_UNAUTHENTICATED;
	return PARSE_CLOSE;
}

bool session_run_head(struct session *session, struct slice head, const struct worker_time *time)
{
	struct binary_request binary;
	struct refusal refusal;

	switch (parse_head(session, head, &binary, &refusal)) {
	case PARSE_DONE: break;
	case PARSE_BAD: session_refuse_head(session, &binary.echo, &refusal); return true;
	default:
		refusal.swallow_bytes = 0;
		session_refuse_head(session, &binary.echo, &refusal);
		if (session->state != SESSION_ENDED)
			session_close(session);
		return true;
	}
	binary.request.hash = lookahead_hash(&session->sessions->lookahead, binary.request.key);
	if (request_has_value(binary.request.op))
		return session_run_value(session, &binary, time);
	if (!is_sasl(binary.request.op))
		return session_run_other(session, &binary, time);
	if (!session_is_up_to_date(session))
		return false;
	session_run_sasl(session, &binary, head);
	return true;
}
