/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a node's admin API, by its Unix socket or HTTPS, as the options say that every such command
 * has (command_node_options). What goes wrong is told on stderr, with what to do. While an answer
 * takes more than a second, a line on a terminal says so. Owner: the command that runs. */
#pragma once

#include "cli/command.h"

#include <jansson.h>

struct client;

struct client_request {
	const char *method;
	const char *path; /* with its query */
	json_t *body;     /* taken; NULL: there is none */
	enum role role;   /* that it needs, if that is not what the command needs; none: it is */
	bool is_slow;     /* it may take minutes */
	bool is_quick;    /* else something is wrong: it is not waited for as long as usual */
	bool wants_text;  /* the reply need not be JSON */
};

struct client_reply {
	char *text; /* as it came, with a NUL behind its end */
	size_t length;
	json_t *json; /* an object; NULL: text was wanted */
};

/* 0; else the exit status. */
int client_create(struct client **ret_client, const struct command_call *call);
void client_destroy(struct client *client); /* takes NULL */

/* Several requests go over one connection. 0; else the exit status. */
int client_ask(struct client *client, const struct client_request *request,
               struct client_reply *ret_reply);

/* The same for a command that asks but once. */
int client_ask_once(const struct command_call *call, const struct client_request *request,
                    struct client_reply *ret_reply);

/* The path of its socket, or its URL, as it was given. */
const char *client_node(const struct client *client);

/* For a command that has the whole terminal: what goes wrong is written to ret_complaint and not to
 * stderr, no progress is shown, and client_ask() returns -1 when is_over() says while it waits that
 * the answer is not wanted any more; NULL: it always is. */
void client_be_quiet(struct client *client, char *ret_complaint, size_t complaint_bytes,
                     bool (*is_over)(void));

void client_reply_release(struct client_reply *reply); /* wipes its text */

#define CLIENT_PATH_BYTES 4096

/* "/v1/keys/" and a name, in which what has a meaning in a path is escaped. What is too long for
 * any node is cut. */
void client_path(char ret_path[CLIENT_PATH_BYTES], const char *folder, const char *name);

/* Adds "?name=value", or "&name=value" behind another. value: NULL: nothing is added. */
void client_path_query(char path[CLIENT_PATH_BYTES], const char *name, const char *value);
