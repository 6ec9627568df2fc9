/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/tcp_internal.h"

bool tcp_info(const struct stream *stream, uint64_t now_us, struct tcp_info *ret_info)
{
	static const char *const states[] = {
	    [TCP_FREE] = "free",
	    [TCP_ESTABLISHED] = "established",
	    [TCP_CLOSE_WAIT] = "close_wait",
	    [TCP_FIN_WAIT_1] = "fin_wait_1",
	    [TCP_FIN_WAIT_2] = "fin_wait_2",
	    [TCP_CLOSING] = "closing",
	    [TCP_LAST_ACK] = "last_ack",
	    [TCP_TIME_WAIT] = "time_wait",
	};
	static const char *const recoveries[] = {
	    [RECOVERY_NONE] = "none",
	    [RECOVERY_FAST] = "fast",
	    [RECOVERY_TIMEOUT] = "timeout",
	};
	const struct tcp_connection *connection = (const struct tcp_connection *)stream;

	if (stream->ops != &tcp_stream_ops)
		return false;
	*ret_info = (struct tcp_info){
	    .state = states[connection->state],
	    .recovery = recoveries[connection->recovery],
	    .mss = connection->mss,
	    .cwnd = connection->cwnd,
	    .ssthresh = connection->ssthresh,
	    .srtt_us = connection->srtt_us,
	    .rttvar_us = connection->rttvar_us,
	    .rto_ms = connection->rto_ms,
	    .send_window = connection->snd_wnd,
	    .receive_window = connection->rcv_adv - connection->rcv_nxt,
	    .output_bytes = stream->out.length,
	    .in_flight = connection->snd_nxt - connection->snd_una,
	    .sacked = connection->flight.sacked_bytes,
	    .lost = connection->flight.lost_bytes,
	    .retransmit_count = connection->retransmit_count,
	    .queue_blocks = connection->queue_block_count,
	    .heard_ms_ago = (uint32_t)heard_ms_ago(connection, now_us),
	};
	return true;
}
