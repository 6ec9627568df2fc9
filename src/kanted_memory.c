/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_memory.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HEAD_BYTES    KANTED_HUGEPAGE_BYTES /* so that what follows is aligned to huge pages */
#define HEAD_MAGIC    0x6b616e74656d656du
#define BOOT_ID_BYTES 40

/* To be raised whenever what lies in segments, index or struct store means something else than
 * before, without its size being another. */
#define LAYOUT_VERSION 2

enum head_state {
	HEAD_IN_USE = 1, /* and it was left like that by whoever did not come to an orderly end */
	HEAD_AT_REST,
};

/* At the beginning of the file; its sum comes last. */
struct memory_head {
	uint64_t magic;
	uint64_t state;      /* enum head_state */
	uint64_t generation; /* starts that have used it */
	char version[32];    /* of kanted */
	uint64_t layout;     /* LAYOUT_VERSION and the sizes of what is kept */
	char boot_id[BOOT_ID_BYTES];
	uint64_t worker_count;
	uint64_t shard_bytes; /* of one worker's items */
	uint64_t value_bytes_max;
	uint64_t hash_seed;
	uint64_t rested_us; /* CLOCK_BOOTTIME */
	uint64_t now_s;     /* of the items' clock, then */
	uint64_t sums[WORKER_COUNT_MAX];
	uint64_t sum; /* of all before */
};

static uint64_t boottime_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void read_boot_id(char ret_id[BOOT_ID_BYTES])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	memset(ret_id, 0, BOOT_ID_BYTES);
	if (file == NULL || fgets(ret_id, BOOT_ID_BYTES, file) == NULL)
		log_warning("memory_file: the kernel does not say which boot this is: "
		            "the next start will be a cold one");
	if (file != NULL)
		fclose(file);
}

static uint64_t sum_of(const struct memory_head *head)
{
	return XXH3_64bits(head, offsetof(struct memory_head, sum));
}

static size_t rounded_up(size_t bytes)
{
	return (bytes + KANTED_HUGEPAGE_BYTES - 1) & ~(KANTED_HUGEPAGE_BYTES - 1);
}

/* The file. */

/* Only where memory is: a file system on a disk would write it all down, again and again. */
static int check_place(const char *path, int fd, bool *ret_is_huge)
{
	struct statfs place;

	if (fstatfs(fd, &place) < 0)
		return -errno;
	*ret_is_huge = place.f_type == HUGETLBFS_MAGIC;
	if (place.f_type == TMPFS_MAGIC || *ret_is_huge)
		return 0;
	log_error("memory_file: %s is not on a tmpfs or hugetlbfs: choose a place there, such as "
	          "/dev/shm/kante or /dev/hugepages/kante",
	          path);
	return -EINVAL;
}

