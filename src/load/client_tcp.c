/* SPDX-License-Identifier: Apache-2.0 */
#include "load/client_tcp.h"

#include "base/assert.h"
#include "load/client_tcp_internal.h"

#include <stdio.h>

#define VIOLATION_TEXT(name, text) [CLIENT_TCP_VIOLATION_##name] = text,

static const char *const violation_texts[] = {CLIENT_TCP_VIOLATIONS(VIOLATION_TEXT)};

static const char *const state_names[] = {
    [CLIENT_TCP_CONNECTING] = "connecting",
    [CLIENT_TCP_OPEN] = "open",
    [CLIENT_TCP_PEER_CLOSED] = "peer closed",
    [CLIENT_TCP_CLOSED] = "closed",
    [CLIENT_TCP_RESET] = "reset",
    [CLIENT_TCP_ABORTED] = "aborted",
    [CLIENT_TCP_FAILED] = "failed",
};

const char *client_tcp_state_name(enum client_tcp_state state)
{
	return state_names[state];
}

const char *client_tcp_violation_text(enum client_tcp_violation violation)
{
	return violation_texts[violation];
}

void client_tcp_format_violation(const struct client_tcp *tcp,
                                 char text[CLIENT_TCP_VIOLATION_TEXT_MAX])
{
	text[0] = '\0';
	if (tcp->counters.violations == 0)
		return;
	snprintf(text, CLIENT_TCP_VIOLATION_TEXT_MAX, "%s: %u, limit %u, at %llu us",
	         violation_texts[tcp->first_violation], tcp->first_got, tcp->first_limit,
	         (unsigned long long)tcp->first_at_us);
}

void violation_add(struct client_tcp *tcp, enum client_tcp_violation violation, uint32_t got,
                   uint32_t limit, uint64_t now_us)
{
	if (tcp->counters.violations == 0) {
		tcp->first_violation = violation;
		tcp->first_got = got;
		tcp->first_limit = limit;
		tcp->first_at_us = now_us;
	}
	tcp->violations[violation]++;
	tcp->counters.violations++;
}

struct slice ring_piece(const struct client_tcp_ring *ring, uint32_t sequence, uint32_t length)
{
	uint32_t at = sequence & (ring->capacity - 1);

	return (struct slice){ring->bytes + at, min_u32(length, ring->capacity - at)};
}

void ring_write(const struct client_tcp_ring *ring, uint32_t sequence, const uint8_t *from,
                uint32_t length)
{
	uint32_t at = sequence & (ring->capacity - 1);
	uint32_t first = min_u32(length, ring->capacity - at);

	memcpy(ring->bytes + at, from, first);
	memcpy(ring->bytes, from + first, length - first);
}

void ring_read(const struct client_tcp_ring *ring, uint32_t sequence, uint8_t *to, uint32_t length)
{
	uint32_t at = sequence & (ring->capacity - 1);
	uint32_t first = min_u32(length, ring->capacity - at);

	memcpy(to, ring->bytes + at, first);
	memcpy(to + first, ring->bytes, length - first);
}

