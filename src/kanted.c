/* SPDX-License-Identifier: Apache-2.0 */
/* kanted: reads the config, brings the ports up, starts the workers, and takes all of it down
 * again. This file is the one place that knows every part. */
#include "base/assert.h"
#include "base/log.h"
#include "base/random.h"
#include "control/login.h"
#include "control/users.h"
#include "kanted_facts.h"
#include "kanted_reload.h"
#include "net/dpdk.h"
#include "worker/worker.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES        8192
#define HUGEPAGE_BYTES    (2ull * 1024 * 1024)
#define BLOCKS_A_CLIENT   16     /* if all of them had replies under way at once */
#define BLOCK_COUNT_MIN   8192   /* 17 MiB, touched as needed */
#define BLOCK_COUNT_MAX   262144 /* 550 MiB: all that clients can make wait, however many */
#define CONNECTION_SPARE  1024   /* those that were closed and still send, or are told "too many" */
#define LINE_BUFFER_COUNT 64
#define OUTPUT_BYTES_MAX  (256 * 1024)
#define IDLE_TURNS        2000 /* empty turns before a worker takes short rests */
#define IDLE_REST_NS      50000
#define WORKER_NICE       -20
#define WAIT_MS           10 /* sleep of a worker that has nothing but kernel sockets */

struct kanted {
	struct config *config;
	const char *config_path;
	struct dpdk *dpdk; /* NULL: no port needs it */
	struct worker *worker;
	struct stats_worker published;
	struct dpdk_counters ports[PORT_COUNT_MAX];
	struct facts facts;
	struct memory memory;
	bool memory_is_huge;
	struct login *login; /* NULL: nobody has to log in */
	struct login_worker login_worker;
	uint32_t core;
	pthread_t thread;
	bool thread_runs;
	_Atomic bool stop;
	_Atomic bool worker_returned; /* set by the worker, which then touches nothing of ours */
	uint64_t start_us;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t random_seed(void)
{
	uint64_t seed;

	/* 8 bytes come whole once the kernel's source is ready; it waits for that */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		log_error("the kernel gives no random numbers: %m");
		exit(EXIT_FAILURE);
	}
	return seed;
}

/* Once a second. */
static void figures_publish(struct kanted *kanted)
{
	for (uint32_t i = 0; kanted->dpdk != NULL && i < kanted->config->port_count; i++)
		dpdk_counters_read(kanted->dpdk, i, &kanted->ports[i]);
	facts_publish(&kanted->facts, now_us());
}

