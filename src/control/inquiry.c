/* SPDX-License-Identifier: Apache-2.0 */
#include "control/inquiry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_BYTES 512

struct inquiry {
	struct exchange *exchange;
	uint32_t worker; /* asked now */
	uint32_t count;
	struct evbuffer *replies;
	void (*done)(struct exchange *exchange, const struct inquired *inquired);
	char command[INQUIRY_COMMAND_BYTES];
};

static void forget(void *data)
{
	struct inquiry *inquiry = data;

	if (inquiry == NULL)
		return;
	if (inquiry->replies != NULL)
		evbuffer_free(inquiry->replies);
	free(inquiry);
}

/* The exchange is the endpoint's again. */
static void finish(struct inquiry *inquiry, const struct inquired *inquired)
{
	struct exchange *exchange = inquiry->exchange;

	exchange->data = NULL;
	exchange->forget = NULL;
	inquiry->done(exchange, inquired);
	forget(inquiry);
}

/* What the worker has replied instead; "": nothing. */
static void give_up(struct inquiry *inquiry, const char *reply)
{
	static const char client_error[] = "CLIENT_ERROR ", server_error[] = "SERVER_ERROR ";
	struct inquired inquired = {.status = HTTP_SERVUNAVAIL};
	char error[ERROR_BYTES];

	inquired.error = error;
	if (strncmp(reply, client_error, strlen(client_error)) == 0) {
		inquired.status = HTTP_BADREQUEST;
		reply += strlen(client_error);
	} else if (strncmp(reply, server_error, strlen(server_error)) == 0) {
		reply += strlen(server_error);
	}
	if (reply[0] == '\0')
		snprintf(error, sizeof(error), "worker %u does not answer: see kanted's log",
		         inquiry->worker);
	else
		snprintf(error, sizeof(error), "%.*s", (int)strcspn(reply, "\r\n"), reply);
	finish(inquiry, &inquired);
}

/* Takes off the last line if it is that. */
static bool cut_line(char *text, const char *line)
{
	size_t length = strlen(text), line_bytes = strlen(line);

	if (length < line_bytes || strcmp(text + length - line_bytes, line) != 0 ||
	    (length > line_bytes && text[length - line_bytes - 1] != '\n'))
		return false;
	text[length - line_bytes] = '\0';
	return true;
}

static void ask_next(struct inquiry *inquiry);

/* Its text, without the last line. NULL: it says something else, which is in `ret_said`. */
static char *read_answer(struct evbuffer *answer, char ret_said[ERROR_BYTES])
{
	size_t length = evbuffer_get_length(answer);
	char *text = calloc(1, length + 1);

	ret_said[0] = '\0';
	if (text == NULL)
		return NULL;
	evbuffer_remove(answer, text, length);
	if (cut_line(text, "END\r\n") || cut_line(text, "OK\r\n"))
		return text;
	snprintf(ret_said, ERROR_BYTES, "%s", text);
	free(text);
	return NULL;
}

static void answered(void *context, bool is_whole, struct evbuffer *answer)
{
	struct inquiry *inquiry = context;
	char said[ERROR_BYTES] = "";
	char *text = is_whole ? read_answer(answer, said) : NULL;

	inquiry->exchange->ask = NULL;
	if (text == NULL || evbuffer_add(inquiry->replies, text, strlen(text)) < 0) {
		give_up(inquiry, said);
	} else {
		inquiry->worker++;
		ask_next(inquiry);
	}
	free(text);
}

static void ask_next(struct inquiry *inquiry)
{
	struct control *control = inquiry->exchange->control;
	int r;

	if (inquiry->worker == inquiry->count) {
		struct inquired inquired = {.status = HTTP_OK};

		evbuffer_add(inquiry->replies, "", 1);
		inquired.replies = (const char *)evbuffer_pullup(inquiry->replies, -1);
		if (inquired.replies == NULL)
			give_up(inquiry, "");
		else
			finish(inquiry, &inquired);
		return;
	}
	r = ask_worker(&inquiry->exchange->ask, control->base, control->link_fd, inquiry->worker,
	               inquiry->command, answered, inquiry);
	if (r < 0)
		give_up(inquiry, "");
}

void inquire(struct exchange *exchange, uint32_t count, const char *command,
             void (*done)(struct exchange *exchange, const struct inquired *inquired))
{
	struct inquiry *inquiry = calloc(1, sizeof(*inquiry));

	if (inquiry != NULL)
		inquiry->replies = evbuffer_new();
	if (inquiry == NULL || inquiry->replies == NULL) {
		forget(inquiry);
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return;
	}
	inquiry->exchange = exchange;
	inquiry->count = count;
	inquiry->done = done;
	snprintf(inquiry->command, sizeof(inquiry->command), "%s\r\n", command);
	exchange->data = inquiry;
	exchange->forget = forget;
	ask_next(inquiry);
}
