/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: who has one, a new one, no more of one. */
#include "cli/commands.h"

#include "cli/expiry.h"
#include "cli/show.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int key_list_command(const struct command_call *call)
{
	static const struct show_column columns[] = {
	    {"ID", "id", SHOW_TEXT},           {"NAME", "name", SHOW_LONG},
	    {"ROLE", "role", SHOW_TEXT},       {"STATE", "state", SHOW_TEXT},
	    {"CREATED", "created", SHOW_TEXT}, {"EXPIRES", "expires", SHOW_TEXT},
	    {"BY", "creator", SHOW_LONG},
	};
	static const struct show_listing listing = {"keys", "API keys", columns, COUNT(columns)};

	return show_listing(call, "/v1/keys", &listing);
}

int key_create_command(const struct command_call *call)
{
	struct client_request request = {.method = "POST", .path = "/v1/keys"};
	struct client_reply reply;
	const char *key;
	uint64_t expires_s;
	int r;

	if (!expiry_read(call, &expires_s))
		return COMMAND_USAGE;
	request.body = json_pack("{s:s, s:s, s:I}", "name", call->arguments[0], "role",
	                         call->arguments[1], "expires", (json_int_t)expires_s);
	if (request.body == NULL) {
		fprintf(stderr, "kante %s: the name is not UTF-8: choose another\n",
		        call->command->name);
		return COMMAND_USAGE;
	}
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	key = json_string_value(json_object_get(reply.json, "key"));
	printf("%s\n", key == NULL ? "" : key);
	fprintf(stderr,
	        "This is the key, and it is shown this once: keep it in a file that only you can "
	        "read,\nand name that by --token-file or KANTE_TOKEN_FILE.\n");
	client_reply_release(&reply);
	return 0;
}

int key_revoke_command(const struct command_call *call)
{
	return show_removal(call, "Revoke the API key", "/v1/keys/", "is revoked");
}
