/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about segments of ours (RFC 792, 1191; RFC 4443, 8201): what they quote is taken
 * apart here, whether it is believed is TCP's to decide. */
#include "net/net_internal.h"

#define QUOTE_L4_BYTES      8 /* ports and sequence number: what RFC 792 promises */
#define ICMP4_TOO_BIG_CODE  4
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER     12
#define ICMP6_TOO_BIG       2
#define ICMP6_TIME_EXCEEDED 3

/* A router from before RFC 1191 says no size: the next smaller one that links have (its 7.1). */
static uint16_t next_plateau(uint16_t quoted_bytes)
{
	static const uint16_t plateaus[] = {17914, 8166, 4352, 2002, 1492, 1006, 508};
	uint32_t i = 0;

	while (i < sizeof(plateaus) / sizeof(plateaus[0]) - 1 && plateaus[i] >= quoted_bytes)
		i++;
	return plateaus[i];
}

static bool quote4(const uint8_t *quote, uint32_t length, struct net_error *error)
{
	uint32_t header_bytes;

	if (length < IP4_HEADER_BYTES || quote[0] >> 4 != 4 || quote[9] != IP_PROTOCOL_TCP ||
	    (load_be16(quote + 6) & 0x1fff) != 0)
		return false;
	header_bytes = (quote[0] & 0x0f) * 4u;
	if (header_bytes < IP4_HEADER_BYTES || length < header_bytes + QUOTE_L4_BYTES)
		return false;
	error->path.local = ip_address_from_ip4(quote + 12);
	error->path.remote = ip_address_from_ip4(quote + 16);
	error->packet_bytes = load_be16(quote + 2);
	error->l4 = quote + header_bytes;
	return true;
}

/* We send no extension headers. */
static bool quote6(const uint8_t *quote, uint32_t length, struct net_error *error)
{
	if (length < IP6_HEADER_BYTES + QUOTE_L4_BYTES || quote[0] >> 4 != 6 ||
	    quote[6] != IP_PROTOCOL_TCP)
		return false;
	error->path.local = ip_address_from_ip6(quote + 8);
	error->path.remote = ip_address_from_ip6(quote + 24);
	error->packet_bytes =
	    (uint16_t)min_u32(IP6_HEADER_BYTES + load_be16(quote + 4), UINT16_MAX);
	error->l4 = quote + IP6_HEADER_BYTES;
	return true;
}

bool icmp_error_input(struct net *net, const struct net_input *input, uint64_t now_us)
{
	const uint8_t *icmp = input->l4;
	const uint8_t *quote = icmp + ICMP_HEADER_BYTES;
	uint32_t length = input->l4_length - ICMP_HEADER_BYTES;
	struct net_error error = {.path = {.net = net, .vlan = input->path.vlan}};
	bool ip4 = ip_address_is_ip4(&input->path.local);
	bool is_error = ip4 ? icmp[0] == ICMP4_UNREACHABLE || icmp[0] == ICMP4_TIME_EXCEEDED ||
	                          icmp[0] == ICMP4_PARAMETER
	                    : icmp[0] >= ICMP6_UNREACHABLE && icmp[0] <= ICMP6_PARAMETER;

	/* sent to the address that the quoted packet came from */
	if (!is_error || !(ip4 ? quote4(quote, length, &error) : quote6(quote, length, &error)) ||
	    !ip_address_equal(&error.path.local, &input->path.local))
		return false;
	if (ip4 && icmp[0] == ICMP4_UNREACHABLE && icmp[1] == ICMP4_TOO_BIG_CODE) {
		error.too_big = true;
		error.mtu = load_be16(icmp + 6);
		if (error.mtu == 0)
			error.mtu = next_plateau(error.packet_bytes);
	} else if (!ip4 && icmp[0] == ICMP6_TOO_BIG) {
		error.too_big = true;
		error.mtu = (uint16_t)min_u32(load_be32(icmp + 4), UINT16_MAX);
	}
	counter_add(&net->counters.icmp_errors_received, 1);
	net->user.error(net->user.context, &error, now_us);
	return true;
}
