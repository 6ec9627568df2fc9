/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_stream.h"

#include "cli/client_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PIECE_BYTES_MAX (66u * 1024)
#define BEGIN_TIMEOUT_S 30
#define KEEPALIVE_S     20 /* a node whose machine is gone says nothing more */
#define POLL_MS         1000
#define OVER            (-1) /* Ctrl-C */

/* What has come and was not told yet: libcurl has SIGPIPE ignored where it calls us, so pieces are
 * written when it has returned, and a closed pipe ends the process as it does any other. */
struct stream {
	struct client *client;
	const struct client_stream_request *request;
	CURLM *multi;
	int signal_fd; /* Ctrl-C */
	char *text;
	size_t length, allocated;
	bool has_begun;
};

static size_t take_bytes(char *data, size_t one, size_t length, void *context)
{
	struct stream *stream = context;

	if (stream->length + length + 1 > stream->allocated) {
		size_t allocated = 2 * (stream->length + length + 1);
		char *text = realloc(stream->text, allocated);

		if (text == NULL)
			return 0;
		stream->text = text;
		stream->allocated = allocated;
	}
	memcpy(stream->text + stream->length, data, length);
	stream->length += length;
	stream->text[stream->length] = '\0';
	return length;
}

static long status_of(const struct stream *stream)
{
	long status = 0;

	curl_easy_getinfo(stream->client->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* Waits until standard output takes a piece. False: it was Ctrl-C. */
static bool wait_for_output(const struct stream *stream)
{
	struct pollfd fds[] = {{.fd = STDOUT_FILENO, .events = POLLOUT},
	                       {.fd = stream->signal_fd, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return fds[1].revents == 0;
}

/* 0; OVER; else the exit status. */
static int tell(const struct stream *stream, char *piece, size_t length)
{
	const struct client_stream_request *request = stream->request;
	int r;

	if (request->is_shown && !wait_for_output(stream))
		return OVER;
	r = request->take(request->context, piece, length);
	/* command_run() says why */
	return request->is_shown && fflush(stdout) != 0 && r == 0 ? COMMAND_USAGE : r;
}

/* Tells all whole pieces; what is left of one waits. As tell(). */
static int tell_pieces(struct stream *stream)
{
	const struct client_stream_request *request = stream->request;
	size_t used = 0, length = 0;
	int r = 0;

	if (status_of(stream) != 200)
		return 0;
	if (!stream->has_begun)
		r = tell(stream, NULL, 0);
	stream->has_begun = true;
	while (r == 0 && used < stream->length) {
		length = request->measure(stream->text + used, stream->length - used);
		if (length == 0 || length > stream->length - used)
			break;
		r = tell(stream, stream->text + used, length);
		used += length;
	}
	if (used > 0)
		memmove(stream->text, stream->text + used, stream->length - used);
	stream->length -= used;
	if (r == 0 && stream->length > 0 &&
	    (length > PIECE_BYTES_MAX || stream->length > PIECE_BYTES_MAX))
		r = client_tell(stream->client, COMMAND_NO_NODE,
		                "%s answers, but not as a Kante node does: check --node",
		                stream->client->node);
	if (fflush(stdout) != 0 && r == 0)
		r = COMMAND_USAGE; /* command_run() says why */
	return r;
}

static int explain_end(struct stream *stream, CURLcode code)
{
	struct client *client = stream->client;
	long status = status_of(stream);

	if (code == CURLE_WRITE_ERROR)
		return client_tell(client, COMMAND_USAGE, "not enough memory");
	if (stream->has_begun && stream->request->may_end && code == CURLE_OK)
		return 0;
	if (stream->has_begun)
		return client_tell(client, COMMAND_NO_NODE,
		                   "%s: the node has ended it: see whether kanted runs, and its "
		                   "log",
		                   client->node);
	if (code != CURLE_OK)
		return client_explain(client, code);
	return client_explain_refusal(client, status, stream->text == NULL ? "" : stream->text);
}

/* Whether it has ended: *ret_code is why. */
static bool has_ended(const struct stream *stream, CURLcode *ret_code)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(stream->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		*ret_code = message->data.result;
		return true;
	}
	return false;
}

/* As tell(). */
static int follow(struct stream *stream)
{
	uint64_t timeout_s =
	    stream->client->timeout_s > 0 ? stream->client->timeout_s : BEGIN_TIMEOUT_S;
	uint64_t deadline_us = client_now_us() + timeout_s * 1000000;
	struct curl_waitfd ended = {.fd = stream->signal_fd, .events = CURL_WAIT_POLLIN};
	int running, r;
	CURLcode code;

	for (;;) {
		if (curl_multi_perform(stream->multi, &running) != CURLM_OK)
			return client_tell(stream->client, COMMAND_USAGE, "not enough memory");
		r = tell_pieces(stream);
		if (r != 0)
			return r;
		if (has_ended(stream, &code))
			return explain_end(stream, code);
		if (!stream->has_begun && client_now_us() > deadline_us)
			return client_explain(stream->client, CURLE_OPERATION_TIMEDOUT);
		ended.revents = 0;
		curl_multi_poll(stream->multi, &ended, 1, POLL_MS, NULL);
		if (ended.revents != 0)
			return OVER;
	}
}

/* -1: there is none. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -1 : signalfd(-1, &set, SFD_CLOEXEC);
}

/* False: no memory. */
static bool set_body(CURL *curl, json_t *body)
{
	char *text;
	bool good;

	if (body == NULL)
		return true;
	text = json_dumps(body, JSON_COMPACT);
	good = text != NULL;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, -1L);
	good = good && curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, text) == CURLE_OK;
	free(text);
	json_decref(body);
	return good;
}

int client_stream(struct client *client, const struct client_stream_request *request)
{
	struct stream stream = {.client = client,
	                        .request = request,
	                        .multi = curl_multi_init(),
	                        .signal_fd = open_signals()};
	CURL *curl = client->curl;
	int r;

	client_set_path(client, request->path);
	if (!set_body(curl, request->body) || stream.multi == NULL || stream.signal_fd < 0) {
		r = client_tell(client, COMMAND_USAGE, "not enough memory");
		goto end;
	}
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 0L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &stream);
	curl_multi_add_handle(stream.multi, curl);
	r = follow(&stream);
	curl_multi_remove_handle(stream.multi, curl);
end:
	if (stream.signal_fd >= 0)
		close(stream.signal_fd);
	curl_multi_cleanup(stream.multi);
	free(stream.text);
	return r == OVER ? 0 : r;
}

size_t client_stream_measure_line(const char *bytes, size_t length)
{
	const char *end = memchr(bytes, '\n', length);

	return end == NULL ? 0 : (size_t)(end - bytes) + 1;
}
