/* SPDX-License-Identifier: Apache-2.0 */
/* The block list: who is on it, who is put there, who is taken off it. */
#include "cli/commands.h"

#include "cli/expiry.h"
#include "cli/show.h"
#include "net/blocked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int block_list_command(const struct command_call *call)
{
	static const struct show_column columns[] = {
	    {"PREFIX", "prefix", SHOW_TEXT}, {"EXPIRES", "expires", SHOW_TEXT},
	    {"SINCE", "created", SHOW_TEXT}, {"BY", "by", SHOW_LONG},
	    {"REASON", "reason", SHOW_LONG},
	};
	static const struct show_listing listing = {"blocks", "blocked prefixes", columns,
	                                            COUNT(columns)};

	return show_listing(call, "/v1/blocks", &listing);
}

static int complain(const char *what)
{
	fprintf(stderr, "kante block add: %s\n", what);
	return COMMAND_USAGE;
}

/* 0; else the exit status. */
static int add_prefix(json_t *prefixes, const char *text)
{
	if (json_array_size(prefixes) == BLOCKED_COUNT_MAX) {
		fprintf(stderr,
		        "kante block add: more than the %d prefixes that a node can block: block "
		        "wider ones\n",
		        BLOCKED_COUNT_MAX);
		return COMMAND_USAGE;
	}
	return json_array_append_new(prefixes, json_string(text)) == 0
	           ? 0
	           : complain("a prefix is not UTF-8: write 198.18.0.0/24, fd00::/64 or "
	                      "198.18.0.2");
}

/* One a line; a comment ends it. */
static int add_lines(json_t *prefixes)
{
	char *line = NULL;
	size_t allocated = 0;
	int r = 0;

	while (r == 0 && getline(&line, &allocated, stdin) >= 0) {
		char *text = line + strspn(line, " \t"), *end;

		text[strcspn(text, "#\r\n")] = '\0';
		end = text + strlen(text);
		while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = '\0';
		if (*text != '\0')
			r = add_prefix(prefixes, text);
	}
	if (r == 0 && ferror(stdin)) {
		fprintf(stderr, "kante block add: standard input: %s\n", strerror(errno));
		r = COMMAND_USAGE;
	}
	free(line);
	return r;
}

/* 0; else the exit status. */
static int gather(const struct command_call *call, json_t *prefixes)
{
	int r = prefixes == NULL ? show_no_memory() : 0;

	for (uint32_t i = 0; i < call->argument_count && r == 0; i++)
		r = strcmp(call->arguments[i], "-") == 0 ? add_lines(prefixes)
		                                         : add_prefix(prefixes, call->arguments[i]);
	if (r == 0 && json_array_size(prefixes) == 0)
		r = complain("no prefix is on standard input: write one a line");
	return r;
}

int block_add_command(const struct command_call *call)
{
	struct client_request request = {.method = "POST", .path = "/v1/blocks"};
	const char *reason = command_value(call, "reason");
	json_t *prefixes;
	struct client_reply reply;
	uint64_t expires_s;
	int r;

	if (!expiry_read(call, &expires_s))
		return COMMAND_USAGE;
	prefixes = json_array();
	r = gather(call, prefixes);
	if (r != 0) {
		json_decref(prefixes);
		return r;
	}
	request.body = json_pack("{s:o, s:I, s:s}", "prefixes", prefixes, "expires",
	                         (json_int_t)expires_s, "reason", reason == NULL ? "" : reason);
	if (request.body == NULL)
		return complain("the reason is not UTF-8: choose another");
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	printf("blocked: %lld more, %lld were already\n",
	       json_integer_value(json_object_get(reply.json, "added")),
	       json_integer_value(json_object_get(reply.json, "changed")));
	client_reply_release(&reply);
	return 0;
}

int block_remove_command(const struct command_call *call)
{
	return show_removal(call, "Unblock", "/v1/blocks/", "is not blocked any more");
}
