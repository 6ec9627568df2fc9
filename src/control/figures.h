/* SPDX-License-Identifier: Apache-2.0 */
/* What kanted and this process count, as kanted tells it (answer_counters() in kanted_answers.h).
 * Owner: whoever read them. */
#pragma once

#include "control/control.h"

#include <event2/buffer.h>

#define FIGURES_NONE UINT32_MAX

/* All texts lie in the answer. */
struct figure {
	uint32_t worker; /* FIGURES_NONE: of the process */
	uint32_t port;   /* its place in the config; FIGURES_NONE: of none */
	const char *module;
	const char *class_name; /* "class:sessions" is module "class" of this class; "" */
	enum counter_kind kind;
	const char *unit;
	const char *name;
	uint64_t value; /* of a histogram: the sum */
	/* Of a histogram: "END:COUNT,END:COUNT", as kanted tells it, "" if nothing was recorded;
	 * NULL: it is none. */
	const char *buckets;
	const char *help;
};

struct figures {
	char *text;
	struct figure *list;
	uint32_t count;
};

/* Takes in kanted's answer (NULL: it has given none), and adds those of this process as module
 * "admin". 0; -EBADMSG: it is not such an answer; -ENOMEM: there are none. */
int figures_read(struct figures *figures, struct evbuffer *answer,
                 const struct control_counters *own);
void figures_free(struct figures *figures);

struct figure_bucket {
	uint64_t end; /* what is in it is below this */
	uint64_t count;
};

/* The next of a histogram's buckets that have any: *at begins as `buckets`. False: there is none.
 */
bool figure_bucket_next(const char **at, struct figure_bucket *ret_bucket);

/* So that all of one name are together, in the order of workers and ports. */
void figures_sort(struct figures *figures);

/* The value in a line "NAME value" of kanted's facts (answer_facts() in kanted_answers.h), up to
 * the line's end; NULL: there is none, or no facts. */
const char *fact_find(const char *facts, const char *name);

/* A port of the config, as kanted's facts have it: "port 0 tap kante0". */
struct fact_port {
	unsigned index;
	char kind[16];
	char name[PORT_NAME_BYTES];
};

/* The next one: *at begins as the facts. False: there is none. */
bool fact_port_next(const char **at, struct fact_port *ret_port);
