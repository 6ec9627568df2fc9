/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_workers.h"

#include "base/log.h"
#include "kanted_facts.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ERROR_BYTES       1024
#define BLOCKS_A_CLIENT   16     /* if all of them had replies under way at once */
#define BLOCK_COUNT_MIN   8192   /* 17 MiB, touched as needed */
#define BLOCK_COUNT_MAX   262144 /* 550 MiB: all that clients can make wait, however many */
#define CONNECTION_SPARE  1024   /* those that were closed and still send, or are told "too many" */
#define LINE_BUFFER_COUNT 64
#define OUTPUT_BYTES_MAX  (256 * 1024)
#define IDLE_POLL_US      1000 /* what a worker finds nothing in before it sleeps */
#define WORKER_NICE       -20
#define WAIT_MS           10 /* sleep of a worker that has nothing but kernel sockets */

_Static_assert(CONFIG_WORKER_COUNT_MAX == WORKER_COUNT_MAX, "as many as may be asked for");

uint64_t kanted_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t kanted_random_seed(void)
{
	uint64_t seed;

	/* 8 bytes come whole once the kernel's source is ready; it waits for that */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		log_error("the kernel gives no random numbers: %m");
		exit(EXIT_FAILURE);
	}
	return seed;
}

/* Cores. */

static int cores_listed(const struct config *config, const cpu_set_t *allowed, uint32_t ret_cores[])
{
	for (uint32_t i = 0; i < config->worker_count; i++) {
		if (!CPU_ISSET(config->cores[i], allowed)) {
			log_error("workers: core %u is not there, or not for this process: choose "
			          "from those that `taskset -p $$` and `lscpu` show",
			          config->cores[i]);
			return -EINVAL;
		}
		ret_cores[i] = config->cores[i];
	}
	return 0;
}

int kanted_workers_choose_cores(struct kanted_workers *workers, uint32_t ret_cores[])
{
	const struct config *config = workers->config;
	uint32_t left = (uint32_t)config->worker_count;
	cpu_set_t allowed;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (config->cores_given)
		return cores_listed(config, &allowed, ret_cores);
	if (left > (uint32_t)CPU_COUNT(&allowed)) {
		log_error("workers: %u are asked for, but this process may use %d cores, and each "
		          "needs one: say `workers: %d` or fewer",
		          left, CPU_COUNT(&allowed), CPU_COUNT(&allowed));
		return -EINVAL;
	}
	for (int core = CPU_SETSIZE - 1; left > 0; core--)
		if (CPU_ISSET(core, &allowed))
			ret_cores[--left] = (uint32_t)core;
	return 0;
}

void kanted_workers_keep_off(const struct kanted_workers *workers, const uint32_t cores[])
{
	cpu_set_t others;

	CPU_ZERO(&others);
	sched_getaffinity(0, sizeof(others), &others);
	for (uint32_t i = 0; i < workers->config->worker_count; i++)
		CPU_CLR(cores[i], &others);
	if (CPU_COUNT(&others) > 0)
		sched_setaffinity(0, sizeof(others), &others);
}

/* Making them. */

/* A client has sent the command shutdown: ends as by a signal. */
static void shut_down(void *context)
{
	log_info("a client has asked for the end");
	kill(getpid(), SIGTERM);
}

static bool has_sockets(const struct config *config)
{
	for (uint32_t i = 0; i < config->port_count; i++)
		if (config->ports[i].kind == PORT_SOCKET)
			return true;
	return false;
}

/* Of all of them alike. */
static struct worker_options options_from(struct kanted_workers *workers)
{
	const struct config *config = workers->config;
	uint32_t clients = (uint32_t)config->connection_count_max;
	struct worker_options options = {
	    .workers = &workers->shared,
	    .shard = {.memory_bytes = config->memory_bytes / config->worker_count,
	              .value_bytes_max = (uint32_t)config->item_bytes_max,
	              .policy = (enum policy)config->eviction,
	              .classes = classes_have_rules(&config->classes) ? &config->classes : NULL,
	              .hash_seed = kanted_random_seed(),
	              .unix_time_at_start_s = (uint64_t)time(NULL) - 1},
	    .sessions = {.output_bytes_max = OUTPUT_BYTES_MAX,
	                 .value_bytes_max = (uint32_t)config->item_bytes_max,
	                 .line_buffer_count = LINE_BUFFER_COUNT,
	                 .request_timeout_us = config->request_timeout_us,
	                 .version = VERSION_FOR_CLIENTS,
	                 .can_shut_down = config->shutdown_command,
	                 .shut_down = shut_down},
	    .datagrams = {.reply_bytes_max = (uint32_t)config->udp_reply_bytes_max,
	                  .amplification_max = (uint32_t)config->udp_amplification_max,
	                  .rate_max = (uint32_t)config->udp_rate_max,
	                  .key = {kanted_random_seed(), kanted_random_seed()}},
	    .tcp = tcp_options_default(),
	    .stats = {.workers = workers->published,
	              .worker_count = (uint32_t)config->worker_count,
	              .read_facts = workers->read_facts,
	              .context = workers->facts_context,
	              .key = {kanted_random_seed(), kanted_random_seed()}},
	    .connection_count_max = clients,
	    .block_count =
	        min_u32(max_u32(BLOCK_COUNT_MIN, clients * BLOCKS_A_CLIENT), BLOCK_COUNT_MAX),
	    .idle_timeout_us = config->idle_timeout_us,
	    .with_sockets = has_sockets(config),
	    .with_inners = workers->has_control,
	    .clock_us = kanted_now_us,
	};

