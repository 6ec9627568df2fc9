/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that only another worker may run: they go to him as calls, and their replies take their
 * place among the others. A client need not wait for them to be asked for more: what is answered
 * meanwhile waits behind the call that it came after. What is asked about a key that a call is
 * on its way about goes the same way, so that a client always reads what it has written.
 *
 * The calls of a session are a ring, in the order of its requests; session->last_call is the
 * newest one. */
#include "worker/session_internal.h"

/* More of them wait until these are all back: so nobody takes all that there are. */
#define CALLS_A_SESSION 16

static struct session_call *call_at(const struct session *session, uint16_t place)
{
	return &session->sessions->calls[place - 1];
}

static struct session_call *first_call(const struct session *session)
{
	return call_at(session, call_at(session, session->last_call)->next);
}

/* Whether a call is under way that another worker's answer about the key has to come after. */
static bool session_has_call_for(const struct session *session, struct slice key)
{
	const struct session_call *last, *call;
	uint64_t hash;

	if (session->last_call == 0 || shard_owns(session->sessions->shard, key))
		return false;
	hash = shard_hash(session->sessions->shard, key);
	last = call_at(session, session->last_call);
	call = last;
	do {
		call = call_at(session, call->next);
		if (call->is_general || call->hash == hash)
			return true;
	} while (call != last);
	return false;
}

bool session_may_write(struct session *session)
{
	if (shard_is_ready(session->sessions->shard))
		return true;
	session_wait(session, WAIT_TURN);
	return false;
}

bool session_may_call(struct session *session)
{
	const struct sessions *sessions = session->sessions;

	if (sessions->blocks->free_count == 0) {
		session_wait(session, WAIT_BLOCKS);
		return false;
	}
	if (session->last_call != 0 &&
	    call_at(session, session->last_call)->number - first_call(session)->number + 1 ==
	        CALLS_A_SESSION) {
		session_wait(session, WAIT_CALLS);
		return false;
	}
	if (session->is_promised || sessions->free_call_count > 0)
		return true;
	session_wait(session, WAIT_CALL);
	return false;
}

void session_give_up_promise(struct session *session)
{
	if (session->is_promised)
		session->sessions->free_call_count++;
	session->is_promised = false;
}

bool session_is_up_to_date(struct session *session)
{
	if (session->last_call == 0)
		return true;
	session_wait(session, WAIT_CALLS);
	return false;
}

/* A call at the end of the session's; what it is about is the caller's to fill in. */
static struct session_call *session_begin_call(struct session *session, struct slice key,
                                               const struct session_echo *echo)
{
	struct sessions *sessions = session->sessions;
	struct session_call *call = slab_take(&sessions->free_calls);
	uint16_t place = (uint16_t)(call - sessions->calls + 1);

	if (!session->is_promised)
		sessions->free_call_count--;
	session->is_promised = false;
	call->session = session;
	call->write = NULL;
	call->echo = *echo;
	call->hash = shard_hash(sessions->shard, key);
	call->is_general = key.length == 0;
	call->is_back = false;
	call->is_late = false;
	call->start_us = sessions->watch_time->now_us;
	call->block = block_take(sessions->blocks);
	ASSERT(call->block != NULL);
	chain_create(&call->after, sessions->blocks);
	call->next = place;
	call->number = 0;
	if (session->last_call != 0) {
		struct session_call *last = call_at(session, session->last_call);

		call->next = last->next;
		call->number = last->number + 1;
		last->next = place;
	}
	session->last_call = place;
	counter_add(&sessions->counters.calls, 1);
	return call;
}

enum session_run session_execute(struct session *session, const struct request *request,
                                 const struct worker_time *time, struct reply *ret_reply)
{
	struct shard *shard = session->sessions->shard;

	if (request_writes(request) && !session_may_write(session))
		return RUN_WAITS;
	if (!shard_admit(shard, request->key, time->now_s)) {
		ret_reply->status = REPLY_RATE_LIMITED;
		session_give_up_promise(session);
		return RUN_DONE;
	}
	if (!session_has_call_for(session, request->key) &&
	    shard_execute(shard, request, time->now_s, ret_reply)) {
		session_give_up_promise(session); /* it is not wanted any more */
		return RUN_DONE;
	}
	return session_may_call(session) ? RUN_ELSEWHERE : RUN_WAITS;
}

