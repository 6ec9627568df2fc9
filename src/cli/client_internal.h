/* SPDX-License-Identifier: Apache-2.0 */
/* What the client's files share. */
#pragma once

#include "cli/client.h"

#include <curl/curl.h>

struct client {
	const struct command_call *call;
	CURL *curl;
	struct curl_slist *headers;
	bool is_local;      /* by the Unix socket */
	const char *node;   /* as it was given: the path, or the URL */
	char *base;         /* of all URLs: "https://node:11280" */
	uint64_t timeout_s; /* 0: it was not given */
	char error[CURL_ERROR_SIZE];
	enum role role;  /* that is needed */
	char *complaint; /* instead of stderr; NULL */
	size_t complaint_bytes;
	bool (*is_over)(void);
	uint64_t began_us, shown_s; /* of the progress */
};

/* "kante key list: …", on stderr. Returns the status. */
int client_tell(const struct client *client, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Of the clock that never steps. */
uint64_t client_now_us(void);

/* What is asked for: a GET, until it is said otherwise. */
void client_set_path(struct client *client, const char *path);

/* Says why there was no answer. Returns the exit status. */
int client_explain(struct client *client, CURLcode code);

/* Says what a node that has answered does not like. Returns the exit status. */
int client_explain_refusal(struct client *client, long status, const char *text);
