/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper with a control process of ours: tests/unit/keeper_child.c. */
#include "keeper/keeper.h"

#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_COUNT  256
#define MEMORY_BYTES (4u * 1024 * 1024)

/* A worker whose clients hear what they say. */
struct rig {
	struct inners *inners;
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

static void *worker_loop(void *context)
{
	struct rig *rig = context;

	while (!atomic_load_explicit(&rig->stop, memory_order_relaxed))
		inners_poll(rig->inners);
	return NULL;
}

static void greet(void *context, const char *rest, struct evbuffer *answer)
{
	evbuffer_add_printf(answer, "hello %s\n", rest);
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

static struct rig *rig_of_clock; /* as a clock has no context */

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 +
	       rig_of_clock->ahead_us;
}

static void set_up(struct rig *rig, const char *task)
{
	static const struct keeper_question questions[] = {
	    {"greet", greet}, {"nothing", say_nothing}, {"long", say_much}};
	struct memory memory = {.bytes = MEMORY_BYTES};
	struct keeper_options options = {
	    .child_path = getenv("KEEPER_CHILD"),
	    .child_arguments = rig->arguments,
	    .worker_count = 1,
	    .inners = &rig->inners,
	    .wake = wake,
	    .questions = questions,
	    .question_count = 3,
	    .every_second = every_second,
	    .reload = reload,
	    .clock_us = clock_us,
	    .context = rig,
	};
	sigset_t signals;

	*rig = (struct rig){.arguments = {"keeper_child", task}, .seconds_max = UINT32_MAX};
	rig_of_clock = rig;
	rig->memory = aligned_alloc(CACHE_LINE_BYTES, MEMORY_BYTES);
	memset(rig->memory, 0, MEMORY_BYTES);
	memory.base = rig->memory;
	rig->user = (struct stream_user){opened, received, finished, drained, closed, rig};
	block_pool_create(&rig->pool, BLOCK_COUNT, &memory, NULL);
	rig->inners = memory_take(&memory, sizeof(*rig->inners));
	inners_create(rig->inners, &rig->pool, &rig->user, &memory);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	pthread_create(&rig->thread, NULL, worker_loop, rig);
	CU_ASSERT_EQUAL_FATAL(keeper_create(&rig->keeper, &options), 0);
}

static void tear_down(struct rig *rig)
{
	atomic_store_explicit(&rig->stop, true, memory_order_relaxed);
	pthread_join(rig->thread, NULL);
	keeper_destroy(rig->keeper);
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

int main(void)
{
	static const struct unit_case cases[] = {
	    {"it answers what it is asked", it_answers_what_it_is_asked},
	    {"a worker is talked with through it", a_worker_is_talked_with_through_it},
	    {"a control process that cannot serve is told of",
	     a_control_process_that_cannot_serve_is_told_of},
	    {"one that crashes is begun again", one_that_crashes_is_begun_again},
	    {"one that hangs is begun again", one_that_hangs_is_begun_again},
	    {"one that is stopped ends with kanted", one_that_is_stopped_ends_with_kanted},
	    {"what is open at the end is closed", what_is_open_at_the_end_is_closed},
	    {"a hang-up reloads", a_hang_up_reloads},
	};

	return UNIT_RUN("keeper", cases);
}
