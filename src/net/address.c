/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int ip_address_parse(struct ip_address *ret_address, const char *text)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*ret_address = ip_address_from_ip4(bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*ret_address = ip_address_from_ip6(bytes);
	else
		return -EINVAL;
	return 0;
}

int ip_prefix_parse(struct ip_prefix *ret_prefix, const char *text)
{
	char address_text[IP_ADDRESS_TEXT_MAX];
	struct ip_prefix prefix;
	const char *slash = strchr(text, '/');
	size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
	unsigned skipped;

	if (length >= sizeof(address_text))
		return -EINVAL;
	memcpy(address_text, text, length);
	address_text[length] = '\0';
	if (ip_address_parse(&prefix.address, address_text) < 0)
		return -EINVAL;
	skipped = strchr(address_text, ':') == NULL ? 96 : 0;
	prefix.length = 128;
	if (slash != NULL) {
		char *end;
		unsigned long bits;

		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		bits = strtoul(slash + 1, &end, 10);
		if (*end != '\0' || bits > 128 - skipped)
			return -EINVAL;
		prefix.length = (uint8_t)(bits + skipped);
	}
	*ret_prefix = prefix;
	return 0;
}

void ip_address_format(const struct ip_address *address, char text[IP_ADDRESS_TEXT_MAX])
{
	if (ip_address_is_ip4(address))
		inet_ntop(AF_INET, address->bytes + 12, text, IP_ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, address->bytes, text, IP_ADDRESS_TEXT_MAX);
}

void ip_prefix_format(const struct ip_prefix *prefix, char text[IP_PREFIX_TEXT_MAX])
{
	/* a shorter one of IPv4-mapped addresses has others in it, too */
	bool is_ip4 = ip_address_is_ip4(&prefix->address) && prefix->length >= 96;
	size_t used;

	inet_ntop(is_ip4 ? AF_INET : AF_INET6, prefix->address.bytes + (is_ip4 ? 12 : 0), text,
	          IP_ADDRESS_TEXT_MAX);
	used = strlen(text);
	if (prefix->length < 128)
		snprintf(text + used, IP_PREFIX_TEXT_MAX - used, "/%u",
		         prefix->length - (is_ip4 ? 96u : 0u));
}