	options.tcp.congestion = (enum tcp_congestion)config->congestion;
	options.tcp.connection_count_max = clients + CONNECTION_SPARE;
	options.tcp.orphan_count_max = CONNECTION_SPARE / 2;
	options.tcp.keepalive_us = config->keepalive_us;
	options.tcp.user_timeout_us = (uint32_t)config->user_timeout_us;
	options.tcp.source_connection_count_max = (uint32_t)config->source_connection_count_max;
	options.tcp.linger_count_max = max_u32(options.tcp.linger_count_max, clients);
	options.tcp.secret = (struct siphash_key){kanted_random_seed(), kanted_random_seed()};
	return options;
}

#define GROUP(module, index, descriptions, struct_of_counters, is_common)                          \
	&(struct counter_group)                                                                    \
	{                                                                                          \
		module, index, descriptions, sizeof(descriptions) / sizeof(descriptions[0]),       \
		    (const _Atomic uint64_t *)(struct_of_counters), is_common                      \
	}

/* What is counted for all is listed by the first. */
static void add_common_counters(struct kanted_workers *workers, struct worker *worker)
{
	static const struct counter_description port[] = {DPDK_COUNTERS(COUNTER_DESCRIBE)};
	static const struct counter_description thread[] = {LOGIN_COUNTERS(COUNTER_DESCRIBE)};

	for (uint32_t i = 0; i < workers->config->port_count; i++)
		if (workers->config->ports[i].kind != PORT_SOCKET)
			worker_add_counters(worker,
			                    GROUP("port", i, port, &workers->ports[i], true));
	if (workers->login != NULL)
		worker_add_counters(worker, GROUP("login", COUNTER_NO_INDEX, thread,
		                                  login_counters(workers->login), true));
}

static void add_counters(struct kanted_workers *workers, uint32_t number)
{
	static const struct counter_description asked[] = {LOGIN_WORKER_COUNTERS(COUNTER_DESCRIBE)};
	struct worker *worker = workers->list[number].worker;
	const struct login *login = workers->login;

	if (number == 0)
		add_common_counters(workers, worker);
	if (login != NULL)
		worker_add_counters(worker, GROUP("login", COUNTER_NO_INDEX, asked,
		                                  login_worker_counters(login, number), false));
}

static void add_netifs(struct kanted_workers *workers, uint32_t number)
{
	for (uint32_t i = 0; i < workers->config->port_count; i++) {
		const struct port_options *port = &workers->config->ports[i];
		struct netif *netif =
		    port->kind == PORT_SOCKET ? NULL : dpdk_netif(workers->dpdk, i, number);

		if (netif != NULL)
			worker_add_netif(workers->list[number].worker, netif, port, i, number == 0,
			                 kanted_random_seed(), kanted_now_us());
	}
}

static int listen_on_sockets(struct kanted_workers *workers, uint32_t number)
{
	struct sockets *sockets = worker_sockets(workers->list[number].worker);
	const struct sockets *first = number == 0 ? NULL : worker_sockets(workers->list[0].worker);
	char error[ERROR_BYTES];

	for (uint32_t i = 0; i < workers->config->port_count; i++) {
		const struct port_options *port = &workers->config->ports[i];
		int r;

		if (port->kind != PORT_SOCKET)
			continue;
		r = socket_listen(sockets, port, first, error, sizeof(error));
		if (r < 0) {
			log_error("%s", error);
			return r;
		}
	}
	return 0;
}

