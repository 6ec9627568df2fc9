/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/credentials.h"

/* Splits at the first such byte; false: there is none. */
static bool split(struct slice text, uint8_t at, struct slice *ret_before, struct slice *ret_behind)
{
	const uint8_t *found = text.length == 0 ? NULL : memchr(text.data, at, text.length);

	if (found == NULL)
		return false;
	*ret_before = (struct slice){text.data, (size_t)(found - text.data)};
	*ret_behind = (struct slice){found + 1, text.length - ret_before->length - 1};
	return true;
}

bool credentials_read_text(struct credentials *ret_credentials, struct slice value)
{
	return split(value, ' ', &ret_credentials->name, &ret_credentials->password);
}

bool credentials_read_plain(struct credentials *ret_credentials, struct slice message)
{
	struct slice act_as, rest, name, password;

	if (!split(message, 0, &act_as, &rest) || !split(rest, 0, &name, &password))
		return false;
	if (act_as.length > 0 && !slice_equal(act_as, name))
		return false;
	*ret_credentials = (struct credentials){name, password};
	return true;
}
