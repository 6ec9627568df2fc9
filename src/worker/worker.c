/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/worker.h"

#include "proto/udp_frame.h"
#include "shard/call.h"
#include "worker/conns.h"
#include "worker/seats.h"

#include <errno.h>

#define WORKER_MAGIC      0x3a7e0b51u
#define CONNS_BLOCK_SHARE 2 /* `stats conns` leaves half of the blocks free */
#define KEYS_A_PACKET     8 /* that are foreseen, of its requests */

#define GROUP_COUNT_MAX (9 + 2 * PORT_COUNT_MAX + 2 * CLASS_COUNT_MAX)
#define CLASS_MODULE    "class:" /* and its name: so its counters are called in stats */

/* DESIGN.md 6. The table of connections has less than two words for each. */
_Static_assert(sizeof(struct seat) + TCP_CONNECTION_BYTES_MAX + 2 * sizeof(void *) <= 512,
               "what an idle connection costs");

struct worker {
	uint32_t magic;
	uint32_t net_count;
	struct worker_time time;
	struct workers *workers;
	uint32_t number; /* among them */
	uint64_t (*clock_us)(void);
	bool was_busy;      /* its last turn has found something to do */
	bool store_is_busy; /* it has something to do that nobody waits for yet */
	struct tcp *tcp;
	struct shard *shard;
	struct sockets *sockets; /* NULL: no port of that kind */
	struct seats seats;
	uint32_t policy;                /* enum policy */
	_Atomic uint32_t policy_wanted; /* any thread's */
	struct net nets[PORT_COUNT_MAX];
	struct block_pool blocks;
	struct sessions sessions;
	const struct tcp_connection *near[NETIF_BURST_MAX]; /* of a burst's frames */
	struct stats stats;
	struct datagram_server datagrams;
	struct worker_counters counters;
	struct counter_group groups[GROUP_COUNT_MAX];
	char class_modules[CLASS_COUNT_MAX][sizeof(CLASS_MODULE) + CLASS_NAME_BYTES];
	uint32_t group_count;
};

