/* SPDX-License-Identifier: Apache-2.0 */
#include "replayed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PORTS_A_SOURCE 50000
#define FIRST_PORT     10000
#define IP_BYTES       20
#define ETHERNET_BYTES 14
#define TCP_BYTES      20
#define TS_BYTES       12
#define UDP_BYTES      8
#define SEGMENT_BYTES  (1500 - IP_BYTES - TCP_BYTES - TS_BYTES)
#define DATAGRAM_BYTES (1500 - IP_BYTES - UDP_BYTES)
#define SYN            0x02u
#define PSH            0x08u
#define ACK            0x10u
#define AT_ONCE        32 /* peers, in a turn */

_Noreturn void replayed_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(EXIT_FAILURE);
}

static struct replayed *replayed_from(struct netif *netif)
{
	return (struct replayed *)netif;
}

static uint32_t receive(struct netif *netif, struct packet *ret_burst, uint32_t count_max)
{
	struct replayed *replayed = replayed_from(netif);
	uint32_t count = min_u32(count_max, replayed->in_count - replayed->in_taken);

	memcpy(ret_burst, replayed->in + replayed->in_taken, count * sizeof(*ret_burst));
	replayed->in_taken += count;
	return count;
}

static void release(struct netif *netif, struct packet *burst, uint32_t count)
{
	struct replayed *replayed = replayed_from(netif);

	for (uint32_t i = 0; i < count; i++)
		replayed->free[replayed->free_count++] = burst[i].handle;
}

static bool allocate(struct netif *netif, struct packet *ret_packet)
{
	struct replayed *replayed = replayed_from(netif);
	uint8_t *frame;

	if (replayed->free_count == 0)
		return false;
	frame = replayed->free[--replayed->free_count];
	*ret_packet =
	    (struct packet){.data = frame, .capacity = REPLAYED_FRAME_MAX, .handle = frame};
	return true;
}

static void transmit(struct netif *netif, struct packet *packet)
{
	struct replayed *replayed = replayed_from(netif);

	if (replayed->out_count == REPLAYED_OUT_MAX)
		replayed_fail("more frames were sent than there is room for");
	replayed->out[replayed->out_count++] = *packet;
}

static void flush(struct netif *netif)
{
}

static const struct netif_ops ops = {
    .receive = receive,
    .release = release,
    .allocate = allocate,
    .transmit = transmit,
    .flush = flush,
};

static void facts(void *context, struct stats_facts *ret_facts)
{
	*ret_facts = (struct stats_facts){.version = "perf", .interface = "perf"};
}

static void create_worker(struct replayed *replayed, const struct replayed_options *options)
{
	struct worker_options worker_options = {
	    .workers = &replayed->workers,
	    .shard = {.memory_bytes = options->memory_bytes,
	              .value_bytes_max = 1u << 20,
	              .unix_time_at_start_s = 1700000000},
	    .sessions = {.value_bytes_max = 1u << 20,
	                 .output_bytes_max = 262144,
	                 .line_buffer_count = 4,
	                 .request_timeout_us = 10000000,
	                 .version = "perf"},
	    .datagrams = {.reply_bytes_max = 65536, .amplification_max = 1000},
	    .tcp = tcp_options_default(),
	    .stats = {.workers = &replayed->published, .worker_count = 1, .read_facts = facts},
	    .connection_count_max = options->peer_count,
	    .block_count = options->block_count,
	};
	struct memory memory = {0};

	worker_options.tcp.connection_count_max = options->peer_count + 64;
	worker_options.tcp.keepalive_us = 7200000000;
	worker_options.tcp.secret = (struct siphash_key){1, 2};
	memory.bytes =
	    worker_memory_bytes(&worker_options, 1) + (size_t)REPLAYED_FRAMES * REPLAYED_FRAME_MAX;
	memory.base = mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory.base == MAP_FAILED)
		replayed_fail("no memory");
	madvise(memory.base, memory.bytes, options->is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	replayed->memory = memory;
	replayed->frames = memory_take(&memory, (size_t)REPLAYED_FRAMES * REPLAYED_FRAME_MAX);
	for (uint32_t i = 0; i < REPLAYED_FRAMES; i++)
		replayed->free[replayed->free_count++] = replayed->frames[i];
	workers_create(&replayed->workers, 1, &memory, replayed->now_us);
	if (worker_create(&replayed->worker, &worker_options, &memory, replayed->now_us) < 0)
		replayed_fail("no worker");
	worker_add_netif(replayed->worker, &replayed->netif, &replayed->port, 0, false, 1,
	                 replayed->now_us);
	replayed->published = worker_published(replayed->worker);
}

