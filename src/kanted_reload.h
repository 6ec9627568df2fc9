/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the config again, on SIGHUP. */
#pragma once

#include "config/config.h"

/* Takes over into `config` what may change while kanted runs (CONFIG_LIVE), and says so; of the
 * rest, what counts from the next start. A file with a fault changes nothing, and is said, too.
 * True: something has changed. */
bool config_reload(struct config *config, const char *path);
