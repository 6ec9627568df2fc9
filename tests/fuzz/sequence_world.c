/* SPDX-License-Identifier: Apache-2.0 */
/* The server, its memory and its time; and the end of every run, when nothing may be left. */
#include "sequence.h"

#define CARD_LARGE_BYTES  8192
#define SETTLE_TURNS_MAX  256
#define STEP_US_MIN       100    /* how often a worker looks whether its device can send again */
#define STEP_SHARE        4      /* of the time that has passed: steps grow by a quarter … */
#define STEP_GROWS_US     100000 /* … from here on */
#define IDLE_STEP_US      (24 * 3600 * SECOND_US) /* it takes its turns with nothing to do, too */
#define BEHAVE_ROUNDS     1000
#define BEHAVE_LIE_ROUNDS 8 /* with peers that may be stuck by what they have done */
#define ROUND_US          5000
#define END_US            (7200 * SECOND_US)

static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 1};

static void segment_in(void *context, const struct net_input *input, uint64_t now_us)
{
	struct world *world = context;

	tcp_input(world->tcp, input, now_us);
}

static void datagram_in(void *context, const struct net_input *input, uint16_t source_port,
                        struct slice payload, uint64_t now_us)
{
}

static void error_in(void *context, const struct net_error *error, uint64_t now_us)
{
	struct world *world = context;

	tcp_error(world->tcp, error, now_us);
}

static void region_create(struct memory *memory, size_t bytes)
{
	*memory = (struct memory){.bytes = memory_rounded(bytes)};
	memory->base = aligned_alloc(CACHE_LINE_BYTES, memory->bytes);
	ASSERT(memory->base != NULL);
}

struct world *world_create(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct contents *contents = &world->contents;

	ASSERT(world != NULL);
	for (uint32_t i = 0; i < sizeof(contents->from_peer); i++) {
		contents->from_peer[i] = (uint8_t)(i * 31 + (i >> 8) * 17 + 5);
		contents->from_peer_false[i] = contents->from_peer[i] ^ FALSE_XOR;
		contents->from_server[i] = (uint8_t)(i * 29 + (i >> 8) * 23 + 11);
	}
	world->trace = getenv("FUZZ_TRACE") != NULL;
	region_create(&world->netif_memory, memory_netif_bytes(FRAME_COUNT) + memory_nic_bytes());
	region_create(&world->pool_memory, block_pool_bytes(BLOCK_COUNT));
	return world;
}

static void port_set(struct world *world)
{
	static const char *const ours[2] = {"198.18.0.2/24", "fd00:198::2/64"};

	world->port = (struct port_options){
	    .kind = PORT_TAP,
	    .address_count = 2,
	    .tcp_port = SERVER_PORT,
	    .allow_any = true,
	};
	for (int i = 0; i < 2; i++)
		ip_prefix_parse(&world->port.addresses[i], ours[i]);
}

static void peers_set(struct world *world, const struct world_options *options)
{
	for (uint32_t i = 0; i < PEER_COUNT; i++) {
		struct peer *peer = &world->peers[i];
		bool ip6 = i == 2;

		memset(peer->marks, 0, peer->connection.marked_end);
		memset(peer, 0, offsetof(struct peer, marks));
		peer->world = world;
		peer->index = i;
		peer->port = (uint16_t)(PEER_PORT + i);
		peer->next_isn = options->isn;
		peer->ts_base = options->ts_base;
		peer->window = UINT16_MAX;
		peer->path.remote = world->port.addresses[ip6].address;
		ip_address_parse(&peer->path.local, ip6 ? "fd00:198::9" : "198.18.0.9");
		peer->path.local_mac[0] = 2;
		peer->path.local_mac[5] = (uint8_t)(9 + i);
		memcpy(peer->path.remote_mac, server_mac, 6);
		peer->path.vlan = i == 1 ? PEER_VLAN : FRAME_NO_VLAN;
	}
}

