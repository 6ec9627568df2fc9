/* SPDX-License-Identifier: Apache-2.0 */
#include "control/gather.h"

#include <stdlib.h>
#include <string.h>

struct gathering {
	struct exchange *exchange;
	struct gathered gathered;
	void (*done)(struct exchange *exchange, struct gathered *gathered);
};

static void forget(void *data)
{
	struct gathering *gathering = data;

	if (gathering == NULL)
		return;
	free(gathering->gathered.facts);
	figures_free(&gathering->gathered.figures);
	free(gathering);
}

/* The exchange is the endpoint's again before it is called. */
static void finish(struct gathering *gathering)
{
	struct exchange *exchange = gathering->exchange;

	exchange->data = NULL;
	exchange->forget = NULL;
	gathering->done(exchange, &gathering->gathered);
	forget(gathering);
}

/* Without kanted's. */
static void read_own(struct gathering *gathering)
{
	static const char nothing[] = "- admin - level processes kanted_answers 0 "
	                              "Whether kanted answers\n";
	struct evbuffer *none = evbuffer_new();

	if (none == NULL)
		return;
	evbuffer_add(none, nothing, sizeof(nothing) - 1);
	figures_read(&gathering->gathered.figures, none, &gathering->exchange->control->counters);
	evbuffer_free(none);
}

static void counters_ended(void *context, enum ask_end end, struct evbuffer *answer)
{
	struct gathering *gathering = context;
	struct exchange *exchange = gathering->exchange;

	exchange->ask = NULL;
	if (end != ASK_ANSWERED ||
	    figures_read(&gathering->gathered.figures, answer, &exchange->control->counters) < 0) {
		free(gathering->gathered.facts);
		gathering->gathered.facts = NULL;
		read_own(gathering);
	}
	finish(gathering);
}

static bool ask_for(struct gathering *gathering, const char *line,
                    void (*ended)(void *context, enum ask_end end, struct evbuffer *answer))
{
	struct exchange *exchange = gathering->exchange;
	struct control *control = exchange->control;
	struct ask_options options = {.line = line, .ended = ended, .context = gathering};

	return ask_begin(&exchange->ask, control->base, control->link_fd, &options) == 0;
}

static void facts_ended(void *context, enum ask_end end, struct evbuffer *answer)
{
	struct gathering *gathering = context;
	size_t length = evbuffer_get_length(answer);

	gathering->exchange->ask = NULL;
	if (end == ASK_ANSWERED && length > 0)
		gathering->gathered.facts = calloc(1, length + 1);
	if (gathering->gathered.facts != NULL)
		evbuffer_remove(answer, gathering->gathered.facts, length);
	if (gathering->gathered.facts != NULL && ask_for(gathering, "counters", counters_ended))
		return;
	free(gathering->gathered.facts);
	gathering->gathered.facts = NULL;
	read_own(gathering);
	finish(gathering);
}

void gather(struct exchange *exchange,
            void (*done)(struct exchange *exchange, struct gathered *gathered))
{
	struct gathering *gathering = calloc(1, sizeof(*gathering));

	if (gathering == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return;
	}
	*gathering = (struct gathering){.exchange = exchange, .done = done};
	exchange->data = gathering;
	exchange->forget = forget;
	if (ask_for(gathering, "facts", facts_ended))
		return;
	read_own(gathering);
	finish(gathering);
}

const char *gathered_fact(const struct gathered *gathered, const char *name)
{
	size_t length = strlen(name);
	const char *line = gathered->facts;

	while (line != NULL && *line != '\0') {
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			return line + length + 1;
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	return NULL;
}

uint64_t gathered_sum(const struct gathered *gathered, const char *module, const char *name)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < gathered->figures.count; i++) {
		const struct figure *figure = &gathered->figures.list[i];

		if (strcmp(figure->module, module) == 0 && strcmp(figure->name, name) == 0)
			sum += figure->value;
	}
	return sum;
}