static int create_one(struct kanted_workers *workers, struct worker_options *options)
{
	struct kanted_worker *one = &workers->list[options->number];
	int r;

	one->all = workers;
	if (workers->login != NULL) {
		one->login = login_worker(workers->login, options->number);
		options->sessions.login = &one->login;
	}
	r = worker_create(&one->worker, options, &workers->memory.common, kanted_now_us());
	if (r == -EINVAL)
		log_error("memory: too small for item_size_max: at least %llu MiB are needed",
		          (unsigned long long)((shard_memory_bytes_min(
		                                    options->shard.value_bytes_max,
		                                    (uint32_t)workers->config->worker_count) *
		                                workers->config->worker_count) >>
		                               20) +
		              1);
	else if (r < 0)
		log_error("kernel sockets cannot be set up: %s", strerror(-r));
	if (r < 0)
		return r;
	add_netifs(workers, options->number);
	add_counters(workers, options->number);
	workers->published[options->number] = worker_published(one->worker);
	return listen_on_sockets(workers, options->number);
}

static void tell_of_items(const struct kanted_workers *workers)
{
	uint64_t items = 0;

	for (uint32_t i = 0; i < workers->shared.count; i++)
		items += counter_read(&workers->published[i].store->curr_items);
	log_info("memory_file: %llu items are there again, %.1f s after they came to rest",
	         (unsigned long long)items, (double)workers->memory.age_us / 1e6);
}

int kanted_workers_create(struct kanted_workers *workers, const uint32_t cores[])
{
	struct kanted_memory *memory = &workers->memory;
	struct worker_options options = options_from(workers);
	uint32_t count = (uint32_t)workers->config->worker_count;
	uint64_t past_us;
	int r;

	atomic_init(&workers->idle_sleep_us, workers->config->idle_sleep_us);
	options.items = &memory->items[0];
	r = kanted_memory_map(memory, workers->config,
	                      workers_bytes(count) + count * worker_memory_bytes(&options, count),
	                      &options.shard, workers->user);
	if (r < 0)
		return r;
	if (workers->dpdk != NULL && memory->is_huge)
		dpdk_share_memory(workers->dpdk, memory->base, memory->bytes,
		                  KANTED_HUGEPAGE_BYTES);
	sem_init(&workers->prepared, 0, 0);
	sem_init(&workers->go, 0, 0);
	past_us = (uint64_t)(memory->now_s - 1) * 1000000;
	workers_create(&workers->shared, count, &memory->common, kanted_now_us() - past_us);
	options.shard.hash_seed = memory->hash_seed;
	options.shard.goes_on = memory->goes_on;
	options.shard.unix_time_at_start_s = (uint64_t)time(NULL) - memory->now_s;
	for (; options.number < count; options.number++) {
		options.items = &memory->items[options.number];
		workers->list[options.number].core = cores[options.number];
		r = create_one(workers, &options);
		if (r < 0)
			return r;
	}
	if (memory->goes_on)
		tell_of_items(workers);
	return 0;
}

/* Running them. */

/* Sleeps for an eighth of the time in which there was nothing to do, so that what comes next waits
 * for that much longer at most, and never for longer than the config allows. */
static void rest(const struct kanted_worker *one, uint64_t idle_us)
{
	/* relaxed: the number is all there is to see */
	uint64_t sleep_us_max =
	    atomic_load_explicit(&one->all->idle_sleep_us, memory_order_relaxed);
	uint64_t sleep_us = min_u64(idle_us / 8, sleep_us_max);
	struct timespec time = {.tv_nsec = (long)sleep_us * 1000};

	if (idle_us >= IDLE_POLL_US && sleep_us > 0)
		nanosleep(&time, NULL);
}

/* glibc interrupts all threads when kanted becomes another user. */
static void sem_wait_always(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		ASSERT(errno == EINTR);
}

static int loop(void *context)
{
	struct kanted_worker *one = context;
	uint64_t now_us, busy_us;

	/* whoever shares the core waits: a ring that nobody empties for a time slice overflows.
	 * What cannot be had costs nothing but that. */
	(void)setpriority(PRIO_PROCESS, 0, WORKER_NICE);
	(void)prctl(PR_SET_TIMERSLACK, 1ul); /* ns: a sleep is as long as it is said to be */
	sem_post(&one->all->prepared);
	sem_wait_always(&one->all->go);
	busy_us = kanted_now_us();
	/* relaxed: the flag is all there is to see */
	while (!atomic_load_explicit(&one->all->stop, memory_order_relaxed)) {
		now_us = kanted_now_us();
		if (worker_turn(one->worker, now_us, WAIT_MS) > 0)
			busy_us = now_us;
		else if (one->all->dpdk != NULL)
			rest(one, now_us - busy_us);
	}
	worker_leave(one->worker);
	/* Release: pairs with the acquire in kanted_workers_stop(); all that it did is done. */
	atomic_store_explicit(&one->has_returned, true, memory_order_release);
	return 0;
}

