/* SPDX-License-Identifier: Apache-2.0 */
/* How a client logs in, where it has to: by the first set of the text protocol, whose value is
 * "name password", or by SASL PLAIN. The request is held whole, its password is checked by somebody
 * else (base/login.h), and until the answer is there the client is not read. */
#include "base/assert.h"
#include "proto/credentials.h"
#include "worker/session_internal.h"

bool session_is_stranger(const struct session *session)
{
	return session->sessions->options.login != NULL && !session->is_logged_in;
}

/* The login's value comes next, behind `head` in what is held. */
static void session_begin_login(struct session *session, struct slice head, uint64_t value_bytes)
{
	if (!session_held_replace(session, head)) {
		session_abort(session);
		return;
	}
	session->left_bytes = value_bytes;
	session->state = SESSION_LOGIN;
}

void session_run_stranger(struct session *session, const struct text_request *text)
{
	const struct request *request = &text->request;
	struct refusal refusal = {.reason = REFUSAL_UNAUTHENTICATED};

	if (request->op == REQUEST_QUIT) {
		session_close(session);
		return;
	}
	if (request_has_value(request->op))
		refusal.swallow_bytes = request->value_bytes + 2;
	if (request->op == REQUEST_SET && !text->is_meta) {
		if (refusal.swallow_bytes < BLOCK_CAPACITY) {
			session_begin_login(session, (struct slice){0}, refusal.swallow_bytes);
			return;
		}
		refusal.reason = REFUSAL_LONG_LOGIN;
	}
	session_refuse(session, &refusal);
}

static void session_ask_for_step(struct session *session, const struct binary_echo *echo)
{
	uint8_t *to = chain_reserve(&session->stream->out, BINARY_HEADER_BYTES);

	if (to == NULL) {
		session_abort(session);
		return;
	}
	binary_write_continue(to, echo);
	chain_extend(&session->stream->out, BINARY_HEADER_BYTES);
	session->has_asked = true;
}

void session_run_sasl(struct session *session, const struct binary_request *binary,
                      struct slice head)
{
	const struct request *request = &binary->request;
	struct refusal refusal = {.reason = REFUSAL_LOGIN_FAILED,
	                          .swallow_bytes = request->value_bytes};
	bool is_step = request->op == REQUEST_SASL_STEP;
	bool has_asked = session->has_asked;

	session->has_asked = false;
	if (session->sessions->options.login == NULL) { /* there is nobody to be */
		refusal.reason = REFUSAL_UNKNOWN_COMMAND;
		session_refuse_head(session, &binary->echo, &refusal);
	} else if (request->op == REQUEST_SASL_LIST) {
		session_reply_carrier(session, &binary->echo, SLICE_LITERAL("PLAIN"));
	} else if ((is_step && !has_asked) || !slice_equal(request->key, SLICE_LITERAL("PLAIN")) ||
	           BINARY_HEADER_BYTES + request->value_bytes >= BLOCK_CAPACITY ||
	           (is_step && request->value_bytes == 0)) {
		counter_add(&session->sessions->counters.auth_cmds, 1);
		session_refuse_head(session, &binary->echo, &refusal);
	} else if (request->value_bytes == 0) {
		session_ask_for_step(session, &binary->echo);
	} else {
		head.length = BINARY_HEADER_BYTES;
		session_begin_login(session, head, request->value_bytes);
	}
}

/* Back to where heads are taken; what was held is wiped. */
static void session_end_login(struct session *session)
{
	session_held_drop(session);
	session->state = SESSION_HEAD;
	session_deadline_clear(session);
}

static void session_fail_login(struct session *session, enum refusal_reason reason)
{
	const struct refusal refusal = {.reason = reason};

	if (session->is_binary) {
		struct binary_echo echo = binary_echo_of(session_held(session).data);

		session_end_login(session);
		session_refuse_head(session, &echo, &refusal);
		return;
	}
	session_end_login(session);
	session_refuse(session, &refusal);
}