void world_reset(struct world *world, const struct world_options *options)
{
	struct net_user net_user = {
	    .segment = segment_in,
	    .datagram = datagram_in,
	    .error = error_in,
	    .context = world,
	};
	struct net_options net_options = {.port = &world->port};
	struct stream_user user = sequence_user;

	if (world->tcp_memory.bytes < tcp_memory_bytes(&options->tcp)) {
		free(world->tcp_memory.base);
		region_create(&world->tcp_memory, tcp_memory_bytes(&options->tcp));
	}
	memset(world->tcp_memory.base, 0, world->tcp_memory.bytes);
	memset(world->pool_memory.base, 0, world->pool_memory.bytes);
	world->netif_memory.used_bytes = 0;
	world->pool_memory.used_bytes = 0;
	world->tcp_memory.used_bytes = 0;
	world->now_us = options->clock_us;
	world->held = NULL;
	world->speaker = NULL;
	world->burst = false;
	world->rejects = false;
	world->sent_count = 0;
	port_set(world);
	peers_set(world, options);
	user.context = world;
	memory_netif_create(&world->netif, FRAME_COUNT, &world->netif_memory, server_mac,
	                    (uint16_t)options->mtu, judge_sent, world);
	if (options->card) {
		memory_netif_add_nic(&world->netif, CARD_LARGE_BYTES, true, &world->netif_memory);
		world->netif.nic->at_once = true; /* the judge goes by when it sees things */
	}
	net_create(&world->net, &world->netif.netif, &net_options, &net_user, world->now_us);
	block_pool_create(&world->blocks, options->block_count, &world->pool_memory,
	                  &(struct references){sequence_retain, sequence_release, world});
	tcp_create(&world->tcp, &options->tcp, &user, &world->blocks, &world->tcp_memory,
	           world->now_us);
}

/* What holds between any two turns; it costs more than a turn. */
static void check(const struct world *world)
{
	tcp_check(world->tcp);
	for (uint32_t i = 0; i < PEER_COUNT; i++) {
		const struct connection *connection = &world->peers[i].connection;

		if (connection->stream != NULL &&
		    connection->stream->out.length + connection->confirmed < connection->replied)
			FUZZ_FAIL("peer %u: bytes are gone that were not acknowledged", i);
	}
}

static void turns(struct world *world)
{
	bool is_full = world->netif.withheld_count > 0;

	for (int count = 0; count < SETTLE_TURNS_MAX; count++) {
		net_poll(&world->net, world->now_us);
		tcp_advance(world->tcp, world->now_us);
		world->netif.netif.ops->flush(&world->netif.netif);
		if (tcp_next_deadline_us(world->tcp) > world->now_us || is_full)
			return;
	}
	FUZZ_FAIL("the next deadline is in the past for ever: nobody could sleep");
}

void world_settle(struct world *world)
{
	turns(world);
	check(world);
}

void world_pass(struct world *world, uint64_t us)
{
	uint64_t start_us = world->now_us, end_us = start_us + us;

	turns(world);
	while (world->now_us < end_us) {
		uint64_t passed_us = world->now_us - start_us;
		uint64_t step_us = passed_us < STEP_GROWS_US ? STEP_US_MIN : passed_us / STEP_SHARE;
		uint64_t next_us =
		    max_u64(tcp_next_deadline_us(world->tcp), world->now_us + step_us);

		next_us = min_u64(next_us, world->now_us + IDLE_STEP_US);
		world->now_us = min_u64(next_us, end_us);
		turns(world);
	}
	check(world);
}

void world_take_blocks(struct world *world, uint32_t count)
{
	struct block *block;

	while (count-- > 0 && (block = block_take(&world->blocks)) != NULL) {
		block->next = world->held;
		world->held = block;
	}
}

void world_give_blocks(struct world *world)
{
	struct block *block;

	while ((block = world->held) != NULL) {
		world->held = block->next;
		block_drop(&world->blocks, block);
	}
}

