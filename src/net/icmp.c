/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP (RFC 792, 1122 3.2.2) and ICMPv6 (RFC 4443): echo, and unreachable messages, all under one
 * rate limit. Errors that come in: icmp_error.c. */
#include "net/net_internal.h"

#define ICMP_CHECKSUM_OFFSET 2
#define ICMP4_ECHO_REPLY     0
#define ICMP4_ECHO_REQUEST   8
#define ICMP6_ECHO_REQUEST   128
#define ICMP6_ECHO_REPLY     129
#define ICMP6_SOLICITATION   135
#define ICMP6_ADVERTISEMENT  136
#define ICMP4_QUOTE_MAX      (576 - 20 - ICMP_HEADER_BYTES)  /* RFC 1812 4.3.2.3 */
#define ICMP6_QUOTE_MAX      (1280 - 40 - ICMP_HEADER_BYTES) /* RFC 4443 2.4 (c) */

bool icmp_take_token(struct net *net, uint64_t now_us)
{
	uint64_t refill = (now_us - net->icmp_refill_us) * ICMP_RATE_PER_S / 1000000;

	if (refill > 0) {
		net->icmp_tokens = min_u64(net->icmp_tokens + refill, ICMP_BURST);
		net->icmp_refill_us = now_us;
	}
	if (net->icmp_tokens == 0) {
		counter_add(&net->counters.icmp_rate_limited, 1);
		return false;
	}
	net->icmp_tokens--;
	return true;
}

/* Sends the request back as it is, save for the type. */
static void echo_reply(struct net *net, const struct net_input *input, uint8_t protocol,
                       uint8_t reply_type, uint64_t now_us)
{
	struct packet packet;
	uint8_t *icmp;

	if (input->l4_length > net_path_l4_max(&input->path)) {
		counter_add(&net->counters.icmp_ignored, 1);
		return;
	}
	if (net_blocks(net, &input->path.remote) || !icmp_take_token(net, now_us))
		return;
	icmp = net_packet_begin(&input->path, protocol, &packet);
	if (icmp == NULL)
		return;
	memcpy(icmp, input->l4, input->l4_length);
	icmp[0] = reply_type;
	icmp[1] = 0;
	store_be16(icmp + ICMP_CHECKSUM_OFFSET, 0);
	net_packet_finish(&input->path, protocol, &packet, input->l4_length, ICMP_CHECKSUM_OFFSET);
	counter_add(&net->counters.icmp_echo_replies_sent, 1);
}

void icmp4_input(struct net *net, const struct net_input *input, uint64_t now_us)
{
	struct net_input unverified = *input;

	/* devices verify TCP and UDP sums only */
	unverified.checksum_known = false;
	if (input->l4_length < ICMP_HEADER_BYTES ||
	    !net_input_checksum_ok(&unverified, IP_PROTOCOL_ICMP, unverified.l4_length)) {
		counter_add(&net->counters.icmp_bad, 1);
		return;
	}
	if (input->l4[0] == ICMP4_ECHO_REQUEST && !net->kernel_answers)
		echo_reply(net, input, IP_PROTOCOL_ICMP, ICMP4_ECHO_REPLY, now_us);
	else if (!icmp_error_input(net, input, now_us))
		counter_add(&net->counters.icmp_ignored, 1);
}

void icmp6_input(struct net *net, const struct net_frame *frame, const struct net_input *input,
                 uint8_t hop_limit, uint64_t now_us)
{
	struct net_input unverified = *input;
	struct net_address *ours = net_address_find(net, &input->path.local);
	struct ip_address nobody = {0};
	bool to_us = ours != NULL && ours->state == NET_ADDRESS_READY && !frame->multicast &&
	             !ip_address_equal(&input->path.remote, &nobody);
	uint8_t type;

	unverified.checksum_known = false;
	if (input->l4_length < ICMP_HEADER_BYTES ||
	    !net_input_checksum_ok(&unverified, IP_PROTOCOL_ICMP6, unverified.l4_length)) {
		counter_add(&net->counters.icmp_bad, 1);
		return;
	}
	type = input->l4[0];
	if ((type == ICMP6_SOLICITATION || type == ICMP6_ADVERTISEMENT) && !net->kernel_answers)
		nd_input(net, frame, input, hop_limit, now_us);
	else if (type == ICMP6_ECHO_REQUEST && to_us && !net->kernel_answers)
		echo_reply(net, input, IP_PROTOCOL_ICMP6, ICMP6_ECHO_REPLY, now_us);
	else if (!to_us || !icmp_error_input(net, input, now_us))
		counter_add(&net->counters.icmp_ignored, 1);
}

void icmp_send_unreachable(struct net *net, const struct net_path *path, struct slice packet,
                           bool protocol_unknown, uint64_t now_us)
{
	bool ip4 = ip_address_is_ip4(&path->local);
	uint8_t protocol = ip4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMP6;
	size_t quoted = min_u64(packet.length, ip4 ? ICMP4_QUOTE_MAX : ICMP6_QUOTE_MAX);
	struct packet error;
	uint8_t *icmp;

	if (net->kernel_answers || !icmp_take_token(net, now_us))
		return;
	icmp = net_packet_begin(path, protocol, &error);
	if (icmp == NULL)
		return;
	memset(icmp, 0, ICMP_HEADER_BYTES);
	if (ip4) {
		icmp[0] = ICMP4_UNREACHABLE;
		icmp[1] = protocol_unknown ? 2 : 3;
	} else if (protocol_unknown) {
		icmp[0] = ICMP6_PARAMETER;
		icmp[1] = 1;
		/* the pointer of RFC 4443 3.4: where the first header names what comes next; behind
		 * extension headers that is near enough */
		store_be32(icmp + 4, 6);
	} else {
		icmp[0] = ICMP6_UNREACHABLE;
		icmp[1] = 4;
	}
	memcpy(icmp + ICMP_HEADER_BYTES, packet.data, quoted);
	net_packet_finish(path, protocol, &error, (uint16_t)(ICMP_HEADER_BYTES + quoted),
	                  ICMP_CHECKSUM_OFFSET);
	counter_add(&net->counters.icmp_errors_sent, 1);
}
