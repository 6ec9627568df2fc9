/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens_rig.h"

#include "disk_faults.h"

#define LIST(records) "{\"version\": 1, \"revoked\": [\n" records "\n]}\n"

static int revoke_at(struct rig *rig, const char *jti, uint64_t expires_s, uint64_t now_s)
{
	rig->error[0] = '\0';
	return tokens_revoke(rig->tokens, jti, expires_s, now_s, rig->error, sizeof(rig->error));
}

static size_t revoked_count(const struct rig *rig)
{
	json_t *list = tokens_list(rig->tokens);
	size_t count = json_array_size(json_object_get(list, "revoked"));

	json_decref(list);
	return count;
}

/* True: the file says so. */
static bool file_has(const struct rig *rig, const char *text)
{
	char *held = file_get(rig->revoked_path, NULL);
	bool has = strstr(held, text) != NULL;

	free(held);
	return has;
}

static void what_is_revoked_stays_out(void)
{
	struct stat status;
	struct rig rig;

	rig_open(&rig);
	good_token_make(&rig, "ec");
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, "id-1", NOW + 600, NOW), 0);
	for (int again = 0; again < 2; again++) {
		CU_ASSERT_EQUAL(check(&rig), -EKEYREVOKED);
		CU_ASSERT_STRING_EQUAL(rig.reason, "revoked by its jti");
		CU_ASSERT_EQUAL(rig.who.role, ROLE_none);
		CU_ASSERT_STRING_EQUAL(rig.who.name, "alice");
		CU_ASSERT_STRING_EQUAL(rig.who.credential_id, "id-1");
		CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
	}
	token_make(&rig, HEADER("ES256", "ec"), claims_but(&rig, "jti", json_string("id-10")),
	           made_keys.ec);
	CU_ASSERT_EQUAL(check(&rig), 0);
	token_make(&rig, HEADER("ES256", "ec"), claims_but(&rig, "jti", NULL), made_keys.ec);
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_EQUAL(stat(rig.revoked_path, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
	rig_close(&rig);
}

static void only_what_could_get_in_is_revoked_and_once(void)
{
	char longest[TOKENS_JTI_BYTES_MAX + 2];
	struct rig rig;

	rig_open(&rig);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	CU_ASSERT_EQUAL(revoke_at(&rig, longest, NOW + 600, NOW), -EINVAL);
	CU_ASSERT_STRING_EQUAL(rig.error, "a jti is 1 to 127 bytes of UTF-8 without control "
	                                  "characters: give such a one");
	CU_ASSERT_EQUAL(revoke_at(&rig, "", NOW + 600, NOW), -EINVAL);
	CU_ASSERT_EQUAL(revoke_at(&rig, "a\n", NOW + 600, NOW), -EINVAL);
	CU_ASSERT_EQUAL(revoke_at(&rig, "a", NOW - SKEW_S, NOW), -EINVAL);
	CU_ASSERT_STRING_EQUAL(rig.error, "a token that has expired, or expires after the year "
	                                  "9999, lets nobody in: nothing is left to do");
	CU_ASSERT_EQUAL(revoke_at(&rig, "a", 1, NOW), -EINVAL);
	CU_ASSERT_EQUAL(revoke_at(&rig, "a", UINT64_MAX, NOW), -EINVAL);
	CU_ASSERT_EQUAL(access(rig.revoked_path, F_OK), -1);
	CU_ASSERT_EQUAL(revoke_at(&rig, "a", NOW - SKEW_S + 1, NOW), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, "a", NOW + 600, NOW), -EALREADY);
	CU_ASSERT_STRING_EQUAL(rig.error, "it is revoked: nothing is left to do");
	CU_ASSERT_EQUAL(revoke_at(&rig, longest + 1, NOW + 600, NOW), 0);
	CU_ASSERT_EQUAL(revoked_count(&rig), 2);
	rig_close(&rig);
}

