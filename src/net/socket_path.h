/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets in the file system: is there room for one? */
#pragma once

#include <stddef.h>

/* Makes sure that a Unix socket can be bound to the path: the directory can be written to, and
 * nobody listens there; a socket that somebody has left behind is removed. type: SOCK_STREAM or
 * SOCK_SEQPACKET. 0; a negative errno with the reason, and what to do, in `error`. */
int socket_path_free(const char *path, int type, char *error, size_t error_bytes);
