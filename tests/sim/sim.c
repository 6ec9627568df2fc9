/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define START_US        1000000ull
#define HEAL_AFTER_US   120000000ull /* then the wire does no more harm … */
#define STALL_AFTER_US  900000000ull /* … and by then all must be done */
#define QUIET_US        400000000ull /* all timers have run out after this long */
#define QUIET_STEP_US   50000ull
#define MACHINE_STOP_US 20000
#define TICKS_US        3000 /* of the server's timers */
#define FRAME_COUNT     256
#define LARGE_BYTES     32768 /* of TCP payload: what the server's network card cuts up at once */
#define CHECK_EVERY     64    /* turns */

static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 1};

static uint64_t digest_of(uint64_t digest, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		digest = (digest ^ bytes[i]) * 0x100000001b3; /* FNV-1a */
	return digest;
}

/* From the server's netif to the wire: by the destination's MAC address. */
static void server_sent(void *context, const uint8_t *frame, uint16_t length)
{
	struct sim *sim = context;

	sim->digest = digest_of(sim->digest, frame, length);
	sim->digest = digest_of(sim->digest, (const uint8_t *)&sim->now_us, sizeof(sim->now_us));
	if (frame[0] != 2 || frame[4] != 1 || frame[5] >= sim->client_count)
		return;
	operator_check_sent(sim, frame, length);
	watch_sent(&sim->clients[frame[5]].watch, frame, length);
	wire_send(&sim->wire, frame[5], frame, length, sim->now_us);
}

static void facts(void *context, struct stats_facts *ret_facts)
{
	*ret_facts = (struct stats_facts){.version = "sim", .interface = "sim"};
}

static struct wire_options wire_choose(struct random *random)
{
	static const uint32_t losses_ppm[] = {0, 0, 1000, 10000, 30000, 100000, 300000};
	struct wire_options options = {.loss_ppm = losses_ppm[random_below(random, 7)]};

	options.delay_us = 10u << random_below(random, 12);
	if (random_below(random, 2) == 0)
		options.jitter_us = (uint32_t)random_below(random, 4ull * options.delay_us);
	if (random_below(random, 2) == 0)
		options.duplicate_ppm = (uint32_t)random_below(random, 50000);
	if (random_below(random, 3) == 0)
		options.damage_ppm = (uint32_t)random_below(random, 30000);
	return options;
}

static struct worker_options worker_choose(struct sim *sim)
{
	bool small = random_below(&sim->random, 4) == 0;
	/* large values, so that what is small is soon full */
	uint32_t value_bytes_max = small ? 65536u << random_below(&sim->random, 3)
	                                 : 4096u << random_below(&sim->random, 5);
	struct worker_options options = {
	    .workers = &sim->workers,
	    .shard = {.value_bytes_max = value_bytes_max,
	              .hash_seed = random_u64(&sim->random),
	              .unix_time_at_start_s = 1700000000},
	    .sessions = {.value_bytes_max = value_bytes_max,
	                 .line_buffer_count = 2,
	                 .request_timeout_us = 3600000000ull,
	                 .version = "sim"},
	    .datagrams = {.reply_bytes_max = 1400, .amplification_max = 10},
	    .tcp = tcp_options_default(),
	    .stats = {.workers = sim->published,
	              .worker_count = sim->server_count,
	              .read_facts = facts,
	              .context = sim},
	    .connection_count_max = CLIENT_COUNT_MAX * 4,
	    .block_count = 2048,
	    .idle_timeout_us = 300000000,
	    .with_inners = sim->has_keeper,
	};

	options.shard.memory_bytes = max_u64(
	    shard_memory_bytes_min(value_bytes_max, sim->server_count), small ? 0 : 24u << 20);
	options.tcp.congestion = random_below(&sim->random, TCP_CONGESTION_COUNT);
	options.tcp.connection_count_max = 256;
	options.tcp.half_open_count_max = 1u << random_below(&sim->random, 7); /* few: cookies */
	/* enough, as a client whose FIN comes after a linger was cut short is reset */
	options.tcp.linger_count_max = 1024;
	options.tcp.receive_window_bytes = 4096u << random_below(&sim->random, 7);
	options.tcp.user_timeout_us = 600000000;
	/* one draw a statement: within one, their order would be the compiler's choice */
	options.tcp.secret.k0 = random_u64(&sim->random);
	options.tcp.secret.k1 = random_u64(&sim->random);
	options.shard.hash_seed = random_u64(&sim->random);
	options.sessions.output_bytes_max = 4096u << random_below(&sim->random, 6);
	sim->board.memory_is_short = small;
	sim->board.flushes = random_below(&sim->random, 6) == 0;
	sim->board.keys_may_vanish = small || sim->board.flushes;
	sim->board.value_bytes_max = value_bytes_max / 2;
	return options;
}

