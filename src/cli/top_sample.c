/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_sample.h"

#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct figure_name {
	const char *module, *name;
	size_t offset; /* in struct top_figures */
} figure_names[] = {
    {"shard", "cmd_get", offsetof(struct top_figures, gets)},
    {"shard", "get_hits", offsetof(struct top_figures, hits)},
    {"shard", "cmd_set", offsetof(struct top_figures, sets)},
    {"store", "evictions", offsetof(struct top_figures, evictions)},
    {"session", "bytes_read", offsetof(struct top_figures, bytes_in)},
    {"session", "bytes_written", offsetof(struct top_figures, bytes_out)},
    {"worker", "busy_us", offsetof(struct top_figures, busy_us)},
    {"session", "curr_connections", offsetof(struct top_figures, connections)},
    {"store", "curr_items", offsetof(struct top_figures, items)},
    {"store", "bytes", offsetof(struct top_figures, bytes)},
    {"store", "limit_maxbytes", offsetof(struct top_figures, bytes_max)},
    {"class", "cmd_get", offsetof(struct top_figures, gets)},
    {"class", "get_hits", offsetof(struct top_figures, hits)},
    {"class", "cmd_set", offsetof(struct top_figures, sets)},
    {"class", "evictions", offsetof(struct top_figures, evictions)},
    {"class", "items", offsetof(struct top_figures, items)},
    {"class", "bytes", offsetof(struct top_figures, bytes)},
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

static void add_to(struct top_figures *figures, const struct figure_name *name, uint64_t value)
{
	*(uint64_t *)((char *)figures + name->offset) += value;
}

/* NULL: there are too many. */
static struct top_figures *class_of(struct top_sample *sample, const char *name)
{
	uint32_t i = 0;

	while (i < sample->class_count && strcmp(sample->classes[i].name, name) != 0)
		i++;
	if (i == TOP_CLASS_COUNT_MAX || strlen(name) >= TOP_CLASS_NAME_BYTES)
		return NULL;
	if (i == sample->class_count) {
		strcpy(sample->classes[i].name, name);
		sample->class_count++;
	}
	return &sample->classes[i].figures;
}

static struct top_figures *worker_of(struct top_sample *sample, const json_t *counter)
{
	const json_t *index = json_object_get(counter, "worker");
	json_int_t number = json_integer_value(index);

	if (index == NULL || number < 0 || number >= TOP_WORKER_COUNT_MAX)
		return NULL;
	if (number >= sample->worker_count)
		sample->worker_count = (uint32_t)number + 1;
	return &sample->workers[number];
}

static void read_counter(struct top_sample *sample, const json_t *counter)
{
	uint64_t value = (uint64_t)json_integer_value(json_object_get(counter, "value"));
	const char *module = text_of(counter, "module"), *name = text_of(counter, "name");
	bool is_class = strcmp(module, "class") == 0;
	struct top_figures *part;

	if (strcmp(module, "latency") == 0)
		buckets_add_json(&sample->latency, json_object_get(counter, "buckets"), "end");
	part = is_class ? class_of(sample, text_of(counter, "class")) : worker_of(sample, counter);
	for (size_t i = 0; i < COUNT(figure_names); i++) {
		if (strcmp(module, figure_names[i].module) != 0 ||
		    strcmp(name, figure_names[i].name) != 0)
			continue;
		if (!is_class)
			add_to(&sample->node, &figure_names[i], value);
		if (part != NULL)
			add_to(part, &figure_names[i], value);
	}
}

void top_sample_read(struct top_sample *ret_sample, const json_t *counters, uint64_t now_us)
{
	const json_t *counter;
	size_t index;

	memset(ret_sample, 0, sizeof(*ret_sample));
	ret_sample->now_us = now_us;
	json_array_foreach(counters, index, counter) read_counter(ret_sample, counter);
}

static double rate(uint64_t before, uint64_t now, double seconds)
{
	return now < before ? 0 : (double)(now - before) / seconds;
}

static struct top_rates rates_between(const struct top_figures *before,
                                      const struct top_figures *now, double seconds)
{
	struct top_rates rates = {
	    .gets = rate(before->gets, now->gets, seconds),
	    .sets = rate(before->sets, now->sets, seconds),
	    .evictions = rate(before->evictions, now->evictions, seconds),
	    .bytes_in = rate(before->bytes_in, now->bytes_in, seconds),
	    .bytes_out = rate(before->bytes_out, now->bytes_out, seconds),
	    .busy = rate(before->busy_us, now->busy_us, seconds * 1e6),
	    .hits = -1,
	};

	if (rates.gets > 0)
		rates.hits = rate(before->hits, now->hits, seconds) / rates.gets;
	/* the counters were not all read at the same moment */
	if (rates.hits > 1)
		rates.hits = 1;
	if (rates.busy > 1)
		rates.busy = 1;
	return rates;
}

/* Whether it counts from nothing again. */
static bool is_anew(const struct top_figures *before, const struct top_figures *now)
{
	return now->gets < before->gets || now->sets < before->sets ||
	       now->evictions < before->evictions || now->bytes_in < before->bytes_in ||
	       now->bytes_out < before->bytes_out || now->busy_us < before->busy_us;
}

bool top_difference_read(struct top_difference *ret_difference, const struct top_sample *before,
                         const struct top_sample *now)
{
	double seconds;

	if (now->now_us <= before->now_us || is_anew(&before->node, &now->node) ||
	    now->worker_count != before->worker_count)
		return false;
	seconds = (double)(now->now_us - before->now_us) / 1e6;
	ret_difference->node = rates_between(&before->node, &now->node, seconds);
	ret_difference->latency = now->latency;
	buckets_subtract(&ret_difference->latency, &before->latency);
	for (uint32_t i = 0; i < now->worker_count; i++)
		ret_difference->workers[i] =
		    rates_between(&before->workers[i], &now->workers[i], seconds);
	/* a class that is new is compared with nothing: the config was reloaded */
	for (uint32_t i = 0; i < now->class_count; i++) {
		bool is_same = strcmp(before->classes[i].name, now->classes[i].name) == 0;

		ret_difference->classes[i] =
		    rates_between(is_same ? &before->classes[i].figures : &now->classes[i].figures,
		                  &now->classes[i].figures, seconds);
	}
	return true;
}