/* All that was said and replied has arrived, as far as it may. */
static bool is_through(const struct connection *connection)
{
	if (connection->stream == NULL || connection->lied)
		return true;
	if (connection->stream->out.length > 0)
		return false;
	return connection->closing || (connection->delivered == connection->said_end &&
	                               connection->fin_said == connection->finished);
}

/* True: something is left to do for a peer that was always right. */
static bool behave(struct world *world, uint32_t rounds)
{
	bool waiting = true;

	for (uint32_t round = 0; round < rounds && waiting; round++) {
		uint64_t next_us = tcp_next_deadline_us(world->tcp);
		bool anyone = false;

		waiting = false;
		for (uint32_t i = 0; i < PEER_COUNT; i++) {
			struct peer *peer = &world->peers[i];

			/* liars that go on for ever would leave no time to the others */
			if (round < BEHAVE_LIE_ROUNDS || !peer->connection.lied)
				anyone |= peer_behave(peer);
			waiting |= !is_through(&peer->connection);
		}
		if (next_us <= world->now_us || anyone)
			next_us = world->now_us + ROUND_US;
		world_pass(world, min_u64(next_us - world->now_us, SECOND_US));
		if (round < BEHAVE_LIE_ROUNDS)
			waiting = true;
	}
	return waiting && rounds > BEHAVE_LIE_ROUNDS;
}

/* Whatever held things up is gone. */
static void ease(struct world *world)
{
	world->burst = false;
	world->rejects = false;
	world->netif.withheld_count = 0;
	world_give_blocks(world);
	for (uint32_t i = 0; i < PEER_COUNT; i++) {
		struct peer *peer = &world->peers[i];
		struct connection *connection = &peer->connection;

		peer->loss = 0;
		peer->window = UINT16_MAX;
		connection->in_callback_close = false;
		connection->in_callback_abort = false;
		connection->echo_bytes = 0;
		connection->answer_owed = true; /* its window is open */
		application_resume(peer, UINT64_MAX);
	}
	world_settle(world);
}

static void check_nothing_left(const struct world *world)
{
	const struct tcp_counters *counters = tcp_counters(world->tcp);

	if (counter_read(&counters->connections) + counter_read(&counters->half_open) +
	        counter_read(&counters->fin_wait_2) + counter_read(&counters->time_wait) !=
	    0)
		FUZZ_FAIL("connections are left over at the end");
	if (counter_read(&counters->orphans) != 0)
		FUZZ_FAIL("orphans are counted, and there are none");
	if (world->blocks.free_count != world->blocks.block_count)
		FUZZ_FAIL("%u blocks are lost",
		          world->blocks.block_count - world->blocks.free_count);
	if (world->netif.free_count != world->netif.frame_count)
		FUZZ_FAIL("%u frames are lost", world->netif.frame_count - world->netif.free_count);
	if (tcp_next_deadline_us(world->tcp) != UINT64_MAX)
		FUZZ_FAIL("a timer runs without a connection");
	for (uint32_t i = 0; i < PEER_COUNT; i++) {
		if (world->peers[i].connection.stream != NULL)
			FUZZ_FAIL("peer %u: the application was not told of the end", i);
		if (world->peers[i].connection.references != 0)
			FUZZ_FAIL("peer %u: a reference was not released", i);
	}
}

void world_wind_up(struct world *world, bool by_abort)
{
	ease(world);
	if (behave(world, BEHAVE_ROUNDS))
		FUZZ_FAIL("a right peer got stuck");
	for (uint32_t i = 0; i < PEER_COUNT; i++) {
		if (by_abort)
			application_abort(&world->peers[i]);
		else
			application_close(&world->peers[i]);
	}
	if (!by_abort) /* some have been heard, the others time out */
		behave(world, 2);
	world_pass(world, END_US);
	check_nothing_left(world);
}
