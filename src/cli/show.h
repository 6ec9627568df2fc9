/* SPDX-License-Identifier: Apache-2.0 */
/* What a node has said, shown: as it came for programs, as a table for people. Owner: none, it goes
 * to standard output. */
#pragma once

#include "cli/client.h"
#include "cli/table.h"

enum show_as {
	SHOW_TEXT,
	SHOW_LONG, /* text that is cut where the terminal is narrow */
	SHOW_COUNT,
	SHOW_SIZE,
	SHOW_SECONDS,
	SHOW_EFFECT, /* "live", "restart": when a change counts */
	SHOW_EACH,   /* of show_object(): a list, and a line for each of it */
};

struct show_column {
	const char *heading;
	const char *member; /* of each object */
	enum show_as as;
};

#define SHOW_COLUMN_COUNT_MAX 16

/* Whether --json was given. */
bool show_wants_json(const struct command_call *call);

/* Tells of it. Returns the exit status. */
int show_no_memory(void);

/* As it came; on a terminal sorted and indented. 0; else the exit status. */
int show_json(const struct client_reply *reply);

/* Likewise, when something was taken out of reply->json. */
int show_json_changed(struct client_reply *reply);

/* A value as a cell shows it. To be free()d; NULL: no memory. */
char *show_value(const json_t *value, enum show_as as);

/* Prints it, as wide as the terminal is, and destroys it. 0; else the exit status. */
int show_table(struct table *table);

/* A list of objects, a row each. `empty`: what there is none of: "API keys". */
int show_list(const json_t *list, const struct show_column *columns, uint32_t count,
              const char *empty);

/* One object, a line for each of its members. */
int show_object(const json_t *object, const struct show_column *lines, uint32_t count);

struct show_listing {
	const char *member; /* of the reply: the list */
	const char *empty;
	const struct show_column *columns;
	uint32_t column_count;
};

/* A whole command: gets the path, and shows the list in the reply. Returns the exit status. */
int show_listing(const struct command_call *call, const char *path,
                 const struct show_listing *listing);

/* Likewise: asks, and shows the reply if that is wanted, or nothing. A reply that is not shown is
 * the caller's: *ret_reply, to be released. -1: there is one; else the exit status. */
int show_or_ask(const struct command_call *call, const struct client_request *request,
                struct client_reply *ret_reply);

/* Asks for a change, and says of the first argument what became of it: "is revoked". Returns the
 * exit status. */
int show_change(const struct command_call *call, const struct client_request *request,
                const char *done);

/* Deletes what the first argument names in that folder; asks before, unless --yes was given:
 * "Revoke the API key". Returns the exit status. */
int show_removal(const struct command_call *call, const char *question, const char *folder,
                 const char *done);
