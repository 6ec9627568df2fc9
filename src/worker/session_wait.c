/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions hold and what they wait for: the line so far, blocks, line buffers, and the
 * client's reading of what was sent. */
#include "worker/session_internal.h"
#include "worker/survey.h"

#include "proto/line.h"

/* Blocks that any reply but a value takes at most, and a value's head and tail. */
#define REPLY_BLOCK_COUNT 8

/* The shard appends large values by reference, in pieces of at least this. */
#define VALUE_PIECE_BYTES 65536

struct session_line_buffer {
	struct session_line_buffer *next;
	uint8_t bytes[LINE_GET_BYTES_MAX];
};

size_t sessions_bytes(const struct sessions_options *options)
{
	return memory_rounded(sizeof(struct session_line_buffer)) * options->line_buffer_count +
	       memory_rounded(sizeof(struct survey)) +
	       slab_bytes(sizeof(struct session_write),
	                  options->session_count_max + options->call_count) +
	       slab_bytes(sizeof(struct session_call), options->call_count);
}

static void line_buffer_drop(struct sessions *sessions, struct session_line_buffer *buffer)
{
	buffer->next = sessions->free_line_buffers;
	sessions->free_line_buffers = buffer;
	sessions->free_line_buffer_count++;
}

void sessions_create(struct sessions *sessions, const struct sessions_options *options,
                     struct shard *shard, struct block_pool *blocks, struct stats *stats,
                     struct memory *memory)
{
	*sessions = (struct sessions){
	    .options = *options,
	    .shard = shard,
	    .lookahead = {.shard = shard},
	    .blocks = blocks,
	    .stats = stats,
	    /* A pool that is small against the values goes on serving small ones. */
	    .reply_block_count =
	        min_u32(REPLY_BLOCK_COUNT + options->value_bytes_max / VALUE_PIECE_BYTES,
	                blocks->block_count / 4),
	};
	ASSERT(sessions->reply_block_count > 0);
	for (uint32_t i = 0; i < options->line_buffer_count; i++)
		line_buffer_drop(sessions, memory_take(memory, sizeof(struct session_line_buffer)));
	slab_create(&sessions->writes, sizeof(struct session_write),
	            options->session_count_max + options->call_count, memory);
	slab_create(&sessions->free_calls, sizeof(struct session_call), options->call_count,
	            memory);
	sessions->survey = memory_take(memory, sizeof(*sessions->survey));
	sessions->calls = (struct session_call *)sessions->free_calls.fresh;
	sessions->free_call_count = options->call_count;
	ASSERT(options->call_count < UINT16_MAX);
	sessions->free_tickets = UINT64_MAX;
	sessions->observer = (struct shard_observer){watch_observe, sessions};
}

static void list_append(struct session_list *list, struct session *session)
{
	session->next = NULL;
	session->previous = list->last;
	if (list->last == NULL)
		list->first = session;
	else
		list->last->next = session;
	list->last = session;
}

static void list_remove(struct session_list *list, struct session *session)
{
	if (session->previous == NULL)
		list->first = session->next;
	else
		session->previous->next = session->next;
	if (session->next == NULL)
		list->last = session->previous;
	else
		session->next->previous = session->previous;
}

void session_deadline_clear(struct session *session)
{
	if (session->deadline_start_us == 0)
		return;
	list_remove(&session->sessions->deadlines, session);
	session->deadline_start_us = 0;
}

void session_deadline_start(struct session *session, const struct worker_time *time)
{
	session_deadline_clear(session);
	session->deadline_start_us = time->now_us;
	list_append(&session->sessions->deadlines, session);
}

uint64_t sessions_next_us(const struct sessions *sessions)
{
	const struct session *first = sessions->deadlines.first;

	if (first == NULL)
		return UINT64_MAX;
	return first->deadline_start_us + sessions->options.request_timeout_us + 1;
}

void session_wait(struct session *session, enum session_wait wait)
{
	struct sessions *sessions = session->sessions;

	ASSERT_SLOW(session->wait == WAIT_NONE);
	session->wait = (uint8_t)wait;
	session_give_up_promise(session); /* that is not what is wanting any more */
	if (wait == WAIT_OUTPUT) {
		counter_add(&sessions->counters.waits_output, 1);
		return;
	}
	session_deadline_clear(session); /* that it waits is our doing */
	switch (wait) {
	case WAIT_CALLS: counter_add(&sessions->counters.waits_calls, 1); return;
	case WAIT_CALL: counter_add(&sessions->counters.waits_calls, 1); break;
	case WAIT_BLOCKS: counter_add(&sessions->counters.waits_blocks, 1); break;
	case WAIT_LINE_BUFFER: counter_add(&sessions->counters.waits_line_buffers, 1); break;
	case WAIT_LOGIN: counter_add(&sessions->counters.waits_login, 1); break;
	default: sessions->turn_wait_count++; break;
	}
	list_append(wait == WAIT_LOGIN ? &sessions->logging_in : &sessions->waiting, session);
}

