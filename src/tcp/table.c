/* SPDX-License-Identifier: Apache-2.0 */
/* Connections by who talks to whom: a keyed hash, so that peers cannot aim at one line. Sized at
 * start; memory of connections that were never used is never touched. */
#include "tcp/tcp_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* At six a line on average, 13 connections of 1,000 find theirs full. */
#define CONNECTIONS_A_LINE 6
#define SLOTS              10

/* A cache line. A connection is found by 16 bits of its hash, without a look at any other: with
 * many of them, each look would be for memory that is far. */
struct table_line {
	uint16_t tags[SLOTS];   /* 0: free */
	uint32_t places[SLOTS]; /* in tcp->connections */
	uint32_t more;          /* place + 1 of the first that found it full; 0: none */
} __attribute__((aligned(CACHE_LINE_BYTES)));

_Static_assert(sizeof(struct table_line) == CACHE_LINE_BYTES, "a line of the table is one");

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

static uint32_t line_count(uint32_t count_max)
{
	return count_max / CONNECTIONS_A_LINE + 1;
}

size_t tcp_memory_bytes(const struct tcp_options *options)
{
	size_t count = options->connection_count_max;

	return memory_rounded(sizeof(struct tcp)) +
	       memory_rounded(count * sizeof(struct tcp_connection)) +
	       line_count(options->connection_count_max) * sizeof(struct table_line) +
	       flights_bytes(options->connection_count_max) + sources_bytes(options) +
	       half_opens_bytes(options->half_open_count_max) +
	       lingers_bytes(options->linger_count_max);
}

void table_create(struct tcp *tcp, struct memory *memory)
{
	tcp->line_count = line_count(tcp->options.connection_count_max);
	tcp->connections =
	    memory_take(memory, tcp->options.connection_count_max * sizeof(struct tcp_connection));
	tcp->lines = memory_take(memory, tcp->line_count * sizeof(struct table_line));
}

static struct table_line *line_of(const struct tcp *tcp, uint64_t hash)
{
	return &tcp->lines[(hash & UINT32_MAX) * tcp->line_count >> 32];
}

static uint16_t tag_of(uint64_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 48);

	return tag == 0 ? 1 : tag;
}

/* A bit for each slot that has the tag. */
static uint32_t match(const struct table_line *line, uint16_t tag)
{
#ifdef __SSE2__
	const __m128i wanted = _mm_set1_epi16((short)tag);
	const __m128i *first = (const __m128i *)(const void *)line->tags;
	const __m128i *last = (const __m128i *)(const void *)(line->tags + SLOTS - 8);
	uint32_t mask = (uint32_t)_mm_movemask_epi8(
	    _mm_packs_epi16(_mm_cmpeq_epi16(_mm_load_si128(first), wanted),
	                    _mm_cmpeq_epi16(_mm_loadu_si128(last), wanted)));

	/* the last eight begin at the third */
	return (mask & UINT8_MAX) | mask >> 8 << (SLOTS - 8);
#else
	uint32_t mask = 0;

	for (uint32_t i = 0; i < SLOTS; i++)
		mask |= (uint32_t)(line->tags[i] == tag) << i;
	return mask;
#endif
}

static struct tcp_connection *connection_at(const struct tcp *tcp, const struct table_line *line,
                                            uint32_t mask)
{
	return &tcp->connections[line->places[__builtin_ctz(mask)]];
}

static struct tcp_connection *more_of(const struct tcp *tcp, const struct table_line *line)
{
	return line->more == 0 ? NULL : &tcp->connections[line->more - 1];
}

static void set_more(const struct tcp *tcp, struct table_line *line,
                     const struct tcp_connection *first)
{
	line->more = first == NULL ? 0 : (uint32_t)(first - tcp->connections) + 1;
}

uint64_t tcp_foresee(struct tcp *tcp, const struct net_path *path, uint16_t local_port,
                     uint16_t remote_port)
{
	struct tuple tuple = tuple_of(tcp, path, local_port, remote_port);

	__builtin_prefetch(line_of(tcp, tuple.hash));
	return tuple.hash;
}

