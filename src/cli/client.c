/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "cli/client_internal.h"
#include "cli/human.h"
#include "cli/terminal.h"
#include "config/config.h"
#include "control/private_file.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_S       30
#define TIMEOUT_QUICK_S 5
#define TIMEOUT_SLOW_S  600 /* a report about millions of lines */
#define TOKEN_BYTES_MAX 8192
#define REPLY_BYTES_MAX (64 * 1024 * 1024)
#define FAULT_BYTES     512

/* What has come, in memory that is wiped: it may be a secret. */
struct buffer {
	char *text;
	size_t length;
	size_t allocated;
};

static void wipe(char *text, size_t length)
{
	if (text != NULL)
		explicit_bzero(text, length);
	free(text);
}

static size_t take(char *data, size_t one, size_t length, void *context)
{
	struct buffer *buffer = context;

	if (buffer->length + length + 1 > REPLY_BYTES_MAX)
		return 0;
	if (buffer->length + length + 1 > buffer->allocated) {
		size_t allocated = 2 * (buffer->length + length + 1);
		char *text = malloc(allocated);

		if (text == NULL)
			return 0;
		if (buffer->length > 0)
			memcpy(text, buffer->text, buffer->length);
		wipe(buffer->text, buffer->length);
		buffer->text = text;
		buffer->allocated = allocated;
	}
	memcpy(buffer->text + buffer->length, data, length);
	buffer->length += length;
	buffer->text[buffer->length] = '\0';
	return length;
}

uint64_t client_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int show_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                         curl_off_t up)
{
	struct client *client = context;
	uint64_t s = (client_now_us() - client->began_us) / 1000000;
	char bytes[HUMAN_BYTES];

	if (s == client->shown_s)
		return 0;
	client->shown_s = s;
	human_size(bytes, (uint64_t)down);
	fprintf(stderr, "\r\033[Kwaiting for the node: %us%s%s", (unsigned)s, down > 0 ? ", " : "",
	        down > 0 ? bytes : "");
	fflush(stderr);
	return 0;
}

/* Which node. */

/* `parsed` is given, to be filled. */
static int check_url(struct client *client, CURLU *parsed)
{
	const struct config_parameter *port = config_table_find(&config_admin_fields, "port");
	char *path = NULL, *given_port = NULL, *user = NULL, number[16];
	bool has_more;

	if (curl_url_set(parsed, CURLUPART_URL, client->node, 0) != CURLUE_OK)
		return client_tell(client, COMMAND_USAGE,
		                   "\"%s\" is no node: write https://HOST[:PORT], or the path of "
		                   "its admin socket",
		                   client->node);
	curl_url_get(parsed, CURLUPART_PATH, &path, 0);
	has_more = (path != NULL && strcmp(path, "/") != 0) ||
	           curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK ||
	           strchr(client->node, '?') != NULL || strchr(client->node, '#') != NULL;
	curl_free(path);
	curl_free(user);
	if (has_more)
		return client_tell(client, COMMAND_USAGE,
		                   "\"%s\" says more than which node: write https://HOST[:PORT]; "
		                   "who asks is said by --cert and --key, or --token-file",
		                   client->node);
	if (curl_url_get(parsed, CURLUPART_PORT, &given_port, 0) == CURLUE_NO_PORT) {
		snprintf(number, sizeof(number), "%u", (unsigned)port->default_value);
		curl_url_set(parsed, CURLUPART_PORT, number, 0);
	}
	curl_free(given_port);
	return curl_url_get(parsed, CURLUPART_URL, &client->base, 0) == CURLUE_OK
	           ? 0
	           : client_tell(client, COMMAND_USAGE, "not enough memory");
}

static int use_url(struct client *client)
{
	CURLU *parsed;
	int r;

	if (strncasecmp(client->node, "https://", 8) != 0)
		return client_tell(client, COMMAND_USAGE,
		                   "\"%s\" is no node: write https://HOST[:PORT], or the path of "
		                   "its admin socket",
		                   client->node);
	parsed = curl_url();
	if (parsed == NULL)
		return client_tell(client, COMMAND_USAGE, "not enough memory");
	r = check_url(client, parsed);
	curl_url_cleanup(parsed);
	if (r == 0 && client->base[strlen(client->base) - 1] == '/')
		client->base[strlen(client->base) - 1] = '\0';
	return r;
}

static int use_socket(struct client *client)
{
	if (strlen(client->node) >= ADMIN_SOCKET_BYTES)
		return client_tell(client, COMMAND_USAGE,
		                   "%s: too long for the path of a socket: check --node",
		                   client->node);
	client->is_local = true;
	client->base = strdup("http://node");
	if (client->base == NULL)
		return client_tell(client, COMMAND_USAGE, "not enough memory");
	curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, client->node);
	curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
	return 0;
}