static void *thread(void *context)
{
	loop(context);
	return NULL;
}

static int launch_one(struct kanted_workers *workers, uint32_t number)
{
	struct kanted_worker *one = &workers->list[number];
	cpu_set_t core;
	int r;

	if (workers->dpdk != NULL)
		r = dpdk_launch(workers->dpdk, number, loop, one);
	else
		r = -pthread_create(&one->thread, NULL, thread, one);
	if (r < 0) {
		log_error("the thread of worker %u cannot be started: %s", number, strerror(-r));
		return r;
	}
	one->runs = true;
	if (workers->dpdk != NULL)
		return 0;
	CPU_ZERO(&core);
	CPU_SET(one->core, &core);
	pthread_setaffinity_np(one->thread, sizeof(core), &core);
	return 0;
}

int kanted_workers_launch(struct kanted_workers *workers)
{
	int r = 0;

	for (uint32_t i = 0; i < workers->shared.count && r == 0; i++) {
		r = launch_one(workers, i);
		if (r == 0)
			sem_wait_always(&workers->prepared);
	}
	return r;
}

void kanted_workers_serve(struct kanted_workers *workers)
{
	for (uint32_t i = 0; i < workers->shared.count; i++)
		sem_post(&workers->go);
}

void kanted_workers_stop(struct kanted_workers *workers)
{
	atomic_store_explicit(&workers->stop, true, memory_order_relaxed);
	kanted_workers_serve(workers); /* those that have waited until now end */
	if (workers->dpdk != NULL)
		dpdk_join(workers->dpdk);
	for (uint32_t i = 0; i < workers->shared.count; i++) {
		struct kanted_worker *one = &workers->list[i];

		if (!one->runs)
			continue;
		if (workers->dpdk == NULL)
			pthread_join(one->thread, NULL);
		/* Acquire: pairs with the release in loop(). DPDK's join orders the threads too,
		 * but inside of its library, where ThreadSanitizer sees nothing. */
		ASSERT(atomic_load_explicit(&one->has_returned, memory_order_acquire));
	}
}

struct resting {
	struct worker *worker;
	uint64_t generation, sum;
	pthread_t thread;
};

static void *rest_one(void *context)
{
	struct resting *resting = context;

	resting->sum = worker_rest(resting->worker, resting->generation);
	return NULL;
}

static void rest_all(struct kanted_workers *workers)
{
	struct kanted_memory *memory = &workers->memory;
	uint32_t count = (uint32_t)workers->config->worker_count;
	struct resting resting[WORKER_COUNT_MAX] = {0};
	uint64_t sums[WORKER_COUNT_MAX];
	uint64_t now_s;

	if (memory->head == NULL)
		return;
	for (uint32_t i = 0; i < count; i++)
		if (workers->list[i].worker == NULL)
			return; /* the start has failed: the next one will be cold */
	for (uint32_t i = 0; i < count; i++) {
		resting[i].worker = workers->list[i].worker;
		resting[i].generation = kanted_memory_generation(memory);
		if (pthread_create(&resting[i].thread, NULL, rest_one, &resting[i]) != 0)
			rest_one(&resting[i]);
	}
	now_s = workers_now_s(&workers->shared, kanted_now_us());
	for (uint32_t i = 0; i < count; i++) {
		if (resting[i].thread != 0)
			pthread_join(resting[i].thread, NULL);
		sums[i] = resting[i].sum;
	}
	kanted_memory_keep(memory, sums, count, (uint32_t)now_s);
	log_info("memory_file: all items rest in %s", memory->path);
}

void kanted_workers_destroy(struct kanted_workers *workers)
{
	for (uint32_t i = 0; i < workers->shared.count; i++)
		worker_destroy(workers->list[i].worker);
	rest_all(workers);
	kanted_memory_unmap(&workers->memory);
}

void kanted_workers_change(struct kanted_workers *workers)
{
	const struct config *config = workers->config;
	struct worker_settings settings = {
	    .policy = config->eviction,
	    .request_timeout_us = config->request_timeout_us,
	    .can_shut_down = config->shutdown_command,
	    .idle_timeout_us = config->idle_timeout_us,
	    .udp_reply_bytes_max = config->udp_reply_bytes_max,
	    .udp_amplification_max = config->udp_amplification_max,
	    .udp_rate_max = config->udp_rate_max,
	};

	/* relaxed: the number is all there is to see */
	atomic_store_explicit(&workers->idle_sleep_us, config->idle_sleep_us, memory_order_relaxed);
	workers_change(&workers->shared, &settings);
}