static void session_welcome(struct session *session)
{
	session->is_logged_in = true;
	if (session->is_binary) {
		struct binary_echo echo = binary_echo_of(session_held(session).data);

		session_end_login(session);
		session_reply_carrier(session, &echo, SLICE_LITERAL("Authenticated"));
		return;
	}
	session_end_login(session);
	session_append(session, SLICE_LITERAL("STORED\r\n"));
}

static bool session_read_credentials(const struct session *session,
                                     struct credentials *ret_credentials)
{
	struct slice held = session_held(session);

	if (session->is_binary) {
		ASSERT(held.length >= BINARY_HEADER_BYTES);
		held.data += BINARY_HEADER_BYTES;
		held.length -= BINARY_HEADER_BYTES;
		return credentials_read_plain(ret_credentials, held);
	}
	ASSERT(held.length >= 2);
	held.length -= 2;
	return credentials_read_text(ret_credentials, held);
}

static bool has_text_end(struct slice value)
{
	return memcmp(value.data + value.length - 2, "\r\n", 2) == 0;
}

uint32_t session_take_login(struct session *session, const uint8_t *bytes, uint32_t length)
{
	uint32_t taken = (uint32_t)min_u64(length, session->left_bytes);
	struct credentials credentials;

	if (taken == session->left_bytes && !session_may_reply(session))
		return 0;
	if (!session_hold(session, bytes, taken))
		return 0;
	session->left_bytes -= taken;
	if (session->left_bytes > 0)
		return taken;
	if (!session->is_binary && !has_text_end(session_held(session))) {
		session_fail_login(session, REFUSAL_BAD_LOGIN_END);
	} else if (session_read_credentials(session, &credentials)) {
		session_wait(session, WAIT_LOGIN);
	} else if (session->is_binary) {
		counter_add(&session->sessions->counters.auth_cmds, 1);
		session_fail_login(session, REFUSAL_LOGIN_FAILED);
	} else {
		session_fail_login(session, REFUSAL_BAD_LOGIN);
	}
	return taken;
}

static void session_answered(struct session *session, bool is_right, const struct worker_time *time)
{
	struct session_counters *counters = &session->sessions->counters;
	struct stream *stream = session->stream;
	uint64_t out_bytes = stream->out.length;

	session_wait_end(session);
	counter_add(&counters->auth_cmds, 1);
	if (is_right)
		session_welcome(session);
	else
		session_fail_login(session, REFUSAL_LOGIN_FAILED);
	if (session->state == SESSION_ENDED)
		return;
	counter_add(&counters->bytes_written, stream->out.length - out_bytes);
	session_note_deadline(session, time);
	if (session->is_finished) {
		session_close(session);
		return;
	}
	session_push(session);
	stream->ops->resume(stream);
}

/* False: the others have to wait for answers. */
static bool session_ask(struct session *session)
{
	struct sessions *sessions = session->sessions;
	struct credentials credentials;
	uint32_t ticket;

	if (sessions->free_tickets == 0)
		return false;
	ticket = (uint32_t)__builtin_ctzll(sessions->free_tickets);
	ASSERT(session_read_credentials(session, &credentials));
	if (!login_ask(sessions->options.login, ticket, credentials.name, credentials.password))
		return false;
	session_wait_end(session);
	session->wait = WAIT_ANSWER;
	session->ticket = ticket;
	sessions->logins[ticket] = session;
	sessions->free_tickets &= ~(1ull << ticket);
	return true;
}

_Static_assert(LOGIN_WAITING_MAX == 64, "a bit a ticket");

void sessions_advance_logins(struct sessions *sessions, const struct worker_time *time)
{
	uint64_t ticket;
	bool is_right;

	while (login_answer(sessions->options.login, &ticket, &is_right)) {
		struct session *session = sessions->logins[ticket];

		sessions->free_tickets |= 1ull << ticket;
		if (session != NULL) /* otherwise it has gone meanwhile */
			session_answered(session, is_right, time);
	}
	while (sessions->logging_in.first != NULL && session_ask(sessions->logging_in.first))
		;
}
