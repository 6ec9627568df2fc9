/* SPDX-License-Identifier: Apache-2.0 */
/* The paper's names: h(x) = x^-exponent is the hat; H its integral, here with H(1) = 0. */
#include "load/zipf.h"

#include "base/assert.h"

#include <math.h>

static double hat(const struct zipf *zipf, double x)
{
	return exp(-zipf->exponent * log(x));
}

/* (x^(1 - exponent) - 1) / (1 - exponent), which goes to log(x) at exponent 1; expm1() keeps it
 * exact around there. */
static double hat_integral(const struct zipf *zipf, double x)
{
	double power = (1 - zipf->exponent) * log(x);

	if (power == 0)
		return log(x);
	return log(x) * (expm1(power) / power);
}

static double hat_integral_inverse(const struct zipf *zipf, double area)
{
	double t = area * (1 - zipf->exponent);

	if (t == 0)
		return exp(area);
	/* Rounding may put it just under the pole when the exponent is high. */
	if (t < -1)
		t = -1;
	return exp(area * (log1p(t) / t));
}

void zipf_create(struct zipf *zipf, uint64_t count, double exponent)
{
	ASSERT(count >= 1 && count <= ZIPF_COUNT_MAX);
	ASSERT(exponent >= 0 && exponent <= ZIPF_EXPONENT_MAX);
	zipf->count = count;
	zipf->exponent = exponent;
	zipf->area_first = hat_integral(zipf, 1.5) - 1;
	zipf->area_last = hat_integral(zipf, (double)count + 0.5);
	zipf->accept_below = 2 - hat_integral_inverse(zipf, hat_integral(zipf, 2.5) - hat(zipf, 2));
}

uint64_t zipf_rank(const struct zipf *zipf, struct random *random)
{
	if (zipf->exponent == 0)
		return random_below(random, zipf->count);
	for (;;) {
		double area = zipf->area_last +
		              random_fraction(random) * (zipf->area_first - zipf->area_last);
		double x = hat_integral_inverse(zipf, area);
		double k = floor(x + 0.5);

		if (!(k >= 1))
			k = 1;
		else if (k > (double)zipf->count)
			k = (double)zipf->count;
		/* The first test spares the second's logarithms for nearly all. */
		if (k - x <= zipf->accept_below ||
		    area >= hat_integral(zipf, k + 0.5) - hat(zipf, k))
			return (uint64_t)k - 1;
	}
}
