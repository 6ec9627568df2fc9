/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what the operator has written. */
#pragma once

#include "config/faults.h"

/* Reads a regular file whole. bytes_max: in whole MiB. The text is the caller's to free, and has a
 * NUL behind its end. 0; a negative errno, which is then a fault, too. */
int file_read(char **ret_text, size_t *ret_length, const char *path, size_t bytes_max,
              struct faults *faults);