void session_send_request(struct session *session, const struct request *request,
                          const struct session_echo *echo)
{
	struct session_call *call = session_begin_call(session, request->key, echo);

	call->shard.request = *request;
	call->shard.request.key.data = call->key;
	memcpy(call->key, request->key.data, request->key.length);
	call->shard.write = NULL;
	shard_call(session->sessions->shard, &call->shard);
}

void session_send_write(struct session *session, struct session_write *write)
{
	struct slice key = shard_write_key(&write->shard);
	struct session_call *call = session_begin_call(session, key, &write->echo);

	call->write = write;
	call->shard.write = &write->shard;
	shard_call(session->sessions->shard, &call->shard);
}

/* To all other workers; nothing is replied. False: not now, the session waits. */
static bool session_send_to_others(struct session *session, const struct request *request)
{
	struct sessions *sessions = session->sessions;
	const struct session_echo echo = {.form = FORM_NONE};

	if (sessions->free_call_count + session->is_promised < sessions->options.other_count ||
	    sessions->blocks->free_count < sessions->options.other_count) {
		session_wait(session, WAIT_TURN);
		return false;
	}
	for (uint32_t i = 0; i <= sessions->options.other_count; i++) {
		struct session_call *call;

		if (i == shard_number(sessions->shard))
			continue;
		call = session_begin_call(session, (struct slice){0}, &echo);
		call->shard.request = *request;
		if (request->key.length > 0)
			memcpy(call->key, request->key.data, request->key.length);
		call->shard.request.key.data = call->key;
		call->shard.request.modifiers |= REQUEST_PASSED_ON;
		call->shard.write = NULL;
		shard_call_to(sessions->shard, i, &call->shard);
	}
	return true;
}

bool session_run_everywhere(struct session *session, const struct request *request,
                            const struct session_echo *echo, const struct worker_time *time)
{
	struct reply reply;

	if (!session_is_up_to_date(session) || !session_send_to_others(session, request))
		return false;
	shard_execute(session->sessions->shard, request, time->now_s, &reply);
	session_reply(session, echo, request, &reply);
	return true;
}

static void call_end(struct sessions *sessions, struct session_call *call)
{
	shard_call_end(sessions->shard, &call->shard);
	if (call->block != NULL)
		block_drop(sessions->blocks, call->block);
	if (call->write != NULL)
		slab_give(&sessions->writes, call->write);
	slab_give(&sessions->free_calls, call);
	sessions->free_call_count++;
}

void session_leave_calls(struct session *session)
{
	struct session_call *call;
	uint16_t place;

	session_give_up_promise(session);
	if (session->last_call == 0)
		return;
	place = call_at(session, session->last_call)->next;
	do {
		call = call_at(session, place);
		place = call->next;
		chain_clear(&call->after);
		call->session = NULL;
		if (call->is_back && !call->is_late)
			call_end(session->sessions, call);
	} while (call != call_at(session, session->last_call));
	session->last_call = 0;
}

/* The reply of the first call, and what has waited behind it. */
static void session_take_answer(struct session *session)
{
	struct sessions *sessions = session->sessions;
	struct session_call *call = first_call(session);
	uint16_t last = session->last_call;

	if (call == call_at(session, last))
		last = 0;
	else
		call_at(session, last)->next = call->next;
	/* it does not come behind the calls after it */
	session->last_call = 0;
	block_drop(sessions->blocks, call->block);
	call->block = NULL;
	if (call->shard.write != NULL)
		call->shard.request = (struct request){.key = call->shard.reply.key};
	session_reply(session, &call->echo, &call->shard.request, &call->shard.reply);
	chain_splice(&session->stream->out, &call->after);
	session->last_call = last;
	call_end(sessions, call);
	if (session->is_aborted)
		session_leave_calls(session);
}

