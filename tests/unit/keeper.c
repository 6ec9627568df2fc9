/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper with a control process of ours: tests/unit/keeper_child.c. */
#include "keeper/keeper.h"

#include "net/memory_netif.h"
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_COUNT  256
#define FRAME_COUNT  4
#define FRAME_BYTES  60
#define MEMORY_BYTES (4u * 1024 * 1024)
#define TOLD_BYTES   4096

/* A worker whose clients hear what they say; it receives frames, which begin with their number. */
struct rig {
	struct inners *inners;
	struct memory_netif netif;
	struct capture *capture;
	struct block_pool pool;
	struct stream_user user;
	uint8_t *memory;
	pthread_t thread;
	_Atomic bool stop;
	struct keeper *keeper;
	const char *arguments[3];
	uint32_t seconds;     /* that have passed in keeper_run() */
	uint32_t seconds_max; /* when it is to end */
	uint32_t reloads;
	struct notify notify;
	int told_fd; /* the service manager's end; -1: there is none */
	bool hangs;  /* the worker, as far as its turns tell */
	uint64_t turns;
	uint64_t ahead_us; /* how far the keeper's clock is ahead */
	uint64_t ahead_each_second_us;
};

static bool opened(void *context, struct stream *stream)
{
	return true;
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	if (stream->out.length > 16 * BLOCK_CAPACITY)
		return 0;
	return chain_append(&stream->out, bytes, length) ? length : 0;
}

static void finished(void *context, struct stream *stream)
{
	stream->ops->close(stream);
}

static void drained(void *context, struct stream *stream)
{
	stream->ops->resume(stream);
}

static void closed(void *context, struct stream *stream)
{
}

static void sent(void *context, const uint8_t *frame, uint16_t length)
{
}

static void receive_frame(struct rig *rig, uint64_t number)
{
	struct netif *netif = &rig->netif.netif;
	uint8_t frame[FRAME_BYTES] = {0};
	struct packet burst[NETIF_BURST_MAX];

	memcpy(frame, &number, sizeof(number));
	memory_netif_inject(&rig->netif, frame, sizeof(frame));
	netif->ops->release(netif, burst, netif->ops->receive(netif, burst, NETIF_BURST_MAX));
}

static void *worker_loop(void *context)
{
	struct rig *rig = context;

	for (uint64_t turn = 1; !atomic_load_explicit(&rig->stop, memory_order_relaxed); turn++) {
		capture_turn(rig->capture, turn);
		inners_poll(rig->inners);
		receive_frame(rig, turn);
	}
	return NULL;
}

static void greet(void *context, const char *rest, struct evbuffer *answer)
{
	evbuffer_add_printf(answer, "hello %s\n", rest);
}

static void echo(void *context, const char *rest, const char *text, struct evbuffer *answer)
{
	evbuffer_add_printf(answer, "%s: %s", rest, text);
}

static void say_nothing(void *context, const char *rest, struct evbuffer *answer)
{
}

static void say_much(void *context, const char *rest, struct evbuffer *answer)
{
	for (uint32_t i = 0; i < 3000000 / 26; i++)
		evbuffer_add(answer, "abcdefghijklmnopqrstuvwxyz", 26);
}

static void wake(void *context, uint32_t worker)
{
}

static void watch(void *context)
{
}

static void every_second(void *context)
{
	struct rig *rig = context;

	rig->ahead_us += rig->ahead_each_second_us;
	if (++rig->seconds >= rig->seconds_max)
		kill(getpid(), SIGTERM);
}

static void reload(void *context)
{
	struct rig *rig = context;

	rig->reloads++;
	kill(getpid(), SIGTERM);
}

static uint64_t turns(void *context, uint32_t worker)
{
	struct rig *rig = context;

	return rig->hangs ? rig->turns : ++rig->turns;
}

static struct rig *rig_of_clock; /* as a clock has no context */

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 +
	       rig_of_clock->ahead_us;
}

