/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/conns.h"

#include "tcp/tcp.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME_BYTES_MAX  32
#define VALUE_BYTES_MAX 512

/* "<index>:<name>" */
static bool __attribute__((format(printf, 4, 5)))
add(const struct stats_sink *sink, uint32_t index, const char *name, const char *format, ...)
{
	char text[VALUE_BYTES_MAX], full_name[NAME_BYTES_MAX];
	int name_bytes, value_bytes;
	va_list arguments;

	name_bytes = snprintf(full_name, sizeof(full_name), "%u:%s", index, name);
	va_start(arguments, format);
	value_bytes = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return sink->add(sink->context,
	                 (struct slice){(const uint8_t *)full_name, (size_t)name_bytes},
	                 (struct slice){(const uint8_t *)text,
	                                min_u32((uint32_t)value_bytes, sizeof(text) - 1)});
}

/* addr and listen_addr, as memcached writes them. */
static bool add_ends(const struct stats_sink *sink, const struct stream_ends *ends)
{
	char local[IP_ADDRESS_TEXT_MAX], remote[IP_ADDRESS_TEXT_MAX];
	const char *family = ip_address_is_ip4(&ends->remote) ? "tcp" : "tcp6";
	const char *format = ip_address_is_ip4(&ends->remote) ? "%s:%s:%u" : "%s:[%s]:%u";

	if (ends->is_unix)
		return add(sink, ends->id, "addr", "unix");
	ip_address_format(&ends->local, local);
	ip_address_format(&ends->remote, remote);
	return add(sink, ends->id, "addr", format, family, remote, ends->remote_port) &&
	       add(sink, ends->id, "listen_addr", format, family, local, ends->local_port);
}

/* What our own TCP knows; of a kernel socket the kernel tells (ss -ti). */
static bool add_tcp(const struct stats_sink *sink, uint32_t id, const struct stream *stream,
                    uint64_t now_us)
{
	char ssthresh[12] = "-";
	struct tcp_info tcp;

	if (!tcp_info(stream, now_us, &tcp))
		return true;
	if (tcp.ssthresh != UINT32_MAX)
		snprintf(ssthresh, sizeof(ssthresh), "%u", tcp.ssthresh);
	return add(sink, id, "tcp",
	           "%s recovery=%s mss=%u cwnd=%u ssthresh=%s srtt_us=%u rttvar_us=%u rto_ms=%u "
	           "send_window=%u receive_window=%u output=%llu in_flight=%u sacked=%u lost=%u "
	           "timeouts=%u queue_blocks=%u heard_ms_ago=%u",
	           tcp.state, tcp.recovery, tcp.mss, tcp.cwnd, ssthresh, tcp.srtt_us, tcp.rttvar_us,
	           tcp.rto_ms, tcp.send_window, tcp.receive_window,
	           (unsigned long long)tcp.output_bytes, tcp.in_flight, tcp.sacked, tcp.lost,
	           tcp.retransmit_count, tcp.queue_blocks, tcp.heard_ms_ago);
}

bool conns_add(const struct stats_sink *sink, const struct session *session, uint64_t last_us,
               uint64_t now_us)
{
	const struct stream *stream = session->stream;
	struct stream_ends ends;

	stream->ops->describe(stream, &ends);
	return add_ends(sink, &ends) &&
	       add(sink, ends.id, "state", "%s", session_state_name(session)) &&
	       add(sink, ends.id, "secs_since_last_cmd", "%llu",
	           (unsigned long long)((now_us - last_us) / 1000000)) &&
	       add_tcp(sink, ends.id, stream, now_us);
}

bool conns_add_left_out(const struct stats_sink *sink, uint32_t count)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", count);

	return sink->add(sink->context, SLICE_LITERAL("conns_left_out"),
	                 (struct slice){(const uint8_t *)text, (size_t)length});
}
