/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of the node's own CA. */
#include "cli/commands.h"

#include "cli/show.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int cert_list_command(const struct command_call *call)
{
	static const struct show_column columns[] = {
	    {"SERIAL", "serial", SHOW_TEXT},   {"NAME", "name", SHOW_LONG},
	    {"ROLE", "role", SHOW_TEXT},       {"STATE", "state", SHOW_TEXT},
	    {"EXPIRES", "expires", SHOW_TEXT},
	};
	static const struct show_listing listing = {"certificates", "certificates", columns,
	                                            COUNT(columns)};

	return show_listing(call, "/v1/certificates", &listing);
}

/* A file that is to be written, made before the node is asked for what goes into it: so a full disk
 * or a wrong folder costs no certificate, and nothing that is there is lost. */
struct new_file {
	char path[PATH_MAX];
	int fd; /* -1: none */
};

static int complain(const char *path, int error)
{
	fprintf(stderr, "kante cert issue: %s: %s%s\n", path, strerror(error),
	        error == EEXIST ? ": choose another folder by --out, or move it away"
	                        : ": choose another folder by --out");
	return COMMAND_USAGE;
}

static int file_make(struct new_file *file, const char *folder, const char *name,
                     const char *extension)
{
	file->fd = -1;
	if (snprintf(file->path, sizeof(file->path), "%s/%s%s", folder, name, extension) >=
	    (int)sizeof(file->path))
		return complain(folder, ENAMETOOLONG);
	file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return file->fd < 0 ? complain(file->path, errno) : 0;
}

static int file_fill(struct new_file *file, const char *text)
{
	size_t length = strlen(text);

	while (length > 0) {
		ssize_t n = write(file->fd, text, length);

		if (n < 0)
			return complain(file->path, errno);
		text += n;
		length -= (size_t)n;
	}
	return fsync(file->fd) < 0 ? complain(file->path, errno) : 0;
}

static void file_close(struct new_file *file, bool keep)
{
	if (file->fd < 0)
		return;
	close(file->fd);
	if (!keep)
		unlink(file->path);
}

static const char *text_of(const struct client_reply *reply, const char *member)
{
	const char *text = json_string_value(json_object_get(reply->json, member));

	return text == NULL ? "" : text;
}

static int fill_files(struct new_file *certificate, struct new_file *key,
                      const struct client_reply *reply)
{
	int r;

	if (text_of(reply, "key")[0] == '\0' || text_of(reply, "certificate")[0] == '\0') {
		fprintf(
		    stderr,
		    "kante cert issue: the node does not say what is in the certificate and its "
		    "key: take them from there: %s, %s\n",
		    text_of(reply, "certificate_file"), text_of(reply, "key_file"));
		return COMMAND_NO;
	}
	r = file_fill(key, text_of(reply, "key"));

	return r != 0 ? r : file_fill(certificate, text_of(reply, "certificate"));
}

/* *ret_days: 0: it is for the node to say. False: told. */
static bool read_days(const struct command_call *call, json_int_t *ret_days)
{
	const char *text = command_value(call, "days");
	char *end;

	*ret_days = 0;
	if (text == NULL)
		return true;
	errno = 0;
	*ret_days = strtoll(text, &end, 10);
	if (errno == 0 && *end == '\0' && *ret_days > 0)
		return true;
	fprintf(stderr, "kante cert issue: --days %s: not a number of days\n", text);
	return false;
}

int cert_issue_command(const struct command_call *call)
{
	const char *name = call->arguments[0], *folder = command_value(call, "out");
	struct new_file certificate = {.fd = -1}, key = {.fd = -1};
	struct client_request request = {.method = "POST", .path = "/v1/certificates"};
	struct client_reply reply = {0};
	json_int_t days;
	int r;

	if (!read_days(call, &days))
		return COMMAND_USAGE;
	if (strchr(name, '/') != NULL || name[0] == '.' || name[0] == '\0') {
		fprintf(stderr, "kante cert issue: \"%s\": no name for a file: choose another\n",
		        name);
		return COMMAND_USAGE;
	}
	r = file_make(&certificate, folder == NULL ? "." : folder, name, ".crt");
	if (r == 0)
		r = file_make(&key, folder == NULL ? "." : folder, name, ".key");
	if (r != 0)
		goto finish;
	request.body = json_pack("{s:s, s:s}", "name", name, "role", call->arguments[1]);
	if (days > 0)
		json_object_set_new(request.body, "days", json_integer(days));
	r = client_ask_once(call, &request, &reply);
	if (r == 0)
		r = fill_files(&certificate, &key, &reply);
	if (r == 0 && show_wants_json(call))
		r = show_json(&reply);
	else if (r == 0)
		printf("%s\n%s\n", certificate.path, key.path);
	if (r != 0 && reply.json != NULL)
		fprintf(stderr,
		        "kante cert issue: the certificate %s was issued, and is not kept here: "
		        "`kante cert revoke` it, if it is of no use\n",
		        text_of(&reply, "serial"));
finish:
	file_close(&certificate, r == 0);
	file_close(&key, r == 0);
	client_reply_release(&reply);
	return r;
}

int cert_revoke_command(const struct command_call *call)
{
	return show_removal(call, "Revoke the certificate", "/v1/certificates/", "is revoked");
}

int cert_renew_command(const struct command_call *call)
{
	struct client_request request = {
	    .method = "POST", .path = "/v1/certificates/renew-server", .body = json_object()};
	struct client_reply reply;
	int r = show_or_ask(call, &request, &reply);

	if (r >= 0)
		return r;
	puts("the server has a new certificate; open connections go on");
	client_reply_release(&reply);
	return 0;
}
