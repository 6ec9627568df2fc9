/* SPDX-License-Identifier: Apache-2.0 */
/* The application behind the streams: it does and it tells what the scenario says. */
#include "rig.h"

static const char *const told_names[TOLD_COUNT] = {
    [TOLD_OPENED] = "opened",   [TOLD_RECEIVED] = "received", [TOLD_FINISHED] = "finished",
    [TOLD_DRAINED] = "drained", [TOLD_CLOSED] = "closed",
};

void content_add(struct content *content, const void *data, size_t length)
{
	if (length == 0)
		return;
	if (content->length + length > content->capacity) {
		content->capacity = 2 * (content->length + length);
		content->data = realloc(content->data, content->capacity);
		ASSERT(content->data != NULL);
	}
	memcpy(content->data + content->length, data, length);
	content->length += length;
}

/* Counts what the application is told, and does what it was to do then. */
static void tell(struct rig *rig, struct client *client, enum told told)
{
	struct words *words = client->on[told];

	client->told[told]++;
	if (words == NULL)
		return;
	client->on[told] = NULL;
	user_run(rig, client, words, 0);
	free(words);
}

static bool opened(void *context, struct stream *stream)
{
	struct rig *rig = context;
	struct client *client = rig->speaker;
	struct words *words;

	ASSERT(client != NULL);
	if (client->stream != NULL)
		rig_fail(rig, "a second stream was opened for one connection");
	words = client->on[TOLD_OPENED];
	if (words != NULL && words->count == 1 && strcmp(words->word[0], "reject") == 0) {
		client->on[TOLD_OPENED] = NULL;
		client->told[TOLD_OPENED]++;
		free(words);
		return false;
	}
	client->stream = stream;
	stream->user = client;
	tell(rig, client, TOLD_OPENED);
	return true;
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	struct rig *rig = context;
	struct client *client = stream->user;
	uint32_t taken = (uint32_t)min_u64(length, client->accept_bytes);

	if (client->told[TOLD_FINISHED] > 0)
		rig_fail(rig, "bytes came after the last one");
	content_add(&client->received, bytes, taken);
	if (client->accept_bytes != UINT64_MAX)
		client->accept_bytes -= taken;
	if (taken > 0)
		tell(rig, client, TOLD_RECEIVED);
	return taken;
}

static void finished(void *context, struct stream *stream)
{
	struct client *client = stream->user;

	if (client->told[TOLD_FINISHED] > 0)
		rig_fail(context, "the application was told twice that the client is done");
	tell(context, client, TOLD_FINISHED);
}

static void drained(void *context, struct stream *stream)
{
	tell(context, stream->user, TOLD_DRAINED);
}

static void closed(void *context, struct stream *stream)
{
	struct client *client = stream->user;

	client->stream = NULL;
	tell(context, client, TOLD_CLOSED);
}

const struct stream_user rig_stream_user = {
    .opened = opened,
    .received = received,
    .finished = finished,
    .drained = drained,
    .closed = closed,
};

static void reply(struct rig *rig, struct client *client, const char *word, size_t length)
{
	size_t start = client->replied.length;
	char error[ERROR_MAX];
	int64_t count;

	if (word[0] == '"') {
		content_add(&client->replied, word + 1, length - 1);
	} else if (integer_parse(&count, word, error) && count > 0) {
		for (int64_t i = 0; i < count; i++) {
			uint8_t byte = rig_server_byte(client->replied.length);

			content_add(&client->replied, &byte, 1);
		}
	} else {
		rig_fail(rig, "reply wants a number of bytes, or \"text\"");
		return;
	}
	if (!chain_append(&client->stream->out, client->replied.data + start,
	                  client->replied.length - start))
		rig_fail(rig, "there are no blocks for the reply");
	client->stream->ops->push(client->stream);
}

/* The bytes that have come since the scenario asked last. */
static void expect_received(struct rig *rig, struct client *client, const char *word, size_t length)
{
	size_t start = client->received_asked;
	size_t count = client->received.length - start;
	char error[ERROR_MAX];
	int64_t wanted;

	client->received_asked = client->received.length;
	if (word[0] == '"') {
		if (count != length - 1 ||
		    memcmp(client->received.data + start, word + 1, count) != 0)
			rig_fail(rig, "the application got %zu other bytes: \"%.*s\"", count,
			         (int)min_u64(count, 64), client->received.data + start);
		return;
	}
	if (!integer_parse(&wanted, word, error)) {
		rig_fail(rig, "received wants a number of bytes, or \"text\"");
		return;
	}
	if ((size_t)wanted != count) {
		rig_fail(rig, "the application got %zu bytes", count);
		return;
	}
	for (size_t i = start; i < start + count; i++) {
		if (client->received.data[i] == rig_client_byte(i))
			continue;
		rig_fail(rig, "the application got a wrong byte at offset %zu", i);
		return;
	}
}