static void port_create(struct sim *sim)
{
	sim->port = (struct port_options){
	    .kind = PORT_TAP,
	    .name = "sim",
	    .address_count = 2,
	    .tcp_port = SERVER_PORT,
	    .udp_port = SERVER_PORT,
	    .allow_count = 2,
	};
	ip_prefix_parse(&sim->port.addresses[0], "10.1.0.1/16");
	ip_prefix_parse(&sim->port.addresses[1], "fd00::1/64");
	ip_prefix_parse(&sim->port.allow[0], "10.1.0.0/16");
	ip_prefix_parse(&sim->port.allow[1], "fd00::/64");
}

static void server_create(struct sim *sim, const struct worker_options *options,
                          struct memory *memory)
{
	struct server *server = &sim->servers[options->number];
	int r;

	memory_netif_create(&server->netif, FRAME_COUNT, memory, server_mac, CLIENT_MTU,
	                    server_sent, sim);
	/* every other seed: as the kept ones were found without; and some as an xdp port is */
	if (sim->seed % 2 != 0)
		memory_netif_add_nic(&server->netif, sim->seed % 4 == 1 ? LARGE_BYTES : 0,
		                     sim->seed % 8 != 5, memory);
	r = worker_create(&server->worker, options, memory, sim->now_us);
	ASSERT(r == 0);
	worker_add_netif(server->worker, &server->netif.netif, &sim->port, 0, options->number == 0,
	                 1, sim->now_us);
	sim->published[options->number] = worker_published(server->worker);
}

static void servers_create(struct sim *sim)
{
	struct worker_options options;
	struct memory memory;
	size_t bytes;

	/* each third seed: the others were found with one worker */
	sim->turns = random_seeded(sim->seed + 7);
	sim->server_count =
	    sim->seed % 3 != 0 ? 1 : 2 + (uint32_t)random_below(&sim->turns, SERVER_COUNT_MAX - 1);
	options = worker_choose(sim);
	bytes = workers_bytes(sim->server_count) +
	        sim->server_count * (worker_memory_bytes(&options, sim->server_count) +
	                             memory_netif_bytes(FRAME_COUNT) + memory_nic_bytes());
	sim->memory = aligned_alloc(CACHE_LINE_BYTES, bytes);
	memset(sim->memory, 0, bytes);
	memory = (struct memory){.base = sim->memory, .bytes = bytes};
	port_create(sim);
	workers_create(&sim->workers, sim->server_count, &memory, sim->now_us);
	for (; options.number < sim->server_count; options.number++)
		server_create(sim, &options, &memory);
}

/* As receive-side scaling spreads them: by client and port. */
static struct server *server_of(struct sim *sim, const struct wire_frame *frame)
{
	uint32_t at = 12;
	uint32_t ports = 0;

	if (sim->server_count == 1)
		return &sim->servers[0];
	if (load_be16(frame->data + at) == 0x8100)
		at += 4;
	at += load_be16(frame->data + at) == 0x0800 ? 2 + 20 : 2 + 40;
	if (at + 2 <= frame->length)
		ports = load_be16(frame->data + at);
	return &sim->servers[(ports + frame->data[11]) % sim->server_count];
}

static void server_receive(struct sim *sim, struct server *server, const struct wire_frame *frame)
{
	uint32_t from = frame->data[11]; /* the last byte of a client's MAC address is its index */

	if (memory_netif_inject(&server->netif, frame->data, frame->length) &&
	    sim->operations.blocked != &sim->clients[from])
		watch_received(&sim->clients[from].watch, frame->data, frame->length);
}

/* The server has had its turn: what it owed is there, if nothing has kept it from that. */
static void check_watches(struct sim *sim)
{
	if (sim->wire.options.jitter_us > 0 || sim->packets_run_short)
		return;
	for (uint32_t i = 0; i < sim->client_count; i++) {
		struct loss_watch *watch = &sim->clients[i].watch;
		uint64_t patience_us =
		    watch->sack ? 2ull * sim->wire.options.delay_us + TICKS_US : 0;

		if (!watch->owes || sim->clients[i].blocked_us != 0)
			watch->owed_since_us = 0;
		else if (watch->owed_since_us == 0)
			watch->owed_since_us = sim->now_us;
		if (watch->owed_since_us != 0 && sim->now_us - watch->owed_since_us >= patience_us)
			board_fail(&sim->board,
			           "client %u: three duplicate ACKs and no retransmission", i);
	}
}

