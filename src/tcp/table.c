/* SPDX-License-Identifier: Apache-2.0 */
/* Connections by who talks to whom: a keyed hash, so that peers cannot aim at one bucket. Sized at
 * start; memory of connections that were never used is never touched. */
#include "tcp/tcp_internal.h"

struct tuple_key {
	struct ip_address local;
	struct ip_address remote;
	uint16_t local_port;
	uint16_t remote_port;
};

uint64_t tuple_hash(const struct siphash_key *secret, const struct tuple *tuple)
{
	const struct net_path *path = tuple->path;
	struct tuple_key key = {path->local, path->remote, tuple->local_port, tuple->remote_port};

	_Static_assert(sizeof(key) == 36, "no padding, every byte counts in the hash");
	return siphash(secret, &key, sizeof(key));
}

/* Made of words in registers: bytes put together in memory would have to be waited for. */
static uint64_t table_hash(const struct siphash_key *secret, const struct tuple *tuple)
{
	const struct net_path *path = tuple->path;

	if (!ip_address_is_ip4(&path->local))
		return tuple_hash(secret, tuple);
	return siphash13_of_12(secret,
	                       (uint64_t)load_be32(path->local.bytes + 12) << 32 |
	                           load_be32(path->remote.bytes + 12),
	                       (uint32_t)tuple->local_port << 16 | tuple->remote_port);
}

struct tuple tuple_of(const struct tcp *tcp, const struct net_path *path, uint16_t local_port,
                      uint16_t remote_port)
{
	struct tuple tuple = {path, local_port, remote_port, 0};

	tuple.hash = table_hash(&tcp->secrets.table, &tuple);
	tuple.hash += tuple.hash == 0; /* 0 stands for "not known" */
	return tuple;
}

bool tuple_is(const struct tuple *tuple, const struct net_path *path, uint16_t local_port,
              uint16_t remote_port)
{
	return remote_port == tuple->remote_port && local_port == tuple->local_port &&
	       path->net == tuple->path->net &&
	       ip_address_equal(&path->remote, &tuple->path->remote) &&
	       ip_address_equal(&path->local, &tuple->path->local);
}

uint32_t table_bucket_count(uint32_t count_max)
{
	uint32_t count = 64;

	while (count < count_max)
		count *= 2;
	return count;
}

size_t tcp_memory_bytes(const struct tcp_options *options)
{
	size_t count = options->connection_count_max;

	return memory_rounded(sizeof(struct tcp)) +
	       memory_rounded(count * sizeof(struct tcp_connection)) +
	       memory_rounded(table_bucket_count(options->connection_count_max) *
	                      sizeof(struct tcp_connection *)) +
	       flights_bytes(options->connection_count_max) + sources_bytes(options) +
	       half_opens_bytes(options->half_open_count_max) +
	       lingers_bytes(options->linger_count_max);
}

void table_create(struct tcp *tcp, struct memory *memory)
{
	uint32_t count = table_bucket_count(tcp->options.connection_count_max);

	tcp->connections =
	    memory_take(memory, tcp->options.connection_count_max * sizeof(struct tcp_connection));
	tcp->buckets = memory_take(memory, count * sizeof(struct tcp_connection *));
	tcp->bucket_mask = count - 1;
}

uint64_t tcp_foresee(struct tcp *tcp, const struct net_path *path, uint16_t local_port,
                     uint16_t remote_port)
{
	struct tuple tuple = tuple_of(tcp, path, local_port, remote_port);

	__builtin_prefetch(&tcp->buckets[tuple.hash & tcp->bucket_mask]);
	return tuple.hash;
}

static void prefetch_lines(const void *memory, uint32_t count)
{
	for (uint32_t i = 0; memory != NULL && i < count; i++)
		__builtin_prefetch((const uint8_t *)memory + i * CACHE_LINE_BYTES, 1);
}

/* The first connection in the bucket nearly always is the one. */
void tcp_prefetch(struct tcp *tcp, uint64_t flow, uint32_t step)
{
	const struct tcp_connection *connection = tcp->buckets[flow & tcp->bucket_mask];

	if (connection == NULL)
		return;
	if (step == 0) {
		prefetch_lines(connection,
		               offsetof(struct tcp_connection, fin_sequence) / CACHE_LINE_BYTES +
		                   1);
		return;
	}
	prefetch_lines(connection->flight.few, 1);
	/* the block that waits for its acknowledgement, and will then take the next reply */
	prefetch_lines(connection->stream.out.first, 3);
	prefetch_lines(connection->stream.user, 2);
}

struct tcp_connection *table_find(struct tcp *tcp, const struct tuple *tuple)
{
	struct tcp_connection *connection = tcp->buckets[tuple->hash & tcp->bucket_mask];

	while (connection != NULL &&
	       !tuple_is(tuple, &connection->path, connection->local_port, connection->remote_port))
		connection = connection->next_in_bucket;
	return connection;
}

bool table_has_room(const struct tcp *tcp)
{
	return tcp->free != NULL || tcp->used_count < tcp->options.connection_count_max;
}

struct tcp_connection *table_add(struct tcp *tcp, const struct tuple *tuple)
{
	struct tcp_connection **bucket = &tcp->buckets[tuple->hash & tcp->bucket_mask];
	struct tcp_connection *connection;

	if (!table_has_room(tcp))
		return NULL;
	if (tcp->free != NULL) {
		connection = tcp->free;
		tcp->free = connection->next_in_bucket;
	} else {
		connection = &tcp->connections[tcp->used_count++];
	}
	*connection = (struct tcp_connection){
	    .tcp = tcp,
	    .next_in_bucket = *bucket,
	    .path = *tuple->path,
	    .local_port = tuple->local_port,
	    .remote_port = tuple->remote_port,
	    .magic = TCP_MAGIC,
	};
	*bucket = connection;
	return connection;
}

void table_remove(struct tcp *tcp, struct tcp_connection *connection)
{
	struct tuple tuple =
	    tuple_of(tcp, &connection->path, connection->local_port, connection->remote_port);
	struct tcp_connection **link = &tcp->buckets[tuple.hash & tcp->bucket_mask];

	while (*link != connection)
		link = &(*link)->next_in_bucket;
	*link = connection->next_in_bucket;
	connection->next_in_bucket = tcp->free;
	tcp->free = connection;
}