/* Zeroed memory, in hugepages when there are enough free ones. */
static int memory_map(struct kanted *kanted, size_t bytes)
{
	size_t rounded = (bytes + HUGEPAGE_BYTES - 1) & ~(HUGEPAGE_BYTES - 1);
	int protection = PROT_READ | PROT_WRITE;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *base = mmap(NULL, rounded, protection, flags | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	kanted->memory_is_huge = base != MAP_FAILED;
	if (base == MAP_FAILED) {
		base = mmap(NULL, rounded, protection, flags | MAP_NORESERVE, -1, 0);
		if (base == MAP_FAILED)
			return -errno;
		madvise(base, rounded, MADV_HUGEPAGE);
	}
	kanted->memory = (struct memory){.base = base, .bytes = rounded};
	return 0;
}

static bool port_is_socket(const struct port_options *port)
{
	return port->kind == PORT_SOCKET;
}

static bool ports_have(const struct config *config, bool sockets)
{
	for (uint32_t i = 0; i < config->port_count; i++)
		if (port_is_socket(&config->ports[i]) == sockets)
			return true;
	return false;
}

/* A client has sent the command shutdown: ends as by a signal (wait_for_end()). */
static void shut_down(void *context)
{
	log_info("a client has asked for the end");
	kill(getpid(), SIGTERM);
}

static struct worker_options worker_options_from(struct kanted *kanted)
{
	const struct config *config = kanted->config;
	uint32_t clients = (uint32_t)config->connection_count_max;
	struct worker_options options = {
	    .shard = {.memory_bytes = config->memory_bytes,
	              .value_bytes_max = (uint32_t)config->item_bytes_max,
	              .policy = (enum policy)config->eviction,
	              .hash_seed = random_seed(),
	              .unix_time_at_start_s = (uint64_t)time(NULL) - 1},
	    .sessions = {.output_bytes_max = OUTPUT_BYTES_MAX,
	                 .value_bytes_max = (uint32_t)config->item_bytes_max,
	                 .line_buffer_count = LINE_BUFFER_COUNT,
	                 .request_timeout_us = config->request_timeout_us,
	                 .version = VERSION_FOR_CLIENTS},
	    .datagrams = {.reply_bytes_max = (uint32_t)config->udp_reply_bytes_max,
	                  .amplification_max = (uint32_t)config->udp_amplification_max,
	                  .rate_max = (uint32_t)config->udp_rate_max,
	                  .key = {random_seed(), random_seed()}},
	    .tcp = tcp_options_default(),
	    .stats = {.workers = &kanted->published,
	              .worker_count = 1,
	              .read_facts = facts_read,
	              .context = &kanted->facts,
	              .key = {random_seed(), random_seed()}},
	    .connection_count_max = clients,
	    .block_count =
	        min_u32(max_u32(BLOCK_COUNT_MIN, clients * BLOCKS_A_CLIENT), BLOCK_COUNT_MAX),
	    .idle_timeout_us = config->idle_timeout_us,
	    .with_sockets = ports_have(config, true),
	};

	if (config->shutdown_command)
		options.sessions.shut_down = shut_down;
	if (kanted->login != NULL)
		options.sessions.login = &kanted->login_worker;
	options.tcp.congestion = (enum tcp_congestion)config->congestion;
	options.tcp.connection_count_max = clients + CONNECTION_SPARE;
	options.tcp.orphan_count_max = CONNECTION_SPARE / 2;
	options.tcp.keepalive_us = config->keepalive_us;
	options.tcp.user_timeout_us = (uint32_t)config->user_timeout_us;
	options.tcp.source_connection_count_max = (uint32_t)config->source_connection_count_max;
	options.tcp.linger_count_max = max_u32(options.tcp.linger_count_max, clients);
	options.tcp.secret = (struct siphash_key){random_seed(), random_seed()};
	return options;
}

/* Every client on a kernel socket takes a file descriptor. */
static int file_descriptors_raise(uint64_t clients)
{
	struct rlimit limit;
	rlim_t wanted = clients + 256;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return 0;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return 0;
	log_error("max_connections %llu needs %llu file descriptors, the limit is lower: raise it "
	          "(ulimit -n, LimitNOFILE=) or lower max_connections",
	          (unsigned long long)clients, (unsigned long long)wanted);
	return -EMFILE;
}

/* The core of the one worker: as the config says, else the last one that we may use, so that the
 * first is left to the kernel and the control thread. */
static int core_choose(struct kanted *kanted)
{
	cpu_set_t allowed;
	int core = CPU_SETSIZE - 1;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (kanted->config->cores_given) {
		kanted->core = kanted->config->cores[0];
		if (CPU_ISSET(kanted->core, &allowed))
			return 0;
		log_error("workers: core %u is not there, or not for this process: choose from "
		          "those that `taskset -p $$` and `lscpu` show",
		          kanted->core);
		return -EINVAL;
	}
	while (core > 0 && !CPU_ISSET(core, &allowed))
		core--;
	kanted->core = (uint32_t)core;
	return 0;
}

static int ports_listen(struct kanted *kanted)
{
	char error[TEXT_BYTES];

	for (uint32_t i = 0; i < kanted->config->port_count; i++) {
		const struct port_options *port = &kanted->config->ports[i];
		int r;

		if (!port_is_socket(port))
			continue;
		r = socket_listen(worker_sockets(kanted->worker), port, error, sizeof(error));
		if (r < 0) {
			log_error("%s", error);
			return r;
		}
	}
	return 0;
}

static void ports_add_netifs(struct kanted *kanted)
{
	static const struct counter_description descriptions[] = {DPDK_COUNTERS(COUNTER_DESCRIBE)};

	for (uint32_t i = 0; i < kanted->config->port_count; i++) {
		const struct port_options *port = &kanted->config->ports[i];

		if (port_is_socket(port))
			continue;
		worker_add_netif(kanted->worker, dpdk_netif(kanted->dpdk, i, 0), port, i, true,
		                 random_seed(), now_us());
		worker_add_counters(
		    kanted->worker,
		    &(struct counter_group){"port", i, descriptions,
		                            sizeof(descriptions) / sizeof(descriptions[0]),
		                            (const _Atomic uint64_t *)&kanted->ports[i]});
	}
}

/* Reads who may log in, and starts the thread that checks passwords. */
static int login_start(struct kanted *kanted)
{
	struct login_options options = {
	    .path = kanted->config->auth_file, .worker_count = 1, .look_ms = LOGIN_LOOK_MS};
	char error[TEXT_BYTES];
	int r;

	if (kanted->config->auth_file[0] == '\0')
		return 0;
	r = login_create(&kanted->login, &options, error, sizeof(error));
	if (r < 0) {
		log_lines(LOG_LEVEL_ERROR, error);
		return r;
	}
	kanted->login_worker = login_worker(kanted->login, 0);
	return 0;
}

static void login_add_counters(struct kanted *kanted)
{
	static const struct counter_description thread[] = {LOGIN_COUNTERS(COUNTER_DESCRIBE)};
	static const struct counter_description worker[] = {
	    LOGIN_WORKER_COUNTERS(COUNTER_DESCRIBE)};

	worker_add_counters(
	    kanted->worker,
	    &(struct counter_group){"login", COUNTER_NO_INDEX, thread,
	                            sizeof(thread) / sizeof(thread[0]),
	                            (const _Atomic uint64_t *)login_counters(kanted->login)});
	worker_add_counters(kanted->worker,
	                    &(struct counter_group){
	                        "login", COUNTER_NO_INDEX, worker,
	                        sizeof(worker) / sizeof(worker[0]),
	                        (const _Atomic uint64_t *)login_worker_counters(kanted->login, 0)});
}

static int worker_start_up(struct kanted *kanted)
{
	struct worker_options options = worker_options_from(kanted);
	size_t bytes = worker_memory_bytes(&options);
	int r = memory_map(kanted, bytes);

	if (r < 0) {
		log_error("no memory for %zu MiB: lower `memory:` or `max_connections:`",
		          bytes >> 20);
		return r;
	}
	if (kanted->dpdk != NULL && kanted->memory_is_huge)
		dpdk_share_memory(kanted->dpdk, kanted->memory.base, kanted->memory.bytes,
		                  HUGEPAGE_BYTES);
	r = worker_create(&kanted->worker, &options, &kanted->memory, now_us());
	if (r == -EINVAL) {
		log_error(
		    "memory: too small for item_size_max: at least %llu MiB are needed",
		    (unsigned long long)(shard_memory_bytes_min(options.shard.value_bytes_max) >>
		                         20) +
		        1);
		return r;
	}
	if (r < 0) {
		log_error("kernel sockets cannot be set up: %s", strerror(-r));
		return r;
	}
	kanted->published = worker_published(kanted->worker);
	kanted->facts.worker = kanted->worker;
	ports_add_netifs(kanted);
	if (kanted->login != NULL)
		login_add_counters(kanted);
	return ports_listen(kanted);
}

static int worker_loop(void *context)
{
	struct kanted *kanted = context;
	struct timespec rest = {.tv_nsec = IDLE_REST_NS};
	uint32_t empty_turns = 0;

	/* whoever shares the core waits: a ring that nobody empties for a time slice overflows.
	 * What cannot be had costs nothing but that. */
	(void)setpriority(PRIO_PROCESS, 0, WORKER_NICE);
	/* relaxed: the flag is all there is to see */
	while (!atomic_load_explicit(&kanted->stop, memory_order_relaxed)) {
		if (worker_turn(kanted->worker, now_us(), WAIT_MS) > 0)
			empty_turns = 0;
		else if (++empty_turns > IDLE_TURNS && kanted->dpdk != NULL)
			nanosleep(&rest, NULL);
	}
	/* Release: pairs with the acquire in worker_join(); all that the worker did is done. */
	atomic_store_explicit(&kanted->worker_returned, true, memory_order_release);
	return 0;
}

static void *worker_thread(void *context)
{
	worker_loop(context);
	return NULL;
}

static int worker_launch(struct kanted *kanted)
{
	cpu_set_t core;
	int r;

	if (kanted->dpdk != NULL)
		r = dpdk_launch(kanted->dpdk, 0, worker_loop, kanted);
	else
		r = -pthread_create(&kanted->thread, NULL, worker_thread, kanted);
	if (r < 0) {
		log_error("the worker's thread cannot be started: %s", strerror(-r));
		return r;
	}
	kanted->thread_runs = true;
	if (kanted->dpdk != NULL)
		return 0;
	CPU_ZERO(&core);
	CPU_SET(kanted->core, &core);
	pthread_setaffinity_np(kanted->thread, sizeof(core), &core);
	return 0;
}

static int ports_start(struct kanted *kanted)
{
	char error[TEXT_BYTES];
	struct dpdk_options options = {
	    .ports = kanted->config->ports,
	    .port_count = kanted->config->port_count,
	    .worker_count = 1,
	    .worker_cores = &kanted->core,
	};
	int r;

	for (uint32_t i = 0; i < kanted->config->port_count; i++) {
		if (!port_is_socket(&kanted->config->ports[i]))
			continue;
		r = socket_check_free(&kanted->config->ports[i], error, sizeof(error));
		if (r < 0) {
			log_error("%s", error);
			return r;
		}
	}
	if (!ports_have(kanted->config, false))
		return 0;
	r = dpdk_start(&kanted->dpdk, &options, error);
	if (r < 0)
		log_error("%s", error);
	return r;
}

/* "tcp 11211", "udp off" */
static void transport_format(char *to, size_t bytes, const char *name, uint16_t port)
{
	if (port == 0)
		snprintf(to, bytes, "%s off", name);
	else
		snprintf(to, bytes, "%s %u", name, port);
}

static void describe_port(struct kanted *kanted, uint32_t index)
{
	const struct port_options *port = &kanted->config->ports[index];
	char text[DPDK_DESCRIBE_BYTES], address[IP_ADDRESS_TEXT_MAX], tcp[16], udp[16];

	if (port_is_socket(port)) {
		log_info("socket: kernel sockets");
	} else {
		dpdk_describe(kanted->dpdk, index, text);
		log_info("%s", text);
	}
	transport_format(tcp, sizeof(tcp), "tcp", port->tcp_port);
	transport_format(udp, sizeof(udp), "udp", port->udp_port);
	if (port_is_unix(port))
		log_info("    %s: mode %04o", port->name, port->mode);
	for (uint32_t i = 0; i < port->address_count; i++) {
		ip_address_format(&port->addresses[i].address, address);
		log_info("    %s: %s, %s, %s", address, tcp, udp,
		         port->allow_any ? "any source" : "sources as in `allow`");
	}
}

static void describe(struct kanted *kanted)
{
	const struct config *config = kanted->config;

	log_info("version %s, worker 0 on core %u, %llu MiB for items%s", KANTE_VERSION,
	         kanted->core, (unsigned long long)(config->memory_bytes >> 20),
	         kanted->memory_is_huge
	             ? " in hugepages"
	             : " without hugepages (none free: slower; see vm.nr_hugepages)");
	for (uint32_t i = 0; i < config->port_count; i++)
		describe_port(kanted, i);
	if (kanted->login != NULL)
		log_info("clients have to log in as one of %s (%llu)", config->auth_file,
		         (unsigned long long)counter_read(&login_counters(kanted->login)->users));
}

/* Until SIGINT or SIGTERM. */
static void wait_for_end(struct kanted *kanted, const sigset_t *signals)
{
	struct timespec second = {.tv_sec = 1};

	for (;;) {
		int signal_number = sigtimedwait(signals, NULL, &second);

		figures_publish(kanted);
		if (signal_number == SIGINT || signal_number == SIGTERM) {
			log_info("stopping on signal %d", signal_number);
			return;
		}
		if (signal_number == SIGHUP && config_reload(kanted->config, kanted->config_path))
			worker_set_policy(kanted->worker, (enum policy)kanted->config->eviction);
	}
}

/* All that the worker has used may be taken down afterwards. */
static void worker_join(struct kanted *kanted)
{
	if (kanted->dpdk != NULL)
		dpdk_join(kanted->dpdk);
	else
		pthread_join(kanted->thread, NULL);
	/* Acquire: pairs with the release in worker_loop(). DPDK's join orders the threads too, but
	 * inside of its library, where ThreadSanitizer sees nothing. */
	ASSERT(atomic_load_explicit(&kanted->worker_returned, memory_order_acquire));
}

static void stop_all(struct kanted *kanted)
{
	atomic_store_explicit(&kanted->stop, true, memory_order_relaxed);
	if (kanted->thread_runs)
		worker_join(kanted);
	/* the devices may still refer to the worker's memory */
	dpdk_stop(kanted->dpdk);
	worker_destroy(kanted->worker);
	login_destroy(kanted->login);
	if (kanted->memory.base != NULL)
		munmap(kanted->memory.base, kanted->memory.bytes);
	config_destroy(kanted->config);
}

static int run(struct kanted *kanted)
{
	sigset_t signals;
	int r;

	/* before any thread is made, so that all inherit it and only sigtimedwait() sees them */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	kanted->start_us = now_us();
	if (kanted->config->worker_count > 1) {
		log_error("workers: %llu are asked for, but this version serves with one: say "
		          "`workers: 1`",
		          (unsigned long long)kanted->config->worker_count);
		return -EINVAL;
	}
	r = core_choose(kanted);
	if (r < 0)
		return r;
	if (ports_have(kanted->config, true)) {
		r = file_descriptors_raise(kanted->config->connection_count_max);
		if (r < 0)
			return r;
	}
	r = ports_start(kanted);
	if (r < 0)
		return r;
	facts_create(&kanted->facts, kanted->config, kanted->start_us);
	figures_publish(kanted);
	r = login_start(kanted);
	if (r < 0)
		return r;
	r = worker_start_up(kanted);
	if (r < 0)
		return r;
	r = worker_launch(kanted);
	if (r < 0)
		return r;
	describe(kanted);
	log_info("ready");
	wait_for_end(kanted, &signals);
	return 0;
}

static void usage(FILE *to)
{
	fputs("kanted -c FILE            serve as FILE says, until SIGINT or SIGTERM;\n"
	      "                          on SIGHUP `eviction` is read from FILE again\n"
	      "kanted --check -c FILE    read FILE, say what is wrong with it, and end\n"
	      "kanted --version | --help\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, 'k'},
	    {"version", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	struct kanted kanted = {0};
	char error[TEXT_BYTES];
	const char *path = NULL;
	bool check = false;
	int option, r;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': path = optarg; break;
		case 'k': check = true; break;
		case 'v': puts("kanted " KANTE_VERSION); return EXIT_SUCCESS;
		case 'h': usage(stdout); return EXIT_SUCCESS;
		default: usage(stderr); return 2;
		}
	}
	if (path == NULL || optind != argc) {
		usage(stderr);
		return 2;
	}
	kanted.config_path = path;
	r = config_load(&kanted.config, path, error, sizeof(error));
	if (r < 0) {
		fprintf(stderr, "%s%s", error,
		        error[0] != '\0' && error[strlen(error) - 1] == '\n' ? "" : "\n");
		return EXIT_FAILURE;
	}
	if (check) {
		if (kanted.config->auth_file[0] != '\0')
			r = users_read_check(kanted.config->auth_file, error, sizeof(error));
		if (r < 0)
			fprintf(stderr, "%s\n", error);
		else
			printf("%s: good\n", path);
		config_destroy(kanted.config);
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	r = run(&kanted);
	stop_all(&kanted);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
