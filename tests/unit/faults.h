/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the system that fail when a test says so: FAULTY() defines one in the test's program,
 * where it comes before the library's, which it uses while it is not to fail. One fault at a time;
 * any thread of the program may run into it. */
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static struct {
	const char *_Atomic call; /* NULL: none */
	int error_number;         /* as errno */
	atomic_uint skip_count;   /* calls that are let through first */
	atomic_uint count;        /* then calls that fail */
} fault;

static inline void fault_clear(void)
{
	atomic_store(&fault.call, NULL);
}

/* After `skip_count` calls, `count` of them fail. */
static inline void fault_set(const char *call, int error_number, uint32_t skip_count,
                             uint32_t count)
{
	fault_clear();
	fault.error_number = error_number;
	atomic_store(&fault.skip_count, skip_count);
	atomic_store(&fault.count, count);
	atomic_store(&fault.call, call);
}

static inline bool fault_hits(const char *call)
{
	const char *faulty = atomic_load(&fault.call);

	if (faulty == NULL || strcmp(faulty, call) != 0)
		return false;
	if (atomic_load(&fault.skip_count) > 0) {
		atomic_fetch_sub(&fault.skip_count, 1);
		return false;
	}
	if (atomic_load(&fault.count) == 0)
		return false;
	atomic_fetch_sub(&fault.count, 1);
	errno = fault.error_number;
	return true;
}

/* True: it has happened as often as it was to. */
static inline bool fault_over(void)
{
	return atomic_load(&fault.count) == 0;
}

/* `failure`: what the call returns when it fails. */
#define FAULTY(type, failure, call, parameters, arguments)                                         \
	type call parameters                                                                       \
	{                                                                                          \
		type(*next) parameters;                                                            \
                                                                                                   \
		if (fault_hits(#call))                                                             \
			return failure;                                                            \
		*(void **)&next = dlsym(RTLD_NEXT, #call);                                         \
		return next arguments;                                                             \
	}
