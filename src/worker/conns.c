/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conns.h"

#include "tcp/tcp.h"

#include <stdio.h>

#define CLIENT_BYTES_MAX 1024 /* of all lines of one client */

/* Kernel sockets know no more than that they are there: their numbers are the kernel's to tell. */
bool conns_append(struct chain *out, const struct stream *stream, uint64_t last_us, uint64_t now_us)
{
	char local[IP_ADDRESS_TEXT_MAX], remote[IP_ADDRESS_TEXT_MAX];
	char text[CLIENT_BYTES_MAX], ssthresh[12] = "-";
	struct tcp_info tcp;
	int length;

	if (!tcp_info(stream, now_us, &tcp))
		return true;
	ip_address_format(&tcp.local, local);
	ip_address_format(&tcp.remote, remote);
	if (tcp.ssthresh != UINT32_MAX)
		snprintf(ssthresh, sizeof(ssthresh), "%u", tcp.ssthresh);
	length = snprintf(text, sizeof(text),
	                  "STAT %u:addr tcp:%s:%u\r\n"
	                  "STAT %u:listen_addr tcp:%s:%u\r\n"
	                  "STAT %u:secs_since_last_cmd %llu\r\n"
	                  "STAT %u:tcp %s recovery=%s mss=%u cwnd=%u ssthresh=%s srtt_us=%u "
	                  "rttvar_us=%u rto_ms=%u send_window=%u receive_window=%u output=%llu "
	                  "in_flight=%u sacked=%u lost=%u timeouts=%u queue_blocks=%u "
	                  "heard_ms_ago=%u\r\n",
	                  tcp.index, remote, tcp.remote_port, tcp.index, local, tcp.local_port,
	                  tcp.index, (unsigned long long)((now_us - last_us) / 1000000), tcp.index,
	                  tcp.state, tcp.recovery, tcp.mss, tcp.cwnd, ssthresh, tcp.srtt_us,
	                  tcp.rttvar_us, tcp.rto_ms, tcp.send_window, tcp.receive_window,
	                  (unsigned long long)tcp.output_bytes, tcp.in_flight, tcp.sacked, tcp.lost,
	                  tcp.retransmit_count, tcp.queue_blocks, tcp.heard_ms_ago);
	return chain_append(out, text, min_u32((uint32_t)length, sizeof(text) - 1));
}

bool conns_append_left_out(struct chain *out, uint32_t count)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "STAT conns_left_out %u\r\n", count);

	return chain_append(out, text, (size_t)length);
}