static bool power_of_two(uint32_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

void client_tcp_open(struct client_tcp *ret_tcp, const struct client_tcp_options *options)
{
	bool ip4 = ip_address_is_ip4(&options->path->remote);
	uint32_t iss = options->initial_sequence;

	ASSERT(power_of_two(options->send.capacity));
	ASSERT(power_of_two(options->receive.capacity));
	ASSERT(options->verify.capacity == 0 || power_of_two(options->verify.capacity));
	ASSERT(options->receive_window_bytes > 0);
	ASSERT(options->receive_window_bytes <= options->receive.capacity);
	*ret_tcp = (struct client_tcp){
	    .options = *options,
	    .state = CLIENT_TCP_CONNECTING,
	    .output_wanted = true,
	    .snd_una = iss,
	    .snd_nxt = iss,
	    .snd_max = iss,
	    .probe_max = iss,
	    .write_end = iss + 1,
	    .rto_us = RTO_INITIAL_US,
	    .retransmit_deadline_us = CLIENT_TCP_NEVER,
	    .ack_deadline_us = CLIENT_TCP_NEVER,
	};
	ret_tcp->receive_mss = options->mss != 0 ? options->mss
	                       : ip4             ? MSS_DEFAULT_IP4
	                                         : MSS_DEFAULT_IP6;
	if (!options->window_scaling)
		return;
	while (options->receive_window_bytes >> ret_tcp->receive_shift > UINT16_MAX)
		ret_tcp->receive_shift++;
}

uint32_t client_tcp_write(struct client_tcp *tcp, const void *bytes, uint32_t length)
{
	uint32_t used = client_tcp_unacknowledged(tcp);

	if (tcp->fin_wanted || client_tcp_ended(tcp))
		return 0;
	length = min_u32(length, tcp->options.send.capacity - used);
	if (length == 0)
		return 0;
	ring_write(&tcp->options.send, tcp->write_end, bytes, length);
	tcp->write_end += length;
	tcp->output_wanted = true;
	return length;
}

uint32_t client_tcp_unacknowledged(const struct client_tcp *tcp)
{
	uint32_t first = tcp->options.initial_sequence + 1;

	return tcp->write_end - earliest(latest(tcp->snd_una, first), tcp->write_end);
}

void client_tcp_close(struct client_tcp *tcp)
{
	if (client_tcp_ended(tcp))
		return;
	tcp->fin_wanted = true;
	tcp->output_wanted = true;
}

void client_tcp_abort(struct client_tcp *tcp)
{
	if (client_tcp_ended(tcp))
		return;
	/* what has no connection yet has nothing to reset; a SYN-ACK will be answered */
	tcp->reset_wanted = tcp->state != CLIENT_TCP_CONNECTING;
	tcp->reset_with_ack = true;
	tcp->reset_sequence = tcp->snd_max; /* most likely what the server expects next */
	tcp->output_wanted = tcp->reset_wanted;
	tcp->state = CLIENT_TCP_ABORTED;
}

/* Fixed to what was read, so it only moves forward; not by dribbles (RFC 9293 3.8.6.2.2). */
uint32_t receive_edge(const struct client_tcp *tcp)
{
	uint32_t window =
	    min_u32(tcp->options.receive_window_bytes, (uint32_t)UINT16_MAX << tcp->receive_shift);
	uint32_t edge = tcp->read_nxt + window;
	uint32_t step =
	    max_u32(min_u32(window - window / 2, tcp->receive_mss), 1u << tcp->receive_shift);

	return after(edge, tcp->rcv_edge) && edge - tcp->rcv_edge >= step ? edge : tcp->rcv_edge;
}

void client_tcp_resume(struct client_tcp *tcp)
{
	if (tcp->state == CLIENT_TCP_CONNECTING || client_tcp_ended(tcp))
		return;
	receive_deliver(tcp);
	if (client_tcp_ended(tcp)) /* received() has aborted */
		return;
	receive_state_update(tcp);
	if (!tcp->fin_taken && receive_edge(tcp) != tcp->rcv_edge) { /* else nobody is to know */
		tcp->ack_now = true;
		tcp->output_wanted = true;
	}
}

uint64_t client_tcp_next_deadline_us(const struct client_tcp *tcp)
{
	if (tcp->output_wanted)
		return 0;
	if (tcp->state > CLIENT_TCP_CLOSED)
		return CLIENT_TCP_NEVER;
	return min_u64(tcp->retransmit_deadline_us, tcp->ack_deadline_us);
}

/* RFC 6298 2.3, without back-off. */
void rto_reset(struct client_tcp *tcp)
{
	if (tcp->srtt_us == 0)
		tcp->rto_us = RTO_INITIAL_US;
	else
		tcp->rto_us =
		    min_u32(max_u32(tcp->srtt_us + 4 * tcp->rttvar_us, RTO_MIN_US), RTO_MAX_US);
}
