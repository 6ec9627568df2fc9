/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that checks passwords, a file of users in a folder of its own, and what is logged. The
 * test's main thread is all of its workers. */
#pragma once

#include "faults.h"
#include "login/login.h"
#include "login/users.h"
#include "unit.h"

#include <crypt.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORKER_COUNT 3
#define LOOK_MS      5
#define LOOK_NEVER   3600000
#define PATIENCE_S   20 /* for anything that the thread has to do */
#define PHRASE_BYTES 16
#define PHRASE_MAX   256
#define TEXT_BYTES   2048

/* What the thread's calls of crypt_rn() wait for, and what they were called with. */
static struct {
	atomic_bool closed;
	atomic_uint entered; /* calls that have come to the gate */
	atomic_uint passed;  /* calls that have gone on; before: in `phrases` */
	char phrases[PHRASE_MAX][PHRASE_BYTES];
} gate;

char *crypt_rn(const char *phrase, const char *setting, void *data, int bytes)
{
	char *(*next)(const char *, const char *, void *, int);
	uint32_t index;

	atomic_fetch_add(&gate.entered, 1);
	while (atomic_load(&gate.closed))
		sched_yield();
	index = atomic_load(&gate.passed);
	if (index < PHRASE_MAX)
		snprintf(gate.phrases[index], PHRASE_BYTES, "%s", phrase);
	atomic_store(&gate.passed, index + 1);
	if (fault_hits("crypt_rn"))
		return NULL;
	*(void **)&next = dlsym(RTLD_NEXT, "crypt_rn");
	return next(phrase, setting, data, bytes);
}

/* The thread's looks at the file; only it calls stat(). */
static struct {
	atomic_uint count;
	atomic_bool restless; /* the file seems another with each look */
} looks;

int stat(const char *path, struct stat *status)
{
	int (*next)(const char *, struct stat *);
	uint32_t count = atomic_fetch_add(&looks.count, 1);
	int r;

	*(void **)&next = dlsym(RTLD_NEXT, "stat");
	r = next(path, status);
	if (atomic_load(&looks.restless))
		status->st_mtim.tv_nsec = count;
	return r;
}

int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...);
	va_list arguments;
	unsigned mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
	va_end(arguments);
	if (fault_hits("open"))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "open");
	return next(path, flags, mode);
}

static inline bool too_late(time_t start_s)
{
	sched_yield();
	return time(NULL) > start_s + PATIENCE_S;
}

struct rig {
	char folder[32];
	char path[64];
	char log_path[64];
	int stderr_saved;
	char alice[CRYPT_OUTPUT_SIZE]; /* the line of alice, whose password is "right" */
	struct login *login;
	struct login_worker workers[WORKER_COUNT];
};

/* With a new salt, so it is another each time. */
static inline void line_make_by(const char *prefix, unsigned long cost,
                                char ret_line[CRYPT_OUTPUT_SIZE], const char *name,
                                const char *password)
{
	char *(*next)(const char *, const char *, void *, int);
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data data = {0};

	*(void **)&next = dlsym(RTLD_NEXT, "crypt_rn"); /* past the gate */
	CU_ASSERT_PTR_NOT_NULL_FATAL(
	    crypt_gensalt_rn(prefix, cost, NULL, 0, setting, sizeof(setting)));
	snprintf(ret_line, CRYPT_OUTPUT_SIZE, "%s:%s\n", name,
	         next(password, setting, &data, sizeof(data)));
}

/* By the cheapest method. */
static inline void line_make(char ret_line[CRYPT_OUTPUT_SIZE], const char *name,
                             const char *password)
{
	line_make_by("$5$", 1000, ret_line, name, password);
}