/* Hands over what has arrived; what may find a ring full waits for the next turn. */
static void deliver(struct sim *sim)
{
	struct wire_frame *frame;
	uint32_t room = MEMORY_NETIF_RING_MAX;

	for (uint32_t i = 0; i < sim->server_count; i++)
		room = min_u32(room, MEMORY_NETIF_RING_MAX - sim->servers[i].netif.ring_count);
	for (; room > 0 && (frame = wire_receive(&sim->wire, sim->now_us)) != NULL; room--) {
		if (frame->to == SERVER)
			server_receive(sim, server_of(sim, frame), frame);
		else
			client_receive(&sim->clients[frame->to], frame->data, frame->length);
		free(frame);
	}
}

static uint64_t servers_next_us(const struct sim *sim)
{
	uint64_t next = wire_next_us(&sim->wire);

	for (uint32_t i = 0; i < sim->server_count; i++)
		next = min_u64(next, worker_next_deadline_us(sim->servers[i].worker));
	return next;
}

static uint64_t next_us(const struct sim *sim)
{
	uint64_t next = servers_next_us(sim);

	for (uint32_t i = 0; i < sim->client_count; i++)
		next = min_u64(next, client_next_us(&sim->clients[i]));
	return next;
}

static void withhold_packets(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->server_count; i++)
		sim->servers[i].netif.withheld_count =
		    sim->packets_run_short && !sim->wire.healed &&
		            random_below(&sim->random, 10) == 0
		        ? FRAME_COUNT - (uint32_t)random_below(&sim->random, 8)
		        : 0;
}

/* Of several workers, some. False: not all of them had a turn. */
static bool servers_turn(struct sim *sim)
{
	bool all = true;

	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (sim->server_count > 1 && random_below(&sim->turns, 4) == 0)
			all = false;
		else
			worker_turn(sim->servers[i].worker, sim->now_us, 0);
	}
	return all;
}

static bool step(struct sim *sim)
{
	bool anyone = false;

	sim->now_us = max_u64(sim->now_us + 1, next_us(sim));
	/* nobody gets the processor for a while: then much comes at once */
	if (sim->machine_stops && random_below(&sim->random, 20) == 0)
		sim->now_us += random_below(&sim->random, MACHINE_STOP_US);
	sim->wire.healed = sim->wire.healed || sim->now_us > START_US + HEAL_AFTER_US;
	withhold_packets(sim);
	deliver(sim);
	operator_act(sim);
	if (servers_turn(sim)) {
		check_watches(sim);
		sim->operations.age++;
	}
	if (sim->has_keeper)
		keeper_act(sim);
	for (uint32_t i = 0; i < sim->client_count; i++)
		anyone |= client_act(&sim->clients[i]);
	return anyone;
}

static void servers_check(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->server_count; i++)
		worker_check(sim->servers[i].worker);
}

/* Everybody has gone: nothing may be left. */
static void check_quiet_server(struct sim *sim, const struct server *server)
{
	const struct tcp_counters *tcp = tcp_counters(worker_tcp(server->worker));
	const struct block_pool *blocks = worker_blocks(server->worker);
	const struct wire_options *wire = &sim->wire.options;
	uint64_t left = counter_read(&tcp->connections) + counter_read(&tcp->half_open) +
	                counter_read(&tcp->fin_wait_2) + counter_read(&tcp->time_wait);

	if (left != 0)
		board_fail(&sim->board, "%llu connections are left after all have gone",
		           (unsigned long long)left);
	if (blocks->free_count != blocks->block_count)
		board_fail(&sim->board, "%u blocks are lost",
		           blocks->block_count - blocks->free_count);
	if (counter_read(&worker_published(server->worker).store->pins) > 0)
		board_fail(&sim->board, "the store is still referred to");
	if (server->netif.free_count != FRAME_COUNT)
		board_fail(&sim->board, "%u frames are lost",
		           FRAME_COUNT - server->netif.free_count);
	if (counter_read(&tcp->bad_ack) + counter_read(&tcp->bad_header) > 0 &&
	    wire->damage_ppm == 0 && sim->broken_count == 0)
		board_fail(&sim->board, "the client's segments were taken for bad ones");
	/* only where one can be overtaken by a whole window */
	if (counter_read(&tcp->old_ack) > 0 && wire->jitter_us == 0 && sim->broken_count == 0)
		board_fail(&sim->board, "the client's acknowledgements were taken for old ones");
	if (wire->loss_ppm + wire->duplicate_ppm + wire->damage_ppm + wire->jitter_us == 0 &&
	    !sim->packets_run_short && !sim->machine_stops && sim->seed % OPERATOR_BLOCKS != 0 &&
	    counter_read(&tcp->retransmit_timeouts) + counter_read(&tcp->fast_retransmits) > 0)
		board_fail(&sim->board, "the server took for lost what was not");
}

