/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/session.h"

#include "proto/text.h"
#include "worker/session_internal.h"
#include "worker/stats.h"

/* Progress on a value, or on the reading of replies, that starts the deadline anew. */
#define PROGRESS_BYTES 65536

/* Nothing comes of the value. */
static void session_abandon_value(struct session *session)
{
	shard_write_abandon(session->sessions->shard, &session->write->shard);
	slab_give(&session->sessions->writes, session->write);
	session->write = NULL;
}

/* Gives back all that belongs to the request at hand. */
static void session_drop_request(struct session *session)
{
	if (session->state >= SESSION_VALUE && session->state <= SESSION_LF)
		session_abandon_value(session);
	if (session->state == SESSION_DUMP)
		session_dump_end(session);
	if (session->state == SESSION_WATCH)
		session_watch_end(session);
	session_held_drop(session);
	session_wait_end(session);
	session->state = SESSION_ENDED;
	session_deadline_clear(session);
}

/* What was asked before is answered before. */
void session_close(struct session *session)
{
	session_drop_request(session);
	if (session->last_call != 0)
		session->is_finished = true;
	else
		session->stream->ops->close(session->stream);
}

void session_cut(struct session *session)
{
	session->end = END_ERROR;
	session->is_aborted = true;
	session_leave_calls(session);
	session_drop_request(session);
	session->stream->ops->abort(session->stream);
}

/* Memory ran out in the middle of a reply: half a reply would be taken for a whole one. */
void session_abort(struct session *session)
{
	counter_add(&session->sessions->counters.aborted_no_blocks, 1);
	session_cut(session);
}

void session_append(struct session *session, struct slice text)
{
	if (!text_append(session_out(session), text))
		session_abort(session);
}

#define REFUSAL_COUNTER(reason, counter, text)                                                     \
	[reason] = offsetof(struct session_counters, counter),

void session_count_refusal(struct session *session, enum refusal_reason reason)
{
	static const size_t offsets[] = {REFUSALS(REFUSAL_COUNTER)};
	uint8_t *counters = (uint8_t *)&session->sessions->counters;

	counter_add((_Atomic uint64_t *)(counters + offsets[reason]), 1);
}

void session_swallow_next(struct session *session, uint64_t bytes)
{
	if (session->state != SESSION_HEAD || bytes == 0)
		return; /* closed meanwhile, or nothing to drop */
	session->left_bytes = bytes;
	session->state = SESSION_SWALLOW;
}

void session_reply(struct session *session, const struct session_echo *echo,
                   const struct request *request, const struct reply *reply)
{
	switch (echo->form) {
	case FORM_NONE: return;
	case FORM_CLASSIC: session_reply_classic(session, echo->noreply, reply); return;
	case FORM_VALUE: session_reply_value(session, request, reply); return;
	case FORM_META: session_reply_meta(session, &echo->meta, request, reply); return;
	case FORM_BINARY: session_reply_binary(session, &echo->binary, request->key, reply); return;
	}
}

/* The value is over, for better or worse: gives session->write back, or sends it on. */
static void session_end_value(struct session *session, const struct reply *reply)
{
	struct session_write *write = session->write;
	const struct request request = {.key = reply->key};
	struct session_echo echo;

	session->write = NULL;
	session->state = SESSION_HEAD;
	session_deadline_clear(session);
	if (shard_write_is_staged(&write->shard)) {
		session_send_write(session, write);
		return;
	}
	echo = write->echo;
	slab_give(&session->sessions->writes, write);
	session_reply(session, &echo, &request, reply);
}

bool session_begin_value(struct session *session, const struct request *request,
                         const struct session_echo *echo, uint32_t tail_bytes,
                         const struct worker_time *time)
{
	struct sessions *sessions = session->sessions;
	struct reply reply = {.key = request->key};

	if (!session_may_write(session) ||
	    (!shard_owns(sessions->shard, request->key) && !session_may_call(session)))
		return false;
	session->write = slab_take(&sessions->writes);
	session->write->echo = *echo;
	session->state = SESSION_VALUE;
	reply.status =
	    shard_write_begin(sessions->shard, &session->write->shard, request, time->now_s);
	if (reply.status == REPLY_STORED)
		return true;
	session_end_value(session, &reply);
	session_swallow_next(session, request->value_bytes + tail_bytes);
	return true;
}

