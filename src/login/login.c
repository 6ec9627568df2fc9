/* SPDX-License-Identifier: Apache-2.0 */
#include "login/login.h"

#include "base/log.h"
#include "base/spsc.h"
#include "login/users.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct request {
	uint64_t ticket;
	uint8_t name_length;
	uint8_t password_length;
	uint8_t name[LOGIN_NAME_BYTES_MAX];
	uint8_t password[LOGIN_PASSWORD_BYTES_MAX];
};

struct answer {
	uint64_t ticket;
	bool ok;
};

/* Between one worker and the thread. */
struct queue {
	struct spsc requests;
	struct spsc answers;
	/* The worker's: */
	int wake_fd;
	uint32_t
	    waiting_count; /* asked, and the answer not taken yet: so `answers` is never full */
	struct login_worker_counters counters;
} __attribute__((aligned(CACHE_LINE_BYTES)));

/* What tells one version of a file from another. */
struct version {
	int error_number; /* 0: it is there */
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified;
	struct timespec changed;
};

struct login {
	struct login_options options;
	struct memory memory; /* owned: the queues and their rings */
	struct queue *queues; /* a worker each */
	int wake_fd;          /* readable: somebody has asked, or the thread has to end */
	pthread_t thread;
	bool thread_runs;
	atomic_bool stop;
	/* The thread's: */
	struct users *users; /* owned */
	struct siphash_key key;
	uint32_t next_worker;
	struct version seen;  /* at the last look */
	struct version tried; /* last read, for good or ill */
	int tried_result;
	struct login_counters counters;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Wakes the thread, or keeps it from going to sleep. */
static void wake(int wake_fd)
{
	const uint64_t one = 1;
	ssize_t written = write(wake_fd, &one, sizeof(one));

	/* EAGAIN: it was told 2^64 - 2 times already */
	ASSERT(written == (ssize_t)sizeof(one) || errno == EAGAIN);
}

static bool queue_ask(void *context, uint64_t ticket, struct slice name, struct slice password)
{
	struct queue *queue = context;
	struct request *request;

	if (queue->waiting_count == LOGIN_WAITING_MAX) {
		counter_add(&queue->counters.logins_queue_full, 1);
		return false;
	}
	request = spsc_reserve(&queue->requests);
	ASSERT(request != NULL);
	request->ticket = ticket;
	/* nobody has the empty name, so what is too long is answered with no, at the usual cost */
	if (name.length > LOGIN_NAME_BYTES_MAX || password.length > LOGIN_PASSWORD_BYTES_MAX)
		name.length = password.length = 0;
	request->name_length = (uint8_t)name.length;
	request->password_length = (uint8_t)password.length;
	if (name.length > 0)
		memcpy(request->name, name.data, name.length);
	if (password.length > 0)
		memcpy(request->password, password.data, password.length);
	spsc_commit(&queue->requests);
	queue->waiting_count++;
	counter_add(&queue->counters.logins_asked, 1);
	wake(queue->wake_fd);
	return true;
}

static bool queue_answer(void *context, uint64_t *ret_ticket, bool *ret_ok)
{
	struct queue *queue = context;
	struct answer answer;

	if (!spsc_pop(&queue->answers, &answer))
		return false;
	ASSERT(queue->waiting_count > 0);
	queue->waiting_count--;
	*ret_ticket = answer.ticket;
	*ret_ok = answer.ok;
	return true;
}

static struct version version_of(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return (struct version){.error_number = errno};
	return (struct version){
	    .device = status.st_dev,
	    .inode = status.st_ino,
	    .bytes = status.st_size,
	    .modified = status.st_mtim,
	    .changed = status.st_ctim,
	};
}

static bool time_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool version_equal(const struct version *a, const struct version *b)
{
	return a->error_number == b->error_number && a->device == b->device &&
	       a->inode == b->inode && a->bytes == b->bytes &&
	       time_equal(&a->modified, &b->modified) && time_equal(&a->changed, &b->changed);
}

/* 0 or a negative errno; says in the log what has come of it. */
static int users_reload(struct login *login, bool first_try)
{
	const char *path = login->options.path;
	char error[USERS_ERROR_BYTES];
	struct users *users;
	int r = users_read(&users, path, &login->key, error, sizeof(error));

	if (r < 0 && first_try) {
		log_lines(LOG_LEVEL_ERROR, error);
		log_warning("%s: not taken over: the %u users read before go on", path,
		            users_count(login->users));
		counter_add(&login->counters.reloads_failed, 1);
	}
	if (r < 0)
		return r;
	users_destroy(login->users);
	login->users = users;
	log_info("%s: read again: %u users", path, users_count(users));
	counter_set(&login->counters.users, users_count(users));
	counter_add(&login->counters.reloads, 1);
	return 0;
}

/* Reads the users again when their file is another. What is read is younger than what is noted of
 * it, so at worst it is read twice. It has to be the same at two looks, so that a file which is
 * just being written is not read in the middle, and none is missed that was written twice between
 * two ticks of the kernel's clock. */
static void users_look(struct login *login)
{
	struct version now = version_of(login->options.path);
	bool settled = version_equal(&now, &login->seen);
	bool tried = version_equal(&now, &login->tried);

	login->seen = now;
	/* What the system has refused (no descriptor, no permission) it may grant the next time. */
	if (!settled || (tried && (login->tried_result == 0 || login->tried_result == -EINVAL)))
		return;
	login->tried = now;
	login->tried_result = users_reload(login, !tried);
}

static void serve(struct login *login, struct queue *queue, struct request *request)
{
	struct answer answer = {.ticket = request->ticket};
	struct slice name = {request->name, request->name_length};
	struct slice password = {request->password, request->password_length};
	int r = users_check(login->users, name, password);
	bool pushed;

	explicit_bzero(request, sizeof(*request));
	spsc_drop(&queue->requests);
	if (r == 0)
		counter_add(&login->counters.logins_ok, 1);
	else if (r == -EACCES)
		counter_add(&login->counters.logins_failed, 1);
	else
		counter_add(&login->counters.logins_unchecked, 1);
	answer.ok = r == 0;
	pushed = spsc_push(&queue->answers, &answer);
	ASSERT(pushed);
}

/* Checks one password, of the next worker that has asked. False: none has. */
static bool serve_next(struct login *login)
{
	for (uint32_t i = 0; i < login->options.worker_count; i++) {
		uint32_t worker = (login->next_worker + i) % login->options.worker_count;
		struct queue *queue = &login->queues[worker];
		struct request *request = spsc_peek(&queue->requests);

		if (request == NULL)
			continue;
		serve(login, queue, request);
		login->next_worker = worker + 1;
		return true;
	}
	return false;
}

/* Until somebody asks, or until then. */
static void rest(struct login *login, uint64_t until_ms)
{
	struct pollfd asked = {login->wake_fd, POLLIN, 0};
	uint64_t now = now_ms(), count;
	ssize_t n;

	if (poll(&asked, 1, now < until_ms ? (int)(until_ms - now) : 0) <= 0)
		return;
	/* Whoever wakes us after this does it once more: nothing that is asked is overlooked. */
	n = read(login->wake_fd, &count, sizeof(count));
	ASSERT(n == (ssize_t)sizeof(count));
}

static void *login_run(void *context)
{
	struct login *login = context;
	uint64_t look_at_ms = now_ms() + login->options.look_ms;

	/* relaxed: the flag is all there is to see */
	while (!atomic_load_explicit(&login->stop, memory_order_relaxed)) {
		if (now_ms() >= look_at_ms) {
			users_look(login);
			look_at_ms = now_ms() + login->options.look_ms;
		}
		if (!serve_next(login))
			rest(login, look_at_ms);
	}
	return NULL;
}

static int queues_create(struct login *login)
{
	uint32_t count = login->options.worker_count;
	size_t bytes = memory_rounded(count * sizeof(login->queues[0])) +
	               count * (spsc_bytes(sizeof(struct request), LOGIN_WAITING_MAX) +
	                        spsc_bytes(sizeof(struct answer), LOGIN_WAITING_MAX));
	struct memory *memory = &login->memory;

	memory->base = aligned_alloc(CACHE_LINE_BYTES, bytes);
	if (memory->base == NULL)
		return -ENOMEM;
	memory->bytes = bytes;
	memset(memory->base, 0, bytes);
	login->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (login->wake_fd < 0)
		return -errno;
	login->queues = memory_take(memory, count * sizeof(login->queues[0]));
	for (uint32_t i = 0; i < count; i++) {
		struct queue *queue = &login->queues[i];

		queue->wake_fd = login->wake_fd;
		spsc_create(&queue->requests, sizeof(struct request), LOGIN_WAITING_MAX, memory);
		spsc_create(&queue->answers, sizeof(struct answer), LOGIN_WAITING_MAX, memory);
	}
	return 0;
}

/* With all signals blocked: they are the keeper's. */
static int thread_start(struct login *login)
{
	sigset_t all, saved;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	r = -pthread_create(&login->thread, NULL, login_run, login);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (r < 0)
		return r;
	(void)pthread_setname_np(login->thread, "kante-login");
	login->thread_runs = true;
	return 0;
}

int login_create(struct login **ret_login, const struct login_options *options, char *error,
                 size_t error_bytes)
{
	struct login *login = calloc(1, sizeof(*login));
	int r = -ENOMEM;

	error[0] = '\0';
	if (login == NULL)
		goto fail;
	login->options = *options;
	login->wake_fd = -1;
	r = queues_create(login);
	if (r < 0)
		goto fail;
	/* so few bytes come whole once the kernel's source is ready; it waits for that */
	if (getrandom(&login->key, sizeof(login->key), 0) != sizeof(login->key)) {
		r = -EIO;
		goto fail;
	}
	login->seen = login->tried = version_of(options->path);
	r = users_read(&login->users, options->path, &login->key, error, error_bytes);
	if (r < 0)
		goto fail;
	counter_set(&login->counters.users, users_count(login->users));
	r = thread_start(login);
	if (r < 0)
		goto fail;
	*ret_login = login;
	return 0;
fail:
	if (error[0] == '\0')
		snprintf(error, error_bytes, "logins cannot be served: %s", strerror(-r));
	login_destroy(login);
	return r;
}

void login_destroy(struct login *login)
{
	if (login == NULL)
		return;
	if (login->thread_runs) {
		atomic_store_explicit(&login->stop, true, memory_order_relaxed);
		wake(login->wake_fd);
		pthread_join(login->thread, NULL);
	}
	if (login->wake_fd >= 0)
		close(login->wake_fd);
	if (login->memory.base != NULL)
		explicit_bzero(login->memory.base, login->memory.bytes); /* passwords that wait */
	free(login->memory.base);
	users_destroy(login->users);
	free(login);
}

struct login_worker login_worker(struct login *login, uint32_t worker)
{
	ASSERT(worker < login->options.worker_count);
	return (struct login_worker){queue_ask, queue_answer, &login->queues[worker]};
}

const struct login_counters *login_counters(const struct login *login)
{
	return &login->counters;
}

const struct login_worker_counters *login_worker_counters(const struct login *login,
                                                          uint32_t worker)
{
	ASSERT(worker < login->options.worker_count);
	return &login->queues[worker].counters;
}
