/* SPDX-License-Identifier: Apache-2.0 */
/* The application behind the streams, and what it may be told. */
#include "sequence.h"

#define SHIFT_MAX      14 /* RFC 7323 2.3 */
#define REFERENCES_MAX 4  /* beyond, the network card gets copies */

bool sequence_retain(void *context, void *reference)
{
	struct peer *peer = reference;

	if (peer->connection.references >= REFERENCES_MAX)
		return false;
	peer->connection.references++;
	return true;
}

void sequence_release(void *context, void *reference)
{
	struct peer *peer = reference;

	if (peer->connection.references == 0)
		FUZZ_FAIL("a reference was released twice");
	peer->connection.references--;
}

void application_reply(struct peer *peer, uint32_t bytes, bool by_reference)
{
	struct connection *connection = &peer->connection;
	const uint8_t *from =
	    peer->world->contents.from_server + CONTENT_HEAD + connection->replied;
	struct stream *stream = connection->stream;

	if (stream == NULL || connection->closing || connection->aborted)
		return;
	bytes = min_u32(bytes, TALK_BYTES_MAX - connection->replied);
	if (bytes == 0)
		return;
	if (by_reference) {
		if (!chain_append_reference(&stream->out, from, bytes, peer))
			return;
		connection->references++;
	} else if (!chain_append(&stream->out, from, bytes)) {
		return;
	}
	connection->replied += bytes;
	stream->ops->push(stream);
}

void application_close(struct peer *peer)
{
	struct connection *connection = &peer->connection;

	if (connection->stream == NULL || connection->aborted)
		return;
	connection->closing = true;
	connection->stream->ops->close(connection->stream);
}

void application_abort(struct peer *peer)
{
	struct connection *connection = &peer->connection;

	if (connection->stream == NULL)
		return;
	connection->aborted = true;
	connection->stream->ops->abort(connection->stream);
}

void application_resume(struct peer *peer, uint64_t accept_bytes)
{
	struct connection *connection = &peer->connection;

	connection->accept_bytes = accept_bytes;
	if (connection->stream != NULL)
		connection->stream->ops->resume(connection->stream);
}

/* Which SYN-ACK the peer has answered; NULL: none that is remembered. */
static const struct hello *hello_find(const struct peer *peer, uint32_t iss)
{
	uint32_t count = min_u32(peer->hello_count, HELLO_COUNT_MAX);

	for (uint32_t i = 1; i <= count; i++) {
		const struct hello *hello =
		    &peer->hellos[(peer->hello_count - i) % HELLO_COUNT_MAX];

		if (hello->iss == iss)
			return hello;
	}
	return NULL;
}

static bool opened(void *context, struct stream *stream)
{
	struct world *world = context;
	struct peer *peer = world->speaker;
	struct connection *connection;
	const struct segment *said;
	const struct hello *hello;

	if (peer == NULL)
		FUZZ_FAIL("a stream was opened while nobody spoke");
	connection = &peer->connection;
	if (connection->stream != NULL)
		FUZZ_FAIL("a second stream was opened for one connection");
	hello = hello_find(peer, world->speaking->segment.ack - 1);
	if (hello == NULL)
		FUZZ_FAIL("a stream was opened without a handshake");
	if (world->rejects)
		return false;
	said = &world->speaking->segment;
	memset(peer->marks, 0, connection->marked_end);
	*connection = (struct connection){
	    .hello = *hello,
	    .stream = stream,
	    .known = true,
	    .edge = hello->edge,
	    .ts_last = hello->ts_value,
	    .ts_last_us = hello->time_us,
	    .lied = world->speaking->is_lie,
	    .accept_bytes = UINT64_MAX,
	    .references = connection->references,
	};
	if (said->raw_option_bytes > 0 || said->has_ts != hello->ts ||
	    (hello->ts && said->ts_echo != hello->ts_value)) {
		connection->hello.is_guess = true;
		connection->hello.peer_shift = SHIFT_MAX;
		connection->lied = true;
	}
	stream->user = peer;
	peer_note(peer, world->speaking);
	return true;
}

static void check_open(const struct peer *peer, const struct stream *stream, const char *what)
{
	if (peer->connection.stream != stream)
		FUZZ_FAIL("%s was called for a stream that is closed", what);
}

static void check_content(const struct peer *peer, const uint8_t *bytes, uint32_t length)
{
	const struct connection *connection = &peer->connection;
	const uint8_t *right = peer->world->contents.from_peer + CONTENT_HEAD;

	if (connection->delivered + length > STREAM_BYTES_MAX)
		FUZZ_FAIL("more was delivered than was ever sent");
	for (uint32_t i = 0; i < length; i++) {
		uint32_t at = connection->delivered + i;
		uint8_t differs = bytes[i] ^ right[at];
		uint8_t wanted = differs == 0 ? MARK_TRUE : MARK_FALSE;

		if ((differs != 0 && differs != FALSE_XOR) || !(peer->marks[at] & wanted))
			FUZZ_FAIL("byte %u was delivered as none that was sent there in time", at);
	}
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	struct peer *peer = stream->user;
	struct connection *connection = &peer->connection;
	uint32_t taken = (uint32_t)min_u64(length, connection->accept_bytes);

	check_open(peer, stream, "received()");
	if (length == 0)
		FUZZ_FAIL("no bytes were delivered");
	if (connection->closing || connection->aborted || connection->finished)
		FUZZ_FAIL("bytes were delivered after the end");
	check_content(peer, bytes, length);
	connection->delivered += taken;
	if (connection->accept_bytes != UINT64_MAX)
		connection->accept_bytes -= taken;
	if (taken > 0 && connection->echo_bytes > 0)
		application_reply(peer, connection->echo_bytes, false);
	if (connection->in_callback_abort)
		application_abort(peer);
	else if (connection->in_callback_close)
		application_close(peer);
	return taken;
}

static void finished(void *context, struct stream *stream)
{
	struct peer *peer = stream->user;
	struct connection *connection = &peer->connection;

	check_open(peer, stream, "finished()");
	if (connection->finished || connection->closing || connection->aborted)
		FUZZ_FAIL("finished() was called twice, or after the end");
	if (connection->delivered >= STREAM_BYTES_MAX ||
	    !(peer->marks[connection->delivered] & MARK_FIN))
		FUZZ_FAIL("the peer's stream has no end at %u", connection->delivered);
	connection->finished = true;
	if (connection->in_callback_close)
		application_close(peer);
}

static void drained(void *context, struct stream *stream)
{
	check_open(stream->user, stream, "drained()");
}

static void closed(void *context, struct stream *stream)
{
	struct peer *peer = stream->user;

	check_open(peer, stream, "closed()");
	peer->connection.stream = NULL;
}

const struct stream_user sequence_user = {
    .opened = opened,
    .received = received,
    .finished = finished,
    .drained = drained,
    .closed = closed,
};
