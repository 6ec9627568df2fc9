/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over a port, as a pcapng file: it is whole at the end of each packet. */
#include "cli/commands.h"

#include "cli/client_stream.h"
#include "cli/show.h"
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Blocks of pcapng, and options of the last one (control/pcapng.c). */
#define BLOCK_PACKET      6u
#define BLOCK_STATISTICS  5u
#define BLOCK_BYTES_MIN   12u
#define STATISTICS_MISSED 5u
#define STATISTICS_BEHIND 7u

struct capture_file {
	const struct command_call *call;
	const char *path; /* "-": standard output */
	FILE *to;         /* NULL: it has not begun */
	uint64_t packet_count;
	uint64_t missed_count, behind_count; /* as the node says at its end */
};

static int tell(const struct command_call *call, const char *path, const char *what)
{
	fprintf(stderr, "kante %s: %s: %s\n", call->command->name, path, what);
	return COMMAND_USAGE;
}

static uint32_t word_at(const char *bytes)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* A node is of this machine's order of bytes, or another kind of node. */
static size_t measure_block(const char *bytes, size_t length)
{
	size_t block;

	if (length < BLOCK_BYTES_MIN)
		return 0;
	block = word_at(bytes + 4);
	return block < BLOCK_BYTES_MIN || block % 4 != 0 ? SIZE_MAX : block;
}

static void read_statistics(struct capture_file *file, const char *block, size_t length)
{
	size_t at = 20; /* behind type, length, interface, time */

	while (at + 4 + sizeof(uint64_t) <= length) {
		uint32_t head = word_at(block + at);
		uint64_t count;

		memcpy(&count, block + at + 4, sizeof(count));
		if ((head & 0xffff) == STATISTICS_MISSED)
			file->missed_count = count;
		if ((head & 0xffff) == STATISTICS_BEHIND)
			file->behind_count = count;
		at += 4 + (((head >> 16) + 3) & ~3u);
	}
}

static int open_file(struct capture_file *file)
{
	int fd;

	if (strcmp(file->path, "-") == 0) {
		file->to = stdout;
		return 0;
	}
	fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return tell(file->call, file->path,
		            errno == EEXIST ? "it is there already: choose another name"
		                            : strerror(errno));
	file->to = fdopen(fd, "wb");
	return file->to == NULL ? show_no_memory() : 0;
}

static int take_block(void *context, char *block, size_t length)
{
	struct capture_file *file = context;

	if (block == NULL)
		return open_file(file);
	if (word_at(block) == BLOCK_PACKET)
		file->packet_count++;
	if (word_at(block) == BLOCK_STATISTICS)
		read_statistics(file, block, length);
	if (fwrite(block, 1, length, file->to) == length)
		return 0;
	/* of standard output command_run() says why */
	return file->to == stdout ? COMMAND_USAGE : tell(file->call, file->path, strerror(errno));
}

/* 0; else the exit status. */
static int close_file(struct capture_file *file)
{
	if (file->to == NULL || file->to == stdout)
		return 0;
	return fclose(file->to) == 0 ? 0 : tell(file->call, file->path, strerror(errno));
}

static void tell_what_is_there(const struct capture_file *file)
{
	fprintf(stderr, "kante capture: %" PRIu64 " packets\n", file->packet_count);
	if (file->missed_count > 0)
		fprintf(stderr,
		        "kante capture: %" PRIu64
		        " packets, before the filter, were not copied in time: keep less of each "
		        "by --snap\n",
		        file->missed_count);
	if (file->behind_count > 0)
		fprintf(stderr,
		        "kante capture: %" PRIu64
		        " packets were left out: what is written to is too slow: filter more, or "
		        "write to a file\n",
		        file->behind_count);
}

/* Adds a number that an option gives. False: told. */
static bool add_number(const struct command_call *call, json_t *body, const char *option)
{
	const char *text = command_value(call, option);
	char *end;
	uint64_t number;

	if (text == NULL)
		return true;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > INT64_MAX) {
		fprintf(stderr, "kante capture: --%s %s: no number\n", option, text);
		return false;
	}
	json_object_set_new(body, option, json_integer((json_int_t)number));
	return true;
}

/* False: told. */
static bool add_text(json_t *body, const char *option, const char *text)
{
	if (text == NULL || json_object_set_new(body, option, json_string(text)) == 0)
		return true;
	fprintf(stderr, "kante capture: --%s is not UTF-8: write another\n", option);
	return false;
}

/* What is asked for; NULL: told. */
static json_t *wishes_of(const struct command_call *call)
{
	const char *port = command_value(call, "port");
	bool is_number = port[0] != '\0' && port[strspn(port, "0123456789")] == '\0';
	json_t *body = json_object();

	if ((is_number ? add_number(call, body, "port") : add_text(body, "port", port)) &&
	    add_text(body, "filter", command_value(call, "filter")) &&
	    add_number(call, body, "seconds") && add_number(call, body, "packets") &&
	    add_number(call, body, "snap"))
		return body;
	json_decref(body);
	return NULL;
}

/* False: told. */
static bool check_options(const struct command_call *call)
{
	const char *out = command_value(call, "out"), *fault = NULL;

	if (command_value(call, "port") == NULL)
		fault = "say by --port which port, by its name or its place in the config";
	else if (out == NULL)
		fault = "say by --out where to: a file, or - for standard output";
	else if (strcmp(out, "-") == 0 && terminal_width(stdout) > 0)
		fault = "--out -: a terminal cannot show it: `| tcpdump -n -r -`";
	else if (show_wants_json(call))
		fault = "--json: a capture is a pcapng file: leave it out";
	if (fault == NULL)
		return true;
	fprintf(stderr, "kante capture: %s\n", fault);
	return false;
}

int capture_command(const struct command_call *call)
{
	struct capture_file file = {.call = call, .path = command_value(call, "out")};
	struct client_stream_request request = {.path = "/v1/capture",
	                                        .measure = measure_block,
	                                        .take = take_block,
	                                        .context = &file,
	                                        .may_end = true};
	struct client *client;
	int r, closed;

	if (!check_options(call))
		return COMMAND_USAGE;
	request.body = wishes_of(call);
	if (request.body == NULL)
		return COMMAND_USAGE;
	r = client_create(&client, call);
	if (r != 0) {
		json_decref(request.body);
		return r;
	}
	r = client_stream(client, &request);
	client_destroy(client);
	closed = close_file(&file);
	if (file.to != NULL)
		tell_what_is_there(&file);
	return r != 0 ? r : closed;
}
