/* SPDX-License-Identifier: Apache-2.0 */
/* Zipf-distributed ranks: rank k of n comes with a probability proportional to (k + 1)^-exponent.
 *
 * Rejection-inversion (Hörmann, Derflinger 1996, "Rejection-inversion to generate variates from
 * monotone discrete distributions"): constant time and memory whatever n, and exact for every
 * exponent ≥ 0, 1 and above included. */
#pragma once

#include "base/random.h"

#define ZIPF_EXPONENT_MAX 10.0
#define ZIPF_COUNT_MAX    (UINT64_C(1) << 50) /* beyond, doubles no longer tell ranks apart */

/* The constants of one distribution; never changes after zipf_create(). */
struct zipf {
	uint64_t count;
	double exponent;
	double area_first; /* the area over rank 1, cut to its probability, starts here */
	double area_last;  /* the area under the hat ends here */
	double accept_below;
};

/* Ranks 0 … count - 1 (count 1 … ZIPF_COUNT_MAX); exponent 0 (uniform) … ZIPF_EXPONENT_MAX. */
void zipf_create(struct zipf *zipf, uint64_t count, double exponent);

uint64_t zipf_rank(const struct zipf *zipf, struct random *random);

/* Uniform in [0, 1). */
static inline double random_fraction(struct random *random)
{
	return (double)(random_u64(random) >> 11) * 0x1p-53;
}
