/* SPDX-License-Identifier: Apache-2.0 */
/* One client watches, another does something. */
#include "rig.h"
#include "unit.h"

#include "worker/session_internal.h"

#include <stdio.h>

/* What the watcher was told since it was last asked; the caller frees it. */
static char *told(struct rig_client *watcher)
{
	char *text;

	rig_read(watcher, UINT64_MAX);
	text = strndup((const char *)watcher->replies.data, watcher->replies.length);
	watcher->replies.length = 0;
	return text;
}

static void expect_told(struct rig_client *watcher, const char *lines)
{
	char *text = told(watcher);

	if (strcmp(text, lines) != 0)
		printf("\n--- wanted\n%s--- told\n%s", lines, text);
	CU_ASSERT_STRING_EQUAL(text, lines);
	free(text);
}

static void say(struct rig_client *client, const char *text)
{
	rig_send(client, text, strlen(text));
}

static struct rig_client *watching(struct rig *rig, const char *command)
{
	struct rig_client *watcher = rig_connect(rig);

	say(watcher, command);
	expect_told(watcher, "OK\r\n");
	return watcher;
}

static void test_each_kind_of_event_is_told_in_memcacheds_words(void)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	struct rig_client *client = rig_connect(rig);
	struct rig_client *watcher = watching(rig, "watch fetchers mutations deletions\r\n");

	rig->time.fraction_us = 42;
	say(client, "set a 0 100 3\r\none\r\nget a b\r\n");
	expect_told(
	    watcher,
	    "ts=1790000001.000042 gid=1 type=item_store key=a status=stored cmd=set ttl=100 "
	    "clsid=1 cfd=7 size=3\n"
	    "ts=1790000001.000042 gid=2 type=item_get key=a status=found clsid=1 cfd=7 "
	    "size=3\n"
	    "ts=1790000001.000042 gid=3 type=item_get key=b status=not_found clsid=0 cfd=7 "
	    "size=0\n");
	say(client, "add a 0 0 3\r\ntwo\r\ncas a 0 0 1 99\r\nx\r\nappend \xff 0 0 1\r\nx\r\n");
	expect_told(
	    watcher,
	    "ts=1790000001.000042 gid=4 type=item_store key=a status=not_stored cmd=add ttl=0 "
	    "clsid=1 cfd=7 size=3\n"
	    "ts=1790000001.000042 gid=5 type=item_store key=a status=exists cmd=cas ttl=0 "
	    "clsid=1 cfd=7 size=1\n"
	    "ts=1790000001.000042 gid=6 type=item_store key=%FF status=not_stored cmd=append "
	    "ttl=0 clsid=1 cfd=7 size=1\n");
	say(client, "delete b\r\ndelete a\r\n");
	expect_told(watcher, "ts=1790000001.000042 gid=7 type=deleted key=a cmd=delete clsid=1 "
	                     "size=3\n");
	say(client, "set a 0 0 2000000\r\n");
	expect_told(watcher, "ts=1790000001.000042 gid=8 type=item_store key=a status=too_large "
	                     "cmd=set ttl=0 clsid=1 cfd=7 size=0\n");
	rig_disconnect(client);
	rig_disconnect(watcher);
	rig_destroy(rig);
}

static void test_only_the_kinds_asked_for_are_told(void)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	struct rig_client *client = rig_connect(rig);
	struct rig_client *fetchers = watching(rig, "watch\r\n");
	struct rig_client *deletions = watching(rig, "watch deletions\r\n");

	say(client, "set a 0 0 1\r\nx\r\nget a\r\ndelete a\r\n");
	expect_told(fetchers, "ts=1790000001.000000 gid=1 type=item_get key=a status=found "
	                      "clsid=1 cfd=7 size=1\n");
	expect_told(deletions, "ts=1790000001.000000 gid=2 type=deleted key=a cmd=delete "
	                       "clsid=1 size=1\n");
	rig_disconnect(fetchers);
	say(client, "get a\r\n");
	expect_told(deletions, "");
	rig_disconnect(deletions);
	/* nobody is told any more */
	CU_ASSERT_EQUAL(rig->sessions.watched_kinds, 0);
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_clients_that_come_and_go_are_told_of(void)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	struct rig_client *watcher = watching(rig, "watch connevents\r\n");
	struct rig_client *client = rig_connect(rig);

	rig_disconnect(client);
	client = rig_connect(rig);
	session_close_idle(&client->session);
	rig_disconnect(client);
	expect_told(watcher, "ts=1790000001.000000 gid=1 type=conn_new rip=127.0.0.2 rport=1234 "
	                     "transport=tcp cfd=7\n"
	                     "ts=1790000001.000000 gid=2 type=conn_close rip=127.0.0.2 rport=1234 "
	                     "transport=tcp reason=normal cfd=7\n"
	                     "ts=1790000001.000000 gid=3 type=conn_new rip=127.0.0.2 rport=1234 "
	                     "transport=tcp cfd=7\n"
	                     "ts=1790000001.000000 gid=4 type=conn_close rip=127.0.0.2 rport=1234 "
	                     "transport=tcp reason=idle_timeout cfd=7\n");
	rig_disconnect(watcher);
	rig_destroy(rig);
}

