/* SPDX-License-Identifier: Apache-2.0 */
/* An authority on a full disk, without memory, and killed in the middle: all or nothing. */
#include "authority_rig.h"
#include "base/siphash.h"
#include "faults.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>

FAULTY(ssize_t, -1, write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
FAULTY(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
FAULTY(int, -1, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
FAULTY(int, -1, linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags),
       (from_fd, from, to_fd, to, flags))
FAULTY(int, -1, flock, (int fd, int operation), (fd, operation))

/* No power fails here, and thousands of these take their time. */
int fsync(int fd)
{
	return fault_hits("fsync") ? -1 : 0;
}

/* The process dies at this rename, counted from 1; 0: it lives on. */
static unsigned death;

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	int (*next)(int, const char *, int, const char *);

	if (death > 0 && --death == 0)
		_exit(9);
	if (fault_hits("renameat"))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "renameat");
	return next(from_fd, from, to_fd, to);
}

int openat(int fd, const char *path, int flags, ...)
{
	int (*next)(int, const char *, int, ...);
	va_list arguments;
	unsigned mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
	va_end(arguments);
	if (fault_hits("openat"))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "openat");
	return next(fd, path, flags, mode);
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

/* Memory of OpenSSL and jansson, of which one allocation fails. */
static void *allocate(size_t bytes, const char *file, int line)
{
	return fault_hits("memory") ? NULL : malloc(bytes);
}

static void *reallocate(void *memory, size_t bytes, const char *file, int line)
{
	return fault_hits("memory") ? NULL : realloc(memory, bytes);
}

static void release(void *memory, const char *file, int line)
{
	free(memory);
}

static void *json_allocate(size_t bytes)
{
	return fault_hits("memory") ? NULL : malloc(bytes);
}

/* What the rig's folder holds: names, and a sum of what is in the files. */
static char *snapshot(struct rig *rig)
{
	static const char *const directories[] = {".", "tls", "tls/clients"};
	char *text = calloc(1, 1 << 14), path[300];
	size_t used = 0;

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		struct dirent **entries;
		int count =
		    scandir(path_in(&rig->folder, directories[i]), &entries, NULL, alphasort);

		for (int j = 0; j < count; j++) {
			struct siphash_key key = {0};
			const char *name = entries[j]->d_name;
			char *bytes;

			snprintf(path, sizeof(path), "%s/%s", directories[i], name);
			if (entries[j]->d_type == DT_REG) {
				bytes = get_text(&rig->folder, path);
				used += (size_t)sprintf(
				    text + used, "%s %llx\n", path,
				    (unsigned long long)siphash(&key, bytes, strlen(bytes)));
				free(bytes);
			} else {
				used += (size_t)sprintf(text + used, "%s\n", path);
			}
			free(entries[j]);
		}
		if (count >= 0)
			free(entries);
	}
	return text;
}

static int make(struct rig *rig)
{
	uint32_t made = 0;

	return authority_make(rig->directory, NODE, NULL, 0, NOW, &made, rig->error,
	                      sizeof(rig->error));
}

static int issue_ops(struct rig *rig)
{
	return issue(rig, "ops", ROLE_operator, 1, NOW);
}

static int revoke_first(struct rig *rig)
{
	json_t *list = authority_list(rig->directory, NOW, rig->error, sizeof(rig->error));
	char serial[64];

	if (list == NULL)
		return -fault.error_number;
	snprintf(serial, sizeof(serial), "%s", field(list, 0, "serial"));
	json_decref(list);
	return revoke_at(rig, serial, NOW);
}

static int refresh_late(struct rig *rig)
{
	return refresh(rig, NOW + 20 * DAY) ? 0 : -fault.error_number;
}