static void expect_told(struct rig *rig, struct client *client, const char *name, bool negated)
{
	for (int told = 0; told < TOLD_COUNT; told++) {
		if (strcmp(name, told_names[told]) != 0)
			continue;
		if (!negated && client->told[told] == 0)
			rig_fail(rig, "the application was not told that the stream %s", name);
		else if (negated && client->told[told] > 0)
			rig_fail(rig, "the application was told that the stream %s", name);
		else if (told != TOLD_FINISHED)
			client->told[told] = 0;
		else /* it is remembered: nothing may come after it */
			client->finished_asked = !negated;
		return;
	}
	rig_fail(rig, "'%s' is nothing that an application is told", name);
}

/* What takes no number; false: no such command. */
static bool run_plain(struct rig *rig, struct client *client, const char *name)
{
	struct stream *stream = client->stream;

	if (strcmp(name, "close") == 0 || strcmp(name, "abort") == 0 ||
	    strcmp(name, "resume") == 0) {
		if (stream == NULL) {
			rig_fail(rig, "there is no stream to %s", name);
		} else if (name[0] == 'c') {
			stream->ops->close(stream);
		} else if (name[0] == 'a') {
			stream->ops->abort(stream);
		} else {
			client->accept_bytes = UINT64_MAX;
			stream->ops->resume(stream);
		}
	} else if (strcmp(name, "refuse") == 0) {
		client->accept_bytes = 0;
	} else {
		for (int told = 0; told < TOLD_COUNT; told++) {
			if (told == TOLD_RECEIVED || strcmp(name, told_names[told]) != 0)
				continue;
			expect_told(rig, client, name, false);
			return true;
		}
		return false;
	}
	return true;
}

static void run_with_value(struct rig *rig, struct client *client, const char *name,
                           const char *value, size_t length)
{
	char error[ERROR_MAX];
	int64_t number = 0;

	if (strcmp(name, "not") == 0) {
		expect_told(rig, client, value, true);
	} else if (strcmp(name, "received") == 0) {
		expect_received(rig, client, value, length);
	} else if (strcmp(name, "reply") == 0) {
		if (client->stream == NULL)
			rig_fail(rig, "there is no stream to reply to");
		else
			reply(rig, client, value, length);
	} else if (!integer_parse(&number, value, error)) {
		rig_fail(rig, "%s: %s", name, error);
	} else if (strcmp(name, "accept") == 0) {
		client->accept_bytes = (uint64_t)number;
	} else if (strcmp(name, "take") == 0) {
		client->accept_bytes = (uint64_t)number;
		if (client->stream == NULL)
			rig_fail(rig, "there is no stream to take from");
		else
			client->stream->ops->resume(client->stream);
	} else if (strcmp(name, "out") == 0) {
		uint64_t out = client->stream == NULL ? 0 : client->stream->out.length;

		if (out != (uint64_t)number)
			rig_fail(rig, "%llu bytes wait in out", (unsigned long long)out);
	} else {
		rig_fail(rig, "'%s' is no command for the application", name);
	}
}

/* "on EVENT COMMANDS": kept for then. */
static void run_on(struct rig *rig, struct client *client, const struct words *words, int i)
{
	for (int told = 0; told < TOLD_COUNT && words->word[i] != NULL; told++) {
		struct words *kept;

		if (strcmp(words->word[i], told_names[told]) != 0)
			continue;
		kept = calloc(1, sizeof(*kept));
		ASSERT(kept != NULL);
		memcpy(kept->bytes, words->bytes, sizeof(kept->bytes));
		for (int k = i + 1; k < words->count; k++) {
			kept->word[kept->count] = kept->bytes + (words->word[k] - words->bytes);
			kept->length[kept->count++] = words->length[k];
		}
		free(client->on[told]);
		client->on[told] = kept;
		return;
	}
	rig_fail(rig, "on wants what the application is told, and commands");
}

void user_run(struct rig *rig, struct client *client, const struct words *words, int first)
{
	for (int i = first; i < words->count && rig->error[0] == 0;) {
		if (strcmp(words->word[i], "on") == 0) {
			run_on(rig, client, words, i + 1);
			return;
		}
		if (run_plain(rig, client, words->word[i])) {
			i++;
		} else if (i + 1 < words->count) {
			run_with_value(rig, client, words->word[i], words->word[i + 1],
			               words->length[i + 1]);
			i += 2;
		} else {
			rig_fail(rig, "'%s' is no command for the application", words->word[i]);
		}
	}
}

void user_check_silence(struct rig *rig)
{
	for (uint32_t i = 0; i < RIG_CLIENT_COUNT; i++) {
		struct client *client = &rig->clients[i];
		char letter = (char)('a' + i);

		if (client->received.length != client->received_asked)
			rig_fail(rig, "%c: the application got %zu bytes that nobody asked for",
			         letter, client->received.length - client->received_asked);
		if (client->told[TOLD_FINISHED] > 0 && !client->finished_asked)
			rig_fail(rig, "%c: the client finished, and nobody asked", letter);
		if (client->told[TOLD_CLOSED] > 0)
			rig_fail(rig, "%c: the stream closed, and nobody asked", letter);
	}
}
