/* SPDX-License-Identifier: Apache-2.0 */
/* What many connections cost one worker: connections [CONNECTIONS [ACTIVE [FEW [ROUNDS]]]]
 *
 * Two whole workers in this process, each on a netif in memory with replayed clients: one holds
 * CONNECTIONS (100,000), of which ACTIVE (10,000) ask one after the other for values of 100 bytes;
 * the other holds FEW (100), all of them active. Turns of both are measured alternately, in time
 * that the worker alone takes: receive, TCP, session, store, transmit, in huge pages as kanted has
 * them. Prints medians of ROUNDS (5), the ratio, and the bytes of memory that an idle connection
 * takes (of a third worker, in small pages); every reply is looked at. */
#include "load/frame.h"
#include "net/memory_netif.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FRAME_COUNT    1024
#define BURST          32
#define PORT           11211
#define PORTS_A_SOURCE 50000
#define FIRST_PORT     10000
#define KEYS           1000
#define VALUE_BYTES    100
#define TURN_US        20
#define TURNS          20000 /* a measurement */
#define TCP_BYTES      20
#define TS_BYTES       12
#define FIN            0x01u
#define SYN            0x02u
#define PSH            0x08u
#define ACK            0x10u

/* One client's end of a connection. */
struct peer {
	uint32_t snd_nxt;
	uint32_t rcv_nxt;
};

/* What the worker has sent to a peer; applied when its turn, and the measurement, is over. */
struct answer {
	uint32_t peer;
	uint32_t seq;
	uint32_t payload_bytes;
	uint8_t flags;
};

struct world {
	struct workers workers;
	struct worker *worker;
	struct memory_netif netif;
	struct port_options port;
	struct frame_path path;
	struct stats_worker published;
	struct peer *peers;
	uint32_t peer_count;
	uint32_t active_count;
	uint32_t next;
	struct answer replies[4 * BURST];
	uint32_t reply_count;
	uint64_t now_us;
	struct memory memory;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "connections: %s\n", what);
	exit(1);
}

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t resident_bytes(void)
{
	unsigned long long total, resident;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%llu %llu", &total, &resident) != 2)
		fail("/proc/self/statm cannot be read");
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint32_t peer_at(const uint8_t *ip, uint16_t port)
{
	return ip[3] * PORTS_A_SOURCE + port - FIRST_PORT;
}

static void sent(void *context, const uint8_t *frame, uint16_t length)
{
	struct world *world = context;
	const uint8_t *ip = frame + 14;
	const uint8_t *tcp = ip + 20;

	if (load_be16(frame + 12) != 0x0800 || ip[9] != FRAME_PROTOCOL_TCP)
		return;
	if (world->reply_count == sizeof(world->replies) / sizeof(world->replies[0]))
		fail("more replies than requests");
	world->replies[world->reply_count++] = (struct answer){
	    .peer = peer_at(ip + 16, load_be16(tcp + 2)),
	    .seq = load_be32(tcp + 4),
	    .payload_bytes = load_be16(ip + 2) - 20u - (tcp[12] >> 4) * 4u,
	    .flags = tcp[13],
	};
}

static void facts(void *context, struct stats_facts *ret_facts)
{
	*ret_facts = (struct stats_facts){.version = "perf", .interface = "perf"};
}

static struct world *world_create(uint32_t peer_count, uint32_t active_count, bool huge)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct world *world = calloc(1, sizeof(*world));
	struct worker_options options = {
	    .workers = &world->workers,
	    .shard = {.memory_bytes = 64u << 20,
	              .value_bytes_max = 1u << 20,
	              .unix_time_at_start_s = 1700000000},
	    .sessions = {.value_bytes_max = 1u << 20,
	                 .output_bytes_max = 262144,
	                 .line_buffer_count = 4,
	                 .request_timeout_us = 10000000,
	                 .version = "perf"},
	    .datagrams = {.reply_bytes_max = 1400, .amplification_max = 10},
	    .tcp = tcp_options_default(),
	    .stats = {.workers = &world->published, .worker_count = 1, .read_facts = facts},
	    .connection_count_max = peer_count,
	    .block_count = 8 * active_count + 8192,
	};
	struct memory memory;

	world->peers = calloc(peer_count, sizeof(world->peers[0]));
	world->peer_count = peer_count;
	world->active_count = active_count;
	world->now_us = 1000000;
	options.tcp.connection_count_max = peer_count + 64;
	options.tcp.keepalive_us = 7200000000;
	options.tcp.secret = (struct siphash_key){1, 2};
	memory = (struct memory){.bytes = worker_memory_bytes(&options, 1) +
	                                  memory_netif_bytes(FRAME_COUNT)};
	memory.base = mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory.base == MAP_FAILED)
		fail("no memory");
	madvise(memory.base, memory.bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	world->port = (struct port_options){
	    .kind = PORT_TAP, .address_count = 1, .tcp_port = PORT, .allow_any = true};
	ip_prefix_parse(&world->port.addresses[0], "10.1.0.1/8");
	ip_address_parse(&world->path.remote, "10.1.0.1");
	world->path.vlan = FRAME_NO_VLAN;
	memcpy(world->path.remote_mac, mac, 6);
	world->path.local_mac[0] = 2;
	workers_create(&world->workers, 1, &memory, world->now_us);
	memory_netif_create(&world->netif, FRAME_COUNT, &memory, mac, 1500, sent, world);
	if (worker_create(&world->worker, &options, &memory, world->now_us) < 0)
		fail("no worker");
	worker_add_netif(world->worker, &world->netif.netif, &world->port, 0, false, 1,
	                 world->now_us);
	world->published = worker_published(world->worker);
	world->memory = memory;
	return world;
}

