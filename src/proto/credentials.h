/* SPDX-License-Identifier: Apache-2.0 */
/* Who a client says it is: a name and a password, out of what each protocol sends. Nothing is
 * copied: the slices point into the message. */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

struct credentials {
	struct slice name;
	struct slice password;
};

/* The value of the text protocol's first set, without CR LF: the name up to the first space, all
 * behind it the password. False: there is no space. */
bool credentials_read_text(struct credentials *ret_credentials, struct slice value);

/* SASL PLAIN (RFC 4616 2): authzid NUL authcid NUL passwd. False: it is none, or it asks to act as
 * somebody else than it is. */
bool credentials_read_plain(struct credentials *ret_credentials, struct slice message);