/* Replaces the file of that path at once. */
static inline void file_put(struct rig *rig, const char *path, const char *text)
{
	char new_path[80];
	FILE *file;

	snprintf(new_path, sizeof(new_path), "%s/new", rig->folder);
	file = fopen(new_path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
	CU_ASSERT_EQUAL_FATAL(rename(new_path, path), 0);
}

/* A folder with a file of one user; what is logged goes into another. */
static inline void rig_prepare(struct rig *rig)
{
	int log;

	*rig = (struct rig){.folder = "/tmp/kante-login-XXXXXX"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/users", rig->folder);
	snprintf(rig->log_path, sizeof(rig->log_path), "%s/log", rig->folder);
	line_make(rig->alice, "alice", "right");
	file_put(rig, rig->path, rig->alice);
	log = open(rig->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	rig->stderr_saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(log, STDERR_FILENO);
	close(log);
	atomic_store(&gate.closed, false);
	atomic_store(&gate.entered, 0);
	atomic_store(&gate.passed, 0);
	atomic_store(&looks.restless, false);
	fault_clear();
}

static inline void rig_start(struct rig *rig, uint32_t look_ms)
{
	const struct login_options options = {rig->path, WORKER_COUNT, look_ms};
	char error[USERS_ERROR_BYTES];

	CU_ASSERT_EQUAL_FATAL(login_create(&rig->login, &options, error, sizeof(error)), 0);
	for (uint32_t i = 0; i < WORKER_COUNT; i++)
		rig->workers[i] = login_worker(rig->login, i);
}

static inline void rig_open(struct rig *rig)
{
	rig_prepare(rig);
	rig_start(rig, LOOK_MS);
}

static inline void rig_close(struct rig *rig)
{
	login_destroy(rig->login);
	dup2(rig->stderr_saved, STDERR_FILENO);
	close(rig->stderr_saved);
	unlink(rig->path);
	unlink(rig->log_path);
	rmdir(rig->folder);
}

/* True: the text stands in the log. */
static inline bool logged(struct rig *rig, const char *text)
{
	char log[8192];
	FILE *file = fopen(rig->log_path, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	log[fread(log, 1, sizeof(log) - 1, file)] = '\0';
	fclose(file);
	return strstr(log, text) != NULL;
}

static inline struct slice slice_of(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool ask(struct rig *rig, uint32_t worker, uint64_t ticket, const char *name,
                       const char *password)
{
	return login_ask(&rig->workers[worker], ticket, slice_of(name), slice_of(password));
}

/* The worker's next answer. False: it has not come in time. */
static inline bool answer(struct rig *rig, uint32_t worker, uint64_t *ret_ticket, bool *ret_ok)
{
	const time_t start_s = time(NULL);

	while (!login_answer(&rig->workers[worker], ret_ticket, ret_ok))
		if (too_late(start_s))
			return false;
	return true;
}

static inline bool answered(struct rig *rig, uint32_t worker, uint64_t ticket, bool ok)
{
	uint64_t got_ticket;
	bool got_ok;

	return answer(rig, worker, &got_ticket, &got_ok) && got_ticket == ticket && got_ok == ok;
}

/* One login of worker 0, with nothing else asked. */
static inline bool logs_in(struct rig *rig, const char *name, const char *password)
{
	uint64_t ticket;
	bool ok;

	return ask(rig, 0, 77, name, password) && answer(rig, 0, &ticket, &ok) && ok;
}

static inline bool reaches(const _Atomic uint64_t *counter, uint64_t wanted)
{
	const time_t start_s = time(NULL);

	while (counter_read(counter) < wanted)
		if (too_late(start_s))
			return false;
	return counter_read(counter) == wanted;
}

static inline bool gate_reached(uint32_t count)
{
	const time_t start_s = time(NULL);

	while (atomic_load(&gate.entered) < count)
		if (too_late(start_s))
			return false;
	return true;
}

/* True: the thread has looked at the file so often from now on. */
static inline bool looked(uint32_t count)
{
	const time_t start_s = time(NULL);
	uint32_t before = atomic_load(&looks.count);

	/* one more: the first may have begun before */
	while (atomic_load(&looks.count) - before <= count)
		if (too_late(start_s))
			return false;
	return true;
}