static const struct counter_description worker_descriptions[] = {WORKER_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description session_descriptions[] = {
    SESSION_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description datagram_descriptions[] = {
    DATAGRAM_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description shard_descriptions[] = {SHARD_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description store_descriptions[] = {STORE_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description tcp_descriptions[] = {TCP_COUNTERS(COUNTER_DESCRIBE)};
static const struct counter_description net_descriptions[] = {NET_COUNTERS(COUNTER_DESCRIBE)};
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
	                        (const _Atomic uint64_t *)(struct_of_counters)})

/* For struct seats. Of all workers; a few more may get in while they come in at several. */
static bool admit(void *context)
{
	struct worker *worker = context;
	const struct workers *workers = worker->workers;
	uint64_t count = 0;

	for (uint32_t i = 0; i < workers->count; i++)
		count += counter_read(&workers->list[i]->sessions.counters.curr_connections);
	if (count < worker->seats.count)
		return true;
	counter_add(&worker->counters.rejected_connections, 1);
	return false;
}

static void segment(void *context, const struct net_input *input, uint64_t now_us)
{
	struct worker *worker = context;

	tcp_input(worker->tcp, input, now_us);
}

static void segment_error(void *context, const struct net_error *error, uint64_t now_us)
{
	struct worker *worker = context;

	/* a network card spreads them by the router's address, not by the flow they are about */
	if (worker->workers->count == 1 || tcp_knows(worker->tcp, error)) {
		tcp_error(worker->tcp, error, now_us);
		return;
	}
	counter_add(&worker->counters.errors_passed, 1);
	counter_add(&worker->counters.errors_lost,
	            workers_pass_error(worker->workers, worker->number, error));
}

/* Takes those that came in at other workers. */
static void take_errors(struct worker *worker)
{
	struct workers_error passed;

	while (workers_take_error(worker->workers, worker->number, &passed)) {
		for (uint32_t i = 0; i < worker->net_count; i++)
			if (worker->nets[i].port == passed.error.path.net->port)
				passed.error.path.net = &worker->nets[i];
		passed.error.l4 = passed.l4;
		if (tcp_knows(worker->tcp, &passed.error)) {
			counter_add(&worker->counters.errors_taken, 1);
			tcp_error(worker->tcp, &passed.error, worker->time.now_us);
		}
	}
}

/* Its requests may be those of a frame whose checksum turns out to be wrong: nothing but time is
 * lost. */
static uint64_t packet_foresee(void *context, const struct net_path *path, uint8_t protocol,
                               struct slice l4)
{
	struct worker *worker = context;
	size_t head_bytes = UDP_HEADER_BYTES + UDP_FRAME_BYTES;

	if (protocol == IP_PROTOCOL_TCP)
		head_bytes = l4.length > 12 ? (l4.data[12] >> 4) * 4u : l4.length;
	if (l4.length > head_bytes)
		lookahead_add(&worker->sessions.lookahead,
		              (struct slice){l4.data + head_bytes, l4.length - head_bytes},
		              KEYS_A_PACKET);
	if (protocol == IP_PROTOCOL_UDP)
		return 0;
	return tcp_foresee(worker->tcp, path, load_be16(l4.data + 2), load_be16(l4.data));
}

static void burst_prefetch(void *context, const uint64_t *flows, uint32_t count, uint32_t step)
{
	struct worker *worker = context;

	if (step == 0) {
		for (uint32_t i = 0; i < count; i++)
			worker->near[i] =
			    flows[i] == 0 ? NULL : tcp_prefetch(worker->tcp, flows[i]);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		if (worker->near[i] != NULL)
			tcp_prefetch_more(worker->near[i]);
	lookahead_items(&worker->sessions.lookahead);
}

static void burst_forget(void *context)
{
	struct worker *worker = context;

	lookahead_end(&worker->sessions.lookahead);
}

/* Where the reply to a datagram from a netif goes. */
struct datagram_return {
	const struct net_path *path;
	uint16_t local_port;
	uint16_t remote_port;
	struct packet packet;
};

static uint8_t *datagram_reserve(void *context)
{
	struct datagram_return *to = context;

	return net_datagram_begin(to->path, &to->packet);
}

static void datagram_send(void *context, uint32_t length)
{
	struct datagram_return *to = context;

	net_datagram_finish(to->path, to->local_port, to->remote_port, &to->packet,
	                    (uint16_t)length);
}

static void datagram_drop(void *context)
{
	struct datagram_return *to = context;

	net_packet_drop(to->path, &to->packet);
}

static void net_datagram(void *context, const struct net_input *input, uint16_t source_port,
                         struct slice payload, uint64_t now_us)
{
	struct worker *worker = context;
	const struct port_options *port = input->path.net->port;
	struct datagram_return to;
	struct datagram_sink sink = {datagram_reserve, datagram_send, datagram_drop, &to};

	to.path = &input->path;
	to.local_port = port->udp_port;
	to.remote_port = source_port;

	/* who came in by a list is on it */
	datagram_serve(&worker->datagrams, payload, port->allow_any ? &input->path.remote : NULL,
	               worker->time.now_s, &sink);
}

static uint8_t *socket_reserve(void *context)
{
	return socket_reply_reserve(context);
}

static void socket_send(void *context, uint32_t length)
{
	socket_reply(context, length);
}

/* What was reserved is there for the next one. */
static void socket_drop(void *context)
{
}

static void socket_datagram(void *context, struct sockets *sockets,
                            const struct socket_datagram *datagram)
{
	struct worker *worker = context;
	struct datagram_sink sink = {socket_reserve, socket_send, socket_drop, sockets};

	datagram_serve(&worker->datagrams, (struct slice){datagram->payload, datagram->length},
	               datagram->source_listed ? NULL : &datagram->source, worker->time.now_s,
	               &sink);
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

static uint64_t wake_up_us(void *context)
{
	struct worker *worker = context;

	workers_wake_up(worker->workers, worker->number);
	take_time(worker, worker->clock_us());
	return worker->time.now_us;
}

static struct sessions_options sessions_options_of(const struct worker_options *options,
                                                   uint32_t worker_count)
{
	struct sessions_options sessions = options->sessions;

	sessions.session_count_max = options->connection_count_max;
	sessions.other_count = worker_count - 1;
	sessions.call_count = worker_count > 1 ? WORKER_CALL_COUNT : 0;
	return sessions;
}

size_t worker_memory_bytes(const struct worker_options *options, uint32_t worker_count)
{
	struct socket_options socket_options = socket_options_of(options);
	struct sessions_options sessions_options = sessions_options_of(options, worker_count);

	return memory_rounded(sizeof(struct worker)) + seats_bytes(options->connection_count_max) +
	       block_pool_bytes(options->block_count) + tcp_memory_bytes(&options->tcp) +
	       stats_bytes() + sessions_bytes(&sessions_options) +
	       datagram_bytes(&options->datagrams) +
	       (options->items == NULL ? memory_rounded(options->shard.memory_bytes) : 0) +
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
	    .policy = options->shard.policy,
	    .policy_wanted = options->shard.policy,
	};
	seats_create(&worker->seats, options->connection_count_max, memory);
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
	worker->stats.add_conns = add_conns;
	worker->stats.conns_context = worker;
	GROUP_ADD(worker, worker, COUNTER_NO_INDEX, &worker->counters);
	GROUP_ADD(worker, session, COUNTER_NO_INDEX, &worker->sessions.counters);
	GROUP_ADD(worker, datagram, COUNTER_NO_INDEX, &worker->datagrams.counters);
	GROUP_ADD(worker, shard, COUNTER_NO_INDEX, shard_counters(worker->shard));
	GROUP_ADD(worker, store, COUNTER_NO_INDEX, shard_store_counters(worker->shard));
	GROUP_ADD(worker, tcp, COUNTER_NO_INDEX, tcp_counters(worker->tcp));
	add_class_groups(worker, options->shard.classes);
	if (options->with_sockets) {
		struct socket_options socket_options = socket_options_of(options);

		socket_options.pool = &worker->blocks;
		socket_options.user = &worker->seats.user;
		socket_options.datagram = socket_datagram;
		socket_options.datagram_context = worker;
		socket_options.fall_asleep = fall_asleep;
		socket_options.wake_up_us = wake_up_us;
		socket_options.sleep_context = worker;
		r = sockets_create(&worker->sockets, &socket_options, memory);
		if (r < 0)
			return r;
		GROUP_ADD(worker, socket, COUNTER_NO_INDEX, socket_counters(worker->sockets));
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
	struct net_user user = {.segment = segment,
	                        .datagram = net_datagram,
	                        .error = segment_error,
	                        .foresee = packet_foresee,
	                        .prefetch = burst_prefetch,
	                        .forget = burst_forget,
	                        .context = worker};
	struct net_options options = {.port = port, .probe = probe, .random_seed = random_seed};

	struct net *net = &worker->nets[worker->net_count++];

	ASSERT(worker->net_count <= PORT_COUNT_MAX);
	net_create(net, netif, &options, &user, now_us);
	GROUP_ADD(worker, net, port_index, &net->counters);
}

struct sockets *worker_sockets(struct worker *worker)
{
	return worker->sockets;
}

void worker_set_policy(struct worker *worker, enum policy policy)
{
	atomic_store_explicit(&worker->policy_wanted, (uint32_t)policy, memory_order_relaxed);
}

/* Relaxed: the number is all there is to see. */
static void take_policy(struct worker *worker)
{
	uint32_t wanted = atomic_load_explicit(&worker->policy_wanted, memory_order_relaxed);

	if (wanted == worker->policy)
		return;
	worker->policy = wanted;
	shard_set_policy(worker->shard, (enum policy)wanted);
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
	take_errors(worker);
	count = sessions_serve_calls(&worker->sessions, &worker->time);
	counter_add(&worker->counters.calls, count);
	return count;
}

uint32_t worker_turn(struct worker *worker, uint64_t now_us, int wait_ms)
{
	uint32_t busy = 0;

	if (worker->was_busy)
		counter_add(&worker->counters.busy_us, now_us - worker->time.now_us);
	workers_pass(worker->workers, worker->number);
	take_time(worker, now_us);
	sessions_follow(&worker->sessions, &worker->time);
	shard_foresee_calls(worker->shard);
	for (uint32_t i = 0; i < worker->net_count; i++)
		busy += net_poll(&worker->nets[i], now_us);
	shard_foresee_called_items(worker->shard);
	worker->store_is_busy = shard_work(worker->shard, worker->time.now_s);
	if (worker->net_count > 0 || worker->sessions.turn_wait_count > 0 || worker->store_is_busy)
		wait_ms = 0;
	if (worker->sockets != NULL)
		busy += socket_poll(worker->sockets, now_us, wait_ms);
	busy += serve_others(worker);
	busy += worker->sessions.turn_wait_count + worker->store_is_busy;
	if (now_us >= worker->seats.next_sweep_us)
		counter_add(&worker->counters.idle_kicks, seats_sweep(&worker->seats));
	take_policy(worker);
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
	            workers_call(worker->workers, worker->number)
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
