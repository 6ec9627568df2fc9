/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that tell of all items: lru_crawler metadump and mgdump, stats cachedump. They are made
 * step by step, as fast as the client reads and with the others served in between. */
#include "proto/base64.h"
#include "proto/line.h"
#include "proto/number.h"
#include "proto/uri.h"
#include "worker/session_internal.h"
#include "worker/survey.h"

#define STEPS_A_TURN 16 /* of at most 256 places of the index, or one item, each */
#define LOOKS_A_STEP 8  /* of a survey, which sends nothing meanwhile */

/* A key with each byte as %XX, and all that stands around it. */
#define LINE_BYTES_MAX_DUMP (URI_BYTES_MAX(KEY_BYTES_MAX) + 256)

/* A key that came by the binary protocol can have bytes that a line of text cannot. */
static bool is_word(struct slice key)
{
	return !line_has_control(key) && memchr(key.data, ' ', key.length) == NULL;
}

static uint8_t *write_metadump(uint8_t *to, const struct reply *reply, uint64_t unix_time_s)
{
	to = uri_write(line_write(to, "key="), reply->key);
	to = line_write(to, " exp=");
	if (reply->ttl_s == TTL_NEVER)
		to = line_write(to, "-1");
	else
		to = number_write(to, unix_time_s + (uint64_t)reply->ttl_s);
	to = number_write(line_write(to, " la="), unix_time_s - reply->idle_s);
	to = number_write(line_write(to, " cas="), reply->cas_unique);
	to = line_write(to, reply->marks & REPLY_FETCHED ? " fetch=yes" : " fetch=no");
	to = number_write(line_write(to, " cls=1 size="), reply->item_bytes);
	to = number_write(line_write(to, " flags="), reply->client_flags);
	return line_write(to, "\n");
}

static uint8_t *write_mgdump(uint8_t *to, const struct reply *reply)
{
	to = line_write(to, "mg ");
	if ((reply->marks & REPLY_KEY_IS_BINARY) || !is_word(reply->key)) {
		to = base64_write(to, reply->key);
		return line_write(to, " b\r\n");
	}
	memcpy(to, reply->key.data, reply->key.length);
	return line_write(to + reply->key.length, "\r\n");
}

static uint8_t *write_cachedump(uint8_t *to, const struct reply *reply, uint64_t unix_time_s)
{
	to = line_write(to, "ITEM ");
	if (is_word(reply->key)) {
		memcpy(to, reply->key.data, reply->key.length);
		to += reply->key.length;
	} else {
		to = uri_write(to, reply->key);
	}
	to = number_write(line_write(to, " ["), reply->value_bytes);
	to = line_write(to, " b; ");
	to = number_write(to, reply->ttl_s == TTL_NEVER ? 0 : unix_time_s + (uint64_t)reply->ttl_s);
	return line_write(to, " s]\r\n");
}

static bool append_item(struct session *session, const struct reply *reply, uint64_t unix_time_s)
{
	struct chain *out = &session->stream->out;
	uint8_t *to = chain_reserve(out, LINE_BYTES_MAX_DUMP);
	uint8_t *end = to;

	if (to == NULL)
		return false;
	switch (session->dump->form) {
	case DUMP_METADUMP: end = write_metadump(to, reply, unix_time_s); break;
	case DUMP_MGDUMP: end = write_mgdump(to, reply); break;
	case DUMP_CACHEDUMP: end = write_cachedump(to, reply, unix_time_s); break;
	case DUMP_SURVEY: ASSERT(!"it tells of no item"); break;
	}
	chain_extend(out, (uint32_t)(end - to));
	return true;
}

void session_dump_end(struct session *session)
{
	session->dump->session = NULL;
	session->dump = NULL;
	session->state = SESSION_HEAD;
}

static void session_finish_dump(struct session *session)
{
	struct slice end =
	    session->dump->form == DUMP_MGDUMP ? SLICE_LITERAL("EN\r\n") : SLICE_LITERAL("END\r\n");

	session_dump_end(session);
	session_append(session, end);
	if (session->state == SESSION_ENDED)
		return;
	if (session->is_finished)
		session_close(session);
	else
		session->stream->ops->resume(session->stream);
}

/* A survey that has seen all of them. False: no blocks. */
static bool append_survey_line(struct session *session, bool *ret_more)
{
	struct chain *out = &session->stream->out;
	uint8_t *to = chain_reserve(out, SURVEY_LINE_BYTES_MAX);
	uint8_t *end = to == NULL ? NULL : survey_tell(session->sessions->survey, to);

	*ret_more = end != NULL;
	chain_extend(out, end == NULL ? 0 : (uint32_t)(end - to));
	return to != NULL;
}

static bool session_step_survey(struct session *session, const struct worker_time *time)
{
	struct sessions *sessions = session->sessions;
	struct session_dump *dump = session->dump;
	struct reply reply;
	bool has_more;

	for (uint32_t i = 0; dump->left_count > 0 && i < LOOKS_A_STEP; i++) {
		if (!shard_walk(sessions->shard, &dump->cursor, time->now_s, &reply)) {
			dump->left_count = 0;
			survey_finish(sessions->survey);
		} else if (reply.status != REPLY_MISS) {
			survey_add(sessions->survey, &reply);
		}
	}
	if (dump->left_count > 0)
		return true;
	if (!append_survey_line(session, &has_more))
		session_abort(session);
	else if (!has_more)
		session_finish_dump(session);
	else
		return true;
	return false;
}

/* One step. False: the dump is over, or has to wait. */
static bool session_step(struct session *session, const struct worker_time *time)
{
	struct shard *shard = session->sessions->shard;
	struct session_dump *dump = session->dump;
	struct reply reply;

	if (!session_may_reply(session))
		return false;
	if (dump->form == DUMP_SURVEY)
		return session_step_survey(session, time);
	if (dump->left_count == 0 || !shard_walk(shard, &dump->cursor, time->now_s, &reply)) {
		session_finish_dump(session);
		return false;
	}
	if (reply.status == REPLY_MISS)
		return true;
	dump->left_count--;
	if (append_item(session, &reply, shard_unix_time_s(shard, time->now_s)))
		return true;
	session_abort(session);
	return false;
}

void session_go_on_dumping(struct session *session, const struct worker_time *time)
{
	uint32_t steps = 0;

	while (steps < STEPS_A_TURN && session_step(session, time))
		steps++;
	if (steps == STEPS_A_TURN)
		session_wait(session, WAIT_TURN);
}

/* NULL: there is none, or there is a survey under way already. */
static struct session_dump *find_free(struct sessions *sessions, enum dump_form form)
{
	struct session_dump *found = NULL;

	for (uint32_t i = 0; i < SESSION_DUMP_COUNT; i++) {
		struct session_dump *dump = &sessions->dumps[i];

		if (dump->session == NULL)
			found = dump;
		else if (form == DUMP_SURVEY && dump->form == DUMP_SURVEY)
			return NULL;
	}
	return found;
}

void session_begin_dump(struct session *session, const struct request *request,
                        const struct worker_time *time)
{
	struct session_dump *dump = find_free(session->sessions, request->dump);

	if (dump == NULL) {
		session_append(session,
		               SLICE_LITERAL("BUSY currently processing crawler request\r\n"));
		return;
	}
	*dump = (struct session_dump){
	    .session = session, .form = request->dump, .left_count = request->delta};
	if (dump->form == DUMP_SURVEY)
		survey_begin(session->sessions->survey);
	session->dump = dump;
	session->state = SESSION_DUMP;
	session_go_on_dumping(session, time);
}
