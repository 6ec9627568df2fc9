/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as they come, of which no model knows what they mean: nothing breaks, how they are cut does
 * not matter, and nothing is left behind. */
#pragma once

#include "input.h"

/* Input: eight bytes of seed, then what the client sends. */
void raw_stream(struct input *input);

/* A datagram without its header. */
void raw_datagram(struct input *input);
