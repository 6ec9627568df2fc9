/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that are not taken any more, and the users that clients log in as. */
#include "cli/commands.h"

#include "cli/human.h"
#include "cli/show.h"
#include "cli/terminal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define PASSWORD_BYTES 256

int token_list_command(const struct command_call *call)
{
	static const struct show_column columns[] = {
	    {"ID", "jti", SHOW_TEXT},
	    {"REVOKED", "revoked", SHOW_TEXT},
	    {"EXPIRES", "expires", SHOW_TEXT},
	};
	static const struct show_listing listing = {"revoked", "revoked tokens", columns,
	                                            COUNT(columns)};

	return show_listing(call, "/v1/tokens/revoked", &listing);
}

int token_revoke_command(const struct command_call *call)
{
	struct client_request request = {.method = "POST", .path = "/v1/tokens/revoked"};
	const char *expires = command_value(call, "expires");
	uint64_t expires_us = 0;

	if (expires != NULL && !human_parse_time(&expires_us, expires)) {
		fprintf(stderr,
		        "kante token revoke: --expires %s: no time: write 2027-01-31 or "
		        "2027-01-31T12:00:00Z\n",
		        expires);
		return COMMAND_USAGE;
	}
	if (command_value(call, "yes") == NULL &&
	    !terminal_confirm("Revoke the token %s", call->arguments[0]))
		return COMMAND_NO;
	request.body = json_pack("{s:s}", "id", call->arguments[0]);
	if (expires_us > 0)
		json_object_set_new(request.body, "expires",
		                    json_integer((json_int_t)(expires_us / 1000000)));
	return show_change(call, &request, "is revoked");
}

int user_list_command(const struct command_call *call)
{
	static const struct show_column columns[] = {{"NAME", "name", SHOW_TEXT}};
	static const struct show_listing listing = {"users", "users", columns, COUNT(columns)};

	return show_listing(call, "/v1/users", &listing);
}

/* From the terminal twice. 0; else the exit status. */
static int read_password(char ret_password[PASSWORD_BYTES])
{
	char again[PASSWORD_BYTES];
	int r = terminal_read_secret(ret_password, PASSWORD_BYTES, "Password: ");
	const char *wrong = NULL;

	if (r == 0 && isatty(STDIN_FILENO)) {
		r = terminal_read_secret(again, sizeof(again), "Once more: ");
		if (r == 0 && strcmp(ret_password, again) != 0)
			wrong = "the two are not the same";
		explicit_bzero(again, sizeof(again));
	}
	if (r == -ECANCELED)
		return COMMAND_NO;
	if (r == -E2BIG)
		wrong = "the password is longer than 255 bytes";
	else if (r == -EINVAL)
		wrong = "the password has a NUL in it";
	else if (r < 0 || ret_password[0] == '\0')
		wrong = "there is no password: write one line to standard input";
	if (wrong == NULL)
		return 0;
	fprintf(stderr, "kante user set: %s\n", wrong);
	return COMMAND_USAGE;
}

int user_set_command(const struct command_call *call)
{
	struct client_request request = {.method = "PUT"};
	char path[CLIENT_PATH_BYTES], password[PASSWORD_BYTES];
	int r = read_password(password);

	if (r == 0) {
		client_path(path, "/v1/users/", call->arguments[0]);
		request.path = path;
		request.body = json_pack("{s:s}", "password", password);
		if (request.body == NULL) {
			fputs("kante user set: the password is not UTF-8: choose another\n",
			      stderr);
			r = COMMAND_USAGE;
		}
	}
	explicit_bzero(password, sizeof(password));
	return r != 0 ? r : show_change(call, &request, "may log in with that password");
}

int user_remove_command(const struct command_call *call)
{
	return show_removal(call, "Remove the user", "/v1/users/", "is removed");
}
