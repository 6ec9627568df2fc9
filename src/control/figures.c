/* SPDX-License-Identifier: Apache-2.0 */
#include "control/figures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_MODULE "class:"

static const struct counter_description own_descriptions[] = {CONTROL_COUNTERS(COUNTER_DESCRIBE)};

#define OWN_COUNT (sizeof(own_descriptions) / sizeof(own_descriptions[0]))

/* The next word of a line, which it ends; NULL: there is none. */
static char *word_take(char **at)
{
	char *word = *at;
	size_t length = strcspn(word, " ");

	if (length == 0 || word[length] == '\0')
		return NULL;
	word[length] = '\0';
	*at = word + length + 1;
	return word;
}

/* "-": none */
static bool number_read(const char *word, uint32_t *ret_number)
{
	char *end;

	*ret_number = FIGURES_NONE;
	if (word == NULL || strcmp(word, "-") == 0)
		return word != NULL;
	*ret_number = (uint32_t)strtoul(word, &end, 10);
	return *end == '\0';
}

/* Of a histogram: the sum, then the buckets, then the help. */
static bool buckets_read(char *line, struct figure *figure)
{
	figure->buckets = word_take(&line);
	if (figure->buckets == NULL)
		return false;
	if (strcmp(figure->buckets, "-") == 0)
		figure->buckets = "";
	figure->help = line;
	return true;
}

/* worker module port kind unit name value help */
static bool line_read(char *line, struct figure *ret_figure)
{
	const char *worker = word_take(&line), *module = word_take(&line);
	const char *port = word_take(&line), *kind = word_take(&line);
	const char *unit = word_take(&line), *name = word_take(&line);
	const char *value = word_take(&line);
	char *end;

	if (value == NULL)
		return false;
	*ret_figure =
	    (struct figure){.module = module,
	                    .class_name = "",
	                    .kind = strcmp(kind, "level") == 0 ? COUNTER_LEVEL : COUNTER_TOTAL,
	                    .unit = unit,
	                    .name = name,
	                    .help = line};
	ret_figure->value = strtoull(value, &end, 10);
	if (strncmp(module, CLASS_MODULE, strlen(CLASS_MODULE)) == 0) {
		ret_figure->class_name = module + strlen(CLASS_MODULE);
		ret_figure->module = "class";
	}
	if (strcmp(kind, "histogram") == 0 && !buckets_read(line, ret_figure))
		return false;
	return *end == '\0' && number_read(worker, &ret_figure->worker) &&
	       number_read(port, &ret_figure->port);
}

bool figure_bucket_next(const char **at, struct figure_bucket *ret_bucket)
{
	char *end;

	if (**at == '\0')
		return false;
	ret_bucket->end = strtoull(*at, &end, 10);
	ret_bucket->count = *end == ':' ? strtoull(end + 1, &end, 10) : 0;
	*at = *end == ',' ? end + 1 : end + strlen(end);
	return true;
}

static uint32_t count_lines(const char *text)
{
	uint32_t count = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		count++;
	}
	return count;
}

static void add_own(struct figures *figures, const struct control_counters *own)
{
	const _Atomic uint64_t *counters = (const _Atomic uint64_t *)own;

	for (uint32_t i = 0; i < OWN_COUNT; i++)
		figures->list[figures->count++] = (struct figure){
		    .worker = FIGURES_NONE,
		    .port = FIGURES_NONE,
		    .module = "admin",
		    .class_name = "",
		    .kind = own_descriptions[i].kind,
		    .unit = own_descriptions[i].unit,
		    .name = own_descriptions[i].name,
		    .value = counter_read(&counters[i]),
		    .help = own_descriptions[i].help,
		};
}

int figures_read(struct figures *figures, struct evbuffer *answer,
                 const struct control_counters *own)
{
	size_t length = answer == NULL ? 0 : evbuffer_get_length(answer);
	char *line, *next;
	int r = -ENOMEM;

	*figures = (struct figures){.text = malloc(length + 1)};
	if (figures->text == NULL)
		goto fail;
	if (length > 0)
		evbuffer_remove(answer, figures->text, length);
	figures->text[length] = '\0';
	figures->list = calloc(count_lines(figures->text) + OWN_COUNT, sizeof(figures->list[0]));
	if (figures->list == NULL)
		goto fail;
	r = -EBADMSG;
	for (line = figures->text; (next = strchr(line, '\n')) != NULL; line = next + 1) {
		*next = '\0';
		if (!line_read(line, &figures->list[figures->count]))
			goto fail;
		figures->count++;
	}
	if (*line != '\0' || (answer != NULL && figures->count == 0))
		goto fail;
	add_own(figures, own);
	return 0;
fail:
	figures_free(figures);
	return r;
}

void figures_free(struct figures *figures)
{
	free(figures->list);
	free(figures->text);
	*figures = (struct figures){0};
}

static int compare_numbers(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int compare(const void *a_figure, const void *b_figure)
{
	const struct figure *a = a_figure, *b = b_figure;
	int order = strcmp(a->module, b->module);

	order = order != 0 ? order : strcmp(a->name, b->name);
	order = order != 0 ? order : strcmp(a->class_name, b->class_name);
	order = order != 0 ? order : compare_numbers(a->port, b->port);
	return order != 0 ? order : compare_numbers(a->worker, b->worker);
}

void figures_sort(struct figures *figures)
{
	qsort(figures->list, figures->count, sizeof(figures->list[0]), compare);
}

const char *fact_find(const char *facts, const char *name)
{
	size_t length = strlen(name);
	const char *line = facts;

	while (line != NULL && *line != '\0') {
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			return line + length + 1;
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	return NULL;
}

bool fact_port_next(const char **at, struct fact_port *ret_port)
{
	while (*at != NULL && **at != '\0') {
		const char *line = *at;
		const char *end = strchr(line, '\n');

		*at = end == NULL ? NULL : end + 1;
		ret_port->name[0] = '\0';
		if (sscanf(line, "port %u %15s%*1[ ]%107[^\n]", &ret_port->index, ret_port->kind,
		           ret_port->name) >= 2)
			return true;
	}
	return false;
}
