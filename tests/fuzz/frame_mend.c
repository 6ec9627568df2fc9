/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_mend.h"

#include <stdlib.h>

#define IP4_BYTES 20
#define IP6_BYTES 40

/* Offset of the IP header, or 0: it is not of that type. */
static uint32_t ip_offset(const uint8_t *frame, uint32_t length, uint16_t type)
{
	if (length >= 14 && load_be16(frame + 12) == type)
		return 14;
	if (length >= 18 && load_be16(frame + 12) == 0x8100 && load_be16(frame + 16) == type)
		return 18;
	return 0;
}

static bool is_extension(uint8_t header)
{
	return header == 0 || header == 43 || header == 44 || header == 60;
}

bool mend_find(struct mend_view *ret_view, const uint8_t *frame, uint32_t length)
{
	uint32_t ip = ip_offset(frame, length, 0x0800);
	struct mend_view view = {.ip4 = ip != 0, .ip = ip};

	if (view.ip4) {
		if (length < ip + IP4_BYTES)
			return false;
		view.l4 = ip + (frame[ip] & 0x0f) * 4u;
		view.packet_end = ip + load_be16(frame + ip + 2);
		view.protocol = frame[ip + 9];
	} else {
		ip = ip_offset(frame, length, 0x86dd);
		if (ip == 0 || length < ip + IP6_BYTES)
			return false;
		view.ip = ip;
		view.l4 = ip + IP6_BYTES;
		view.packet_end = ip + IP6_BYTES + load_be16(frame + ip + 4);
		view.protocol = frame[ip + 6];
		while (is_extension(view.protocol) && view.l4 + 8 <= length) {
			uint8_t header = view.protocol;

			view.protocol = frame[view.l4];
			view.l4 += header == 44 ? 8 : (frame[view.l4 + 1] + 1u) * 8;
		}
	}
	if (view.packet_end > length || view.l4 >= view.packet_end ||
	    view.l4 < ip + (view.ip4 ? IP4_BYTES : IP6_BYTES))
		return false;
	*ret_view = view;
	return true;
}

void mend_lengths(uint8_t *frame, uint32_t length)
{
	uint32_t ip4 = ip_offset(frame, length, 0x0800);
	uint32_t ip6 = ip_offset(frame, length, 0x86dd);
	struct mend_view view;

	if (ip4 != 0 && length >= ip4 + IP4_BYTES)
		store_be16(frame + ip4 + 2, (uint16_t)(length - ip4));
	if (ip6 != 0 && length >= ip6 + IP6_BYTES)
		store_be16(frame + ip6 + 4, (uint16_t)(length - ip6 - IP6_BYTES));
	if (mend_find(&view, frame, length) && view.protocol == 17 && length >= view.l4 + 8)
		store_be16(frame + view.l4 + 4, (uint16_t)(length - view.l4));
}

void mend_addresses(uint8_t *frame, uint32_t length, const uint8_t mac[6],
                    const struct ip_address *ip4, const struct ip_address *ip6)
{
	uint32_t at4 = ip_offset(frame, length, 0x0800);
	uint32_t at6 = ip_offset(frame, length, 0x86dd);

	if (length >= 6)
		memcpy(frame, mac, 6);
	if (at4 != 0 && length >= at4 + IP4_BYTES)
		memcpy(frame + at4 + 16, ip4->bytes + 12, 4);
	if (at6 != 0 && length >= at6 + IP6_BYTES)
		memcpy(frame + at6 + 24, ip6->bytes, 16);
}

static uint32_t sum_add(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	return sum;
}

static uint16_t sum_finish(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Offset of the transport's checksum, or 0: there is none, or no room for it. */
static uint32_t checksum_at(const struct mend_view *view)
{
	uint32_t at = 0;

	switch (view->protocol) {
	case 1: at = view->ip4 ? 2 : 0; break;
	case 58: at = view->ip4 ? 0 : 2; break;
	case 6: at = 16; break;
	case 17: at = 6; break;
	}
	return at != 0 && view->l4 + at + 2 <= view->packet_end ? view->l4 + at : 0;
}

/* Over the packet's last part with its checksum as it stands: 0 when that is right. */
static uint16_t transport_sum(const struct mend_view *view, const uint8_t *frame)
{
	uint32_t length = view->packet_end - view->l4;
	uint32_t sum = 0;

	/* a UDP datagram may end before its packet */
	if (view->protocol == 17 && length >= 8)
		length = length < load_be16(frame + view->l4 + 4) ? length
		                                                  : load_be16(frame + view->l4 + 4);
	if (view->protocol != 1) {
		sum = sum_add(sum, frame + view->ip + (view->ip4 ? 12 : 8), view->ip4 ? 8 : 32);
		sum += length + view->protocol;
	}
	return sum_finish(sum_add(sum, frame + view->l4, length));
}

void mend_checksums(const struct mend_view *view, uint8_t *frame)
{
	uint8_t *ip = frame + view->ip;
	uint32_t at = checksum_at(view);
	uint16_t sum;

	if (view->ip4) {
		store_be16(ip + 10, 0);
		store_be16(ip + 10, sum_finish(sum_add(0, ip, view->l4 - view->ip)));
	}
	if (at == 0)
		return;
	store_be16(frame + at, 0);
	sum = transport_sum(view, frame);
	store_be16(frame + at, sum == 0 && view->protocol == 17 ? 0xffff : sum);
}

bool mend_checksums_good(const struct mend_view *view, const uint8_t *frame)
{
	if (view->ip4 && sum_finish(sum_add(0, frame + view->ip, view->l4 - view->ip)) != 0)
		return false;
	return checksum_at(view) == 0 || transport_sum(view, frame) == 0;
}
