/* SPDX-License-Identifier: Apache-2.0 */
/* ASSERT states an invariant of ours; it is on in every build. What a peer sends is never
 * asserted on. ASSERT_SLOW costs more than the code around it: debug builds and simulation only. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define ASSERT(condition)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(!(condition), 0)) {                                           \
			fprintf(stderr, "%s:%d: invariant broken in %s: %s\n", __FILE__, __LINE__, \
			        __func__, #condition);                                             \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#ifdef KANTE_SLOW_ASSERTS
#define ASSERT_SLOW(condition) ASSERT(condition)
#else
#define ASSERT_SLOW(condition) ((void)0)
#endif
