/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/udp_frame.h"

enum udp_frame_verdict udp_frame_parse(struct slice datagram, uint16_t *ret_id,
                                       struct slice *ret_body)
{
	if (datagram.length <= UDP_FRAME_BYTES)
		return UDP_FRAME_SHORT;
	if (load_be16(datagram.data + 2) != 0)
		return UDP_FRAME_BAD_SEQUENCE;
	if (load_be16(datagram.data + 4) != 1)
		return UDP_FRAME_BAD_TOTAL;
	*ret_id = load_be16(datagram.data);
	*ret_body =
	    (struct slice){datagram.data + UDP_FRAME_BYTES, datagram.length - UDP_FRAME_BYTES};
	return UDP_FRAME_GOOD;
}

void udp_frame_write(uint8_t to[UDP_FRAME_BYTES], uint16_t id, uint16_t sequence, uint16_t total)
{
	store_be32(to, (uint32_t)id << 16 | sequence);
	store_be32(to + 4, (uint32_t)total << 16);
}
