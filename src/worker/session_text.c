/* SPDX-License-Identifier: Apache-2.0 */
/* What a session does with a line of the text protocol: classic and meta commands. */
#include "proto/text.h"
#include "worker/session_internal.h"
#include "worker/stats.h"

void session_refuse(struct session *session, const struct refusal *refusal)
{
	session_count_refusal(session, refusal->reason);
	if (!refusal->noreply)
		session_append(session, text_refusal(refusal->reason));
	session_swallow_next(session, refusal->swallow_bytes);
}

void session_reply_classic(struct session *session, bool noreply, const struct reply *reply)
{
	if (noreply)
		return;
	if (reply->status != REPLY_NUMBER)
		session_append(session, text_status(reply->status));
	else if (!text_append_number(session_out(session), reply->number))
		session_abort(session);
}

/* True when the meta protocol has no code for it, but the classic one's text. */
static bool is_error(enum reply_status status)
{
	return status == REPLY_NOT_NUMERIC || status == REPLY_TOO_LARGE ||
	       status == REPLY_NO_MEMORY || status == REPLY_RATE_LIMITED;
}

void session_reply_meta(struct session *session, const struct meta_echo *echo,
                        const struct request *request, const struct reply *reply)
{
	struct slice key = reply->status == REPLY_HIT ? reply->key : request->key;
	bool sends_value = meta_sends_value(echo, request, reply);
	struct chain *out = session_out(session);
	uint8_t *to;

	if (is_error(reply->status)) {
		session_append(session, text_status(reply->status));
		return;
	}
	to = chain_reserve(out, META_REPLY_BYTES_MAX);
	if (to == NULL) {
		session_abort(session);
		return;
	}
	chain_extend(out, (uint32_t)(meta_write_reply(to, echo, key, sends_value, reply) - to));
	if (sends_value && !(shard_append_value(session->sessions->shard, reply, out) &&
	                     chain_append(out, "\r\n", 2)))
		session_abort(session);
}

/* Written into one piece of memory, with what is around it. */
#define SHORT_VALUE_BYTES 512

/* VALUE key flags bytes, and the value. False: memory has run out. */
static bool append_value(struct session *session, const struct request *request,
                         const struct reply *reply)
{
	struct shard *shard = session->sessions->shard;
	struct chain *out = session_out(session);
	uint8_t *to, *end;

	if (reply->value_bytes > SHORT_VALUE_BYTES)
		return text_append_value_head(out, request->key, reply, request->with_cas) &&
		       shard_append_value(shard, reply, out) && chain_append(out, "\r\n", 2);
	to = chain_reserve(out, TEXT_VALUE_HEAD_BYTES_MAX - KEY_BYTES_MAX +
	                            (uint32_t)(request->key.length + reply->value_bytes) + 2);
	if (to == NULL)
		return false;
	end = text_write_value_head(to, request->key, reply, request->with_cas);
	shard_copy_value(shard, reply, end);
	end += reply->value_bytes;
	memcpy(end, "\r\n", 2);
	chain_extend(out, (uint32_t)(end + 2 - to));
	return true;
}

void session_reply_value(struct session *session, const struct request *request,
                         const struct reply *reply)
{
	if (reply->status == REPLY_HIT && !append_value(session, request, reply))
		session_abort(session);
}

/* GET, GAT: key after key. False: the session waits; the keys up to answered_bytes are done, and
 * the same line is to be run again. */
static bool session_run_get(struct session *session, struct request *request, struct slice line,
                            const struct worker_time *time)
{
	static const struct session_echo echo = {.form = FORM_VALUE};
	struct lookahead *lookahead = &session->sessions->lookahead;
	struct slice rest = request->more_keys;
	struct reply reply;

	if (session->answered_bytes > 0) {
		rest = (struct slice){line.data + session->answered_bytes,
		                      (size_t)(rest.data + rest.length - line.data) -
		                          session->answered_bytes};
		request->key = line_next_word(&rest);
	}
	while (request->key.length > 0) {
		enum session_run run;

		if (rest.length > 0 && lookahead_keys(lookahead, request->key, rest))
			session->sessions->looks_ahead = true;
		request->hash = lookahead_hash(lookahead, request->key);
		run = session_execute(session, request, time, &reply);
		if (run == RUN_WAITS)
			return false;
		if (run == RUN_ELSEWHERE)
			session_send_request(session, request, &echo);
		else
			session_reply_value(session, request, &reply);
		if (session->state == SESSION_ENDED)
			return true;
		session->answered_bytes = (uint32_t)(rest.data - line.data);
		session->is_rate_limited |= run == RUN_DONE && reply.status == REPLY_RATE_LIMITED;
		if (run == RUN_DONE && reply.status == REPLY_HIT && !session_may_reply(session))
			return false;
		request->key = line_next_word(&rest);
	}
	session->answered_bytes = 0;
	session_append(session, session->is_rate_limited ? text_status(REPLY_RATE_LIMITED)
	                                                 : SLICE_LITERAL("END\r\n"));
	session->is_rate_limited = false;
	return true;
}

