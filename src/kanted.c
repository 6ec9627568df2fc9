/* SPDX-License-Identifier: Apache-2.0 */
/* kanted: reads the config, brings the ports up, starts the workers, and takes all of it down
 * again. This file is the one place that knows every part. */
#include "base/assert.h"
#include "base/log.h"
#include "kanted_answers.h"
#include "kanted_block.h"
#include "kanted_hot.h"
#include "kanted_reload.h"
#include "keeper/keeper.h"
#include "login/users.h"
#include "xdp/xdp.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TEXT_BYTES 8192

struct kanted {
	struct config *config;
	const char *config_path;
	struct kanted_workers workers;
	struct kanted_hot hot;
	struct kanted_user user;
	struct dpdk_counters ports[PORT_COUNT_MAX];
	struct facts facts;
	struct notify notify;
	struct keeper *keeper;
	struct inners *inners[WORKER_COUNT_MAX];
	struct capture *captures[WORKER_COUNT_MAX];
	char control_path[PATH_MAX]; /* of the control process's program */
	const char *control_arguments[4];
};

/* Once a second. */
static void figures_publish(void *context)
{
	struct kanted *kanted = context;

	for (uint32_t i = 0; kanted->workers.dpdk != NULL && i < kanted->config->port_count; i++)
		dpdk_counters_read(kanted->workers.dpdk, i, &kanted->ports[i]);
	facts_publish(&kanted->facts, kanted_now_us());
	kanted_hot_decide(&kanted->hot);
}