static const struct {
	const char *name;
	int (*call)(struct rig *rig);
	bool on_made; /* on an authority that is there */
} operations[] = {
    {"make", make, false},          {"renew", renew, true},          {"issue", issue_ops, true},
    {"revoke", revoke_first, true}, {"refresh", refresh_late, true},
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

static void unchanged(struct rig *rig, const char *before, const char *what, uint32_t skip)
{
	char *after = snapshot(rig);

	if (strcmp(before, after) != 0)
		printf("\n%s, after %u: before:\n%safter:\n%s", what, skip, before, after);
	CU_ASSERT_STRING_EQUAL(before, after);
	free(after);
}

/* Each of its calls in turn fails. Returns how many there are. */
static uint32_t sweep(size_t operation, const char *call, int error_number)
{
	for (uint32_t skip = 0;; skip++) {
		struct rig rig;
		char *before;
		int r;

		rig_prepare(&rig);
		if (operations[operation].on_made)
			make_at(&rig, NOW);
		before = snapshot(&rig);
		fault_set(call, error_number, skip, 1);
		r = operations[operation].call(&rig);
		if (!fault_over()) {
			fault_clear();
			CU_ASSERT_EQUAL(r, 0);
			free(before);
			rig_close(&rig);
			return skip;
		}
		fault_clear();
		if (r != -error_number)
			printf("\n%s, %s after %u: %d\n", operations[operation].name, call, skip,
			       r);
		CU_ASSERT_EQUAL(r, -error_number);
		CU_ASSERT_STRING_NOT_EQUAL(rig.error, "");
		unchanged(&rig, before, operations[operation].name, skip);
		CU_ASSERT_EQUAL(operations[operation].call(&rig), 0); /* and now it can be done */
		free(before);
		rig_close(&rig);
	}
}

static void whatever_fails_nothing_half_made_stays(void)
{
	static const char *const calls[] = {"open",  "openat", "write",    "fsync",
	                                    "mkdir", "linkat", "renameat", "flock"};
	uint32_t total = 0;

	for (size_t operation = 0; operation < OPERATION_COUNT; operation++)
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			total += sweep(operation, calls[i], ENOSPC);
	total += sweep(0, "mkdirat", ENOSPC);
	CU_ASSERT_TRUE(total > 60);
	printf(" (%u faults) ", total);
}

static void a_full_disk_is_said_in_words(void)
{
	struct rig rig;

	rig_open(&rig);
	fault_set("write", ENOSPC, 0, 1);
	CU_ASSERT_EQUAL(issue_ops(&rig), -ENOSPC);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/clients/ops.crt: the disk is full: make room"));
	fault_set("openat", EROFS, 1, 1);
	CU_ASSERT_EQUAL(issue_ops(&rig), -EROFS);
	CU_ASSERT_TRUE(error_says(&rig, ": the file system is read-only: give another directory"));
	fault_set("openat", EACCES, 1, 1);
	CU_ASSERT_EQUAL(issue_ops(&rig), -EACCES);
	CU_ASSERT_TRUE(error_says(&rig, ": no permission: check its owner and mode, and its "));
	fault_clear();
	rig_close(&rig);
}

/* A real one, of so many pages: it becomes full at any place. */
static void on_a_disk_of_any_size_it_is_all_or_nothing(void)
{
	bool made = false, failed = false;
	struct rig rig;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf(" (no mount namespace: left out) ");
		return;
	}
	for (int pages = 1; pages < 20; pages++) {
		char options[64];
		uint32_t count;
		int r;

		rig_prepare(&rig);
		CU_ASSERT_EQUAL_FATAL(mkdir(rig.directory, 0700), 0);
		snprintf(options, sizeof(options), "size=%dk,mode=700", 4 * pages);
		CU_ASSERT_EQUAL_FATAL(mount("none", rig.directory, "tmpfs", 0, options), 0);
		r = authority_make(rig.directory, NODE, NULL, 0, NOW, &count, rig.error,
		                   sizeof(rig.error));
		run(&rig, "find . -mindepth 1");
		if (r == 0) {
			made = true;
		} else {
			failed = true;
			CU_ASSERT_EQUAL(r, -ENOSPC);
			CU_ASSERT_TRUE(error_says(&rig, ": the disk is full: make room"));
			CU_ASSERT_STRING_EQUAL(rig.output, "");
		}
		CU_ASSERT_EQUAL(umount(rig.directory), 0);
		rig_close(&rig);
	}
	CU_ASSERT_TRUE(made && failed);
}

/* Does it in a process that dies at so many renames. True: it did die. */
static bool dies(struct rig *rig, int (*call)(struct rig *rig), unsigned at)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		death = at;
		_exit(call(rig) == 0 ? 0 : 1);
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	return WEXITSTATUS(status) == 9;
}