static bool session_run_value(struct session *session, const struct text_request *text,
                              const struct worker_time *time)
{
	struct session_echo echo = {.form = FORM_CLASSIC, .noreply = text->request.noreply};

	if (text->is_meta)
		echo = (struct session_echo){.form = FORM_META, .meta = text->echo};
	return session_begin_value(session, &text->request, &echo, 2, time);
}

static void session_append_version(struct session *session)
{
	const char *version = session->sessions->options.version;
	struct chain *out = session_out(session);

	if (!text_append(out, SLICE_LITERAL("VERSION ")) ||
	    !chain_append(out, version, strlen(version)) ||
	    !text_append(out, SLICE_LITERAL("\r\n")))
		session_abort(session);
}

/* STAT name value */
static bool add_stat(void *context, struct slice name, struct slice value)
{
	struct chain *out = context;

	return text_append(out, SLICE_LITERAL("STAT ")) && text_append(out, name) &&
	       text_append(out, SLICE_LITERAL(" ")) && text_append(out, value) &&
	       text_append(out, SLICE_LITERAL("\r\n"));
}

static bool append_line(void *context, struct slice line)
{
	return text_append(context, line);
}

bool session_append_prefixes(struct session *session)
{
	return stats_list_prefixes(session->sessions->stats, append_line, &session->stream->out) &&
	       text_append(&session->stream->out, SLICE_LITERAL("END\r\n"));
}

static void session_run_stats(struct session *session, struct slice argument)
{
	const struct stats_sink sink = {add_stat, &session->stream->out};

	switch (stats_list(session->sessions->stats, argument, &sink)) {
	case STATS_LISTED: session_append(session, SLICE_LITERAL("END\r\n")); return;
	case STATS_RESET: session_append(session, SLICE_LITERAL("RESET\r\n")); return;
	case STATS_SET:
		stats_follow(session->sessions->stats);
		sessions_observe(session->sessions);
		session_append(session, SLICE_LITERAL("OK\r\n"));
		return;
	case STATS_DETAIL:
		if (!session_append_prefixes(session))
			session_abort(session);
		return;
	case STATS_NO_DETAIL:
		session_append(session, SLICE_LITERAL("CLIENT_ERROR usage: stats detail "
		                                      "on|off|dump\r\n"));
		return;
	case STATS_UNKNOWN: session_append(session, text_refusal(REFUSAL_UNKNOWN_COMMAND)); return;
	case STATS_NO_MEMORY: session_abort(session); return;
	}
}

/* shutdown [graceful]: both end the process in good order. */
static void session_run_shutdown(struct session *session, struct slice argument)
{
	const struct sessions_options *options = &session->sessions->options;
	struct slice how = line_next_word(&argument);

	if (!options->can_shut_down) {
		session_append(session, SLICE_LITERAL("ERROR: shutdown not enabled\r\n"));
	} else if (how.length > 0 && (line_next_word(&argument).length > 0 ||
	                              !slice_equal(how, SLICE_LITERAL("graceful")))) {
		session_append(session, SLICE_LITERAL("CLIENT_ERROR invalid shutdown mode\r\n"));
	} else {
		session_close(session);
		options->shut_down(options->shut_down_context);
	}
}

static void session_run_debug_time(struct session *session, const struct request *request)
{
	const struct sessions_options *options = &session->sessions->options;

	if (options->debug_time(options->debug_time_context, request->debug_time,
	                        (uint32_t)request->delta))
		session_append(session, SLICE_LITERAL("OK\r\n"));
	else
		session_append(session, text_refusal(REFUSAL_UNKNOWN_COMMAND));
}

