/* SPDX-License-Identifier: Apache-2.0 */
/* All parameters of the config in words: from the tables come the help for a terminal, an example
 * file, the manual page kante.yaml(5), and a JSON schema for editors. */
#pragma once

#include "config/config.h"

#include <jansson.h>
#include <stdio.h>

#define DESCRIBE_PATH_BYTES      64
#define DESCRIBE_TEXT_BYTES      256
#define DESCRIBE_PARAGRAPH_BYTES 768

struct description {
	const char *path; /* "memory", "ports[].tcp", "admin.tokens.keys[].file" */
	const struct config_parameter *parameter;
	uint32_t depth; /* 0: of the top level */
};

typedef void describe_fn(void *context, const struct description *description);

/* Every parameter there is, each list and section before what may stand in it. */
void describe_each(describe_fn *each, void *context);

/* Whether a name means such a path: one that has brackets or an index in it means the path without:
 * "ports[0].tcp". */
bool describe_is_path(const char *path, const char *name);

/* NULL: there is none of that name. */
const struct config_parameter *describe_find(const char *name);

/* "A size from 4MiB to 4096GiB; the default is 64MiB." */
void describe_sentence(char ret_text[DESCRIBE_TEXT_BYTES],
                       const struct config_parameter *parameter);

/* The help, that sentence, and whether a change counts at once. */
void describe_paragraph(char ret_text[DESCRIBE_PARAGRAPH_BYTES],
                        const struct config_parameter *parameter);

/* Whether it cannot be left out; of a port's: by the kinds that have it. */
bool describe_is_needed(const struct config_parameter *parameter);

/* The default as it is written in the file. False: it has none. */
bool describe_default(char ret_text[CONFIG_QUANTITY_BYTES],
                      const struct config_parameter *parameter);

/* The text in lines of at most `columns`, if its words are not longer than that: the first behind
 * `first`, the others behind `other`. */
void describe_wrap(FILE *to, const char *first, const char *other, uint32_t columns,
                   const char *text);

#define DESCRIBE_COLUMNS_MIN 40 /* a narrower terminal is taken for one of so many */

/* Help for a terminal. `name`: a path, with or without brackets; or the last part of one, for all
 * parameters of that name; NULL: a line for each. 0; -ENOENT: there is none of that name, and
 * nothing was written. Whether it could be written, ferror(to) says. */
int describe_help(FILE *to, const char *name, uint32_t columns);

/* A config that kanted takes, with every parameter: what has a default has it, commented out. In a
 * commented-out line no blank follows the #, or several do. */
void describe_example(FILE *to);

/* The manual page, in mdoc(7). */
void describe_manual(FILE *to);

/* A line of text of such a page; what mdoc would take for its own is escaped, and `x` is in quotes.
 */
void describe_manual_text(FILE *to, const char *text);

/* A JSON schema (draft 2020-12) of the file as a YAML reader sees it. It takes all that kanted
 * takes (but the word null for a text), and refuses what is wrong with one value or name; what only
 * several values say together is for kanted. To be json_decref()ed; NULL: no memory. */
json_t *describe_schema(void);