static void test_items_that_have_to_go_are_told_of(void)
{
	struct rig *rig = rig_create(&(struct rig_options){.memory_bytes = 1});
	struct rig_client *client = rig_connect(rig);
	struct rig_client *watcher = watching(rig, "watch evictions\r\n");
	uint64_t evictions;
	char *text, *line;
	uint64_t count = 0;

	for (int i = 0; i < 200; i++) {
		char head[64];
		uint8_t value[100002] = {0};

		snprintf(head, sizeof(head), "set key%d 0 1000 100000 noreply\r\n", i);
		say(client, head);
		memcpy(value + 100000, "\r\n", 2);
		rig_send(client, value, sizeof(value));
	}
	evictions = counter_read(&shard_store_counters(rig->shard)->evictions);
	CU_ASSERT_TRUE(evictions > 0);
	text = told(watcher);
	for (line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		int key, end = 0;

		CU_ASSERT_EQUAL(sscanf(line,
		                       "ts=1790000001.000000 gid=%*d type=eviction key=key%d "
		                       "fetch=no ttl=1000 la=0 clsid=1 size=100000%n",
		                       &key, &end),
		                1);
		CU_ASSERT_EQUAL((size_t)end, strlen(line));
		count++;
	}
	CU_ASSERT_EQUAL(count, evictions);
	free(text);
	rig_disconnect(client);
	rig_disconnect(watcher);
	rig_destroy(rig);
}

static void test_who_does_not_read_misses_lines_and_is_told_how_many(void)
{
	struct rig *rig = rig_create(&(struct rig_options){.output_bytes_max = 200});
	struct rig_client *client = rig_connect(rig);
	struct rig_client *watcher = watching(rig, "watch fetchers\r\n");
	char *text;

	watcher->reads_not = true;
	say(client, "get a b c d e f g h\r\n");
	text = told(watcher);
	/* two lines were under the limit before they were added, the third went over it */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "key=c"));
	CU_ASSERT_PTR_NULL(strstr(text, "key=d"));
	free(text);
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.log_watcher_skipped), 5);
	say(client, "get z\r\n");
	expect_told(watcher, "skipped=5\nts=1790000001.000000 gid=9 type=item_get key=z "
	                     "status=not_found clsid=0 cfd=7 size=0\n");
	rig_disconnect(client);
	rig_disconnect(watcher);
	rig_destroy(rig);
}

static void test_the_21st_watcher_is_refused_and_served_on(void)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	struct rig_client *watchers[SESSION_WATCHER_COUNT_MAX];
	struct rig_client *client = rig_connect(rig);

	for (uint32_t i = 0; i < SESSION_WATCHER_COUNT_MAX; i++)
		watchers[i] = watching(rig, "watch connevents\r\n");
	say(client, "watch\r\nversion\r\n");
	expect_told(client, "WATCHER_TOO_MANY log watcher limit reached\r\nVERSION 1.6.45\r\n");
	for (uint32_t i = 0; i < SESSION_WATCHER_COUNT_MAX; i++)
		rig_disconnect(watchers[i]);
	rig_disconnect(watching(rig, "watch\r\n"));
	rig_disconnect(client);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"each kind of event is told in memcached's words",
     test_each_kind_of_event_is_told_in_memcacheds_words},
    {"only the kinds asked for are told", test_only_the_kinds_asked_for_are_told},
    {"clients that come and go are told of", test_clients_that_come_and_go_are_told_of},
    {"items that have to go are told of", test_items_that_have_to_go_are_told_of},
    {"who does not read misses lines and is told how many",
     test_who_does_not_read_misses_lines_and_is_told_how_many},
    {"the 21st watcher is refused and served on", test_the_21st_watcher_is_refused_and_served_on},
};

int main(void)
{
	return UNIT_RUN("watch", cases);
}