/* All that the key's shard has to do with. */
static bool session_run_key(struct session *session, const struct text_request *text,
                            const struct worker_time *time)
{
	const struct request *request = &text->request;
	struct session_echo echo;
	struct reply reply;

	switch (session_execute(session, request, time, &reply)) {
	case RUN_WAITS: return false;
	case RUN_ELSEWHERE:
		echo = text->is_meta ? (struct session_echo){.form = FORM_META, .meta = text->echo}
		                     : (struct session_echo){.form = FORM_CLASSIC,
		                                             .noreply = request->noreply};
		session_send_request(session, request, &echo);
		return true;
	case RUN_DONE: break;
	}
	if (text->is_meta)
		session_reply_meta(session, &text->echo, request, &reply);
	else
		session_reply_classic(session, request->noreply, &reply);
	return true;
}

/* What tells of more than what is said in the request, or ends all: not before what was asked
 * before is done. */
static bool session_run_alone(struct session *session, const struct request *request,
                              const struct worker_time *time)
{
	if (!session_is_up_to_date(session))
		return false;
	switch (request->op) {
	case REQUEST_STATS: session_run_stats(session, request->argument); break;
	case REQUEST_DUMP: session_begin_dump(session, request, time); break;
	case REQUEST_WATCH: session_begin_watch(session, (uint32_t)request->delta, time); break;
	case REQUEST_SHUTDOWN: session_run_shutdown(session, request->argument); break;
	default: session_run_debug_time(session, request); break;
	}
	return true;
}

static bool session_run_purge(struct session *session, const struct request *request,
                              const struct worker_time *time)
{
	struct session_echo echo = {.form = FORM_CLASSIC, .noreply = request->noreply};
	struct shard *shard = session->sessions->shard;
	struct request purge = *request;
	struct reply reply;

	if (!session_is_up_to_date(session))
		return false;
	reply.status = shard_begin_purge(shard, &purge);
	if (reply.status != REPLY_OK) {
		session_reply(session, &echo, request, &reply);
		return true;
	}
	if (session_run_everywhere(session, &purge, &echo, time))
		return true;
	shard_give_back_purge(shard, &purge);
	return false;
}

static bool session_run_other(struct session *session, const struct text_request *text,
                              const struct worker_time *time)
{
	const struct request *request = &text->request;

	switch (request->op) {
	case REQUEST_NOOP: session_append(session, SLICE_LITERAL("MN\r\n")); return true;
	case REQUEST_VERSION: session_append_version(session); return true;
	case REQUEST_ANSWERED:
		if (!request->noreply)
			session_append(session, request->argument);
		return true;
	case REQUEST_QUIT: session_close(session); return true;
	case REQUEST_FLUSH_ALL:
	case REQUEST_MEMORY_LIMIT:
		return session_run_everywhere(
		    session, request,
		    &(struct session_echo){.form = FORM_CLASSIC, .noreply = request->noreply},
		    time);
	case REQUEST_PURGE: return session_run_purge(session, request, time);
	case REQUEST_STATS:
	case REQUEST_DUMP:
	case REQUEST_WATCH:
	case REQUEST_SHUTDOWN:
	case REQUEST_DEBUG_TIME: return session_run_alone(session, request, time);
	default: return session_run_key(session, text, time);
	}
}

bool session_run_foreseen(struct session *session, const struct foreseen *get,
                          const struct worker_time *time)
{
	struct request request = {
	    .op = REQUEST_GET, .key = get->key, .more_keys = {get->key.data + get->key.length, 0}};

	session->noreply = false;
	return session_run_get(session, &request, (struct slice){get->request, get->request_bytes},
	                       time);
}

bool session_run_line(struct session *session, struct slice line, const struct worker_time *time)
{
	struct text_request text;
	struct refusal refusal;

	switch (text_parse_line(line, &text, &refusal)) {
	case PARSE_DONE: break;
	case PARSE_BAD:
		if (session_is_stranger(session))
			refusal = (struct refusal){.reason = REFUSAL_UNAUTHENTICATED,
			                           .swallow_bytes = refusal.swallow_bytes};
		session_refuse(session, &refusal);
		return true;
	default:
		session_count_refusal(session, refusal.reason);
		session_close(session);
		return true;
	}
	if (session_is_stranger(session)) {
		session_run_stranger(session, &text);
		return true;
	}
	session->noreply = text.request.noreply;
	if (!text.is_meta && (text.request.op == REQUEST_GET || text.request.op == REQUEST_GAT))
		return session_run_get(session, &text.request, line, time);
	text.request.hash = lookahead_hash(&session->sessions->lookahead, text.request.key);
	if (request_has_value(text.request.op))
		return session_run_value(session, &text, time);
	return session_run_other(session, &text, time);
}
