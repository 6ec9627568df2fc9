/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in lines that people and scripts read, as memcached writes them there: each byte that is
 * none of the unreserved ones as %XX (RFC 3986 2.1, 2.3). */
#pragma once

#include "base/bytes.h"

#define URI_BYTES_MAX(length) (3 * (length))

/* Writes at most URI_BYTES_MAX(key.length) bytes. Returns where they end. */
uint8_t *uri_write(uint8_t *to, struct slice key);
