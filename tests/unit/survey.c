/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/survey.h"
#include "rig.h"
#include "unit.h"

/* What a line says, "size:128", as text; NULL: there is none. Ends at the line's end. */
static const char *told(const struct rig_client *client, const char *name)
{
	static char value[128];
	char line[64];
	const char *found;
	size_t length;

	snprintf(line, sizeof(line), "STAT %s ", name);
	found = memmem(client->replies.data, client->replies.length, line, strlen(line));
	if (found == NULL)
		return NULL;
	found += strlen(line);
	length = strcspn(found, "\r");
	memcpy(value, found, length);
	value[length] = '\0';
	return value;
}

#define CHECK_TOLD(client, name, wanted)                                                           \
	do {                                                                                       \
		const char *value = told(client, name);                                            \
		CU_ASSERT_PTR_NOT_NULL(value);                                                     \
		if (value != NULL)                                                                 \
			CU_ASSERT_STRING_EQUAL(value, wanted);                                     \
	} while (0)

static void set(struct rig_client *client, const char *key, uint32_t ttl_s, uint32_t bytes)
{
	struct bytes request = {0};
	char line[300];

	bytes_append(&request, line,
	             (size_t)sprintf(line, "set %s 0 %u %u\r\n", key, ttl_s, bytes));
	for (uint32_t i = 0; i < bytes; i++)
		bytes_append(&request, "v", 1);
	bytes_append(&request, "\r\n", 2);
	rig_send(client, request.data, request.length);
	free(request.data);
}

static void survey(struct rig_client *client)
{
	client->replies.length = 0;
	rig_send(client, "lru_crawler survey all\r\n", 24);
	CU_ASSERT_EQUAL(memcmp(client->replies.data + client->replies.length - 5, "END\r\n", 5), 0);
	bytes_append(&client->replies, "", 1);
}

static void test_nothing_is_like_nothing(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);

	survey(client);
	CHECK_TOLD(client, "items", "0");
	CHECK_TOLD(client, "size:64", "0");
	CU_ASSERT_PTR_NULL(strstr((char *)client->replies.data, "STAT big:"));
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_items_are_counted_by_size_ttl_and_idleness(void)
{
	struct rig_options options = {.shard_count = 3, .seed = 5};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	char key[32];

	for (uint32_t i = 0; i < 300; i++) {
		sprintf(key, "key%u", i);
		set(client, key, i % 3 == 0 ? 0 : 3000, i % 10 == 0 ? 10000 : 200);
	}
	rig_advance_s(rig, 100);
	rig_send(client, "get key1 key2\r\n", 15);
	survey(client);
	CHECK_TOLD(client, "items", "300");
	CHECK_TOLD(client, "fetched", "2");
	CHECK_TOLD(client, "never_expire", "100");
	CHECK_TOLD(client, "ttl:4096", "200");
	CHECK_TOLD(client, "ttl:2048", "0");
	CHECK_TOLD(client, "size:256", "270");
	CHECK_TOLD(client, "size:16384", "30");
	CHECK_TOLD(client, "idle:128", "298");
	CHECK_TOLD(client, "idle:1", "2");
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_the_largest_are_named(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	uint64_t last = UINT64_MAX;
	uint32_t count = 0;
	char key[32];

	/* in an order that is neither up nor down */
	for (uint32_t i = 0; i < 500; i++) {
		sprintf(key, "key%u", i * 77 % 500);
		set(client, key, 60, 100 + i * 77 % 500 * 16);
	}
	set(client, "a%b", 60, 20000);
	survey(client);
	for (const char *line = strstr((char *)client->replies.data, "STAT big:"); line != NULL;
	     line = strstr(line + 1, "STAT big:")) {
		uint64_t bytes = strtoull(strchr(line + 9, ' '), NULL, 10);

		CU_ASSERT_TRUE(bytes <= last);
		last = bytes;
		if (count > 0)
			CU_ASSERT_EQUAL(strtoul(line + strlen("STAT big:key"), NULL, 10),
			                500 - count);
		count++;
	}
	CU_ASSERT_EQUAL(count, SURVEY_BIG_COUNT);
	CU_ASSERT_PTR_NOT_NULL(told(client, "big:a%25b"));
	CU_ASSERT_PTR_NOT_NULL(strstr(told(client, "big:a%25b"), " 60 "));
	rig_disconnect(client);
	rig_destroy(rig);
}

/* Its turns are short: others are served in between, and a second one is refused. */
static void test_one_at_a_time_and_others_in_between(void)
{
	struct rig_options options = {.session_count_max = 3};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig), *other = rig_connect(rig);
	static const char request[] = "lru_crawler survey all\r\n";
	char key[32];

	for (uint32_t i = 0; i < 2000; i++) {
		sprintf(key, "key%u", i);
		set(client, key, 0, 10);
	}
	client->replies.length = 0;
	session_received(&client->session, (const uint8_t *)request, 24, &rig->time);
	CU_ASSERT_EQUAL(rig->sessions.turn_wait_count, 1);
	session_received(&other->session, (const uint8_t *)request, 24, &rig->time);
	session_received(&other->session, (const uint8_t *)"get key7\r\n", 10, &rig->time);
	rig_read(other, UINT64_MAX);
	bytes_append(&other->replies, "", 1);
	CU_ASSERT_PTR_NOT_NULL(strstr((char *)other->replies.data,
	                              "BUSY currently processing crawler request\r\n"
	                              "VALUE key7 0 10\r\nvvvvvvvvvv\r\nEND\r\n"));
	while (rig->sessions.turn_wait_count > 0) {
		rig_turn(rig);
		rig_read(client, UINT64_MAX);
	}
	bytes_append(&client->replies, "", 1);
	CHECK_TOLD(client, "items", "2000");
	survey(other);
	CHECK_TOLD(other, "items", "2000");
	rig_disconnect(other);
	rig_disconnect(client);
	rig_destroy(rig);
}

/* Who goes in the middle leaves the place to others. */
static void test_who_goes_leaves_nothing(void)
{
	struct rig_options options = {.session_count_max = 3};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig), *other = rig_connect(rig);
	static const char request[] = "lru_crawler survey all\r\n";
	char key[32];

	for (uint32_t i = 0; i < 2000; i++) {
		sprintf(key, "key%u", i);
		set(client, key, 0, 10);
	}
	session_received(&client->session, (const uint8_t *)request, 24, &rig->time);
	rig_disconnect(client);
	survey(other);
	CHECK_TOLD(other, "items", "2000");
	rig_disconnect(other);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"nothing is like nothing", test_nothing_is_like_nothing},
    {"items are counted by size, TTL and idleness",
     test_items_are_counted_by_size_ttl_and_idleness},
    {"the largest are named", test_the_largest_are_named},
    {"one at a time, and others in between", test_one_at_a_time_and_others_in_between},
    {"who goes leaves nothing", test_who_goes_leaves_nothing},
};

int main(void)
{
	return UNIT_RUN("survey", cases);
}
