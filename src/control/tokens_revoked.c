/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens that are good but for having been revoked. */
#include "control/tokens_internal.h"

#include "base/bytes.h"
#include "control/kept.h"
#include "control/printable.h"

#include <errno.h>
#include <stdio.h>

#define LIST "revoked"

static bool is_time(json_int_t value)
{
	return value >= 0 && value <= KEPT_TIME_S_MAX;
}

/* What is wrong with the record, or NULL. */
static const char *record_read(struct revoked_token *ret_token, json_t *record)
{
	json_int_t revoked, expires;
	const char *jti;

	if (json_unpack_ex(record, NULL, JSON_STRICT, "{s:s,s:I,s:I}", "jti", &jti, "revoked",
	                   &revoked, "expires", &expires) < 0)
		return "has not exactly jti, revoked and expires";
	if (!printable(jti, TOKENS_JTI_BYTES_MAX))
		return "its jti is not 1 to 127 printable bytes";
	if (!is_time(revoked) || !is_time(expires))
		return "one of its times is before 1970 or after 9999";
	strcpy(ret_token->jti, jti);
	ret_token->revoked_s = (uint64_t)revoked;
	ret_token->expires_s = (uint64_t)expires;
	return NULL;
}

int revoked_read(struct tokens *tokens, struct faults *faults)
{
	uint32_t count_before = faults->count;
	struct kept kept;
	json_t *record;
	size_t index;
	int r;

	faults->file = tokens->revoked_path;
	r = kept_read(&kept, tokens->revoked_path, LIST, TOKENS_REVOKED_COUNT_MAX, faults);
	if (r < 0)
		return r;
	json_array_foreach(kept.records, index, record)
	{
		const char *reason = record_read(&tokens->revoked[index], record);

		if (reason != NULL)
			faults_add(faults, kept_line(&kept, index), "", "%s: put a copy back",
			           reason);
	}
	kept_release(&kept);
	if (faults->count > count_before)
		return -EINVAL;
	tokens->revoked_count = (uint32_t)index;
	return 0;
}

/* An index; revoked_count: it is not there. */
static uint32_t find(const struct tokens *tokens, const char *jti)
{
	uint32_t i = 0;

	while (i < tokens->revoked_count && strcmp(tokens->revoked[i].jti, jti) != 0)
		i++;
	return i;
}

bool revoked_contain(const struct tokens *tokens, const char *jti)
{
	return find(tokens, jti) < tokens->revoked_count;
}

/* Nobody takes a token any more that expires then. */
static bool is_over(const struct tokens *tokens, uint64_t expires_s, uint64_t now_s)
{
	return now_s >= expires_s && now_s - expires_s >= tokens->skew_s;
}

static void forget(struct tokens *tokens, uint64_t now_s)
{
	uint32_t kept_count = 0;

	for (uint32_t i = 0; i < tokens->revoked_count; i++)
		if (!is_over(tokens, tokens->revoked[i].expires_s, now_s))
			tokens->revoked[kept_count++] = tokens->revoked[i];
	tokens->revoked_count = kept_count;
}

static int save(const struct tokens *tokens, uint32_t count, char *error, size_t error_bytes)
{
	json_t *records = json_array();
	struct faults faults;
	bool good = records != NULL;
	int r;

	faults_create(&faults, tokens->revoked_path, error, error_bytes);
	for (uint32_t i = 0; i < count && good; i++) {
		const struct revoked_token *token = &tokens->revoked[i];

		good = json_array_append_new(
		           records, json_pack("{s:s,s:I,s:I}", "jti", token->jti, "revoked",
		                              (json_int_t)token->revoked_s, "expires",
		                              (json_int_t)token->expires_s)) == 0;
	}
	if (good) {
		r = kept_write(tokens->revoked_path, LIST, records, &faults);
	} else {
		faults_add(&faults, 0, "", "not enough memory: try again");
		r = -ENOMEM;
	}
	json_decref(records);
	return r;
}

int tokens_revoke(struct tokens *tokens, const char *jti, uint64_t expires_s, uint64_t now_s,
                  char *error, size_t error_bytes)
{
	struct revoked_token *token;
	int r;

	if (!printable(jti, TOKENS_JTI_BYTES_MAX)) {
		snprintf(error, error_bytes,
		         "a jti is 1 to %d bytes of UTF-8 without control characters: give such a "
		         "one",
		         TOKENS_JTI_BYTES_MAX);
		return -EINVAL;
	}
	if (expires_s == 0) /* of one that the skew makes good already */
		expires_s =
		    min_u64(now_s + tokens->skew_s + tokens->lifetime_s_max, KEPT_TIME_S_MAX);
	if (is_over(tokens, expires_s, now_s) || expires_s > KEPT_TIME_S_MAX) {
		snprintf(error, error_bytes,
		         "a token that has expired, or expires after the year 9999, lets nobody "
		         "in: nothing is left to do");
		return -EINVAL;
	}
	forget(tokens, now_s);
	if (revoked_contain(tokens, jti)) {
		snprintf(error, error_bytes, "it is revoked: nothing is left to do");
		return -EALREADY;
	}
	if (tokens->revoked_count == TOKENS_REVOKED_COUNT_MAX) {
		snprintf(error, error_bytes,
		         "%d tokens are revoked: wait until some expire, or change the key",
		         TOKENS_REVOKED_COUNT_MAX);
		return -ENOSPC;
	}
	token = &tokens->revoked[tokens->revoked_count];
	strcpy(token->jti, jti);
	token->revoked_s = now_s;
	token->expires_s = expires_s;
	r = save(tokens, tokens->revoked_count + 1, error, error_bytes);
	if (r == 0)
		tokens->revoked_count++;
	return r;
}