static void world_free(struct world *world)
{
	worker_destroy(world->worker);
	munmap(world->memory.base, world->memory.bytes);
	free(world->peers);
	free(world);
}

static void say(struct world *world, uint32_t index, uint8_t flags, const char *text)
{
	struct peer *peer = &world->peers[index];
	uint8_t frame[512];
	uint32_t length = (uint32_t)strlen(text);
	uint8_t *tcp;

	world->path.local =
	    ip_address_from_ip4((uint8_t[4]){10, 2, 0, (uint8_t)(index / PORTS_A_SOURCE)});
	tcp = frame_begin(frame, &world->path, FRAME_PROTOCOL_TCP);
	memset(tcp, 0, TCP_BYTES + TS_BYTES);
	store_be16(tcp, (uint16_t)(FIRST_PORT + index % PORTS_A_SOURCE));
	store_be16(tcp + 2, PORT);
	store_be32(tcp + 4, peer->snd_nxt);
	store_be32(tcp + 8, peer->rcv_nxt);
	tcp[12] = (TCP_BYTES + TS_BYTES) / 4 << 4;
	tcp[13] = flags;
	store_be16(tcp + 14, 65535);
	memcpy(tcp + TCP_BYTES, "\1\1\10\12", 4);
	store_be32(tcp + TCP_BYTES + 4, (uint32_t)(world->now_us / 1000));
	memcpy(tcp + TCP_BYTES + TS_BYTES, text, length);
	peer->snd_nxt += length + ((flags & SYN) != 0);
	length =
	    frame_finish(frame, &world->path, FRAME_PROTOCOL_TCP, TCP_BYTES + TS_BYTES + length);
	if (!memory_netif_inject(&world->netif, frame, (uint16_t)length))
		fail("the netif is full");
}

/* The worker's turn; returns how long it took. */
static uint64_t turn(struct world *world)
{
	uint64_t start_ns;

	world->now_us += TURN_US;
	world->reply_count = 0;
	start_ns = nanoseconds();
	worker_turn(world->worker, world->now_us, 0);
	return nanoseconds() - start_ns;
}

static uint32_t replies_apply(struct world *world)
{
	uint32_t payload_bytes = 0;

	for (uint32_t i = 0; i < world->reply_count; i++) {
		const struct answer *reply = &world->replies[i];
		uint32_t length = reply->payload_bytes + ((reply->flags & SYN) != 0);

		world->peers[reply->peer].rcv_nxt = reply->seq + length;
		payload_bytes += reply->payload_bytes;
	}
	return payload_bytes;
}