struct replayed *replayed_create(const struct replayed_options *options)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct replayed *replayed = calloc(1, sizeof(*replayed));

	if (replayed == NULL)
		replayed_fail("no memory");
	replayed->netif = (struct netif){.ops = &ops, .mtu = 1500};
	memcpy(replayed->netif.mac, mac, sizeof(mac));
	replayed->peers = calloc(options->peer_count, sizeof(replayed->peers[0]));
	replayed->peer_count = options->peer_count;
	replayed->now_us = 1000000;
	replayed->port = (struct port_options){.kind = PORT_TAP,
	                                       .address_count = 1,
	                                       .tcp_port = REPLAYED_PORT,
	                                       .udp_port = REPLAYED_PORT,
	                                       .allow_any = true};
	ip_prefix_parse(&replayed->port.addresses[0], "10.1.0.1/8");
	ip_address_parse(&replayed->path.remote, "10.1.0.1");
	replayed->path.vlan = FRAME_NO_VLAN;
	memcpy(replayed->path.remote_mac, mac, sizeof(mac));
	replayed->path.local_mac[0] = 2;
	create_worker(replayed, options);
	return replayed;
}

void replayed_free(struct replayed *replayed)
{
	worker_destroy(replayed->worker);
	munmap(replayed->memory.base, replayed->memory.bytes);
	free(replayed->peers);
	free(replayed);
}

/* Who is meant, by address and port. */
static uint16_t port_of(struct replayed *replayed, uint32_t number)
{
	replayed->path.local =
	    ip_address_from_ip4((uint8_t[4]){10, 2, 0, (uint8_t)(number / PORTS_A_SOURCE)});
	return (uint16_t)(FIRST_PORT + number % PORTS_A_SOURCE);
}

static struct packet *next_in(struct replayed *replayed)
{
	struct packet *packet = &replayed->in[replayed->in_count];

	if (replayed->in_count == REPLAYED_IN_MAX || !allocate(&replayed->netif, packet))
		replayed_fail("there are too many frames");
	replayed->in_count++;
	return packet;
}

static void say(struct replayed *replayed, uint32_t number, uint8_t flags, struct slice payload)
{
	struct replayed_peer *peer = &replayed->peers[number];
	uint16_t port = port_of(replayed, number);
	struct packet *packet = next_in(replayed);
	uint8_t *tcp = frame_begin(packet->data, &replayed->path, FRAME_PROTOCOL_TCP);

	memset(tcp, 0, TCP_BYTES + TS_BYTES);
	store_be16(tcp, port);
	store_be16(tcp + 2, REPLAYED_PORT);
	store_be32(tcp + 4, peer->snd_nxt);
	store_be32(tcp + 8, peer->rcv_nxt);
	tcp[12] = (TCP_BYTES + TS_BYTES) / 4 << 4;
	tcp[13] = flags;
	store_be16(tcp + 14, 65535);
	memcpy(tcp + TCP_BYTES, "\1\1\10\12", 4);
	store_be32(tcp + TCP_BYTES + 4, (uint32_t)(replayed->now_us / 1000));
	if (payload.length > 0)
		memcpy(tcp + TCP_BYTES + TS_BYTES, payload.data, payload.length);
	peer->snd_nxt += (uint32_t)payload.length + ((flags & SYN) != 0);
	packet->length = (uint16_t)frame_finish(packet->data, &replayed->path, FRAME_PROTOCOL_TCP,
	                                        TCP_BYTES + TS_BYTES + (uint32_t)payload.length);
}

