/* SPDX-License-Identifier: Apache-2.0 */
/* Files that say who may come in: what others could change is not read, as they could let
 * themselves in by it. That is a file or its folder which belongs to neither root nor this
 * process's user, or which group or others may write (a folder like /tmp, where they may add files
 * but not replace others', will do). Owner: whoever calls. */
#pragma once

#include "config/faults.h"

#include <stdbool.h>

/* Reads a regular file whole. is_secret: others may not even read it. The text has a NUL behind its
 * end and goes back by private_file_release(). 0; a negative errno, which is then a fault, too:
 * save -ENOENT, when its folder is there and it is not. */
int private_file_read(char **ret_text, size_t *ret_length, const char *path, size_t bytes_max,
                      bool is_secret, struct faults *faults);
void private_file_release(char *text, size_t length); /* wipes; takes NULL */

/* Puts a file of mode 0600 in the place of what is there, if anything is: wholly, and on the disk
 * when it returns, or not at all. 0; a negative errno, which is then a fault, too. (When the very
 * last step fails, which is to bring the folder to the disk, the new one is there, and a crash may
 * bring the old one back.) */
int private_file_write(const char *path, const char *text, size_t length, struct faults *faults);