void session_wait_end(struct session *session)
{
	struct sessions *sessions = session->sessions;

	switch ((enum session_wait)session->wait) {
	case WAIT_NONE:
	case WAIT_CALLS:
	case WAIT_OUTPUT: break;
	case WAIT_TURN: sessions->turn_wait_count--; __attribute__((fallthrough));
	case WAIT_BLOCKS:
	case WAIT_CALL:
	case WAIT_LINE_BUFFER: list_remove(&sessions->waiting, session); break;
	case WAIT_LOGIN: list_remove(&sessions->logging_in, session); break;
	case WAIT_ANSWER: sessions->logins[session->ticket] = NULL; break;
	}
	session->wait = WAIT_NONE;
}

/* A line is held only when this many blocks are free: those who hold leave the others room for
 * replies. */
static uint32_t hold_block_count(const struct sessions *sessions)
{
	return 2 * sessions->reply_block_count;
}

static void sessions_advance_waiting(struct sessions *sessions, const struct worker_time *time)
{
	struct session *session = sessions->waiting.first;
	const struct session *last = sessions->waiting.last;
	uint32_t block_count = sessions->blocks->free_count;
	uint32_t line_buffer_count = sessions->free_line_buffer_count;

	/* As many as there is memory for: to wake them all would only have them wait again. And
	 * each once: it may be at the list's end again. */
	while (session != NULL && block_count >= hold_block_count(sessions)) {
		struct session *next = session == last ? NULL : session->next;

		if (!(session->wait == WAIT_LINE_BUFFER && line_buffer_count == 0) &&
		    !(session->wait == WAIT_CALL && sessions->free_call_count == 0)) {
			block_count -= sessions->reply_block_count;
			if (session->wait == WAIT_LINE_BUFFER)
				line_buffer_count--;
			if (session->wait == WAIT_CALL) {
				session->is_promised = true;
				sessions->free_call_count--;
			}
			session_go_on(session, time);
		}
		session = next;
	}
}

void sessions_advance(struct sessions *sessions, const struct worker_time *time)
{
	if (sessions->options.login != NULL)
		sessions_advance_logins(sessions, time);
	sessions_advance_calls(sessions, time);
	sessions_advance_waiting(sessions, time);
}

bool session_may_reply(struct session *session)
{
	uint64_t output_bytes_max = session->sessions->options.output_bytes_max;

	if (session->stream->out.length >= output_bytes_max) {
		session_wait(session, WAIT_OUTPUT);
		return false;
	}
	if (session_out(session)->length >= output_bytes_max) {
		session_wait(session, WAIT_CALLS);
		return false;
	}
	if (session->sessions->blocks->free_count < session->sessions->reply_block_count) {
		session_wait(session, WAIT_BLOCKS);
		return false;
	}
	return true;
}

static uint8_t *held_data(const struct session *session)
{
	if (session->held_is_large)
		return ((struct session_line_buffer *)session->held)->bytes;
	return ((struct block *)session->held)->bytes;
}

struct slice session_held(const struct session *session)
{
	if (session->held == NULL)
		return (struct slice){0};
	return (struct slice){held_data(session), session->held_bytes};
}

void session_held_drop(struct session *session)
{
	struct sessions *sessions = session->sessions;

	if (session->held == NULL)
		return;
	if (session->state == SESSION_LOGIN)
		explicit_bzero(held_data(session), session->held_bytes); /* a password */
	if (session->held_is_large)
		line_buffer_drop(sessions, session->held);
	else
		block_drop(sessions->blocks, session->held);
	session->held = NULL;
	session->held_bytes = 0;
	session->held_is_large = false;
}

bool session_held_replace(struct session *session, struct slice bytes)
{
	ASSERT(!session->held_is_large && bytes.length < BLOCK_CAPACITY);
	if (session->held == NULL)
		session->held = block_take(session->sessions->blocks);
	if (session->held == NULL)
		return false;
	if (bytes.length > 0)
		memmove(held_data(session), bytes.data, bytes.length);
	session->held_bytes = (uint32_t)bytes.length;
	return true;
}

/* Makes the held line a large one. False: there is no buffer, the session waits. */
static bool held_enlarge(struct session *session)
{
	struct sessions *sessions = session->sessions;
	struct session_line_buffer *buffer = sessions->free_line_buffers;
	uint32_t held_bytes = session->held_bytes;

	if (buffer == NULL) {
		session_wait(session, WAIT_LINE_BUFFER);
		return false;
	}
	sessions->free_line_buffers = buffer->next;
	sessions->free_line_buffer_count--;
	if (held_bytes > 0)
		memcpy(buffer->bytes, held_data(session), held_bytes);
	session_held_drop(session);
	session->held = buffer;
	session->held_bytes = held_bytes;
	session->held_is_large = true;
	return true;
}

bool session_hold(struct session *session, const uint8_t *bytes, uint32_t length)
{
	struct sessions *sessions = session->sessions;

	if (session->held_bytes + length > LINE_BYTES_MAX && !session->held_is_large &&
	    !held_enlarge(session))
		return false;
	if (session->held == NULL) {
		if (sessions->blocks->free_count < hold_block_count(sessions)) {
			session_wait(session, WAIT_BLOCKS);
			return false;
		}
		session->held = block_take(sessions->blocks);
	}
	memcpy(held_data(session) + session->held_bytes, bytes, length);
	session->held_bytes += length;
	return true;
}
