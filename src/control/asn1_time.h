/* SPDX-License-Identifier: Apache-2.0 */
/* Times as certificates have them. */
#pragma once

#include <errno.h>
#include <openssl/asn1.h>
#include <stdint.h>
#include <time.h>

/* Unix time; 0 for what lies before 1970. -EINVAL: not a time. */
static inline int asn1_time_to_unix(uint64_t *ret_time_s, const ASN1_TIME *time)
{
	struct tm parts;
	time_t time_s;

	if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
		return -EINVAL;
	time_s = timegm(&parts);
	*ret_time_s = time_s < 0 ? 0 : (uint64_t)time_s;
	return 0;
}
