/* SPDX-License-Identifier: Apache-2.0 */
/* kanted's workers: their cores, memory and threads. Owner: the keeper. */
#pragma once

#include "config/config.h"
#include "kanted_memory.h"
#include "login/login.h"
#include "net/dpdk.h"
#include "worker/worker.h"

#include <pthread.h>
#include <semaphore.h>

struct kanted_worker {
	struct kanted_workers *all;
	struct worker *worker;
	struct login_worker login;
	uint32_t core;
	pthread_t thread; /* without DPDK */
	bool runs;
	_Atomic bool has_returned; /* set by the worker, which then touches nothing of ours */
};

/* Zeroed but for what whoever makes them has filled in. */
struct kanted_workers {
	/* filled in: */
	const struct config *config;
	struct dpdk *dpdk;   /* NULL: no port needs it */
	struct login *login; /* NULL: nobody has to log in */
	const struct kanted_user *user;
	void (*read_facts)(void *context, struct stats_facts *ret_facts);
	void *facts_context;
	const struct dpdk_counters *ports; /* by port */
	bool has_control;                  /* there is a process that asks things */
	/* kanted_workers.c's: */
	struct workers shared;
	struct kanted_worker list[WORKER_COUNT_MAX];
	struct stats_worker published[WORKER_COUNT_MAX];
	struct kanted_memory memory;
	_Atomic uint64_t idle_sleep_us;
	sem_t prepared; /* by each worker: it has what only root may have */
	sem_t go;       /* to each: it may serve */
	_Atomic bool stop;
};

/* Where they are to run: as the config says, else the last cores that we may use, so that the first
 * ones are left to the kernel and the keeper. 0; a negative errno, and the log says why. */
int kanted_workers_choose_cores(struct kanted_workers *workers, uint32_t ret_cores[]);

/* This thread, and threads and processes that it begins, keep off the workers' cores, if there are
 * others: what they do is not to keep a worker waiting. DPDK sees to that by itself. */
void kanted_workers_keep_off(const struct kanted_workers *workers, const uint32_t cores[]);

/* Makes them, with their share of all ports. Results likewise. */
int kanted_workers_create(struct kanted_workers *workers, const uint32_t cores[]);

/* Starts their threads, which take what needs privileges, and wait. Results likewise. */
int kanted_workers_launch(struct kanted_workers *workers);

/* From now on they serve. */
void kanted_workers_serve(struct kanted_workers *workers);

/* Ends them; takes what was never launched. What they have used may be taken down afterwards. */
void kanted_workers_stop(struct kanted_workers *workers);

/* The devices have forgotten their memory. The items come to rest in the memory_file, if there is
 * one. */
void kanted_workers_destroy(struct kanted_workers *workers);

/* What the config says that may change while they run: it counts from their next turn on. */
void kanted_workers_change(struct kanted_workers *workers);

/* Monotonic. */
uint64_t kanted_now_us(void);

/* Of the kernel's; without any the process ends. */
uint64_t kanted_random_seed(void);
