/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the config again, on SIGHUP or when the control process asks for it. */
#pragma once

#include "config/config.h"

#include <event2/buffer.h>

/* Takes over into `config` what may change while kanted runs (CONFIG_LIVE), and says so; of the
 * rest, what counts from the next start. A file with a fault changes nothing, and is said, too.
 * True: something has changed. `answer`: NULL, or for the control process: "applied PATH" and
 * "restart PATH", or "error TEXT", a line each. */
bool config_reload(struct config *config, const char *path, struct evbuffer *answer);