static void check_quiet(struct sim *sim)
{
	uint64_t end_us = sim->now_us + QUIET_US;

	/* who has gone answers by a reset, and not all of these are to be lost (seed 4250) */
	sim->wire.healed = true;
	for (uint32_t i = 0; i < sim->server_count; i++)
		sim->servers[i].netif.withheld_count = 0;
	while (sim->now_us < end_us) {
		sim->now_us = max_u64(sim->now_us + 1, servers_next_us(sim));
		deliver(sim);
		servers_turn(sim);
	}
	for (uint32_t i = 0; i < sim->server_count; i++)
		check_quiet_server(sim, &sim->servers[i]);
	servers_check(sim);
}

static void count_what_was_done(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = &sim->servers[i];

		sim->retransmitted_count +=
		    counter_read(&tcp_counters(worker_tcp(server->worker))->retransmitted);
		sim->call_count += counter_read(&sim->published[i].sessions->calls);
		if (server->netif.nic != NULL) {
			sim->cut_count += server->netif.nic->cut_count;
			sim->referred_bytes += server->netif.nic->referred_bytes;
		}
	}
}

static void say_plan(const struct sim *sim)
{
	printf("seed %llu: %u workers, %u clients, loss %u duplicates %u damage %u ppm, delay "
	       "%u+%u us, "
	       "window %u, %s memory, %s packets, the machine %s\n",
	       (unsigned long long)sim->seed, sim->server_count, sim->client_count,
	       sim->wire.options.loss_ppm, sim->wire.options.duplicate_ppm,
	       sim->wire.options.damage_ppm, sim->wire.options.delay_us,
	       sim->wire.options.jitter_us, sim->board.value_bytes_max,
	       sim->board.memory_is_short ? "little" : "enough",
	       sim->packets_run_short ? "few" : "enough", sim->machine_stops ? "stops" : "runs");
}

bool sim_run(struct sim *sim, uint64_t seed, bool verbose, bool has_keeper)
{
	struct wire_options wire;
	uint64_t turns = 0;
	bool anyone = true;

	memset(sim, 0, sizeof(*sim));
	sim->seed = seed;
	sim->now_us = START_US;
	sim->random = random_seeded(seed);
	sim->has_keeper = has_keeper;
	sim->looks = random_seeded(seed + 11);
	sim->operations.random = random_seeded(seed + 13);
	wire = wire_choose(&sim->random);
	wire_create(&sim->wire, &wire, seed ^ 0x5eed);
	sim->connections_may_break = wire.loss_ppm >= 100000;
	sim->client_count = 1 + (uint32_t)random_below(&sim->random, CLIENT_COUNT_MAX);
	sim->packets_run_short = random_below(&sim->random, 4) == 0;
	sim->machine_stops = random_below(&sim->random, 2) == 0;
	servers_create(sim);
	for (uint32_t i = 0; i < sim->client_count; i++)
		client_create(&sim->clients[i], sim, i);
	if (verbose)
		say_plan(sim);
	while (anyone && sim->board.failure[0] == '\0') {
		anyone = step(sim);
		if (++turns % CHECK_EVERY == 0)
			servers_check(sim);
		if (sim->now_us > START_US + STALL_AFTER_US)
			board_fail(&sim->board, "stalled: not done after %llu simulated seconds",
			           STALL_AFTER_US / 1000000);
	}
	if (sim->board.failure[0] == '\0')
		check_quiet(sim);
	count_what_was_done(sim);
	for (uint32_t i = 0; i < sim->client_count; i++)
		client_destroy(&sim->clients[i]);
	wire_destroy(&sim->wire);
	operator_leave(sim);
	for (uint32_t i = 0; i < sim->server_count; i++)
		worker_destroy(sim->servers[i].worker);
	free(sim->memory);
	return sim->board.failure[0] == '\0';
}
