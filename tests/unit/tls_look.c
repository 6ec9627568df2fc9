/* SPDX-License-Identifier: Apache-2.0 */
/* Files that change while TLS is made of them. */
#include "faults.h"
#include "tls_rig.h"

#include <fcntl.h>
#include <stdarg.h>

#define ROTATION_COUNT 100

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

/* All versions of a file look the same, as two do within a tick of the file system's clock. */
static bool blind;

int stat(const char *path, struct stat *status)
{
	int (*next)(const char *, struct stat *);
	int r;

	*(void **)&next = dlsym(RTLD_NEXT, "stat");
	r = next(path, status);
	if (blind && r == 0)
		*status = (struct stat){.st_size = 1};
	return r;
}

/* Puts a file in the place of another at once. */
static void swap(struct rig *rig, const char *name, const char *by)
{
	CU_ASSERT_EQUAL(rename(path_in(&rig->folder, by), path_in(&rig->folder, name)), 0);
}

static void files_that_are_the_same_are_not_read_again(void)
{
	char *text;
	struct rig rig;

	rig_open_settled(&rig);
	fault_set("open", EIO, 0, 1); /* nobody runs into it */
	CU_ASSERT_EQUAL(look(&rig, 2), TLS_SAME);
	CU_ASSERT_FALSE(fault_over());
	fault_clear();
	/* written anew, with the same in it */
	text = get_text(&rig.folder, "server.crt");
	put_text(&rig.folder, "next", text);
	swap(&rig, "server.crt", "next");
	CU_ASSERT_EQUAL(look(&rig, 3), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 4), TLS_SAME);
	/* on a signal it is said what is there */
	CU_ASSERT_EQUAL(look_now(&rig, 5), TLS_READ);
	CU_ASSERT_TRUE(text_says(&rig, "server.crt: read again, and what belongs to it: nothing "
	                               "is new"));
	free(text);
	rig_close(&rig);
}

static void a_new_pair_counts_once_both_are_there(void)
{
	struct party next;
	struct rig rig;

	rig_open_settled(&rig);
	for (int i = 0; i < 2; i++) {
		next = next_server(&rig);
		if (i == 0)
			put_key(&rig.folder, "server.key", &next);
		else
			put_certificate(&rig.folder, "server.crt", &next);
		CU_ASSERT_EQUAL(look(&rig, 10), TLS_SAME);
		CU_ASSERT_TRUE(shows(&rig, &rig.server));
		if (i == 0)
			put_certificate(&rig.folder, "server.crt", &next);
		else
			put_key(&rig.folder, "server.key", &next);
		CU_ASSERT_EQUAL(look(&rig, 11), TLS_READ);
		CU_ASSERT_TRUE(text_says(&rig, "a new certificate, SHA-256 "));
		CU_ASSERT_TRUE(shows(&rig, &next));
		CU_ASSERT_EQUAL(look(&rig, 12), TLS_SAME);
		party_free(&rig.server);
		rig.server = next;
	}
	rig_close(&rig);
}

static void a_half_written_file_is_looked_at_twice_and_told_once(void)
{
	struct party next;
	char *text;
	struct rig rig;

	rig_open_settled(&rig);
	next = next_server(&rig);
	put_certificate(&rig.folder, "server.crt", &next);
	put_key(&rig.folder, "server.key", &next);
	text = get_text(&rig.folder, "server.crt");
	text[100] = '\0';
	put_text(&rig.folder, "server.crt", text);
	CU_ASSERT_EQUAL(look(&rig, 10), TLS_SAME);
	CU_ASSERT_EQUAL(look_now(&rig, 10), TLS_SAME); /* no second has gone by */
	CU_ASSERT_EQUAL(look(&rig, 11), TLS_REFUSED);
	CU_ASSERT_TRUE(text_says(&rig, "server.crt: a certificate in it is damaged: put a good "));
	CU_ASSERT_TRUE(shows(&rig, &rig.server));
	fault_set("open", EIO, 0, 1); /* it is not even read */
	CU_ASSERT_EQUAL(look(&rig, 12), TLS_SAME);
	CU_ASSERT_FALSE(fault_over());
	fault_clear();
	/* on a signal it is told again */
	CU_ASSERT_EQUAL(look_now(&rig, 13), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 14), TLS_REFUSED);
	CU_ASSERT_EQUAL(look(&rig, 15), TLS_SAME);
	put_certificate(&rig.folder, "server.crt", &next);
	CU_ASSERT_EQUAL(look(&rig, 16), TLS_READ);
	CU_ASSERT_TRUE(shows(&rig, &next));
	free(text);
	party_free(&next);
	rig_close(&rig);
}

