/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/expiry.h"

#include "cli/human.h"

#include <time.h>

bool expiry_read(const struct command_call *call, uint64_t *ret_s)
{
	const char *text = command_value(call, "expires");
	uint64_t now_s = (uint64_t)time(NULL);

	*ret_s = 0;
	if (text == NULL)
		return true;
	if (human_parse_duration(ret_s, text)) {
		if (!__builtin_add_overflow(*ret_s, now_s, ret_s) && *ret_s <= INT64_MAX)
			return true;
	} else if (human_parse_time(ret_s, text)) {
		*ret_s /= 1000000;
		if (*ret_s > now_s)
			return true;
	}
	fprintf(stderr,
	        "kante %s: --expires %s: no time to come: write 30d, 12h, 2027-01-31 or "
	        "2027-01-31T12:00:00Z\n",
	        call->command->name, text);
	return false;
}
