/* SPDX-License-Identifier: Apache-2.0 */
/* Where the key of a request most likely is, for what is done ahead of requests. Whether it is
 * sound is looked at for a plain get only; else a wrong answer costs time and nothing more. */
#pragma once

#include "base/bytes.h"
#include "proto/request.h"

#include <stdbool.h>

struct peek {
	struct slice key;
	bool is_get; /* "get", one key and the end of the line, all of it sound */
	bool writes;
	uint64_t bytes; /* up to the next request, which may not be there yet; of a get of several
	                 * keys, all there are */
};

/* Of either protocol. False: no key is seen, or no end of the request. */
bool request_peek(struct slice bytes, struct peek *ret_peek);
