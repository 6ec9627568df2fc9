/* SPDX-License-Identifier: Apache-2.0 */
/* Connections by who talks to whom: a keyed hash, so that peers cannot aim at one bucket. Sized at
 * start; memory of connections that were never used is never touched. */
#include "tcp/tcp_internal.h"

struct table_key {
	struct ip_address local;
	struct ip_address remote;
	uint16_t local_port;
	uint16_t remote_port;
};

static uint64_t key_hash(const struct siphash_key *secret, const struct net_path *path,
                         uint16_t local_port, uint16_t remote_port)
{
	struct table_key key = {path->local, path->remote, local_port, remote_port};

	_Static_assert(sizeof(key) == 36, "no padding, every byte counts in the hash");
	return siphash(secret, &key, sizeof(key));
}

static uint32_t bucket_count(uint32_t connection_count_max)
{
	uint32_t count = 64;

	while (count < connection_count_max)
		count *= 2;
	return count;
}

size_t tcp_memory_bytes(const struct tcp_options *options)
{
	size_t count = options->connection_count_max;

	return memory_rounded(sizeof(struct tcp)) +
	       memory_rounded(count * sizeof(struct tcp_connection)) +
	       memory_rounded(bucket_count(options->connection_count_max) *
	                      sizeof(struct tcp_connection *));
}

void table_create(struct tcp *tcp, struct memory *memory)
{
	uint32_t count = bucket_count(tcp->options.connection_count_max);

	tcp->connections =
	    memory_take(memory, tcp->options.connection_count_max * sizeof(struct tcp_connection));
	tcp->buckets = memory_take(memory, count * sizeof(struct tcp_connection *));
	tcp->bucket_mask = count - 1;
}

static struct tcp_connection **bucket_of(struct tcp *tcp, const struct net_path *path,
                                         uint16_t local_port, uint16_t remote_port)
{
	uint64_t hash = key_hash(&tcp->options.secret, path, local_port, remote_port);

	return &tcp->buckets[hash & tcp->bucket_mask];
}

struct tcp_connection *table_find(struct tcp *tcp, const struct net_path *path, uint16_t local_port,
                                  uint16_t remote_port)
{
	struct tcp_connection *connection = *bucket_of(tcp, path, local_port, remote_port);

	while (connection != NULL &&
	       !(connection->remote_port == remote_port && connection->local_port == local_port &&
	         connection->path.net == path->net &&
	         ip_address_equal(&connection->path.remote, &path->remote) &&
	         ip_address_equal(&connection->path.local, &path->local)))
		connection = connection->next_in_bucket;
	return connection;
}

struct tcp_connection *table_add(struct tcp *tcp, const struct net_path *path, uint16_t local_port,
                                 uint16_t remote_port)
{
	struct tcp_connection **bucket = bucket_of(tcp, path, local_port, remote_port);
	struct tcp_connection *connection;

	if (tcp->free == NULL && tcp->used_count == tcp->options.connection_count_max &&
	    tcp->time_wait_oldest != NULL)
		connection_end(tcp->time_wait_oldest);
	if (tcp->free != NULL) {
		connection = tcp->free;
		tcp->free = connection->next_in_bucket;
	} else if (tcp->used_count < tcp->options.connection_count_max) {
		connection = &tcp->connections[tcp->used_count++];
	} else {
		return NULL;
	}
	*connection = (struct tcp_connection){
	    .tcp = tcp,
	    .next_in_bucket = *bucket,
	    .path = *path,
	    .local_port = local_port,
	    .remote_port = remote_port,
	    .magic = TCP_MAGIC,
	};
	*bucket = connection;
	return connection;
}

void table_remove(struct tcp *tcp, struct tcp_connection *connection)
{
	struct tcp_connection **link =
	    bucket_of(tcp, &connection->path, connection->local_port, connection->remote_port);

	while (*link != connection)
		link = &(*link)->next_in_bucket;
	*link = connection->next_in_bucket;
	connection->next_in_bucket = tcp->free;
	tcp->free = connection;
}

uint32_t table_initial_sequence(const struct tcp_connection *connection, uint64_t now_us)
{
	/* another key than the table's, so that bucket collisions say nothing of sequence numbers
	 */
	struct siphash_key secret = {~connection->tcp->options.secret.k0,
	                             connection->tcp->options.secret.k1};

	return (uint32_t)(now_us / 4) + (uint32_t)key_hash(&secret, &connection->path,
	                                                   connection->local_port,
	                                                   connection->remote_port);
}