static void is_whole(struct rig *rig)
{
	CU_ASSERT_EQUAL(run(rig, "openssl verify -purpose sslserver -CAfile ca.crt server.crt"), 0);
	CU_ASSERT_EQUAL(run(rig, "openssl verify -purpose sslclient -crl_check -CRLfile ca.crl "
	                         "-CAfile ca.crt clients/admin.crt"),
	                0);
	for (int i = 0; i < 3; i++) {
		static const char *const pairs[] = {"ca", "server", "clients/admin"};

		CU_ASSERT_EQUAL(run(rig,
		                    "openssl x509 -in %s.crt -noout -pubkey >/tmp/a.$$ && "
		                    "openssl pkey -in %s.key -pubout | cmp - /tmp/a.$$; s=$?; rm "
		                    "/tmp/a.$$; exit $s",
		                    pairs[i], pairs[i]),
		                0);
	}
}

static void whoever_is_killed_while_he_makes_it_the_next_one_mends(void)
{
	unsigned at = 1;
	bool died = true;

	for (; died; at++) {
		struct rig rig;

		rig_prepare(&rig);
		died = dies(&rig, make, at);
		CU_ASSERT_EQUAL(make(&rig), 0);
		is_whole(&rig);
		rig_close(&rig);
	}
	CU_ASSERT_EQUAL(at, 8 + 2);
}

static void whoever_is_killed_while_he_renews_it_the_next_one_mends(void)
{
	unsigned at = 1;
	bool died = true;

	for (; died; at++) {
		struct rig rig;

		rig_open(&rig);
		died = dies(&rig, renew, at);
		CU_ASSERT_EQUAL(make(&rig), 0);
		is_whole(&rig);
		CU_ASSERT_EQUAL(renew(&rig), 0); /* leftovers are in nobody's way */
		run(&rig, "ls *.new *.old");
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.output, "'*.new'"));
		rig_close(&rig);
	}
	CU_ASSERT_EQUAL(at, 3 + 2);
}

static void whoever_is_killed_while_he_revokes_the_next_list_says_it(void)
{
	unsigned at = 1;
	bool died = true;

	for (; died; at++) {
		struct rig rig;

		rig_open(&rig);
		died = dies(&rig, revoke_first, at);
		(void)refresh(&rig, NOW);
		run(&rig, "openssl crl -in ca.crl -noout -text -CAfile ca.crt");
		/* before the first rename nothing has happened */
		CU_ASSERT_EQUAL(strstr(rig.output, "Serial Number: ") != NULL, at > 1);
		rig_close(&rig);
	}
	CU_ASSERT_EQUAL(at, 2 + 2);
}

static void without_memory_it_is_all_or_nothing(void)
{
	uint32_t total = 0;

	for (size_t operation = 0; operation < OPERATION_COUNT; operation++) {
		bool over = false;

		for (uint32_t skip = 0; !over; skip += 1 + skip / 24) {
			struct rig rig;
			char *before;
			int r;

			rig_prepare(&rig);
			if (operations[operation].on_made)
				make_at(&rig, NOW);
			before = snapshot(&rig);
			fault_set("memory", ENOMEM, skip, 1);
			r = operations[operation].call(&rig);
			over = !fault_over();
			fault_clear();
			/* OpenSSL does without some of it, and nobody else does */
			if (r < 0)
				unchanged(&rig, before, operations[operation].name, skip);
			if (r < 0)
				CU_ASSERT_STRING_NOT_EQUAL(rig.error, "");
			total += r < 0;
			free(before);
			rig_close(&rig);
		}
	}
	CU_ASSERT_TRUE(total > 100);
	printf(" (%u times) ", total);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"whatever fails, nothing half made stays", whatever_fails_nothing_half_made_stays},
	    {"a full disk is said in words", a_full_disk_is_said_in_words},
	    {"on a disk of any size it is all or nothing",
	     on_a_disk_of_any_size_it_is_all_or_nothing},
	    {"whoever is killed while he makes it, the next one mends",
	     whoever_is_killed_while_he_makes_it_the_next_one_mends},
	    {"whoever is killed while he renews it, the next one mends",
	     whoever_is_killed_while_he_renews_it_the_next_one_mends},
	    {"whoever is killed while he revokes, the next list says it",
	     whoever_is_killed_while_he_revokes_the_next_list_says_it},
	    {"without memory it is all or nothing", without_memory_it_is_all_or_nothing},
	};

	if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
		return 2;
	json_set_alloc_funcs(json_allocate, free);
	return UNIT_RUN("authority_faults", cases);
}
