/* SPDX-License-Identifier: Apache-2.0 */
/* Against guessing: who has failed too often is not listened to for a while. By source (an IPv4
 * address, an IPv6 /64), not by name: else anybody could lock out anybody. Bounded memory: when it
 * is full, those whose last failure is longest ago are forgotten, but never one that is locked out
 * while there is another. Seconds are of a clock that nobody sets (CLOCK_MONOTONIC). Owner: the
 * control process's loop. */
#pragma once

#include "net/address.h"

#define GUARD_SOURCE_COUNT_MAX 4096
#define GUARD_FAILURES_MAX     5 /* within GUARD_WINDOW_S: the next is not listened to */
#define GUARD_WINDOW_S         60
#define GUARD_LOCK_S_MIN       30 /* doubles when another follows within an hour of its end */
#define GUARD_LOCK_S_MAX       3600

struct guard;

int guard_create(struct guard **ret_guard, const uint64_t random_key[2]); /* 0; -ENOMEM */
void guard_destroy(struct guard *guard);                                  /* takes NULL */

/* Seconds until this source is listened to again; 0: it is. */
uint64_t guard_locked_s(const struct guard *guard, const struct ip_address *source, uint64_t now_s);

/* It has shown a credential that is wrong (none at all is no guess). True: it is locked out from
 * now on. */
bool guard_failed(struct guard *guard, const struct ip_address *source, uint64_t now_s);

/* It has shown a good one: its failures are forgotten, its lock-outs are not. */
void guard_passed(struct guard *guard, const struct ip_address *source, uint64_t now_s);

/* How many sources are locked out. */
uint64_t guard_locked_count(const struct guard *guard, uint64_t now_s);