/* How long its client has waited. */
static void record(struct sessions *sessions, const struct session_call *call, uint64_t now_us)
{
	enum latency_command command;

	if (call->write != NULL)
		command = LATENCY_set;
	else
		switch (call->shard.request.op) {
		case REQUEST_GET: command = LATENCY_get; break;
		case REQUEST_INCR:
		case REQUEST_DECR: command = LATENCY_arithmetic; break;
		case REQUEST_DELETE: command = LATENCY_delete; break;
		case REQUEST_TOUCH:
		case REQUEST_GAT: command = LATENCY_touch; break;
		default: return;
		}
	latency_answer(&sessions->latency, command, call->start_us, now_us);
}

/* Whether there is memory for its reply. What is no value fits the block that was kept. */
static bool call_fits(const struct sessions *sessions, const struct session_call *call)
{
	return call->shard.reply.status != REPLY_HIT ||
	       sessions->blocks->free_count >= sessions->reply_block_count;
}

/* It waits for blocks. Who waits for some himself, with replies behind this one, may be who has
 * them all: nobody waits for that. */
static void session_defer_call(struct session *session, struct session_call *call,
                               const struct worker_time *time)
{
	struct sessions *sessions = session->sessions;

	if (session->wait == WAIT_BLOCKS) {
		session_abort(session);
		return;
	}
	if (session->wait == WAIT_NONE || session->wait == WAIT_CALLS)
		session_deadline_start(session, time);
	call->is_late = true;
	call->next_late = NULL;
	if (sessions->late_calls.first == NULL)
		sessions->late_calls.first = call;
	else
		sessions->late_calls.last->next_late = call;
	sessions->late_calls.last = call;
}

/* As far as they are back, from the first one on. */
static void session_take_answers(struct session *session, const struct worker_time *time)
{
	struct sessions *sessions = session->sessions;
	struct stream *stream = session->stream;
	uint64_t out_bytes = stream->out.length;

	while (session->last_call != 0 && first_call(session)->is_back) {
		if (!call_fits(sessions, first_call(session))) {
			session_defer_call(session, first_call(session), time);
			break;
		}
		session_take_answer(session);
	}
	if (session->is_aborted)
		return;
	counter_add(&sessions->counters.bytes_written, stream->out.length - out_bytes);
	if (session->state != SESSION_ENDED)
		session_note_deadline(session, time);
	if (session->last_call == 0 && session->is_finished) {
		session_close(session);
		return;
	}
	if (stream->out.length > out_bytes)
		session_push(session);
	if (session->last_call == 0 && session->wait == WAIT_CALLS)
		session_go_on(session, time);
}

/* What answered() needs. */
struct answered_context {
	struct sessions *sessions;
	const struct worker_time *time;
};

static void answered(void *context, struct shard_call *shard_call)
{
	struct answered_context *answered = context;
	struct session_call *call = (struct session_call *)shard_call;

	_Static_assert(offsetof(struct session_call, shard) == 0, "the one is the other");
	call->is_back = true;
	record(answered->sessions, call, answered->time->now_us);
	if (call->session == NULL) /* it has gone meanwhile */
		call_end(answered->sessions, call);
	else if (call == first_call(call->session))
		session_take_answers(call->session, answered->time);
}

uint32_t sessions_serve_calls(struct sessions *sessions, const struct worker_time *time)
{
	struct answered_context context = {sessions, time};

	const struct shard_counters *counters = shard_counters(sessions->shard);
	struct latency_counts before = latency_look(counters), after;
	uint32_t count = shard_serve_calls(sessions->shard, time->now_s);

	after = latency_look(counters);
	latency_leave_out(&sessions->latency, &before, &after);
	return count + shard_take_answers(sessions->shard, answered, &context);
}

void sessions_advance_calls(struct sessions *sessions, const struct worker_time *time)
{
	while (sessions->late_calls.first != NULL &&
	       sessions->blocks->free_count >= sessions->reply_block_count) {
		struct session_call *call = sessions->late_calls.first;

		sessions->late_calls.first = call->next_late;
		call->is_late = false;
		if (call->session == NULL) {
			call_end(sessions, call);
			continue;
		}
		session_deadline_clear(call->session);
		session_take_answers(call->session, time);
	}
}