static void handshakes(struct world *world, uint32_t first, uint32_t behind)
{
	for (; first < behind; first += BURST) {
		uint32_t end = min_u32(first + BURST, behind);

		for (uint32_t i = first; i < end; i++)
			say(world, i, SYN, "");
		turn(world);
		replies_apply(world);
		for (uint32_t i = first; i < end; i++)
			say(world, i, ACK, "");
		turn(world);
	}
	if (counter_read(&tcp_counters(worker_tcp(world->worker))->connections) != behind)
		fail("not all connections were made");
}

static void populate(struct world *world)
{
	for (uint32_t key = 0; key < KEYS; key++) {
		char text[256];

		snprintf(text, sizeof(text), "set key-%04u 0 0 %u noreply\r\n%0*u\r\n", key,
		         VALUE_BYTES, VALUE_BYTES, key);
		say(world, key % world->active_count, ACK | PSH, text);
		turn(world);
		replies_apply(world);
	}
}

/* Nanoseconds that one request takes the worker. */
static double measure(struct world *world)
{
	uint32_t reply_bytes =
	    (uint32_t)strlen("VALUE key-0000 0 100\r\n\r\nEND\r\n") + VALUE_BYTES;
	uint64_t ns = 0;

	for (uint32_t i = 0; i < TURNS; i++) {
		for (uint32_t j = 0; j < BURST; j++) {
			char text[32];

			snprintf(text, sizeof(text), "get key-%04u\r\n",
			         (i * BURST + j) * 7 % KEYS);
			say(world, world->next, ACK | PSH, text);
			world->next = (world->next + 1) % world->active_count;
		}
		ns += turn(world);
		if (replies_apply(world) != BURST * reply_bytes)
			fail("a reply is missing");
	}
	return (double)ns / (TURNS * (double)BURST);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint32_t argument(int argc, char **argv, int index, uint32_t otherwise)
{
	return argc > index ? (uint32_t)strtoul(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	uint32_t connections = argument(argc, argv, 1, 100000);
	uint32_t active = argument(argc, argv, 2, 10000);
	uint32_t few = argument(argc, argv, 3, 100);
	uint32_t rounds = argument(argc, argv, 4, 5);
	struct world *counted_world = world_create(connections, active, false);
	struct world *many_world = world_create(connections, active, true);
	struct world *few_world = world_create(few, few, true);
	double many_ns[64], few_ns[64];
	uint64_t before_bytes;

	if (rounds == 0 || rounds > 64 || few < BURST || active < BURST || connections < active)
		fail("CONNECTIONS >= ACTIVE >= 32, FEW >= 32, ROUNDS 1 … 64");
	/* what all share is touched first */
	handshakes(counted_world, 0, few);
	before_bytes = resident_bytes();
	handshakes(counted_world, few, connections);
	printf("%u connections: %llu bytes each while idle\n", connections,
	       (unsigned long long)((resident_bytes() - before_bytes) / (connections - few)));
	world_free(counted_world);
	handshakes(many_world, 0, connections);
	handshakes(few_world, 0, few);
	populate(many_world);
	populate(few_world);
	measure(many_world);
	measure(few_world);
	for (uint32_t i = 0; i < rounds; i++) {
		few_ns[i] = measure(few_world);
		many_ns[i] = measure(many_world);
	}
	qsort(few_ns, rounds, sizeof(double), compare);
	qsort(many_ns, rounds, sizeof(double), compare);
	printf("%u active of %u: %.0f ns a request, %.0f requests/s\n", few, few,
	       few_ns[rounds / 2], 1e9 / few_ns[rounds / 2]);
	printf("%u active of %u: %.0f ns a request, %.0f requests/s\n", active, connections,
	       many_ns[rounds / 2], 1e9 / many_ns[rounds / 2]);
	printf("rate: %.2f of that with %u\n", few_ns[rounds / 2] / many_ns[rounds / 2], few);
	world_free(many_world);
	world_free(few_world);
	return 0;
}
