/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a config file. */
#pragma once

#include <stddef.h>

/* Puts the text in the place of what the file has, whole or not at all: into a new file in the same
 * folder, brought to the disk, with the owner and mode of the old one, which it then replaces. A
 * symbolic link stays, and what it means is replaced. 0; a negative errno with `error` filled in:
 * the file is as it was, but if only the folder could not be brought to the disk (then the error
 * says so). */
int config_write_file(const char *path, const char *text, size_t length, char *error,
                      size_t error_bytes);