static int open_file(struct kanted_memory *memory)
{
	struct stat status;
	int r;

	memory->fd = open(memory->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	/* only then: with O_CREAT nobody opens another's file in /dev/shm (fs.protected_regular) */
	if (memory->fd < 0 && errno == ENOENT)
		memory->fd =
		    open(memory->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (memory->fd < 0) {
		r = -errno;
		log_error("memory_file: %s cannot be opened: %m", memory->path);
		return r;
	}
	r = check_place(memory->path, memory->fd, &memory->is_huge);
	if (r < 0)
		return r;
	if (flock(memory->fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("memory_file: %s is in use by another process: give each its own",
		          memory->path);
		return -EBUSY;
	}
	if (fstat(memory->fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || !kanted_user_owns(memory->user, status.st_uid) ||
	    (status.st_mode & 077) != 0) {
		log_error("memory_file: %s is not a file of ours that nobody else may read: "
		          "remove it",
		          memory->path);
		return -EPERM;
	}
	r = kanted_user_give(memory->user, memory->fd);
	if (r < 0)
		log_error("memory_file: %s cannot be given to %s: %s", memory->path,
		          memory->user->name, strerror(-r));
	return r;
}

static int map_file(struct kanted_memory *memory, size_t at, size_t bytes)
{
	void *mapped = mmap(memory->base + at, bytes, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_FIXED, memory->fd, 0);

	if (mapped == MAP_FAILED) {
		log_error("memory_file: %s cannot be mapped: %m", memory->path);
		return -ENOMEM;
	}
	madvise(mapped, bytes, MADV_HUGEPAGE);
	memory->head = mapped;
	return 0;
}

/* Zeros, all of them there: so that no page is missing later. */
static int make_anew(struct kanted_memory *memory, size_t bytes)
{
	int r;

	if (ftruncate(memory->fd, 0) == 0 && fallocate(memory->fd, 0, 0, (off_t)bytes) == 0)
		return 0;
	r = -errno;
	log_error("memory_file: no room for %zu MiB on %s's file system: %m: make it larger "
	          "(mount -o remount,size=, vm.nr_hugepages) or lower `memory:`",
	          bytes >> 20, memory->path);
	(void)!ftruncate(memory->fd, 0);
	return r;
}

/* What is in it. */

static uint64_t layout_of(void)
{
	return (uint64_t)LAYOUT_VERSION << 32 | shard_layout_bytes();
}

static struct memory_head head_for(const struct config *config, const struct shard_options *shard)
{
	struct memory_head head = {
	    .magic = HEAD_MAGIC,
	    .state = HEAD_IN_USE,
	    .version = KANTE_VERSION,
	    .layout = layout_of(),
	    .worker_count = config->worker_count,
	    .shard_bytes = shard->memory_bytes,
	    .value_bytes_max = shard->value_bytes_max,
	    .hash_seed = shard->hash_seed,
	};

	read_boot_id(head.boot_id);
	return head;
}

/* Why it is not to be taken up; NULL: the head is good. */
static const char *doubt_about_head(const struct memory_head *head,
                                    const struct memory_head *wanted)
{
	if (head->magic != HEAD_MAGIC)
		return "it is none of kanted's";
	if (memcmp(head->version, wanted->version, sizeof(head->version)) != 0 ||
	    head->layout != wanted->layout)
		return "another version of kanted has left it";
	if (head->state != HEAD_AT_REST)
		return "whoever used it last did not come to an orderly end";
	if (head->sum != sum_of(head))
		return "its head is damaged";
	if (memcmp(head->boot_id, wanted->boot_id, sizeof(head->boot_id)) != 0 ||
	    head->boot_id[0] == '\0')
		return "it is of another boot of this machine";
	if (head->worker_count != wanted->worker_count)
		return "`workers` was another number";
	if (head->shard_bytes != wanted->shard_bytes)
		return "`memory` was another";
	if (head->value_bytes_max != wanted->value_bytes_max)
		return "`item_size_max` was another";
	return NULL;
}

struct check {
	struct shard_options options;
	const struct memory *memory;
	uint64_t generation, sum;
	bool is_good;
	pthread_t thread;
};

static void *check_one(void *context)
{
	struct check *check = context;

	check->is_good =
	    shard_is_rested(&check->options, check->memory, check->generation, check->sum);
	return NULL;
}

/* All of them at the same time: it is a lot to read. */
static bool items_are_good(struct kanted_memory *memory, const struct shard_options *shard,
                           uint32_t count)
{
	struct check *checks = calloc(count, sizeof(*checks));
	struct shards *shape = calloc(1, sizeof(*shape));
	bool are_good = true;

	ASSERT(checks != NULL && shape != NULL);
	shape->count = shape->epoch.reader_count = count;
	for (uint32_t i = 0; i < count; i++) {
		checks[i] = (struct check){.options = *shard,
		                           .memory = &memory->items[i],
		                           .generation = memory->head->generation,
		                           .sum = memory->head->sums[i]};
		checks[i].options.number = i;
		checks[i].options.shards = count > 1 ? shape : NULL;
		if (pthread_create(&checks[i].thread, NULL, check_one, &checks[i]) != 0) {
			check_one(&checks[i]);
			checks[i].thread = 0;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		if (checks[i].thread != 0)
			pthread_join(checks[i].thread, NULL);
		are_good &= checks[i].is_good;
	}
	free(checks);
	free(shape);
	return are_good;
}

/* Somebody else's file is left alone, but one of the very size is ours, whatever has become of it.
 */
static int check_owner(const struct kanted_memory *memory, uint64_t file_bytes, uint64_t bytes)
{
	uint64_t magic = 0;

	if (file_bytes == 0 || file_bytes == bytes ||
	    (pread(memory->fd, &magic, sizeof(magic), 0) == sizeof(magic) && magic == HEAD_MAGIC))
		return 0;
	log_error(
	    "memory_file: %s is there, and none of kanted's: choose another name, or remove it",
	    memory->path);
	return -EEXIST;
}

/* Takes up what is there, or makes it anew and says why. */
static int take_up(struct kanted_memory *memory, const struct config *config, size_t at,
                   size_t bytes, const struct shard_options *shard)
{
	struct memory_head wanted = head_for(config, shard);
	const char *doubt = NULL;
	struct stat status;
	int r;

	if (fstat(memory->fd, &status) < 0)
		return -errno;
	r = check_owner(memory, (uint64_t)status.st_size, bytes);
	if (r < 0)
		return r;
	if (status.st_size != 0 && (size_t)status.st_size != bytes)
		doubt = "it has another size: `memory` or `workers` was another";
	if ((size_t)status.st_size != bytes && (r = make_anew(memory, bytes)) < 0)
		return r;
	r = map_file(memory, at, bytes);
	if (r < 0)
		return r;
	if ((size_t)status.st_size == bytes) {
		doubt = doubt_about_head(memory->head, &wanted);
		wanted.generation = memory->head->generation;
		/* from here on nobody takes it for good, whatever happens to us */
		memory->head->state = HEAD_IN_USE;
		if (doubt == NULL && !items_are_good(memory, shard, (uint32_t)config->worker_count))
			doubt = "something in it is damaged";
		memory->goes_on = doubt == NULL;
	}
	if (memory->goes_on) {
		memory->hash_seed = memory->head->hash_seed;
		memory->age_us = boottime_us() - memory->head->rested_us;
		memory->now_s =
		    (uint32_t)(memory->head->now_s + (memory->age_us + 500000) / 1000000);
		wanted.hash_seed = memory->hash_seed;
	} else if (doubt != NULL) {
		log_warning("memory_file: %s is not taken up, all items are gone: %s", memory->path,
		            doubt);
		if ((size_t)status.st_size == bytes &&
		    ((r = make_anew(memory, bytes)) < 0 || (r = map_file(memory, at, bytes)) < 0))
			return r;
	}
	wanted.generation++;
	*memory->head = wanted;
	return 0;
}

/* Mapping. */

/* Zeroed, in hugepages when there are enough free ones. */
static int map_common(struct kanted_memory *memory, size_t bytes, bool *ret_is_huge)
{
	int protection = PROT_READ | PROT_WRITE;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	void *mapped =
	    mmap(memory->base, bytes, protection, flags | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	*ret_is_huge = mapped != MAP_FAILED;
	if (mapped != MAP_FAILED)
		return 0;
	mapped = mmap(memory->base, bytes, protection, flags | MAP_NORESERVE, -1, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	madvise(mapped, bytes, MADV_HUGEPAGE);
	return 0;
}

/* Room for addresses, aligned to huge pages. */
static int reserve(struct kanted_memory *memory, size_t bytes)
{
	uint8_t *base = mmap(NULL, bytes + KANTED_HUGEPAGE_BYTES, PROT_NONE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (base == MAP_FAILED)
		return -errno;
	before = -(uintptr_t)base & (KANTED_HUGEPAGE_BYTES - 1);
	if (before > 0)
		munmap(base, before);
	munmap(base + before + bytes, KANTED_HUGEPAGE_BYTES - before);
	memory->base = base + before;
	memory->bytes = bytes;
	return 0;
}

int kanted_memory_map(struct kanted_memory *memory, const struct config *config,
                      size_t common_bytes, const struct shard_options *shard,
                      const struct kanted_user *user)
{
	uint32_t count = (uint32_t)config->worker_count;
	size_t one_bytes = memory_rounded(shard->memory_bytes);
	bool has_file = config->memory_file[0] != '\0';
	size_t items_bytes = rounded_up((has_file ? HEAD_BYTES : 0) + count * one_bytes);
	size_t at = rounded_up(common_bytes);
	bool common_is_huge = false;
	int r;

	*memory = (struct kanted_memory){
	    .user = user, .fd = -1, .hash_seed = shard->hash_seed, .now_s = 1};
	r = reserve(memory, at + items_bytes);
	if (r == 0)
		r = map_common(memory, has_file ? at : memory->bytes, &common_is_huge);
	if (r < 0) {
		log_error("no memory for %zu MiB: lower `memory:` or `max_connections:`",
		          (at + items_bytes) >> 20);
		return r;
	}
	memory->is_huge = common_is_huge;
	memory->common = (struct memory){.base = memory->base, .bytes = at};
	for (uint32_t i = 0; i < count; i++)
		memory->items[i] = (struct memory){
		    .base = memory->base + at + (has_file ? HEAD_BYTES : 0) + i * one_bytes,
		    .bytes = one_bytes};
	if (!has_file)
		return 0;
	memory->path = config->memory_file;
	r = open_file(memory);
	if (r < 0)
		return r;
	memory->is_huge &= common_is_huge;
	return take_up(memory, config, at, items_bytes, shard);
}

uint64_t kanted_memory_generation(const struct kanted_memory *memory)
{
	return memory->head->generation;
}

void kanted_memory_keep(struct kanted_memory *memory, const uint64_t sums[], uint32_t count,
                        uint32_t now_s)
{
	struct memory_head *head = memory->head;

	for (uint32_t i = 0; i < count; i++)
		head->sums[i] = sums[i];
	head->rested_us = boottime_us();
	head->now_s = now_s;
	head->state = HEAD_AT_REST;
	head->sum = sum_of(head);
}

void kanted_memory_unmap(struct kanted_memory *memory)
{
	if (memory->base != NULL)
		munmap(memory->base, memory->bytes);
	if (memory->fd >= 0 && memory->path != NULL)
		close(memory->fd);
}
