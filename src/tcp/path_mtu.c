/* SPDX-License-Identifier: Apache-2.0 */
/* How large a packet may be on its way (RFC 1191, RFC 8201), and what becomes of ICMP errors.
 *
 * An error is believed when it quotes something that is in flight (RFC 5927 4.1), and then makes
 * segments smaller or does nothing: no error ends a connection (5.2). Where errors do not come
 * through, time-outs tell (RFC 4821 7.7). After ten minutes the full size is tried again. */
#include "tcp/tcp_internal.h"

#define IP6_MTU_MIN      1280
#define BLACK_HOLE_COUNT 3   /* time-outs in a row, after which large segments are suspected */
#define RAISE_AFTER_S    600 /* RFC 1191 6.3 */

/* The smallest payload plus options: every IPv6 link takes that much (RFC 8200 5), and an IPv4
 * router that does not may cut it up. */
static uint32_t floor_bytes(const struct tcp_connection *connection)
{
	if (ip_address_is_ip4(&connection->path.local))
		return TCP_MSS_MIN;
	return TCP_MSS_DEFAULT_IP6;
}

static uint32_t options_bytes(const struct tcp_connection *connection)
{
	return connection->timestamps ? TCP_TIMESTAMP_BYTES : 0;
}

/* What is in flight was too large, and is lost to no congestion: it goes again, and is no reason to
 * send less. */
static void mss_lower(struct tcp_connection *connection, uint32_t bytes, uint64_t now_us)
{
	connection->mss = (uint16_t)(bytes - options_bytes(connection));
	counter_add(&connection->tcp->counters.path_mtu_lowered, 1);
	flight_lose_all(connection, 0, now_us);
	if (connection->recovery != RECOVERY_FAST)
		connection->recovery = RECOVERY_TIMEOUT;
	connection->recover = connection->snd_nxt;
	connection->retransmit_owed = true;
	connection_mark(connection);
}

void path_mtu_black_hole(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t in_flight = connection->snd_nxt - connection->snd_una;

	if (connection->retransmit_count != BLACK_HOLE_COUNT || in_flight < connection->mss ||
	    connection->flight.sacked_bytes > 0 || /* some do get through */
	    connection->mss + options_bytes(connection) <= floor_bytes(connection))
		return;
	connection->path.may_fragment = ip_address_is_ip4(&connection->path.local);
	mss_lower(connection, floor_bytes(connection), now_us);
	connection->mss_full = connection->mss; /* to try again would be to stall again */
}

void path_mtu_raise(struct tcp_connection *connection, uint64_t now_us)
{
	uint16_t age_s = (uint16_t)((uint16_t)(now_us / 1000000) - connection->mss_lowered_s);

	if (age_s < RAISE_AFTER_S)
		return;
	connection->mss = connection->mss_full;
	connection->path.may_fragment = false;
	/* which may be as much as a small window was */
	connection->cwnd = max_u32(connection->cwnd, connection->mss);
}

static void too_big(struct tcp_connection *connection, const struct net_error *error,
                    uint64_t now_us)
{
	bool ip4 = ip_address_is_ip4(&connection->path.local);
	uint32_t headers = (ip4 ? IP4_HEADER_BYTES : IP6_HEADER_BYTES) + TCP_HEADER_BYTES;
	uint32_t bytes = max_u32(error->mtu, headers) - headers;

	/* what was no larger cannot have been too large (RFC 5927 7.2); no IPv6 link takes less
	 * than its minimum (RFC 8201 4) */
	if (error->packet_bytes <= error->mtu || (!ip4 && error->mtu < IP6_MTU_MIN) ||
	    bytes >= connection->mss + options_bytes(connection)) {
		counter_add(&connection->tcp->counters.icmp_not_believed, 1);
		return;
	}
	if (bytes < floor_bytes(connection)) {
		bytes = floor_bytes(connection);
		connection->path.may_fragment = ip4;
	}
	connection->mss_lowered_s = (uint16_t)(now_us / 1000000);
	if (bytes < connection->mss + options_bytes(connection))
		mss_lower(connection, bytes, now_us);
}

bool tcp_knows(struct tcp *tcp, const struct net_error *error)
{
	struct tuple tuple =
	    tuple_of(tcp, &error->path, load_be16(error->l4), load_be16(error->l4 + 2));

	return table_find(tcp, &tuple) != NULL;
}

void tcp_error(struct tcp *tcp, const struct net_error *error, uint64_t now_us)
{
	struct tuple tuple =
	    tuple_of(tcp, &error->path, load_be16(error->l4), load_be16(error->l4 + 2));
	struct tcp_connection *connection = table_find(tcp, &tuple);
	uint32_t seq = load_be32(error->l4 + 4);

	if (connection == NULL ||
	    seq - connection->snd_una >= connection->snd_nxt - connection->snd_una)
		counter_add(&tcp->counters.icmp_not_believed, 1);
	else if (error->too_big)
		too_big(connection, error, now_us);
	else
		counter_add(&tcp->counters.icmp_soft_errors, 1);
}