/* Whether more of the value may be taken, and it may be over then. False: the session waits. */
static bool session_may_go_on(struct session *session)
{
	return session_may_write(session) &&
	       (!shard_write_is_staged(&session->write->shard) || session_may_call(session));
}

void session_commit_value(struct session *session, const struct worker_time *time)
{
	struct reply reply = {0};

	if (!shard_write_is_staged(&session->write->shard))
		shard_write_commit(session->sessions->shard, &session->write->shard, time->now_s,
		                   &reply);
	session_end_value(session, &reply);
}

/* States. Each takes some of the bytes and returns how many; 0: the session waits. */

/* How many of the bytes belong to the head that is held so far. */
static enum parse_verdict session_find_head(const struct session *session, struct slice fresh,
                                            uint32_t *ret_fresh_bytes)
{
	if (session->is_binary)
		return binary_find_head(session_held(session), fresh, ret_fresh_bytes);
	return line_find(session_held(session), fresh, ret_fresh_bytes);
}

/* The head is to be run again: its last byte is left with the carrier, who offers it when the
 * session goes on, and then it is whole. */
static uint32_t session_keep_head(struct session *session, uint32_t fresh_bytes)
{
	if (session->held == NULL)
		return 0;
	if (session->is_binary) /* of a line, the line feed was not held */
		session->held_bytes--;
	return fresh_bytes - 1;
}

/* So many bytes are mostly more than one request without a value. */
#define SEVERAL_BYTES 64
#define KEYS_AHEAD    32

/* What has been sent without waiting for replies. */
static void session_look_ahead(struct session *session, struct slice bytes)
{
	struct sessions *sessions = session->sessions;

	if (session->held != NULL || lookahead_has(&sessions->lookahead, bytes))
		return;
	lookahead_end(&sessions->lookahead);
	lookahead_add(&sessions->lookahead, bytes, KEYS_AHEAD);
	lookahead_items(&sessions->lookahead);
	sessions->looks_ahead = true;
}

/* The get that was read ahead, if it begins here and nothing stands in its way; else NULL. */
static const struct foreseen *session_foreseen(const struct session *session, struct slice bytes)
{
	const struct foreseen *get = lookahead_get(&session->sessions->lookahead, bytes.data);

	if (get == NULL || get->request_bytes > bytes.length || session->held != NULL ||
	    session->is_binary || session_is_stranger(session))
		return NULL;
	return get;
}

/* One request is over, or all that there is of it before its value. */
static uint32_t session_head_done(struct session *session, uint32_t taken)
{
	counter_add(&session->sessions->counters.requests, 1);
	if (session->state != SESSION_LOGIN) /* which goes on with it */
		session_held_drop(session);
	session_deadline_clear(session);
	return taken;
}

static uint32_t session_take_head(struct session *session, const uint8_t *bytes, uint32_t length,
                                  const struct worker_time *time)
{
	struct slice head = {bytes, length};
	const struct foreseen *get;
	uint32_t taken, feed_bytes;

	if (length > SEVERAL_BYTES)
		session_look_ahead(session, head);
	if (!session->has_begun) {
		session->has_begun = true;
		session->is_binary = bytes[0] == BINARY_MAGIC_REQUEST;
	}
	get = session_foreseen(session, head);
	if (get != NULL) {
		taken = get->request_bytes;
		if (!session_may_reply(session) || !session_run_foreseen(session, get, time))
			return 0;
		return session_head_done(session, taken);
	}
	switch (session_find_head(session, head, &taken)) {
	case PARSE_DONE: break;
	case PARSE_MORE: return session_hold(session, bytes, length) ? length : 0;
	default:
		session_count_refusal(session, REFUSAL_LINE_TOO_LONG);
		session_close(session);
		return length;
	}
	if (!session_may_reply(session))
		return 0;
	feed_bytes = session->is_binary ? 0 : 1;
	head.length = taken - feed_bytes;
	if (session->held != NULL) {
		if (!session_hold(session, bytes, taken - feed_bytes))
			return 0;
		head = session_held(session);
	}
	if (!(session->is_binary ? session_run_head(session, head, time)
	                         : session_run_line(session, head, time)))
		return session_keep_head(session, taken);
	return session_head_done(session, taken);
}