/* A service manager, who keeps ten messages that nobody has read. */
static void be_told(struct rig *rig, uint64_t watchdog_us)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[32], us[24];

	snprintf(name, sizeof(name), "@kante-test-%d", getpid());
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	rig->told_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CU_ASSERT_EQUAL_FATAL(
	    bind(rig->told_fd, (struct sockaddr *)&address,
	         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	snprintf(us, sizeof(us), "%llu", (unsigned long long)watchdog_us);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", us, 1);
	notify_create(&rig->notify);
}

/* All that the service manager was told, a message a line, but for the pings, which are counted. */
static uint32_t told(struct rig *rig, char text[TOLD_BYTES])
{
	uint32_t pings = 0;
	size_t used = 0;
	ssize_t n;

	while ((n = recv(rig->told_fd, text + used, TOLD_BYTES - used - 2, 0)) > 0) {
		text[used + (size_t)n] = '\0';
		if (strcmp(text + used, "WATCHDOG=1") == 0) {
			pings++;
			continue;
		}
		used += (size_t)n;
		text[used++] = '\n';
	}
	text[used] = '\0';
	return pings;
}

/* watchdog_us: 0: there is no service manager */
static void set_up_watched(struct rig *rig, const char *task, uint64_t watchdog_us)
{
	static const struct keeper_question questions[] = {
	    {"greet", greet, NULL, 0},
	    {"nothing", say_nothing, NULL, 0},
	    {"long", say_much, NULL, 0},
	    {"echo", NULL, echo, 1000000},
	};
	struct memory memory = {.bytes = MEMORY_BYTES};
	struct keeper_options options = {
	    .child_path = getenv("KEEPER_CHILD"),
	    .child_arguments = rig->arguments,
	    .worker_count = 1,
	    .inners = &rig->inners,
	    .captures = &rig->capture,
	    .wake = wake,
	    .turns = turns,
	    .notify = &rig->notify,
	    .questions = questions,
	    .question_count = sizeof(questions) / sizeof(questions[0]),
	    .every_second = every_second,
	    .watch = watch,
	    .reload = reload,
	    .clock_us = clock_us,
	    .context = rig,
	};
	sigset_t signals;

	*rig = (struct rig){.arguments = {"keeper_child", task},
	                    .seconds_max = UINT32_MAX,
	                    .notify = {.fd = -1},
	                    .told_fd = -1};
	rig_of_clock = rig;
	if (watchdog_us > 0)
		be_told(rig, watchdog_us);
	rig->memory = aligned_alloc(CACHE_LINE_BYTES, MEMORY_BYTES);
	memset(rig->memory, 0, MEMORY_BYTES);
	memory.base = rig->memory;
	rig->user = (struct stream_user){opened, received, finished, drained, closed, rig};
	block_pool_create(&rig->pool, BLOCK_COUNT, &memory, NULL);
	rig->inners = memory_take(&memory, sizeof(*rig->inners));
	inners_create(rig->inners, &rig->pool, &rig->user, &memory);
	memory_netif_create(&rig->netif, FRAME_COUNT, &memory, (const uint8_t[6]){2}, 1500, sent,
	                    NULL);
	rig->capture = memory_take(&memory, sizeof(*rig->capture));
	capture_create(rig->capture, &memory);
	capture_add_netif(rig->capture, &rig->netif.netif, 0);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	pthread_create(&rig->thread, NULL, worker_loop, rig);
	CU_ASSERT_EQUAL_FATAL(keeper_create(&rig->keeper, &options), 0);
}

static void set_up(struct rig *rig, const char *task)
{
	set_up_watched(rig, task, 0);
}

static void tear_down(struct rig *rig)
{
	atomic_store_explicit(&rig->stop, true, memory_order_relaxed);
	pthread_join(rig->thread, NULL);
	keeper_destroy(rig->keeper);
	notify_destroy(&rig->notify);
	if (rig->told_fd >= 0)
		close(rig->told_fd);
	free(rig->memory);
}

static void it_answers_what_it_is_asked(void)
{
	struct rig rig;

	set_up(&rig, "answers");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	tear_down(&rig);
}

static void a_worker_is_talked_with_through_it(void)
{
	struct rig rig;

	set_up(&rig, "worker");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	tear_down(&rig);
}

static void frames_are_copied_until_their_socket_is_closed(void)
{
	struct rig rig;

	set_up(&rig, "captures");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	rig.seconds_max = 1;
	keeper_run(rig.keeper);
	CU_ASSERT_EQUAL(atomic_load_explicit(&rig.capture->wanted, memory_order_relaxed), 0);
	CU_ASSERT_TRUE(counter_read(&rig.capture->counters.missed) > 0);
	tear_down(&rig);
}

static void a_control_process_that_cannot_serve_is_told_of(void)
{
	struct rig rig;

	set_up(&rig, "fails");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), -ECHILD);
	tear_down(&rig);
}

static void one_that_crashes_is_begun_again(void)
{
	struct rig rig;

	set_up(&rig, "crashes");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	rig.ahead_each_second_us = 40000000; /* no pause is longer */
	rig.seconds_max = 4;
	keeper_run(rig.keeper);
	CU_ASSERT_TRUE(keeper_child(rig.keeper)->begin_count >= 3);
	tear_down(&rig);
}