static void prefetch_lines(const void *memory, uint32_t count)
{
	for (uint32_t i = 0; memory != NULL && i < count; i++)
		__builtin_prefetch((const uint8_t *)memory + i * CACHE_LINE_BYTES, 1);
}

const struct tcp_connection *tcp_prefetch(struct tcp *tcp, uint64_t flow)
{
	const struct table_line *line = line_of(tcp, flow);
	uint32_t mask = match(line, tag_of(flow));
	const struct tcp_connection *connection;

	if (mask == 0)
		return NULL;
	connection = connection_at(tcp, line, mask);
	prefetch_lines(connection, TCP_CONNECTION_LINES);
	return connection;
}

void tcp_prefetch_more(const struct tcp_connection *connection)
{
	prefetch_lines(connection->flight.few, 1);
	/* the block that waits for its acknowledgement, and will then take the next reply */
	prefetch_lines(connection->stream.out.first, 3);
	prefetch_lines(connection->stream.user, 2);
}

static bool is_of(const struct tcp_connection *connection, const struct tuple *tuple)
{
	return tuple_is(tuple, &connection->path, connection->local_port, connection->remote_port);
}

struct tcp_connection *table_find(struct tcp *tcp, const struct tuple *tuple)
{
	const struct table_line *line = line_of(tcp, tuple->hash);
	struct tcp_connection *connection;

	for (uint32_t mask = match(line, tag_of(tuple->hash)); mask != 0; mask &= mask - 1) {
		connection = connection_at(tcp, line, mask);
		if (is_of(connection, tuple))
			return connection;
	}
	connection = more_of(tcp, line);
	while (connection != NULL && !is_of(connection, tuple))
		connection = connection->next;
	return connection;
}

bool table_has_room(const struct tcp *tcp)
{
	return tcp->free != NULL || tcp->used_count < tcp->options.connection_count_max;
}

static void table_put(struct tcp *tcp, struct tcp_connection *connection, uint64_t hash)
{
	struct table_line *line = line_of(tcp, hash);
	uint32_t free = match(line, 0);
	uint32_t slot;

	if (free == 0) {
		connection->next = more_of(tcp, line);
		set_more(tcp, line, connection);
		return;
	}
	slot = (uint32_t)__builtin_ctz(free);
	line->tags[slot] = tag_of(hash);
	line->places[slot] = (uint32_t)(connection - tcp->connections);
}

struct tcp_connection *table_add(struct tcp *tcp, const struct tuple *tuple)
{
	struct tcp_connection *connection;

	if (!table_has_room(tcp))
		return NULL;
	if (tcp->free != NULL) {
		connection = tcp->free;
		tcp->free = connection->next;
	} else {
		connection = &tcp->connections[tcp->used_count++];
	}
	*connection = (struct tcp_connection){
	    .tcp = tcp,
	    .path = *tuple->path,
	    .local_port = tuple->local_port,
	    .remote_port = tuple->remote_port,
	    .magic = TCP_MAGIC,
	};
	table_put(tcp, connection, tuple->hash);
	return connection;
}

static uint64_t hash_of(const struct tcp *tcp, const struct tcp_connection *connection)
{
	return tuple_of(tcp, &connection->path, connection->local_port, connection->remote_port)
	    .hash;
}

/* Out of its line, where one of those that found it full takes the room. */
static void table_take(struct tcp *tcp, struct table_line *line, struct tcp_connection *connection,
                       uint16_t tag)
{
	struct tcp_connection *more = more_of(tcp, line);
	uint32_t mask = match(line, tag);

	while (mask != 0 && connection_at(tcp, line, mask) != connection)
		mask &= mask - 1;
	if (mask != 0) {
		line->tags[__builtin_ctz(mask)] = 0;
		if (more != NULL) {
			set_more(tcp, line, more->next);
			table_put(tcp, more, hash_of(tcp, more));
		}
	} else if (more == connection) {
		set_more(tcp, line, connection->next);
	} else {
		while (more->next != connection)
			more = more->next;
		more->next = connection->next;
	}
}

void table_remove(struct tcp *tcp, struct tcp_connection *connection)
{
	uint64_t hash = hash_of(tcp, connection);

	table_take(tcp, line_of(tcp, hash), connection, tag_of(hash));
	connection->next = tcp->free;
	tcp->free = connection;
}