static void what_has_expired_is_forgotten_when_the_file_is_written(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(revoke_at(&rig, "early", NOW + 100, NOW), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, "late", NOW + 101, NOW), 0);
	/* with the skew, it could get in for so long */
	CU_ASSERT_EQUAL(revoke_at(&rig, "x", NOW + 999, NOW + 100 + SKEW_S - 1), 0);
	CU_ASSERT_TRUE(file_has(&rig, "early"));
	CU_ASSERT_EQUAL(revoke_at(&rig, "y", NOW + 999, NOW + 100 + SKEW_S), 0);
	CU_ASSERT_FALSE(file_has(&rig, "early"));
	CU_ASSERT_TRUE(file_has(&rig, "late"));
	CU_ASSERT_EQUAL(revoked_count(&rig), 3);
	CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
	CU_ASSERT_EQUAL(revoked_count(&rig), 3);
	rig_close(&rig);
}

static void without_its_end_a_token_is_revoked_for_as_long_as_any_could_be_good(void)
{
	struct rig rig;
	uint64_t last_s = NOW + SKEW_S + LIFETIME_S; /* exp of the last that can be good by now */

	rig_open(&rig);
	token_make(&rig, HEADER("HS256", "hs"),
	           claims_but(&rig, "exp", json_integer((json_int_t)NOW - 10 + LIFETIME_S)), NULL);
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, "id-1", 0, NOW), 0);
	CU_ASSERT_EQUAL(check(&rig), -EKEYREVOKED);
	CU_ASSERT_EQUAL(revoke_at(&rig, "x", last_s + 999, last_s + SKEW_S - 1), 0);
	CU_ASSERT_TRUE(file_has(&rig, "id-1"));
	CU_ASSERT_EQUAL(revoke_at(&rig, "y", last_s + 999, last_s + SKEW_S), 0);
	CU_ASSERT_FALSE(file_has(&rig, "id-1"));
	rig_close(&rig);
}

static void ten_thousand_are_the_limit(void)
{
	struct rig rig;

	rig_open(&rig);
	for (uint32_t too_many = 0; too_many < 2; too_many++) {
		FILE *file = fopen(rig.revoked_path, "w");

		fputs("{\"version\": 1, \"revoked\": [", file);
		for (uint32_t i = 0; i < TOKENS_REVOKED_COUNT_MAX + too_many; i++)
			fprintf(file, "%s\n{\"jti\":\"j%u\",\"revoked\":1,\"expires\":%llu}",
			        i == 0 ? "" : ",", i, NOW + i);
		fputs("\n]}\n", file);
		fclose(file);
		CU_ASSERT_EQUAL(tokens_read(&rig), too_many ? -EINVAL : 0);
		if (too_many)
			continue;
		CU_ASSERT_EQUAL(revoke_at(&rig, "x", NOW + 600, NOW), -ENOSPC);
		CU_ASSERT_STRING_EQUAL(
		    rig.error,
		    "10000 tokens are revoked: wait until some expire, or change the key");
		token_make(&rig, HEADER("HS256", "hs"),
		           claims_but(&rig, "jti", json_string("j9999")), NULL);
		CU_ASSERT_EQUAL(check(&rig), -EKEYREVOKED);
		CU_ASSERT_EQUAL(revoke_at(&rig, "x", NOW + 600, NOW + SKEW_S), 0);
		CU_ASSERT_EQUAL(revoked_count(&rig), TOKENS_REVOKED_COUNT_MAX);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "revoked: 10001 of them: at most 10000 can be"));
	rig_close(&rig);
}

