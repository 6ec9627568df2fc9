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
	free(gathering->gathered.facts);
	gathering->gathered.facts = NULL;
	figures_read(&gathering->gathered.figures, NULL, &gathering->exchange->control->counters);
}

static void counters_ended(void *context, bool is_whole, struct evbuffer *answer)
{
	struct gathering *gathering = context;
	struct exchange *exchange = gathering->exchange;

	exchange->ask = NULL;
	if (!is_whole ||
	    figures_read(&gathering->gathered.figures, answer, &exchange->control->counters) < 0) {
		read_own(gathering);
	}
	finish(gathering);
}

static bool ask_for(struct gathering *gathering, const char *line, ask_ended_fn *ended)
{
	struct exchange *exchange = gathering->exchange;
	struct control *control = exchange->control;

	return ask_begin(&exchange->ask, control->base, control->link_fd, line, ended, gathering) ==
	       0;
}

static void facts_ended(void *context, bool is_whole, struct evbuffer *answer)
{
	struct gathering *gathering = context;
	size_t length = evbuffer_get_length(answer);

	gathering->exchange->ask = NULL;
	if (is_whole && length > 0)
		gathering->gathered.facts = calloc(1, length + 1);
	if (gathering->gathered.facts != NULL)
		evbuffer_remove(answer, gathering->gathered.facts, length);
	if (gathering->gathered.facts != NULL && ask_for(gathering, "counters", counters_ended))
		return;
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

bool gathered_check(struct exchange *exchange, const struct gathered *gathered)
{
	if (gathered->facts != NULL)
		return true;
	exchange_refuse(exchange, HTTP_SERVUNAVAIL,
	                "kanted does not answer the control process: see its log");
	return false;
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
