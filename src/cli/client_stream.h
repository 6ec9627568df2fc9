/* SPDX-License-Identifier: Apache-2.0 */
/* A node's reply without an end, line by line, until it ends or somebody presses Ctrl-C. Owner: the
 * command that runs. */
#pragma once

#include "cli/client.h"

/* A line, without its newline, with a NUL behind it; NULL: the reply has begun. Nonzero ends it:
 * the exit status. */
typedef int client_line_fn(void *context, const char *line);

/* 0: it was Ctrl-C, or SIGTERM; else the exit status. SIGINT and SIGTERM stay blocked. */
int client_stream(struct client *client, const char *path, client_line_fn *take, void *context);
