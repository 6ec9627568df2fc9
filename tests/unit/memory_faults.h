/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out when a test says so: fault_set("memory", ENOMEM, skip_count, count), for
 * all libraries that the program uses. Not under ASan, which has these calls for itself. */
#pragma once

#include "faults.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_CAN_FAIL false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_CAN_FAIL false
#endif
#endif

#ifndef MEMORY_CAN_FAIL
#define MEMORY_CAN_FAIL true

void *malloc(size_t bytes)
{
	void *(*next)(size_t);

	if (fault_hits("memory"))
		return NULL;
	*(void **)&next = dlsym(RTLD_NEXT, "malloc");
	return next(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	void *(*next)(size_t, size_t);

	if (fault_hits("memory"))
		return NULL;
	*(void **)&next = dlsym(RTLD_NEXT, "calloc");
	return next(count, bytes);
}

void *realloc(void *before, size_t bytes)
{
	void *(*next)(void *, size_t);

	if (fault_hits("memory"))
		return NULL;
	*(void **)&next = dlsym(RTLD_NEXT, "realloc");
	return next(before, bytes);
}
#endif
