/* SPDX-License-Identifier: Apache-2.0 */
/* SYN cookies (Bernstein 1996; RFC 4987 3.6): a SYN-ACK's sequence number and timestamp that let
 * the server forget the SYN.
 *
 *   sequence number   31 … 27 period modulo 32 | 26 … 24 index of the MSS | 23 … 0 MAC
 *   timestamp         … | 4 SACK permitted | 3 … 0 window scale, 15 is none
 *
 * The MAC is SipHash of both addresses and ports, the peer's sequence number, the period and the
 * MSS. A cookie is good in the period it was made in (67 s) and in the next one. */
#include "tcp/tcp_internal.h"

#define PERIOD_SHIFT_US 26
#define PERIOD_BITS     5
#define PERIOD_MASK     ((1u << PERIOD_BITS) - 1)
#define MAC_BITS        24
#define MSS_BITS        3
#define OPTION_BITS     6 /* of the timestamp; one is spare */
#define NO_SHIFT        15u
#define SACK_BIT        0x10u

/* What is common: RFC 9293's defaults, tunnels, PPPoE, Ethernet with IPv6 and IPv4, jumbo frames.
 */
static const uint16_t sizes[1 << MSS_BITS] = {TCP_MSS_MIN, 1024, 1220, 1340,
                                              1400,        1440, 1460, 8940};

struct mac_input {
	struct ip_address local;
	struct ip_address remote;
	uint16_t local_port;
	uint16_t remote_port;
	uint32_t irs;
	uint32_t period;
	uint32_t size_index;
};

static uint32_t mac(const struct tcp *tcp, const struct tuple *tuple, uint32_t irs, uint32_t period,
                    uint32_t size_index)
{
	struct mac_input input = {tuple->path->local,
	                          tuple->path->remote,
	                          tuple->local_port,
	                          tuple->remote_port,
	                          irs,
	                          period,
	                          size_index};

	_Static_assert(sizeof(input) == 48, "no padding, every byte counts in the hash");
	return (uint32_t)siphash(&tcp->secrets.cookie, &input, sizeof(input)) &
	       ((1u << MAC_BITS) - 1);
}

static uint32_t period_of(uint64_t now_us)
{
	return (uint32_t)(now_us >> PERIOD_SHIFT_US);
}

uint32_t cookie_make(const struct tcp *tcp, const struct tuple *tuple, struct handshake *agreed,
                     uint64_t now_us)
{
	uint32_t period = period_of(now_us);
	uint32_t size_index = (1 << MSS_BITS) - 1;
	uint32_t now_ts = now_ms_from(now_us) + agreed->ts_offset;
	uint32_t value;

	while (size_index > 0 && sizes[size_index] > agreed->mss)
		size_index--;
	agreed->mss = sizes[size_index];
	agreed->iss = (period & PERIOD_MASK) << (MAC_BITS + MSS_BITS) | size_index << MAC_BITS |
	              mac(tcp, tuple, agreed->irs, period, size_index);
	if (!agreed->timestamps) {
		agreed->window_scaling = false;
		agreed->sack_permitted = false;
		return 0;
	}
	value = now_ts >> OPTION_BITS << OPTION_BITS;
	value |= agreed->window_scaling ? agreed->send_shift : NO_SHIFT;
	value |= agreed->sack_permitted ? SACK_BIT : 0;
	/* never ahead of the timestamps that follow: the peer would drop those (PAWS) */
	if (seq_after(value, now_ts))
		value -= 1u << OPTION_BITS;
	return value;
}

bool cookie_read(const struct tcp *tcp, const struct tuple *tuple,
                 const struct tcp_segment *segment, uint64_t now_us, struct handshake *ret_agreed)
{
	uint32_t cookie = segment->ack - 1;
	uint32_t age = (period_of(now_us) - (cookie >> (MAC_BITS + MSS_BITS))) & PERIOD_MASK;
	uint32_t size_index = cookie >> MAC_BITS & ((1u << MSS_BITS) - 1);
	uint32_t options = segment->ts_echo;

	if (age > 1 || (cookie & ((1u << MAC_BITS) - 1)) !=
	                   mac(tcp, tuple, segment->seq - 1, period_of(now_us) - age, size_index))
		return false;
	*ret_agreed = (struct handshake){
	    .irs = segment->seq - 1,
	    .iss = cookie,
	    .mss = sizes[size_index],
	    .timestamps = segment->has_timestamp,
	    .ts_recent = segment->ts_value,
	};
	if (!segment->has_timestamp)
		return true;
	ret_agreed->window_scaling = (options & NO_SHIFT) != NO_SHIFT;
	ret_agreed->sack_permitted = (options & SACK_BIT) != 0;
	if (ret_agreed->window_scaling)
		ret_agreed->send_shift = (uint8_t)min_u32(options & NO_SHIFT, TCP_WINDOW_SHIFT_MAX);
	return true;
}
