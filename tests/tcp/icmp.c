/* SPDX-License-Identifier: Apache-2.0 */
#include "icmp.h"

#include "base/bytes.h"

#define PROTOCOL_ICMP4  1
#define PROTOCOL_ICMP6  58
#define ICMP_BYTES      8
#define QUOTE_L4_BYTES  8
#define QUOTE_BYTES_MAX 100
#define PACKET_BYTES    1500

/* What the server has sent: from path->remote to path->local. */
static uint32_t quote_write(uint8_t *ip, const struct frame_path *path,
                            const struct icmp_error *error)
{
	bool ip4 = ip_address_is_ip4(&path->remote);
	uint32_t bytes = error->packet_bytes == 0 ? PACKET_BYTES : error->packet_bytes;
	uint8_t *tcp = ip + (ip4 ? 20 : 40);

	if (ip4) {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)bytes);
		ip[6] = 0x40;
		ip[8] = 60;
		ip[9] = error->protocol;
		memcpy(ip + 12, path->remote.bytes + 12, 4);
		memcpy(ip + 16, path->local.bytes + 12, 4);
	} else {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)(bytes - 40));
		ip[6] = error->protocol;
		ip[7] = 60;
		memcpy(ip + 8, path->remote.bytes, 16);
		memcpy(ip + 24, path->local.bytes, 16);
	}
	store_be16(tcp, error->server_port);
	store_be16(tcp + 2, error->client_port);
	store_be32(tcp + 4, error->seq);
	return (uint32_t)(tcp - ip) + QUOTE_L4_BYTES;
}

uint32_t icmp_error_write(uint8_t *to, const struct frame_path *path,
                          const struct icmp_error *error)
{
	bool ip4 = ip_address_is_ip4(&path->remote);
	uint8_t protocol = ip4 ? PROTOCOL_ICMP4 : PROTOCOL_ICMP6;
	uint8_t *icmp = frame_begin(to, path, protocol);
	uint32_t quoted;

	memset(icmp, 0, ICMP_BYTES + QUOTE_BYTES_MAX);
	icmp[0] = error->type;
	icmp[1] = error->code;
	store_be32(icmp + 4, error->rest);
	quoted = quote_write(icmp + ICMP_BYTES, path, error);
	if (error->quoted_bytes != 0)
		quoted = min_u32(error->quoted_bytes, QUOTE_BYTES_MAX);
	return frame_finish(to, path, protocol, ICMP_BYTES + quoted);
}
