/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include "lines.h"

#define SHOWN_MAX 12 /* segments below a failure */

/* `wrap 1 500`: the numbers, or 1 when there are none. */
static bool wraps_parse(uint32_t wraps[WRAP_COUNT_MAX], uint32_t *ret_count,
                        const struct words *words, char error[ERROR_MAX])
{
	wraps[0] = 1;
	*ret_count = 1;
	for (int i = 1; i < words->count; i++) {
		int64_t at;

		if (i > WRAP_COUNT_MAX || !integer_parse(&at, words->word[i], error))
			return false;
		wraps[i - 1] = (uint32_t)at;
		*ret_count = (uint32_t)i;
	}
	return true;
}

/* Lines that say how to run the file; others are left alone. */
static bool directive_parse(struct scenario_file *file, const struct words *words,
                            char error[ERROR_MAX])
{
	int64_t number;

	if (words->count == 0)
		return true;
	if (strcmp(words->word[0], "wrap") == 0)
		return wraps_parse(file->client_wraps, &file->client_wrap_count, words, error);
	if (strcmp(words->word[0], "wrap_server") == 0)
		return wraps_parse(file->server_wraps, &file->server_wrap_count, words, error);
	if (strcmp(words->word[0], "isn") == 0) {
		if (!integer_parse(&number, words->word[1], error))
			return false;
		file->isn = (uint32_t)number;
	}
	if (strcmp(words->word[0], "ip") == 0) {
		if (!integer_parse(&number, words->word[1], error))
			return false;
		file->only_ip4 = number == 4;
		file->only_ip6 = number == 6;
	}
	return true;
}

void scenario_free(struct scenario_file *file)
{
	for (uint32_t i = 0; i < file->line_count; i++)
		free(file->lines[i]);
	free(file->lines);
}

bool scenario_read(struct scenario_file *ret_file, const char *path)
{
	struct scenario_file file = {.path = path, .isn = SCENARIO_ISN};
	FILE *stream = fopen(path, "r");
	size_t capacity = 0;
	char *line = NULL;
	ssize_t length;
	bool good = true;

	if (stream == NULL) {
		fprintf(stderr, "%s: %m\n", path);
		return false;
	}
	while (good && (length = getline(&line, &capacity, stream)) >= 0) {
		struct words words;
		char error[ERROR_MAX] = "";

		if (length > 0 && line[length - 1] == '\n')
			line[length - 1] = 0;
		file.lines = realloc(file.lines, (file.line_count + 1) * sizeof(char *));
		ASSERT(file.lines != NULL);
		file.lines[file.line_count++] = strdup(line);
		good = words_split(&words, line, error) && directive_parse(&file, &words, error);
		if (!good)
			fprintf(stderr, "%s:%u: %s\n", path, file.line_count, error);
	}
	free(line);
	fclose(stream);
	if (good)
		*ret_file = file;
	else
		scenario_free(&file);
	return good;
}

/* All that the server has sent and nobody has expected yet. */
static void sent_show(const struct rig *rig, uint64_t start_us)
{
	if (rig->sent_matched == rig->sent_count)
		fprintf(stderr, "    nothing (more) was sent\n");
	for (uint32_t i = rig->sent_matched; i < rig->sent_count; i++) {
		const struct sent_segment *sent = &rig->sent[i];
		struct segment_base base = client_base(&rig->clients[sent->client]);
		char text[SEGMENT_TEXT_MAX];

		if (i == rig->sent_matched + SHOWN_MAX) {
			fprintf(stderr, "    and %u more\n", rig->sent_count - i);
			break;
		}
		segment_format(text, &sent->segment, &base);
		fprintf(stderr, "    @%.6f %c: %s\n", (double)(sent->time_us - start_us) / 1e6,
		        'a' + sent->client, text);
	}
}

static void progress_note(const struct scenario *scenario, struct progress *progress)
{
	const struct client *client;

	if (scenario->rig == NULL || progress->iss_known)
		return;
	client = &scenario->rig->clients[0];
	progress->iss_known = client->iss_known;
	progress->iss = client->iss;
}

bool scenario_run(const struct scenario_file *file, const struct variant *variant,
                  struct progress *progress)
{
	struct scenario scenario = {
	    .server_zero = variant->server_zero,
	    .options = {.tcp = tcp_options_default(),
	                .block_count = 4096,
	                .frame_count = 256,
	                .mtu = 1500,
	                .allow_any = 1,
	                .clock_us = SCENARIO_CLOCK_MS * 1000ull,
	                .isn = variant->isn,
	                .ts_base = variant->ts_base,
	                .ip6 = variant->ip6,
	                .card = variant->card},
	};
	bool passed = true;

	/* small tables: tcp_check() walks them after every segment */
	scenario.options.tcp.connection_count_max = 64;
	scenario.options.tcp.half_open_count_max = 64;
	scenario.options.tcp.linger_count_max = 64;
	scenario.options.tcp.secret = (struct siphash_key){0x0706050403020100, 0x0f0e0d0c0b0a0908};
	scenario.later_us = variant->later_us;
	for (uint32_t i = 0; i < file->line_count && passed; i++) {
		progress->line_number = i + 1;
		passed = line_run(&scenario, file->lines[i]);
		progress_note(&scenario, progress);
	}
	passed = passed && line_end(&scenario);
	if (!passed) {
		fprintf(stderr, "%s:%u (%s): %s\n", file->path, progress->line_number,
		        variant->name, scenario.message);
		if (progress->line_number <= file->line_count)
			fprintf(stderr, "    %s\n    seen:\n",
			        file->lines[progress->line_number - 1]);
		if (scenario.rig != NULL)
			sent_show(scenario.rig, scenario.wait_start_us);
	}
	if (scenario.rig != NULL)
		rig_destroy(scenario.rig);
	return passed;
}
