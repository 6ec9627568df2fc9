/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers as clients write them: parsed whole, never truncated. */
#pragma once

#include "base/bytes.h"

#define NUMBER_TEXT_MAX 20 /* digits of 2^64 - 1 */

/* Digits with an optional plus sign, at most `max`. False: anything else; *ret_number is left. */
bool number_parse_u64(struct slice text, uint64_t max, uint64_t *ret_number);

/* Digits with an optional sign, -2^63 + 1 … 2^63 - 1. False: anything else. */
bool number_parse_i64(struct slice text, int64_t *ret_number);

/* Writes up to NUMBER_TEXT_MAX digits. Returns where they end. */
uint8_t *number_write(uint8_t *to, uint64_t number);
