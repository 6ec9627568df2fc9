/* SPDX-License-Identifier: Apache-2.0 */
/* A node's reply that goes on, piece by piece, until it ends or somebody presses Ctrl-C. Owner: the
 * command that runs. */
#pragma once

#include "cli/client.h"

struct client_stream_request {
	const char *path;
	json_t *body; /* taken; NULL: there is none, and it is a GET */
	/* How long the piece is that these bytes, some or none of its, begin with; 0: more of them
	 * are needed to know; SIZE_MAX: it is none. */
	size_t (*measure)(const char *bytes, size_t length);
	/* A whole piece, to be changed at will; NULL: the reply has begun. Nonzero ends it: the
	 * exit status. */
	int (*take)(void *context, char *piece, size_t length);
	void *context;
	bool may_end;  /* by itself */
	bool is_shown; /* each piece, of up to PIPE_BUF bytes then, is written to standard output
	                * at once: who reads that may have stopped, and Ctrl-C counts then, too */
};

/* 0: it was Ctrl-C, or SIGTERM, or its own end if it may end; else the exit status. SIGINT and
 * SIGTERM stay blocked. */
int client_stream(struct client *client, const struct client_stream_request *request);

/* A piece is a line, with its newline. */
size_t client_stream_measure_line(const char *bytes, size_t length);
