/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/worker.h"

#include "shard/call.h"
#include "shard/hot.h"
#include "worker/board.h"
#include "worker/conns.h"
#include "worker/worker_internal.h"

#include <errno.h>

#define WORKER_MAGIC         0x3a7e0b51u
#define BLOCKED_SEATS_A_TURN 64
#define CONNS_BLOCK_SHARE    2 /* `stats conns` leaves half of the blocks free */

/* DESIGN.md 6. The table of connections has less than two words for each. */
_Static_assert(sizeof(struct seat) + TCP_CONNECTION_BYTES_MAX + 2 * sizeof(void *) <= 512,
               "what an idle connection costs");

static const struct counter_description worker_descriptions[] = {WORKER_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description session_descriptions[] = {
    SESSION_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description datagram_descriptions[] = {
    DATAGRAM_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description shard_descriptions[] = {SHARD_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description store_descriptions[] = {STORE_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description tcp_descriptions[] = {TCP_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description net_descriptions[] = {NET_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description capture_descriptions[] = {
    CAPTURE_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description socket_descriptions[] = {SOCKET_COUNTERS(COUNTER_DESCRIBE)};

void worker_add_counters(struct worker *worker, const struct counter_group *group)
{
	ASSERT(worker->group_count < GROUP_COUNT_MAX);
	worker->groups[worker->group_count++] = *group;
}

#define GROUP_ADD(worker, module, port_index, struct_of_counters)                                  \
	worker_add_counters(worker,                                                                \
	                    &(struct counter_group){                                               \
	                        #module, port_index, module##_descriptions,                        \
	                        sizeof(module##_descriptions) / sizeof(module##_descriptions[0]),  \
	                        (const _Atomic uint64_t *)(struct_of_counters), false})

/* For struct seats. Of all workers; a few more may get in while they come in at several. */
static bool admit(void *context)
{
	struct worker *worker = context;
	const struct workers *workers = worker->workers;
	uint64_t count = 0;

	for (uint32_t i = 0; i < workers->count; i++)
		count += counter_read(&workers->list[i]->sessions.counters.curr_connections);
	if (count < worker->client_count_max)
		return true;
	counter_add(&worker->counters.rejected_connections, 1);
	return false;
}

static struct socket_options socket_options_of(const struct worker_options *options)
{
	/* the seats are counted here, over all carriers; the carrier's own limit lies behind */
	return (struct socket_options){.connection_count_max = options->connection_count_max + 64};
}

static bool debug_time(void *context, enum debug_time change, uint32_t seconds)
{
	struct worker *worker = context;

	return workers_debug_time(worker->workers, worker->time.now_us, change, seconds);
}

static void take_time(struct worker *worker, uint64_t now_us)
{
	uint64_t start_us = atomic_load_explicit(&worker->workers->start_us, memory_order_relaxed);

	worker->time.now_us = now_us;
	worker->time.now_s = (uint32_t)workers_now_s(worker->workers, now_us);
	worker->time.fraction_us = (uint32_t)((now_us - start_us) % 1000000);
}

static void wake_others(struct worker *worker)
{
	counter_add(&worker->counters.wakes, workers_wake(worker->workers, worker->number));
}

/* For struct socket_options. */
static bool fall_asleep(void *context)
{
	struct worker *worker = context;

	wake_others(worker);
	return workers_fall_asleep(worker->workers, worker->number);
}

/* Who is on it and connected has to go; who comes now is kept out by the carriers. */
static void look_at_blocked(struct worker *worker)
{
	const struct blocked *blocked;

	if (workers_blocked_is(worker->workers, worker->blocked))
		return;
	blocked = workers_take_blocked(worker->workers, worker->number);
	worker->blocked = blocked;
	for (uint32_t i = 0; i < worker->net_count; i++)
		worker->nets[i].blocked = blocked;
	if (worker->sockets != NULL)
		sockets_block(worker->sockets, blocked);
	worker->blocked_left = blocked == NULL ? 0 : seats_used(&worker->seats);
}

/* Hot keys: which are wanted, which there are, and what the XDP programs are to tell. */
static void look_at_board(struct worker *worker)
{
	const struct hot *hot = shard_hot(worker->shard);
	struct workers *workers = worker->workers;
	uint64_t start_us;

	if (workers->board == NULL)
		return;
	board_take(workers->board, worker->number, worker->shard, &worker->board_version);
	if (hot->last->end_us != worker->told_us) {
		worker->told_us = hot->last->end_us;
		board_tell(workers->board, worker->number, hot);
	}
	/* the clock began with its second 1 */
	start_us = atomic_load_explicit(&workers->start_us, memory_order_relaxed) - 1000000;
	if (atomic_load_explicit(&workers->paused_s, memory_order_relaxed) != 0)
		start_us = 0;
	shard_show_some(worker->shard, worker->time.now_us, start_us, worker->time.now_s);
}

static uint64_t wake_up_us(void *context)
{
	struct worker *worker = context;

	workers_wake_up(worker->workers, worker->number);
	take_time(worker, worker->clock_us());
	/* before it takes in whom that keeps out, or refuses whom it does not any more */
	look_at_blocked(worker);
	return worker->time.now_us;
}

static uint32_t seat_count(const struct worker_options *options)
{
	return options->connection_count_max + (options->with_inners ? INNER_COUNT : 0);
}

static struct sessions_options sessions_options_of(const struct worker_options *options,
                                                   uint32_t worker_count)
{
	struct sessions_options sessions = options->sessions;

	sessions.session_count_max = seat_count(options);
	sessions.other_count = worker_count - 1;
	sessions.call_count = worker_count > 1 ? WORKER_CALL_COUNT : 0;
	return sessions;
}

size_t worker_memory_bytes(const struct worker_options *options, uint32_t worker_count)
{
	struct socket_options socket_options = socket_options_of(options);
	struct sessions_options sessions_options = sessions_options_of(options, worker_count);

	return memory_rounded(sizeof(struct worker)) + seats_bytes(seat_count(options)) +
	       block_pool_bytes(options->block_count) + tcp_memory_bytes(&options->tcp) +
	       stats_bytes() + sessions_bytes(&sessions_options) +
	       datagram_bytes(&options->datagrams) +
	       (options->items == NULL ? memory_rounded(options->shard.memory_bytes) : 0) +
	       (options->with_inners
	            ? memory_rounded(sizeof(struct inners)) + inners_bytes() + capture_bytes()
	            : 0) +
	       (options->with_sockets ? sockets_bytes(&socket_options) : 0);
}

/* As many as there are blocks for: the reply must not take what everybody needs. */
static bool add_conns(void *context, const struct stats_sink *sink)
{
	struct worker *worker = context;
	uint32_t left_out = 0;

	for (uint32_t i = 0; i < seats_used(&worker->seats); i++) {
		const struct seat *seat = &worker->seats.list[i];

		if (seat->session.stream == NULL)
			continue;
		if (worker->blocks.free_count < worker->blocks.block_count / CONNS_BLOCK_SHARE)
			left_out++;
		else if (!conns_add(sink, &seat->session, seat->last_us, worker->time.now_us))
			return false;
	}
	return left_out == 0 || conns_add_left_out(sink, left_out);
}

static struct shard_options shard_options_of(const struct worker_options *options)
{
	struct shard_options shard = options->shard;

	shard.shards = options->workers->count > 1 ? &options->workers->shards : NULL;
	shard.number = options->number;
	return shard;
}

static void add_class_groups(struct worker *worker, const struct classes *classes)
{
	static const struct counter_description holdings[] = {CLASS_HOLDINGS(COUNTER_DESCRIBE)};
	static const struct counter_description requests[] = {CLASS_REQUESTS(COUNTER_DESCRIBE)};

	for (uint32_t i = 0; classes != NULL && i < classes->count; i++) {
		char *module = worker->class_modules[i];
		struct counter_group group = {.module = module, .index = COUNTER_NO_INDEX};

		snprintf(module, sizeof(worker->class_modules[i]), CLASS_MODULE "%s",
		         classes->rules[i].name);
		group.descriptions = holdings;
		group.count = sizeof(holdings) / sizeof(holdings[0]);
		group.counters = (const _Atomic uint64_t *)shard_class_holding(worker->shard, i);
		worker_add_counters(worker, &group);
		group.descriptions = requests;
		group.count = sizeof(requests) / sizeof(requests[0]);
		group.counters = (const _Atomic uint64_t *)shard_class_requests(worker->shard, i);
		worker_add_counters(worker, &group);
	}
}

static int create_sockets(struct worker *worker, const struct worker_options *options,
                          struct memory *memory)
{
	struct socket_options socket_options = socket_options_of(options);
	int r;

	socket_options.pool = &worker->blocks;
	socket_options.user = &worker->seats.user;
	socket_options.datagram = worker_socket_datagram;
	socket_options.datagram_context = worker;
	socket_options.fall_asleep = fall_asleep;
	socket_options.wake_up_us = wake_up_us;
	socket_options.sleep_context = worker;
	r = sockets_create(&worker->sockets, &socket_options, memory);
	if (r < 0)
		return r;
	GROUP_ADD(worker, socket, COUNTER_NO_INDEX, socket_counters(worker->sockets));
	return 0;
}

/* What the keeper has the other end of. */
static void create_keepers(struct worker *worker, struct memory *memory)
{
	worker->inners = memory_take(memory, sizeof(*worker->inners));
	inners_create(worker->inners, &worker->blocks, &worker->seats.inner_user, memory);
	worker->capture = memory_take(memory, sizeof(*worker->capture));
	capture_create(worker->capture, memory);
	GROUP_ADD(worker, capture, COUNTER_NO_INDEX, &worker->capture->counters);
}

int worker_create(struct worker **ret_worker, const struct worker_options *options,
                  struct memory *memory, uint64_t now_us)
{
	struct sessions_options sessions_options =
	    sessions_options_of(options, options->workers->count);
	struct shard_options shard_options = shard_options_of(options);
	struct stats_options stats_options = options->stats;
	struct worker *worker = memory_take(memory, sizeof(*worker));
	struct references references;
	int r;

	*worker = (struct worker){
	    .magic = WORKER_MAGIC,
	    .workers = options->workers,
	    .number = options->number,
	    .clock_us = options->clock_us,
	    .time = {.now_us = now_us, .now_s = 1},
	    .seats = {.sessions = &worker->sessions,
	              .time = &worker->time,
	              .admit = admit,
	              .admit_context = worker,
	              .idle_timeout_us = options->idle_timeout_us},
	    .client_count_max = options->connection_count_max,
	};
	seats_create(&worker->seats, seat_count(options), memory);
	r = shard_create(&worker->shard, &shard_options,
	                 options->items != NULL ? options->items : memory);
	if (r < 0)
		return r;
	if (options->workers->count > 1)
		sessions_options.watch = &options->workers->watch;
	references = shard_references(worker->shard);
	block_pool_create(&worker->blocks, options->block_count, memory, &references);
	tcp_create(&worker->tcp, &options->tcp, &worker->seats.user, &worker->blocks, memory,
	           now_us);
	stats_options.shared = &options->workers->stats;
	stats_create(&worker->stats, &stats_options, memory);
	sessions_options.debug_time = debug_time;
	sessions_options.debug_time_context = worker;
	sessions_create(&worker->sessions, &sessions_options, worker->shard, &worker->blocks,
	                &worker->stats, memory);
	datagram_create(&worker->datagrams, &options->datagrams, worker->shard,
	                &worker->sessions.lookahead, memory);
	worker->stats.hot = shard_hot(worker->shard);
	worker->stats.add_conns = add_conns;
	worker->stats.conns_context = worker;
	GROUP_ADD(worker, worker, COUNTER_NO_INDEX, &worker->counters);
	GROUP_ADD(worker, session, COUNTER_NO_INDEX, &worker->sessions.counters);
	GROUP_ADD(worker, datagram, COUNTER_NO_INDEX, &worker->datagrams.counters);
	GROUP_ADD(worker, shard, COUNTER_NO_INDEX, shard_counters(worker->shard));
	GROUP_ADD(worker, store, COUNTER_NO_INDEX, shard_store_counters(worker->shard));
	GROUP_ADD(worker, tcp, COUNTER_NO_INDEX, tcp_counters(worker->tcp));
	add_class_groups(worker, options->shard.classes);
	if (options->with_inners)
		create_keepers(worker, memory);
	if (options->with_sockets) {
		r = create_sockets(worker, options, memory);
		if (r < 0)
			return r;
	}
	options->workers->list[options->number] = worker;
	*ret_worker = worker;
	return 0;
}

uint64_t worker_rest(struct worker *worker, uint64_t generation)
{
	return shard_rest(worker->shard, generation);
}

void worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	ASSERT(worker->magic == WORKER_MAGIC);
	sockets_destroy(worker->sockets);
	worker->magic = 0;
}

void worker_add_netif(struct worker *worker, struct netif *netif, const struct port_options *port,
                      uint32_t port_index, bool probe, uint64_t random_seed, uint64_t now_us)
{
	struct net_user user = worker_net_user(worker);
	struct net_options options = {.port = port, .probe = probe, .random_seed = random_seed};

	struct net *net = &worker->nets[worker->net_count++];

	ASSERT(worker->net_count <= PORT_COUNT_MAX);
	net_create(net, netif, &options, &user, now_us);
	GROUP_ADD(worker, net, port_index, &net->counters);
	if (worker->capture != NULL)
		capture_add_netif(worker->capture, netif, port_index);
}

void worker_show_to(struct worker *worker, struct show *show, const struct show_options *options)
{
	shard_show_to(worker->shard, show, options);
}

struct sockets *worker_sockets(struct worker *worker)
{
	return worker->sockets;
}

struct inners *worker_inners(struct worker *worker)
{
	return worker->inners;
}

struct capture *worker_capture(struct worker *worker)
{
	return worker->capture;
}

static void take_settings(struct worker *worker)
{
	struct worker_settings settings;

	if (!workers_take_settings(worker->workers, &worker->settings_version, &settings))
		return;
	shard_set_policy(worker->shard, (enum policy)settings.policy);
	worker->sessions.options.request_timeout_us = settings.request_timeout_us;
	worker->sessions.options.can_shut_down = settings.can_shut_down != 0;
	seats_set_idle_timeout(&worker->seats, settings.idle_timeout_us);
	datagram_set_limits(&worker->datagrams, (uint32_t)settings.udp_reply_bytes_max,
	                    (uint32_t)settings.udp_amplification_max,
	                    (uint32_t)settings.udp_rate_max);
}

/* A few a turn: who has a million clients goes on serving them. */
static void end_blocked(struct worker *worker)
{
	uint32_t count = min_u32(worker->blocked_left, BLOCKED_SEATS_A_TURN);

	counter_add(
	    &worker->counters.blocked_kicks,
	    seats_end_blocked(&worker->seats, worker->blocked, count, &worker->blocked_index));
	worker->blocked_left -= count;
}

void worker_leave(struct worker *worker)
{
	workers_leave(worker->workers, worker->number);
}

static uint32_t serve_others(struct worker *worker)
{
	uint32_t count;

	if (worker->workers->count == 1)
		return 0;
	worker_take_errors(worker);
	count = sessions_serve_calls(&worker->sessions, &worker->time);
	counter_add(&worker->counters.calls, count);
	return count;
}

/* The last one, which has found something to do. */
static void record_turn(struct worker *worker, uint64_t end_us)
{
	uint64_t start_us = worker->time.now_us;

	counter_add(&worker->counters.busy_us, end_us - start_us);
	latency_record_turn(&worker->sessions.latency, shard_counters(worker->shard), start_us,
	                    end_us);
}

uint32_t worker_turn(struct worker *worker, uint64_t now_us, int wait_ms)
{
	uint32_t busy = 0;

	if (worker->was_busy)
		record_turn(worker, now_us);
	workers_pass(worker->workers, worker->number);
	take_time(worker, now_us);
	look_at_blocked(worker);
	sessions_follow(&worker->sessions, &worker->time);
	hot_advance(shard_hot(worker->shard), now_us);
	look_at_board(worker);
	shard_foresee_calls(worker->shard);
	if (worker->capture != NULL)
		capture_turn(worker->capture, now_us);
	for (uint32_t i = 0; i < worker->net_count; i++)
		busy += net_poll(&worker->nets[i], now_us);
	shard_foresee_called_items(worker->shard);
	worker->store_is_busy = shard_work(worker->shard, worker->time.now_s);
	if (worker->net_count > 0 || worker->sessions.turn_wait_count > 0 ||
	    worker->store_is_busy || worker->blocked_left > 0)
		wait_ms = 0;
	if (worker->sockets != NULL)
		busy += socket_poll(worker->sockets, now_us, wait_ms);
	if (worker->inners != NULL)
		busy += inners_poll(worker->inners);
	busy += serve_others(worker);
	busy += worker->sessions.turn_wait_count + worker->store_is_busy;
	if (worker->blocked_left > 0) {
		end_blocked(worker);
		busy++;
	}
	if (now_us >= worker->seats.next_sweep_us)
		counter_add(&worker->counters.idle_kicks, seats_sweep(&worker->seats));
	take_settings(worker);
	sessions_expire(&worker->sessions, &worker->time);
	sessions_advance(&worker->sessions, &worker->time);
	tcp_advance(worker->tcp, now_us);
	for (uint32_t i = 0; i < worker->net_count; i++) {
		net_advance(&worker->nets[i], now_us);
		worker->nets[i].netif->ops->flush(worker->nets[i].netif);
	}
	wake_others(worker);
	counter_add(&worker->counters.turns, 1);
	worker->was_busy = busy > 0;
	counter_add(&worker->counters.turns_busy, worker->was_busy);
	return busy;
}

uint64_t worker_next_deadline_us(const struct worker *worker)
{
	uint64_t next_us =
	    worker->sessions.turn_wait_count > 0 || worker->store_is_busy ||
	            worker->blocked_left > 0 || workers_call(worker->workers, worker->number)
	        ? worker->time.now_us + 1
	        : min_u64(min_u64(worker->seats.next_sweep_us, sessions_next_us(&worker->sessions)),
	                  tcp_next_deadline_us(worker->tcp));

	for (uint32_t i = 0; i < worker->net_count; i++)
		next_us = min_u64(next_us, worker->nets[i].next_us);
	return next_us;
}

struct stats_worker worker_published(struct worker *worker)
{
	return (struct stats_worker){
	    .shard = shard_counters(worker->shard),
	    .store = shard_store_counters(worker->shard),
	    .sessions = &worker->sessions.counters,
	    .groups = worker->groups,
	    .group_count = worker->group_count,
	    .prefixes = &worker->stats.prefixes,
	    .latency = &worker->sessions.latency,
	};
}

const struct worker_counters *worker_counters(const struct worker *worker)
{
	return &worker->counters;
}

const struct tcp *worker_tcp(const struct worker *worker)
{
	return worker->tcp;
}

const struct block_pool *worker_blocks(const struct worker *worker)
{
	return &worker->blocks;
}

const struct net *worker_net(const struct worker *worker, uint32_t index)
{
	return &worker->nets[index];
}

const struct datagram_counters *worker_datagram_counters(const struct worker *worker)
{
	return &worker->datagrams.counters;
}

void worker_check(struct worker *worker)
{
	ASSERT(worker->magic == WORKER_MAGIC);
	seats_check(&worker->seats, counter_read(&worker->sessions.counters.curr_connections));
	tcp_check(worker->tcp);
	shard_check(worker->shard);
}
