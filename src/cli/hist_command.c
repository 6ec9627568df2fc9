/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms: how long requests take, and how large, how long to live and how long unread items
 * are. */
#include "cli/commands.h"

#include "cli/buckets.h"
#include "cli/human.h"
#include "cli/show.h"
#include "cli/terminal.h"

#include <string.h>

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define WIDTH             80 /* where there is no terminal */
#define COMMAND_COUNT_MAX 16

/* Of one command, summed up over the workers. */
struct latencies {
	const char *name;
	struct buckets buckets;
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void human_seconds(char *ret_text, uint64_t s)
{
	human_duration(ret_text, s * 1000000);
}

static struct buckets_look look_with(buckets_form *form)
{
	uint32_t width = terminal_width(stdout);

	return (struct buckets_look){.form = form,
	                             .width = width == 0 ? WIDTH : width,
	                             .is_utf8 = terminal_is_utf8(),
	                             .with_bold = terminal_wants_colour(stdout)};
}

/* Latency. */

/* Leaves only these. */
static void filter_latency(json_t *counters)
{
	for (size_t i = json_array_size(counters); i-- > 0;)
		if (strcmp(text_of(json_array_get(counters, i), "module"), "latency") != 0)
			json_array_remove(counters, i);
}

/* Returns how many commands there are; the last one is all of them together. */
static uint32_t sum_up(struct latencies *list, const json_t *counters)
{
	const json_t *counter;
	uint32_t count = 0, i;
	size_t index;

	json_array_foreach(counters, index, counter)
	{
		const char *name = text_of(counter, "name");

		for (i = 0; i < count && strcmp(list[i].name, name) != 0;)
			i++;
		if (i == COMMAND_COUNT_MAX)
			continue;
		if (i == count)
			list[count++] = (struct latencies){.name = name};
		buckets_add_json(&list[i].buckets, json_object_get(counter, "buckets"), "end");
	}
	list[count] = (struct latencies){.name = "all"};
	for (i = 0; i < count; i++)
		buckets_add_all(&list[count].buckets, &list[i].buckets);
	return count + 1;
}

static int print_quantiles(const struct latencies *list, uint32_t count)
{
	static const struct table_column heads[] = {
	    {"COMMAND", TABLE_TEXT}, {"REQUESTS", TABLE_NUMBER}, {"P50", TABLE_NUMBER},
	    {"P90", TABLE_NUMBER},   {"P99", TABLE_NUMBER},      {"P99.9", TABLE_NUMBER}};
	static const double shares[] = {.5, .9, .99, .999};
	struct table *table;

	if (table_create(&table, heads, COUNT(heads)) < 0)
		return show_no_memory();
	for (uint32_t i = 0; i < count; i++) {
		char text[HUMAN_BYTES];

		human_count(text, buckets_total(&list[i].buckets));
		table_add(table, list[i].name);
		table_add(table, text);
		for (size_t j = 0; j < COUNT(shares); j++) {
			uint64_t us = 0;
			bool is_known = buckets_quantile(&list[i].buckets, shares[j], &us);

			human_latency(text, us);
			table_add(table, is_known ? text : "-");
		}
	}
	return show_table(table);
}

static int hist_latency(const struct command_call *call)
{
	struct client_request request = {.method = "GET", .path = "/v1/counters"};
	struct latencies list[COMMAND_COUNT_MAX + 1];
	struct buckets_look look = look_with(human_latency);
	struct client_reply reply;
	json_t *counters;
	uint32_t count;
	int r = client_ask_once(call, &request, &reply);

	if (r != 0)
		return r;
	counters = json_object_get(reply.json, "counters");
	filter_latency(counters);
	count = sum_up(list, counters);
	if (show_wants_json(call)) {
		r = show_json_changed(&reply);
	} else if (buckets_total(&list[count - 1].buckets) == 0) {
		fputs("no requests have been answered yet\n", stderr);
	} else {
		buckets_print(&list[count - 1].buckets, &look, stdout);
		putchar('\n');
		r = print_quantiles(list, count);
	}
	client_reply_release(&reply);
	return r;
}

/* Items. */

static int hist_items(const struct command_call *call, const char *member, buckets_form *form,
                      const char *apart)
{
	struct client_request request = {
	    .method = "GET", .path = "/v1/survey", .is_slow = true, .role = ROLE_operator};
	struct buckets_look look = look_with(form);
	struct buckets buckets = {0};
	struct client_reply reply;
	int r = show_or_ask(call, &request, &reply);

	if (r >= 0)
		return r;
	buckets_add_json(&buckets, json_object_get(reply.json, member), "below");
	look.apart = apart;
	if (apart != NULL)
		look.apart_count = number_of(reply.json, "never_expire");
	if (number_of(reply.json, "items") == 0)
		fputs("no items\n", stderr);
	else
		buckets_print(&buckets, &look, stdout);
	client_reply_release(&reply);
	return 0;
}

int hist_command(const struct command_call *call)
{
	switch (call->argument_count == 0 ? 'l' : call->arguments[0][0]) {
	case 's': return hist_items(call, "sizes", human_size, NULL);
	case 't': return hist_items(call, "ttls", human_seconds, "never");
	case 'i': return hist_items(call, "idles", human_seconds, NULL);
	default: return hist_latency(call);
	}
}