static void a_corrupt_file_is_refused_and_left_alone(void)
{
	static const struct {
		const char *text, *reason;
	} tries[] = {
	    {"", ":1: '[' or '{' expected near end of file"},
	    {"{\"version\": 1, \"revoked\": [\n{\"jti\":\"a\",\"revoked\":1,\"expires\":1},\n",
	     ":3: ']' expected near end of file"},
	    {LIST("{\"jti\":\"a\",\"revoked\":1}"), ":2: has not exactly jti, revoked and expires"},
	    {LIST("{\"jti\":\"a\",\"revoked\":1,\"expires\":1,\"x\":1}"),
	     ":2: has not exactly jti, revoked and expires"},
	    {LIST("7"), ":2: has not exactly jti, revoked and expires"},
	    {LIST("{\"jti\":\"a\",\"revoked\":1,\"expires\":1},\n"
	          "{\"jti\":\"\",\"revoked\":1,\"expires\":1}"),
	     ":3: its jti is not 1 to 127 printable bytes"},
	    {LIST("{\"jti\":\"a\",\"revoked\":-1,\"expires\":1}"),
	     ":2: one of its times is before 1970 or after 9999"},
	    {LIST("{\"jti\":\"a\",\"revoked\":1,\"expires\":253402300800}"),
	     ":2: one of its times is before 1970 or after 9999"},
	};
	char expected[256];
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		file_put(rig.revoked_path, tries[i].text, strlen(tries[i].text), 0600);
		snprintf(expected, sizeof(expected), "%s%s: put a copy back", rig.revoked_path,
		         tries[i].reason);
		CU_ASSERT_EQUAL(tokens_read(&rig), -EINVAL);
		CU_ASSERT_STRING_EQUAL(rig.error, expected);
		CU_ASSERT_TRUE(file_has(&rig, tries[i].text));
	}
	/* one that others could shorten is as bad */
	file_put(rig.revoked_path, LIST(""), strlen(LIST("")), 0666);
	CU_ASSERT_EQUAL(tokens_read(&rig), -EPERM);
	rig_close(&rig);
}

static void what_cannot_be_written_is_not_revoked(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(revoke_at(&rig, "first", NOW + 600, NOW), 0);
	good_token_make(&rig, "hs");
	for (size_t i = 0; i < DISK_STEP_COUNT; i++) {
		int r;

		fault_set(disk_steps[i], ENOSPC, 0, 1);
		r = revoke_at(&rig, "id-1", NOW + 600, NOW);
		fault_clear();
		CU_ASSERT_EQUAL(r, -ENOSPC);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "revoked.json: No space left on device: "
		                                         "make room on the disk and try again"));
		CU_ASSERT_EQUAL(check(&rig), 0);
		CU_ASSERT_FALSE(file_has(&rig, "id-1"));
		CU_ASSERT_TRUE(file_has(&rig, "first"));
	}
	for (uint32_t skip = 0; MEMORY_CAN_FAIL && skip < 1000; skip++) {
		int r;

		fault_set("memory", ENOMEM, skip, 1);
		r = revoke_at(&rig, "id-1", NOW + 600, NOW);
		fault_clear();
		CU_ASSERT_TRUE_FATAL(r == 0 || r == -ENOMEM);
		CU_ASSERT_EQUAL(check(&rig), r == 0 ? -EKEYREVOKED : 0);
		if (r == 0)
			break;
	}
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"what is revoked stays out", what_is_revoked_stays_out},
	    {"only what could get in is revoked, and once",
	     only_what_could_get_in_is_revoked_and_once},
	    {"what has expired is forgotten when the file is written",
	     what_has_expired_is_forgotten_when_the_file_is_written},
	    {"without its end, a token is revoked for as long as any could be good",
	     without_its_end_a_token_is_revoked_for_as_long_as_any_could_be_good},
	    {"ten thousand are the limit", ten_thousand_are_the_limit},
	    {"a corrupt file is refused and left alone", a_corrupt_file_is_refused_and_left_alone},
	    {"what cannot be written is not revoked", what_cannot_be_written_is_not_revoked},
	};
	int r;

	made_keys_make();
	r = UNIT_RUN("tokens_revoked", cases);
	made_keys_free();
	return r;
}