static int choose_node(struct client *client)
{
	client->node = command_value(client->call, "node");
	if (client->node == NULL)
		client->node = config_table_find(&config_admin_fields, "socket")->default_text;
	/* neither a URL nor a path has no slash */
	if (strstr(client->node, "://") != NULL || strchr(client->node, '/') == NULL)
		return use_url(client);
	return use_socket(client);
}

/* Who asks. */

static int add_token(struct client *client, const char *path)
{
	char fault[FAULT_BYTES], *text = NULL;
	struct faults faults;
	size_t bytes = 0, length;
	int r;

	faults_create(&faults, path, fault, sizeof(fault));
	r = private_file_read(&text, &bytes, path, TOKEN_BYTES_MAX, true, &faults);
	if (r == -ENOENT)
		faults_add(&faults, 0, "", "there is no such file: check --token-file");
	if (r < 0)
		return client_tell(client, COMMAND_USAGE, "%s", fault);
	length = strcspn(text, " \t\r\n");
	if (length == 0 || strspn(text + length, " \t\r\n") != bytes - length) {
		r = client_tell(client, COMMAND_USAGE,
		                "%s: neither an API key nor a token: one is a single word", path);
	} else {
		text[length] = '\0';
		curl_easy_setopt(client->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		if (curl_easy_setopt(client->curl, CURLOPT_XOAUTH2_BEARER, text) != CURLE_OK)
			r = client_tell(client, COMMAND_USAGE, "not enough memory");
	}
	private_file_release(text, bytes);
	return r;
}

/* A file that an option names, for curl. */
static int set_file(struct client *client, CURLoption option, const char *name)
{
	const char *path = command_value(client->call, name);

	if (path == NULL)
		return 0;
	if (access(path, R_OK) < 0)
		return client_tell(client, COMMAND_USAGE, "%s: %s: check --%s", path,
		                   strerror(errno), name);
	curl_easy_setopt(client->curl, option, path);
	return 0;
}

static int set_credentials(struct client *client)
{
	const char *token_path = command_value(client->call, "token-file");
	int r = 0;

	if (command_value(client->call, "key") != NULL &&
	    command_value(client->call, "cert") == NULL)
		return client_tell(client, COMMAND_USAGE,
		                   "--key without its --cert: give both, or neither");
	if (command_value(client->call, "ca") != NULL)
		curl_easy_setopt(client->curl, CURLOPT_CAPATH, NULL);
	if (!client->is_local)
		r = set_file(client, CURLOPT_CAINFO, "ca");
	if (r == 0 && !client->is_local)
		r = set_file(client, CURLOPT_SSLCERT, "cert");
	if (r == 0 && !client->is_local)
		r = set_file(client, CURLOPT_SSLKEY, "key");
	if (r == 0 && token_path != NULL)
		r = add_token(client, token_path);
	return r;
}

static int set_habits(struct client *client)
{
	const char *timeout = command_value(client->call, "timeout");
	CURL *curl = client->curl;

	if (timeout != NULL && (!human_parse_duration(&client->timeout_s, timeout) ||
	                        client->timeout_s == 0 || client->timeout_s > 86400))
		return client_tell(client, COMMAND_USAGE,
		                   "--timeout %s: not a time up to a day: write 5s or 2min",
		                   timeout);
	client->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (client->headers == NULL)
		return client_tell(client, COMMAND_USAGE, "not enough memory");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "kante/" KANTE_VERSION);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, client->is_local ? "http" : "https");
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a user may be called ".." */
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	if (isatty(STDERR_FILENO)) {
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, show_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	}
	return 0;
}

int client_create(struct client **ret_client, const struct command_call *call)
{
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (client == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(client);
		fputs("kante: not enough memory\n", stderr);
		return COMMAND_USAGE;
	}
	client->call = call;
	client->curl = curl_easy_init();
	r = client->curl == NULL ? client_tell(client, COMMAND_USAGE, "not enough memory")
	                         : choose_node(client);
	if (r == 0)
		r = set_credentials(client);
	if (r == 0)
		r = set_habits(client);
	if (r == 0)
		*ret_client = client;
	else
		client_destroy(client);
	return r;
}

void client_destroy(struct client *client)
{
	if (client == NULL)
		return;
	curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->headers);
	curl_free(client->base);
	free(client);
}

/* Asking. */

void client_set_path(struct client *client, const char *path)
{
	char url[CLIENT_PATH_BYTES + 512];
	CURL *curl = client->curl;

	snprintf(url, sizeof(url), "%s%s", client->base, path);
	client->role = client->call->command->role;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
}

