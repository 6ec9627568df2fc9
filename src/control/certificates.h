/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates that the node serves with: made by its own CA (authority.h) where none were
 * given, and read anew when they change (tls.h). Owner: the control process's loop. */
#pragma once

#include "control/control.h"

/* Makes what is not there. 0; a negative errno, and the log says why. */
int certificates_make(const struct admin *admin);

/* A new certificate of the server, by the node's own CA. As authority_renew_server(). */
int certificates_renew(const struct admin *admin, char *error, size_t error_bytes);

/* Reads them when they have changed; now: in any case. True: others may be trusted by now, so that
 * open connections are to be looked at. */
bool certificates_read(struct control *control, bool now);
