/* SPDX-License-Identifier: Apache-2.0 */
/* The retransmission time-out: RFC 6298. */
#include "tcp/tcp_internal.h"

void rtt_rto_reset(struct tcp_connection *connection)
{
	/* the clock's granularity G is 1 ms: RFC 6298 (2.3) */
	uint32_t rto_us = connection->srtt_us + max_u32(4 * connection->rttvar_us, 1000);

	if (connection->srtt_us == 0) /* nothing was measured yet */
		return;
	rto_us = max_u32(rto_us, connection->tcp->options.rto_min_us);
	connection->rto_ms = min_u32((rto_us + 999) / 1000, TCP_RTO_MAX_MS);
}

void rtt_sample(struct tcp_connection *connection, uint32_t rtt_us)
{
	if (connection->srtt_us == 0) {
		connection->srtt_us = max_u32(rtt_us, 1);
		connection->rttvar_us = rtt_us / 2;
	} else {
		uint32_t difference = rtt_us > connection->srtt_us ? rtt_us - connection->srtt_us
		                                                   : connection->srtt_us - rtt_us;

		connection->rttvar_us =
		    (uint32_t)(((uint64_t)connection->rttvar_us * 3 + difference) / 4);
		connection->srtt_us =
		    (uint32_t)max_u64(((uint64_t)connection->srtt_us * 7 + rtt_us) / 8, 1);
	}
	connection->probe_spent = false;
	rtt_rto_reset(connection);
}