/* A clock that is set back does not hold back what is told. */
static void a_clock_that_jumps_does_not_matter(void)
{
	struct rig rig;

	rig_open_settled(&rig);
	put_text(&rig.folder, "server.key", "");
	CU_ASSERT_EQUAL(look(&rig, 1000), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 5), TLS_REFUSED);
	put_text(&rig.folder, "server.key", "x");
	CU_ASSERT_EQUAL(look(&rig, 0), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 7), TLS_REFUSED);
	rig_close(&rig);
}

static void what_the_system_refuses_is_tried_on_and_told_once(void)
{
	struct party next;
	struct rig rig;

	rig_open_settled(&rig);
	next = next_server(&rig);
	put_certificate(&rig.folder, "server.crt", &next);
	put_key(&rig.folder, "server.key", &next);
	fault_set("open", EMFILE, 0, 1000);
	CU_ASSERT_EQUAL(look(&rig, 10), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 11), TLS_REFUSED);
	CU_ASSERT_TRUE(text_says(&rig, "server.crt: Too many open files"));
	CU_ASSERT_EQUAL(look(&rig, 12), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 13), TLS_SAME);
	CU_ASSERT_TRUE(shows(&rig, &rig.server));
	fault_clear();
	CU_ASSERT_EQUAL(look(&rig, 14), TLS_READ);
	CU_ASSERT_TRUE(shows(&rig, &next));
	/* a file that is gone */
	unlink(rig.key_path);
	CU_ASSERT_EQUAL(look(&rig, 20), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 21), TLS_REFUSED);
	CU_ASSERT_TRUE(text_says(&rig, "server.key: there is no such file: check the path"));
	CU_ASSERT_EQUAL(look(&rig, 22), TLS_SAME);
	put_key(&rig.folder, "server.key", &next);
	CU_ASSERT_EQUAL(look(&rig, 23), TLS_SAME); /* back, and as it was */
	CU_ASSERT_TRUE(shows(&rig, &next));
	party_free(&next);
	rig_close(&rig);
}

static void a_list_that_is_gone_revokes_on(void)
{
	struct party bad;
	struct rig rig;

	rig_prepare(&rig);
	bad = party_make(&rig.ca, (struct party_options){.name = "x"});
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &bad, -60, DAY), NULL);
	rig_start(&rig);
	unlink(rig.crl_path);
	CU_ASSERT_EQUAL(look(&rig, 10), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, 11), TLS_REFUSED);
	CU_ASSERT_TRUE(text_says(&rig,
	                         "ca.crl: the list of the revoked is gone: put it back, or an "
	                         "empty one"));
	CU_ASSERT_FALSE(gets_in(&rig, (struct client){.party = &bad}));
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, NULL, -60, DAY), NULL);
	CU_ASSERT_EQUAL(look(&rig, 12), TLS_READ);
	CU_ASSERT_TRUE(text_says(&rig, "the certificate is the same, SHA-256 "));
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &bad}));
	party_free(&bad);
	rig_close(&rig);
}

/* One that was not there when it began counts once it is. */
static void a_first_list_counts(void)
{
	struct party bad;
	struct rig rig;

	rig_prepare(&rig);
	unlink(rig.crl_path);
	rig_start(&rig);
	bad = party_make(&rig.ca, (struct party_options){.name = "x"});
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &bad}));
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &bad, -60, DAY), NULL);
	CU_ASSERT_EQUAL(look(&rig, 10), TLS_READ);
	CU_ASSERT_FALSE(gets_in(&rig, (struct client){.party = &bad}));
	party_free(&bad);
	rig_close(&rig);
}

static void an_expired_certificate_does_not_follow_a_good_one(void)
{
	const uint64_t now_s = NOW;
	struct party old;
	struct rig rig;

	rig_open_settled(&rig);
	old = party_make(&rig.ca, (struct party_options){.name = "x", .from_s = -DAY, .to_s = -60});
	put_certificate(&rig.folder, "server.crt", &old);
	put_key(&rig.folder, "server.key", &old);
	CU_ASSERT_EQUAL(look(&rig, now_s), TLS_SAME);
	CU_ASSERT_EQUAL(look(&rig, now_s + 1), TLS_REFUSED);
	CU_ASSERT_TRUE(text_says(&rig,
	                         "server.crt: it has expired, and the one before has not: put "
	                         "a newer one there"));
	CU_ASSERT_TRUE(shows(&rig, &rig.server));
	/* of two that have expired it is the new one */
	CU_ASSERT_EQUAL(look_now(&rig, now_s + 2 * DAY), TLS_READ);
	CU_ASSERT_TRUE(shows(&rig, &old));
	party_free(&old);
	rig_close(&rig);
}