/* The deadline of a long value starts anew whenever a further PROGRESS_BYTES have come. */
static void session_note_progress(struct session *session, uint64_t left_before,
                                  uint64_t left_after)
{
	if (left_before / PROGRESS_BYTES != left_after / PROGRESS_BYTES)
		session_deadline_clear(session);
}

static uint32_t session_take_value(struct session *session, const uint8_t *bytes, uint32_t length,
                                   const struct worker_time *time)
{
	struct reply reply = {.status = REPLY_NO_MEMORY};
	uint64_t left_bytes = session->write->shard.left_bytes;
	uint32_t taken = (uint32_t)min_u64(length, left_bytes);

	/* the last bytes are what is replied to */
	if ((session->is_binary && taken == left_bytes && !session_may_reply(session)) ||
	    !session_may_go_on(session))
		return 0;
	session_note_progress(session, left_bytes, left_bytes - taken);
	if (taken > 0 &&
	    !shard_write_bytes(session->sessions->shard, &session->write->shard, bytes, taken)) {
		counter_add(&session->sessions->counters.swallowed_bytes, taken);
		session_end_value(session, &reply);
		session_swallow_next(session, left_bytes - taken + (session->is_binary ? 0 : 2));
	} else if (taken == left_bytes) {
		session->state = SESSION_CR;
		if (session->is_binary)
			session_commit_value(session, time);
	}
	return taken;
}

static uint32_t session_take_lf(struct session *session, const uint8_t *bytes,
                                const struct worker_time *time)
{
	struct refusal bad_chunk = {.reason = REFUSAL_BAD_CHUNK, .noreply = session->noreply};

	if (!session_may_reply(session) || !session_may_go_on(session))
		return 0;
	if (!session->cr_is_bad && bytes[0] == '\n') {
		session_commit_value(session, time);
		return 1;
	}
	session_abandon_value(session);
	session->state = SESSION_HEAD;
	session_deadline_clear(session);
	session_refuse(session, &bad_chunk);
	return 1;
}

static uint32_t session_swallow(struct session *session, uint32_t length)
{
	uint32_t taken = (uint32_t)min_u64(length, session->left_bytes);

	session_note_progress(session, session->left_bytes, session->left_bytes - taken);
	counter_add(&session->sessions->counters.swallowed_bytes, taken);
	session->left_bytes -= taken;
	if (session->left_bytes == 0) {
		session->state = SESSION_HEAD;
		session_deadline_clear(session);
	}
	return taken;
}

/* The carrier's calls. */

void session_create(struct session *session, struct sessions *sessions, struct stream *stream)
{
	*session = (struct session){.stream = stream, .sessions = sessions};
	stream->user = session;
	counter_add(&sessions->counters.curr_connections, 1);
	counter_add(&sessions->counters.total_connections, 1);
	if (sessions_watched_kinds(sessions) & WATCH_CONNECTIONS)
		watch_connection(session, true);
}

static uint32_t session_take(struct session *session, const uint8_t *bytes, uint32_t length,
                             const struct worker_time *time)
{
	switch ((enum session_state)session->state) {
	case SESSION_HEAD: return session_take_head(session, bytes, length, time);
	case SESSION_VALUE: return session_take_value(session, bytes, length, time);
	case SESSION_CR:
		session->cr_is_bad = bytes[0] != '\r';
		session->state = SESSION_LF;
		return 1;
	case SESSION_LF: return session_take_lf(session, bytes, time);
	case SESSION_SWALLOW: return session_swallow(session, length);
	case SESSION_LOGIN: return session_take_login(session, bytes, length);
	case SESSION_WATCH:
	case SESSION_DUMP:
	case SESSION_ENDED: break;
	}
	return length;
}

static uint16_t unread_units(const struct session *session)
{
	return (uint16_t)min_u64(session->stream->out.length / PROGRESS_BYTES, UINT16_MAX);
}

void session_note_deadline(struct session *session, const struct worker_time *time)
{
	bool half_received = (session->state != SESSION_HEAD || session->held != NULL) &&
	                     !session_is_served(session);

	if (session->wait == WAIT_OUTPUT ||
	    (half_received && session->deadline_start_us == 0 && session->wait == WAIT_NONE))
		session_deadline_start(session, time);
	session->unread_units = unread_units(session);
}

/* A dump that fits is sent in one piece: there are clients that look for its end where it begins.
 */
void session_push(struct session *session)
{
	if (session->state != SESSION_DUMP || session->wait != WAIT_TURN)
		session->stream->ops->push(session->stream);
}