static void one_that_hangs_is_begun_again(void)
{
	struct rig rig;
	pid_t pid;

	set_up(&rig, "serves");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	pid = keeper_child(rig.keeper)->pid;
	kill(pid, SIGSTOP);
	rig.ahead_each_second_us = 40000000;
	rig.seconds_max = 5;
	keeper_run(rig.keeper);
	CU_ASSERT_EQUAL(keeper_child(rig.keeper)->begin_count, 2);
	CU_ASSERT_NOT_EQUAL(keeper_child(rig.keeper)->pid, pid);
	tear_down(&rig);
}

static void one_that_is_stopped_ends_with_kanted(void)
{
	struct rig rig;

	set_up(&rig, "serves");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	kill(keeper_child(rig.keeper)->pid, SIGSTOP);
	tear_down(&rig);
}

static void what_is_open_at_the_end_is_closed(void)
{
	struct rig rig;

	set_up(&rig, "holds");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	rig.seconds_max = 1;
	keeper_run(rig.keeper);
	tear_down(&rig);
}

static void a_hang_up_reloads(void)
{
	struct rig rig;

	set_up(&rig, "serves");
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	kill(getpid(), SIGHUP);
	keeper_run(rig.keeper);
	CU_ASSERT_EQUAL(rig.reloads, 1);
	tear_down(&rig);
}

static void the_service_manager_is_told_how_it_does(void)
{
	char text[TOLD_BYTES], *at;
	struct rig rig;

	set_up_watched(&rig, "serves", 8000000);
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	CU_ASSERT_EQUAL(told(&rig, text), 0);
	CU_ASSERT_STRING_EQUAL(text, ""); /* nothing before it serves */
	rig.seconds_max = rig.seconds + 1;
	keeper_run(rig.keeper);
	told(&rig, text);
	CU_ASSERT_STRING_EQUAL(text, "READY=1\nSTATUS=1 worker serves\n"
	                             "STOPPING=1\nSTATUS=stops\n");
	tear_down(&rig);
	set_up_watched(&rig, "serves", 8000000);
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	kill(getpid(), SIGHUP);
	keeper_run(rig.keeper);
	told(&rig, text);
	at = strstr(text, "RELOADING=1\nMONOTONIC_USEC=");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_TRUE(clock_us() - strtoull(strstr(at, "USEC=") + 5, NULL, 10) < 60000000);
	CU_ASSERT_PTR_NOT_NULL(strstr(at, "\nREADY=1\nSTATUS=1 worker serves\n"));
	tear_down(&rig);
}

static void it_says_when_the_control_process_is_gone(void)
{
	char text[TOLD_BYTES];
	struct rig rig;

	set_up_watched(&rig, "serves", 8000000);
	CU_ASSERT_EQUAL(keeper_start_control(rig.keeper), 0);
	kill(keeper_child(rig.keeper)->pid, SIGKILL);
	rig.seconds_max = rig.seconds + 4;
	keeper_run(rig.keeper);
	told(&rig, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "STATUS=1 worker serves; the control process does not\n"
	                                    "STATUS=1 worker serves\n"));
	tear_down(&rig);
}

static void no_ping_is_sent_while_a_worker_stands_still(void)
{
	char text[TOLD_BYTES];
	struct rig rig;

	set_up_watched(&rig, "serves", 1000000);
	rig.seconds_max = 1;
	keeper_run(rig.keeper);
	CU_ASSERT_TRUE(told(&rig, text) > 0);
	tear_down(&rig);
	set_up_watched(&rig, "serves", 1000000);
	rig.hangs = true;
	rig.seconds_max = 2;
	keeper_run(rig.keeper);
	CU_ASSERT_EQUAL(told(&rig, text), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "STATUS=worker 0 stands still\n"));
	tear_down(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"it answers what it is asked", it_answers_what_it_is_asked},
	    {"a worker is talked with through it", a_worker_is_talked_with_through_it},
	    {"frames are copied until their socket is closed",
	     frames_are_copied_until_their_socket_is_closed},
	    {"a control process that cannot serve is told of",
	     a_control_process_that_cannot_serve_is_told_of},
	    {"one that crashes is begun again", one_that_crashes_is_begun_again},
	    {"one that hangs is begun again", one_that_hangs_is_begun_again},
	    {"one that is stopped ends with kanted", one_that_is_stopped_ends_with_kanted},
	    {"what is open at the end is closed", what_is_open_at_the_end_is_closed},
	    {"a hang-up reloads", a_hang_up_reloads},
	    {"the service manager is told how it does", the_service_manager_is_told_how_it_does},
	    {"it says when the control process is gone", it_says_when_the_control_process_is_gone},
	    {"no ping is sent while a worker stands still",
	     no_ping_is_sent_while_a_worker_stands_still},
	};

	return UNIT_RUN("keeper", cases);
}
