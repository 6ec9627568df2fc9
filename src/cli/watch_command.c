/* SPDX-License-Identifier: Apache-2.0 */
/* What happens in the cache, as it happens. */
#include "cli/commands.h"

#include "cli/client_stream.h"
#include "cli/show.h"
#include "cli/watch_line.h"

static int print_json(const char *line)
{
	json_t *object = watch_line_json(line);
	int r = json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);

	json_decref(object);
	putchar('\n');
	return r < 0 && !ferror(stdout) ? show_no_memory() : 0;
}

static int take_line(void *context, char *line, size_t length)
{
	const struct command_call *call = context;
	uint64_t skipped_count;

	if (line != NULL)
		line[length - 1] = '\0';
	skipped_count = line == NULL ? 0 : watch_line_skipped(line);
	if (skipped_count > 0) {
		fflush(stdout);
		fprintf(stderr, "kante watch: %llu lines were left out: they came too fast\n",
		        (unsigned long long)skipped_count);
	} else if (line == NULL) {
		if (!show_wants_json(call))
			watch_line_print_heading(stdout);
	} else if (show_wants_json(call)) {
		return print_json(line);
	} else {
		watch_line_print(line, stdout);
	}
	return 0;
}

int watch_command(const struct command_call *call)
{
	char path[CLIENT_PATH_BYTES] = "/v1/watch";
	struct client_stream_request request = {.path = path,
	                                        .measure = client_stream_measure_line,
	                                        .take = take_line,
	                                        .context = (void *)call,
	                                        .is_shown = true};
	struct client *client;
	int r = client_create(&client, call);

	if (r != 0)
		return r;
	client_path_query(path, "kinds", command_value(call, "kinds"));
	client_path_query(path, "prefix", command_value(call, "prefix"));
	r = client_stream(client, &request);
	client_destroy(client);
	return r;
}
