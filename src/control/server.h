/* SPDX-License-Identifier: Apache-2.0 */
/* The admin server: HTTP over TLS, and over the node's Unix socket. It takes connections within
 * limits of number, size and time, finds out who asks (who.h), and hands the request to its
 * endpoint. Owner: the control process's loop. */
#pragma once

#include "control/control.h"

#define SERVER_SOURCE_SHARE 4 /* one source may have this part of all connections */

/* Listens where the config says. 0; a negative errno, and the log says why. */
int server_create(struct server **ret_server, struct control *control);
void server_destroy(struct server *server); /* takes NULL */

/* Once a second: ends those whose time is over, and those of a source that has too many. */
void server_tick(struct server *server);

/* Limits in the config have changed. */
void server_limit(struct server *server);

/* Ends those whose certificate is not good any more: when others may be trusted, and now and then,
 * as it may expire. */
void server_look_at_certificates(struct server *server);
