/* SPDX-License-Identifier: Apache-2.0 */
/* Where the workers' memory comes from, and how their items outlive the process: with `memory_file`
 * they lie in a file on a tmpfs or a hugetlbfs, which the next start takes up if an orderly stop
 * has left it there and nothing about it is in doubt. Owner: the keeper. */
#pragma once

#include "kanted_user.h"
#include "worker/worker.h"

#define KANTED_HUGEPAGE_BYTES (2ull * 1024 * 1024)

struct memory_head;

struct kanted_memory {
	struct memory common;                  /* all but the items */
	struct memory items[WORKER_COUNT_MAX]; /* of each worker */
	bool is_huge;                          /* all of it */
	/* what it lies in */
	uint8_t *base;
	size_t bytes;
	/* with a file: */
	const char *path;               /* else NULL */
	const struct kanted_user *user; /* whose it is to be */
	int fd;
	struct memory_head *head;
	bool goes_on;       /* what is in it is to be taken up */
	uint64_t hash_seed; /* to be used: by which it was put there */
	uint64_t age_us;    /* since it came to rest */
	uint32_t now_s;     /* where the items' clock goes on */
};

/* Maps common_bytes of zeros, and memory for the items of all workers, each like `shard` but for
 * the number; a file is made that user's. 0; a negative errno, and the log says why. */
int kanted_memory_map(struct kanted_memory *memory, const struct config *config,
                      size_t common_bytes, const struct shard_options *shard,
                      const struct kanted_user *user);

/* How many starts have used the file. */
uint64_t kanted_memory_generation(const struct kanted_memory *memory);

/* Each worker's items have come to rest with their sum, at this second of their clock: the file is
 * good for the next start. */
void kanted_memory_keep(struct kanted_memory *memory, const uint64_t sums[], uint32_t count,
                        uint32_t now_s);

void kanted_memory_unmap(struct kanted_memory *memory);