/* False: no memory. *ret_text: of the body, to be wiped. */
static bool prepare(struct client *client, const struct client_request *request, char **ret_text)
{
	uint64_t timeout_s = client->timeout_s > 0 ? client->timeout_s
	                     : request->is_slow    ? TIMEOUT_SLOW_S
	                     : request->is_quick   ? TIMEOUT_QUICK_S
	                                           : TIMEOUT_S;
	CURL *curl = client->curl;

	client_set_path(client, request->path);
	if (request->role != ROLE_none)
		client->role = request->role;
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	*ret_text = NULL;
	if (request->body == NULL)
		return true;
	*ret_text = json_dumps(request->body, JSON_COMPACT);
	json_decref(request->body);
	if (*ret_text == NULL)
		return false;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, *ret_text);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(*ret_text));
	return true;
}

static int read_reply(struct client *client, const struct client_request *request,
                      struct buffer *buffer, struct client_reply *ret_reply)
{
	long status = 0;

	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status >= 300)
		return client_explain_refusal(client, status,
		                              buffer->text == NULL ? "" : buffer->text);
	ret_reply->json = NULL;
	if (!request->wants_text) {
		ret_reply->json =
		    buffer->text == NULL ? NULL : json_loadb(buffer->text, buffer->length, 0, NULL);
		if (!json_is_object(ret_reply->json)) {
			json_decref(ret_reply->json);
			return client_tell(client, COMMAND_NO_NODE,
			                   "%s answers, but not as a Kante node does: check --node",
			                   client->node);
		}
	}
	if (buffer->text == NULL)
		take(NULL, 1, 0, buffer);
	if (buffer->text == NULL)
		return client_tell(client, COMMAND_USAGE, "not enough memory");
	ret_reply->text = buffer->text;
	ret_reply->length = buffer->length;
	*buffer = (struct buffer){0};
	return 0;
}

int client_ask(struct client *client, const struct client_request *request,
               struct client_reply *ret_reply)
{
	struct buffer buffer = {0};
	char *text;
	CURLcode code;
	int r;

	client->began_us = client_now_us();
	client->shown_s = 0;
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &buffer);
	code =
	    prepare(client, request, &text) ? curl_easy_perform(client->curl) : CURLE_OUT_OF_MEMORY;
	if (client->shown_s > 0)
		fputs("\r\033[K", stderr);
	r = code == CURLE_OK ? read_reply(client, request, &buffer, ret_reply)
	                     : client_explain(client, code);
	wipe(text, text == NULL ? 0 : strlen(text));
	wipe(buffer.text, buffer.length);
	return r;
}

int client_ask_once(const struct command_call *call, const struct client_request *request,
                    struct client_reply *ret_reply)
{
	struct client *client;
	int r = client_create(&client, call);

	if (r != 0) {
		json_decref(request->body);
		return r;
	}
	r = client_ask(client, request, ret_reply);
	client_destroy(client);
	return r;
}

const char *client_node(const struct client *client)
{
	return client->node;
}

static int ask_whether_over(void *context, curl_off_t down_total, curl_off_t down,
                            curl_off_t up_total, curl_off_t up)
{
	struct client *client = context;

	return client->is_over != NULL && client->is_over();
}

void client_be_quiet(struct client *client, char *ret_complaint, size_t complaint_bytes,
                     bool (*is_over)(void))
{
	client->complaint = ret_complaint;
	client->complaint_bytes = complaint_bytes;
	client->is_over = is_over;
	curl_easy_setopt(client->curl, CURLOPT_XFERINFOFUNCTION, ask_whether_over);
	curl_easy_setopt(client->curl, CURLOPT_XFERINFODATA, client);
	curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 0L);
}

void client_reply_release(struct client_reply *reply)
{
	json_decref(reply->json);
	wipe(reply->text, reply->length);
	*reply = (struct client_reply){0};
}

/* Paths. */

static void append_escaped(char path[CLIENT_PATH_BYTES], const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                            "0123456789-._~";
	size_t used = strlen(path);

	for (; *text != '\0' && used + 4 <= CLIENT_PATH_BYTES; text++)
		used += (size_t)sprintf(path + used, strchr(plain, *text) != NULL ? "%c" : "%%%02X",
		                        (unsigned char)*text);
}

void client_path(char ret_path[CLIENT_PATH_BYTES], const char *folder, const char *name)
{
	snprintf(ret_path, CLIENT_PATH_BYTES, "%s", folder);
	append_escaped(ret_path, name);
}

void client_path_query(char path[CLIENT_PATH_BYTES], const char *name, const char *value)
{
	size_t used = strlen(path);

	if (value == NULL)
		return;
	snprintf(path + used, CLIENT_PATH_BYTES - used,
	         "%c%s=", strchr(path, '?') == NULL ? '?' : '&', name);
	append_escaped(path, value);
}