void replayed_say(struct replayed *replayed, uint32_t peer, struct slice payload)
{
	do {
		size_t length = min_u64(payload.length, SEGMENT_BYTES);

		say(replayed, peer, ACK | PSH, (struct slice){payload.data, length});
		payload.data += length;
		payload.length -= length;
	} while (payload.length > 0);
}

void replayed_ask(struct replayed *replayed, uint32_t client, struct slice payload)
{
	uint16_t port = port_of(replayed, client);
	struct packet *packet = next_in(replayed);

	if (payload.length > DATAGRAM_BYTES)
		replayed_fail("a datagram is too long");
	packet->length =
	    (uint16_t)frame_build_udp(packet->data, &replayed->path, port, REPLAYED_PORT, payload);
}

void replayed_turn(struct replayed *replayed)
{
	replayed->now_us += REPLAYED_TURN_US;
	worker_turn(replayed->worker, replayed->now_us, 0);
}

void replayed_hear(struct replayed *replayed,
                   void (*heard)(void *context, const struct replayed_reply *reply), void *context)
{
	if (replayed->in_taken != replayed->in_count)
		replayed_fail("a frame was not received");
	replayed->in_taken = replayed->in_count = 0;
	for (uint32_t i = 0; i < replayed->out_count; i++) {
		const uint8_t *ip = replayed->out[i].data + ETHERNET_BYTES;
		const uint8_t *l4 = ip + IP_BYTES;
		struct replayed_reply reply = {.is_datagram = ip[9] == FRAME_PROTOCOL_UDP};
		uint32_t head_bytes = reply.is_datagram ? UDP_BYTES : (l4[12] >> 4) * 4u;

		if (load_be16(replayed->out[i].data + 12) != 0x0800)
			continue; /* an announcement */
		reply.peer = ip[19] * PORTS_A_SOURCE + load_be16(l4 + 2) - FIRST_PORT;
		reply.payload =
		    (struct slice){l4 + head_bytes, load_be16(ip + 2) - IP_BYTES - head_bytes};
		if (!reply.is_datagram)
			replayed->peers[reply.peer].rcv_nxt = load_be32(l4 + 4) +
			                                      (uint32_t)reply.payload.length +
			                                      ((l4[13] & SYN) != 0);
		if (reply.payload.length > 0 && heard != NULL)
			heard(context, &reply);
	}
	release(&replayed->netif, replayed->out, replayed->out_count);
	replayed->out_count = 0;
}

/* A segment without payload of each, and the worker's turns. */
static void say_all(struct replayed *replayed, uint32_t first, uint32_t behind, uint8_t flags)
{
	for (uint32_t i = first; i < behind; i++) {
		say(replayed, i, flags, (struct slice){0});
		if (replayed->in_count < AT_ONCE && i + 1 < behind)
			continue;
		replayed_turn(replayed);
		replayed_hear(replayed, NULL, NULL);
	}
}

void replayed_acknowledge(struct replayed *replayed, uint32_t first, uint32_t behind)
{
	say_all(replayed, first, behind, ACK);
}

void replayed_connect(struct replayed *replayed, uint32_t first, uint32_t behind)
{
	const struct tcp_counters *counters = tcp_counters(worker_tcp(replayed->worker));
	uint64_t wanted = counter_read(&counters->connections) + behind - first;

	for (; first < behind; first += min_u32(AT_ONCE, behind - first)) {
		uint32_t end = min_u32(first + AT_ONCE, behind);

		say_all(replayed, first, end, SYN);
		say_all(replayed, first, end, ACK);
	}
	if (counter_read(&counters->connections) != wanted)
		replayed_fail("not all connections were made");
}
