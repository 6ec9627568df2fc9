/* SPDX-License-Identifier: Apache-2.0 */
/* Changes one parameter in the text of a config file, and leaves all else of it as it is, byte for
 * byte: comments, order, blanks, ends of lines. */
#pragma once

#include "config/config.h"

struct config_edit {
	const char *class_name; /* of the class whose field is meant; NULL: of no class */
	const char *section;    /* "admin", "admin.audit"; NULL: of none; both: the top level */
	const char *parameter;
	const char *value; /* as in the file, but without quotes: "[2, 3]"; NULL: taken out */
};

/* A value that is there is replaced where it stands; one that is not comes behind the parameters
 * that stand before the first list or section, or behind the last field of the class or section;
 * one that is taken out goes with its line, and what is said behind it in that line.
 *
 * The result was read as a config, whole, and only what was to change is another. `name` stands for
 * the file in the faults. 0, with *ret_text, of *ret_length bytes and a NUL, to be free()d; also
 * when it is as before. A negative errno with `error` filled in: -ENOENT: no such parameter, field
 * or class; -EINVAL: the text, or what it would become, is no good config; -ENOTSUP: it is written
 * in a way, or is something, that has to be changed by hand; -ENOMEM. */
int config_edit(char **ret_text, size_t *ret_length, const char *name, const char *text,
                size_t length, const struct config_edit *edit, char *error, size_t error_bytes);