/* Four times a second. */
static void ports_watch(void *context)
{
	struct kanted *kanted = context;
	char text[DPDK_ERROR_BYTES];

	for (uint32_t i = 0; kanted->workers.dpdk != NULL && i < kanted->config->port_count; i++)
		if (dpdk_watch(kanted->workers.dpdk, i, text))
			log_warning("%s", text);
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

/* Reads who may log in, and starts the thread that checks passwords. */
static int login_start(struct kanted *kanted)
{
	struct login_options options = {.path = kanted->config->auth_file,
	                                .worker_count = (uint32_t)kanted->config->worker_count,
	                                .look_ms = LOGIN_LOOK_MS};
	char error[TEXT_BYTES];
	int r;

	if (kanted->config->auth_file[0] == '\0')
		return 0;
	r = login_create(&kanted->workers.login, &options, error, sizeof(error));
	if (r < 0)
		log_lines(LOG_LEVEL_ERROR, error);
	return r;
}

static int ports_start(struct kanted *kanted, const uint32_t cores[])
{
	char error[TEXT_BYTES];
	struct dpdk_options options = {
	    .ports = kanted->config->ports,
	    .port_count = kanted->config->port_count,
	    .worker_count = (uint32_t)kanted->config->worker_count,
	    .worker_cores = cores,
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
	r = dpdk_start(&kanted->workers.dpdk, &options, error);
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
		dpdk_describe(kanted->workers.dpdk, index, text);
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

/* "worker on core 3", "workers on cores 2, 3" */
static void describe_cores(const struct kanted_workers *workers, char *text, size_t text_bytes)
{
	bool several = workers->shared.count > 1;
	size_t used = (size_t)snprintf(text, text_bytes, "worker%s on core%s", several ? "s" : "",
	                               several ? "s" : "");

	for (uint32_t i = 0; i < workers->shared.count && used < text_bytes; i++)
		used += (size_t)snprintf(text + used, text_bytes - used, "%s %u", i == 0 ? "" : ",",
		                         workers->list[i].core);
}

static const char *describe_pages(const struct kanted *kanted)
{
	const struct kanted_memory *memory = &kanted->workers.memory;

	if (memory->is_huge)
		return " in hugepages";
	if (memory->path != NULL)
		return " not all in hugepages (slower: put memory_file on a hugetlbfs, and see "
		       "vm.nr_hugepages)";
	return " without hugepages (none free: slower; see vm.nr_hugepages)";
}

static void describe(struct kanted *kanted)
{
	const struct config *config = kanted->config;
	char cores[TEXT_BYTES];

	describe_cores(&kanted->workers, cores, sizeof(cores));
	log_info("version %s, %s, %llu MiB for items%s", KANTE_VERSION, cores,
	         (unsigned long long)(config->memory_bytes >> 20), describe_pages(kanted));
	if (classes_have_rules(&config->classes))
		log_info("%u classes of keys besides \"%s\"", config->classes.count - 1,
		         config->classes.rules[0].name);
	for (uint32_t i = 0; i < config->port_count; i++)
		describe_port(kanted, i);
	if (kanted->user.name != NULL)
		log_info("runs as %s (uid %u), with no privilege", kanted->user.name,
		         kanted->user.uid);
	if (kanted->workers.login != NULL)
		log_info("clients have to log in as one of %s (%llu)", config->auth_file,
		         (unsigned long long)counter_read(
		             &login_counters(kanted->workers.login)->users));
}

/* What the keeper does for kanted. */

static void reload_for(struct kanted *kanted, struct evbuffer *answer)
{
	if (!config_reload(kanted->config, kanted->config_path, answer))
		return;
	kanted_workers_change(&kanted->workers);
	kanted_hot_change(&kanted->hot);
}

static void reload(void *context)
{
	reload_for(context, NULL);
}

static void wake(void *context, uint32_t worker)
{
	struct kanted *kanted = context;
	struct sockets *sockets = worker_sockets(kanted->workers.list[worker].worker);

	if (sockets != NULL)
		sockets_wake(sockets);
}

static uint64_t turns(void *context, uint32_t worker)
{
	struct kanted *kanted = context;

	return counter_read(&worker_counters(kanted->workers.list[worker].worker)->turns);
}

static void tell_facts(void *context, const char *rest, struct evbuffer *answer)
{
	struct kanted *kanted = context;

	answer_facts(&kanted->workers, &kanted->facts, kanted->config_path, answer);
	kanted_hot_tell(&kanted->hot, answer);
}

static void tell_counters(void *context, const char *rest, struct evbuffer *answer)
{
	struct kanted *kanted = context;

	answer_counters(&kanted->workers, answer);
}

static void tell_config(void *context, const char *rest, struct evbuffer *answer)
{
	struct kanted *kanted = context;

	answer_config(kanted->config, answer);
}

static void tell_reload(void *context, const char *rest, struct evbuffer *answer)
{
	struct kanted *kanted = context;

	reload_for(kanted, answer);
	evbuffer_add(answer, "\n", 1);
	answer_config(kanted->config, answer);
}

static void take_blocked(void *context, const char *count, const char *text,
                         struct evbuffer *answer)
{
	struct kanted *kanted = context;

	if (!kanted_block(&kanted->workers.shared, count, text, answer))
		return;
	for (uint32_t i = 0; i < kanted->workers.shared.count; i++)
		wake(kanted, i);
	for (uint32_t i = 0; kanted->workers.dpdk != NULL && i < kanted->config->port_count; i++) {
		struct xdp *xdp = dpdk_xdp(kanted->workers.dpdk, i);

		if (xdp != NULL)
			xdp_block(xdp, kanted->workers.shared.blocked.current);
	}
}

/* It lies beside ours. */
static void control_name(struct kanted *kanted)
{
	static const char name[] = "kante-control";
	ssize_t length = readlink("/proc/self/exe", kanted->control_path, PATH_MAX - sizeof(name));
	char *slash;

	kanted->control_path[length < 0 ? 0 : length] = '\0';
	slash = strrchr(kanted->control_path, '/');
	strcpy(slash == NULL ? kanted->control_path : slash + 1, name);
	kanted->control_arguments[0] = name;
	kanted->control_arguments[1] = "--config";
	kanted->control_arguments[2] = kanted->config_path;
}

static int keeper_start(struct kanted *kanted)
{
	static const struct keeper_question questions[] = {
	    {"facts", tell_facts, NULL, 0},
	    {"counters", tell_counters, NULL, 0},
	    {"config", tell_config, NULL, 0},
	    {"reload", tell_reload, NULL, 0},
	    {"block", NULL, take_blocked, KANTED_BLOCK_BYTES_MAX},
	};
	struct keeper_options options = {
	    .child_path = kanted->workers.has_control ? kanted->control_path : NULL,
	    .child_arguments = kanted->control_arguments,
	    .worker_count = kanted->workers.shared.count,
	    .inners = kanted->inners,
	    .captures = kanted->captures,
	    .wake = wake,
	    .turns = turns,
	    .notify = &kanted->notify,
	    .questions = questions,
	    .question_count = sizeof(questions) / sizeof(questions[0]),
	    .every_second = figures_publish,
	    .watch = ports_watch,
	    .reload = reload,
	    .clock_us = kanted_now_us,
	    .context = kanted,
	};
	int r;

	control_name(kanted);
	for (uint32_t i = 0; i < options.worker_count; i++) {
		kanted->inners[i] = worker_inners(kanted->workers.list[i].worker);
		kanted->captures[i] = worker_capture(kanted->workers.list[i].worker);
	}
	r = keeper_create(&kanted->keeper, &options);
	if (r < 0 || options.child_path == NULL)
		return r;
	return keeper_start_control(kanted->keeper);
}

static void stop_all(struct kanted *kanted)
{
	kanted_workers_stop(&kanted->workers);
	keeper_destroy(kanted->keeper);
	/* the devices may still refer to the workers' memory */
	dpdk_stop(kanted->workers.dpdk);
	kanted_workers_destroy(&kanted->workers);
	kanted_hot_destroy(&kanted->hot);
	kanted_block_forget(&kanted->workers.shared);
	login_destroy(kanted->workers.login);
	notify_destroy(&kanted->notify);
	config_destroy(kanted->config);
}

static int run(struct kanted *kanted)
{
	uint32_t cores[WORKER_COUNT_MAX];
	sigset_t signals;
	int r;

	kanted->workers.config = kanted->config;
	kanted->workers.has_control = admin_is_given(&kanted->config->admin);
	kanted->workers.read_facts = facts_read;
	kanted->workers.facts_context = &kanted->facts;
	kanted->workers.ports = kanted->ports;
	kanted->workers.user = &kanted->user;
	notify_create(&kanted->notify);
	/* before any thread is made, so that all inherit it and only the keeper hears them */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = kanted_user_find(&kanted->user, kanted->config->user);
	if (r < 0)
		return r;
	r = kanted_workers_choose_cores(&kanted->workers, cores);
	if (r < 0)
		return r;
	if (ports_have(kanted->config, true)) {
		r = file_descriptors_raise(kanted->config->connection_count_max);
		if (r < 0)
			return r;
	}
	r = ports_start(kanted, cores);
	if (r < 0)
		return r;
	if (kanted->workers.dpdk == NULL)
		kanted_workers_keep_off(&kanted->workers, cores);
	facts_create(&kanted->facts, kanted->config, &kanted->workers.shared, kanted_now_us());
	figures_publish(kanted);
	r = login_start(kanted);
	if (r < 0)
		return r;
	r = kanted_workers_create(&kanted->workers, cores);
	if (r < 0)
		return r;
	r = kanted_hot_create(&kanted->hot, &kanted->workers);
	if (r < 0)
		return r;
	r = kanted_workers_launch(&kanted->workers);
	if (r < 0)
		return r;
	r = kanted_user_become(&kanted->user, kanted->config, kanted->config_path);
	if (r < 0)
		return r;
	r = keeper_start(kanted);
	if (r < 0)
		return r;
	kanted_workers_serve(&kanted->workers);
	describe(kanted);
	log_info("ready");
	keeper_run(kanted->keeper);
	return 0;
}

static void usage(FILE *to)
{
	fputs("kanted -c FILE            serve as FILE says, until SIGINT or SIGTERM;\n"
	      "                          on SIGHUP FILE is read again, and what may\n"
	      "                          change while it serves counts at once\n"
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
		if (check)
			fprintf(stderr, "%s%s", error,
			        strrchr(error, '\n') == error + strlen(error) - 1 ? "" : "\n");
		else
			log_lines(LOG_LEVEL_ERROR, error);
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