/* As Kubernetes puts secrets there: all files at once, by one link. */
static void a_link_that_is_swapped_is_followed(void)
{
	struct party next;
	struct rig rig;

	rig_prepare(&rig);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(mkdir(path_in(&rig.folder, i == 0 ? "..1" : "..2"), 0700), 0);
		next = next_server(&rig);
		put_certificate(&rig.folder, i == 0 ? "..1/crt" : "..2/crt", &next);
		put_key(&rig.folder, i == 0 ? "..1/key" : "..2/key", &next);
		if (i == 0) {
			unlink(rig.certificate_path);
			unlink(rig.key_path);
			CU_ASSERT_EQUAL(symlink("..1", path_in(&rig.folder, "..data")), 0);
			CU_ASSERT_EQUAL(symlink("..data/crt", rig.certificate_path), 0);
			CU_ASSERT_EQUAL(symlink("..data/key", rig.key_path), 0);
			rig_start(&rig);
			CU_ASSERT_EQUAL(look(&rig, 1), TLS_SAME);
		} else {
			CU_ASSERT_EQUAL(symlink("..2", path_in(&rig.folder, "next")), 0);
			swap(&rig, "..data", "next");
			CU_ASSERT_EQUAL(look(&rig, 2), TLS_READ);
		}
		CU_ASSERT_TRUE(shows(&rig, &next));
		party_free(&next);
	}
	rig_close(&rig);
}

static void two_changes_within_a_tick_are_both_seen(void)
{
	struct party first, second;
	struct rig rig;

	rig_open_settled(&rig);
	first = next_server(&rig);
	second = next_server(&rig);
	blind = true;
	put_certificate(&rig.folder, "server.crt", &first);
	put_key(&rig.folder, "server.key", &first);
	CU_ASSERT_EQUAL(look(&rig, 2), TLS_READ);
	CU_ASSERT_TRUE(shows(&rig, &first));
	put_certificate(&rig.folder, "server.crt", &second);
	put_key(&rig.folder, "server.key", &second);
	CU_ASSERT_EQUAL(look(&rig, 3), TLS_READ);
	CU_ASSERT_TRUE(shows(&rig, &second));
	CU_ASSERT_EQUAL(look(&rig, 4), TLS_SAME);
	blind = false;
	party_free(&first);
	party_free(&second);
	rig_close(&rig);
}

static void a_hundred_rotations_drop_no_connection(void)
{
	static struct meeting meetings[ROTATION_COUNT];
	const uint64_t seed = (uint64_t)time(NULL);
	uint64_t state = seed, now_s = 100;
	struct party client;
	struct rig rig;

	printf(" (seed %llu) ", (unsigned long long)seed);
	rig_open_settled(&rig);
	client = party_make(&rig.ca, (struct party_options){.name = "x", .purpose = "clientAuth"});
	for (int i = 0; i < ROTATION_COUNT; i++) {
		const struct client one = {.party = i % 2 == 0 ? &client : NULL};
		struct party next = next_server(&rig);
		bool key_first = draw(&state) % 2 == 0;

		meetings[i] = meet(&rig, &one);
		CU_ASSERT_TRUE(meetings[i].ok);
		put_certificate(&rig.folder, "crt", &next);
		put_key(&rig.folder, "key", &next);
		swap(&rig, key_first ? "server.key" : "server.crt", key_first ? "key" : "crt");
		if (draw(&state) % 2 == 0) { /* it is looked at in between */
			CU_ASSERT_EQUAL(look(&rig, now_s++), TLS_SAME);
			CU_ASSERT_TRUE(shows(&rig, &rig.server));
		}
		swap(&rig, key_first ? "server.crt" : "server.key", key_first ? "crt" : "key");
		CU_ASSERT_EQUAL(look(&rig, now_s++), TLS_READ);
		CU_ASSERT_TRUE(shows(&rig, &next));
		party_free(&rig.server);
		rig.server = next;
	}
	for (int i = 0; i < ROTATION_COUNT; i++) {
		CU_ASSERT_TRUE(talk(&meetings[i]));
		CU_ASSERT_TRUE(tls_still_good(rig.tls, meetings[i].server, NOW));
		part(&meetings[i]);
	}
	party_free(&client);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"files that are the same are not read again",
	     files_that_are_the_same_are_not_read_again},
	    {"a new pair counts once both are there", a_new_pair_counts_once_both_are_there},
	    {"a half written file is looked at twice and told once",
	     a_half_written_file_is_looked_at_twice_and_told_once},
	    {"a clock that jumps does not matter", a_clock_that_jumps_does_not_matter},
	    {"what the system refuses is tried on, and told once",
	     what_the_system_refuses_is_tried_on_and_told_once},
	    {"a list that is gone revokes on", a_list_that_is_gone_revokes_on},
	    {"a first list counts", a_first_list_counts},
	    {"an expired certificate does not follow a good one",
	     an_expired_certificate_does_not_follow_a_good_one},
	    {"a link that is swapped is followed", a_link_that_is_swapped_is_followed},
	    {"two changes within a tick are both seen", two_changes_within_a_tick_are_both_seen},
	    {"a hundred rotations drop no connection", a_hundred_rotations_drop_no_connection},
	};

	return UNIT_RUN("tls_look", cases);
}