uint32_t session_received(struct session *session, const uint8_t *bytes, uint32_t length,
                          const struct worker_time *time)
{
	struct session_counters *counters = &session->sessions->counters;
	struct stream *stream = session->stream;
	uint64_t out_bytes = stream->out.length;
	uint32_t taken = 0;

	/* What it waits for is said by resume(), not by more bytes coming. */
	if (session->wait != WAIT_NONE)
		return 0;
	session->sessions->at_work = session;
	while (taken < length && session->wait == WAIT_NONE && session->state != SESSION_DUMP)
		taken += session_take(session, bytes + taken, length - taken, time);
	session->sessions->at_work = NULL;
	if (session->sessions->looks_ahead) {
		session->sessions->looks_ahead = false;
		lookahead_end(&session->sessions->lookahead);
	}
	counter_add(&counters->bytes_read, taken);
	counter_add(&counters->bytes_written, stream->out.length - out_bytes);
	if (session->state == SESSION_ENDED)
		return length;
	session_note_deadline(session, time);
	if (stream->out.length > out_bytes)
		session_push(session);
	return taken;
}

void session_finished(struct session *session)
{
	if (session->state == SESSION_DUMP || session->wait >= WAIT_LOGIN ||
	    session->last_call != 0)
		session->is_finished = true;
	else if (session->state != SESSION_ENDED)
		session_close(session);
}

void session_go_on(struct session *session, const struct worker_time *time)
{
	struct stream *stream = session->stream;
	uint64_t out_bytes = stream->out.length;

	session_wait_end(session);
	if (session->state != SESSION_DUMP) {
		stream->ops->resume(stream);
		return;
	}
	session_go_on_dumping(session, time);
	if (session->state == SESSION_ENDED)
		return;
	counter_add(&session->sessions->counters.bytes_written, stream->out.length - out_bytes);
	session_note_deadline(session, time);
	session_push(session);
}

void session_drained(struct session *session, const struct worker_time *time)
{
	if (session->wait != WAIT_OUTPUT)
		return;
	if (unread_units(session) < session->unread_units) {
		session->unread_units = unread_units(session);
		session_deadline_start(session, time);
	}
	/* At the half, so that it does not stop and go with every segment. */
	if (session->stream->out.length > session->sessions->options.output_bytes_max / 2)
		return;
	session_go_on(session, time);
}

bool session_is_served(const struct session *session)
{
	return session->state == SESSION_DUMP || session->state == SESSION_WATCH ||
	       session->wait >= WAIT_LOGIN || session->last_call != 0;
}

void session_close_idle(struct session *session)
{
	session->end = END_IDLE_TIMEOUT;
	session->stream->ops->close(session->stream);
}

void session_closed(struct session *session)
{
	session_leave_calls(session);
	session_drop_request(session);
	if (sessions_watched_kinds(session->sessions) & WATCH_CONNECTIONS)
		watch_connection(session, false);
	counter_subtract(&session->sessions->counters.curr_connections, 1);
}

static void session_expire(struct session *session)
{
	struct stream *stream = session->stream;
	bool unread = session->wait == WAIT_OUTPUT;

	counter_add(&session->sessions->counters.closed_request_timeout, 1);
	session->end = END_ERROR;
	session_leave_calls(session);
	session_drop_request(session);
	if (unread)
		stream->ops->abort(stream);
	else
		stream->ops->close(stream);
}

void sessions_expire(struct sessions *sessions, const struct worker_time *time)
{
	while (sessions->deadlines.first != NULL &&
	       session_expired(sessions->deadlines.first, time))
		session_expire(sessions->deadlines.first);
}

const char *session_state_name(const struct session *session)
{
	switch ((enum session_state)session->state) {
	case SESSION_VALUE:
	case SESSION_CR:
	case SESSION_LF: return "conn_nread";
	case SESSION_SWALLOW: return "conn_swallow";
	case SESSION_LOGIN: return "conn_nread";
	case SESSION_DUMP: return "conn_mwrite";
	case SESSION_WATCH: return "conn_watch";
	case SESSION_ENDED: return "conn_closing";
	case SESSION_HEAD: break;
	}
	if (session->wait == WAIT_OUTPUT)
		return "conn_mwrite";
	return session->held != NULL ? "conn_waiting" : "conn_read";
}
