/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch_line.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEAD "ts=1764291600.012345 gid=7 type="

static void print_is(const char *line, const char *want)
{
	char *printed = NULL;
	size_t length;
	FILE *to = open_memstream(&printed, &length);

	watch_line_print(line, to);
	fclose(to);
	if (strcmp(printed, want) != 0)
		printf("\nwant:\n%sgot:\n%s", want, printed);
	CU_ASSERT_STRING_EQUAL(printed, want);
	free(printed);
}

static void json_is(const char *line, const char *want)
{
	json_t *object = watch_line_json(line);
	char *text = json_dumps(object, JSON_COMPACT);

	CU_ASSERT_STRING_EQUAL(text, want);
	free(text);
	json_decref(object);
}

static void test_what_clients_ask_for_is_a_line_of_columns(void)
{
	print_is(HEAD "item_get key=s%3Aa status=found clsid=1 cfd=9 size=2048",
	         "01:00:00.012  get       found            2 KiB  s:a\n");
	print_is(HEAD "item_get key=a status=not_found clsid=0 cfd=9 size=0",
	         "01:00:00.012  get       not found            -  a\n");
	print_is(HEAD "item_store key=a status=stored cmd=add ttl=0 clsid=1 cfd=9 size=0",
	         "01:00:00.012  add       stored             0 B  a\n");
	print_is(HEAD "deleted key=a cmd=delete clsid=1 size=5",
	         "01:00:00.012  delete                       5 B  a\n");
	print_is(HEAD "eviction key=a fetch=no ttl=-1 la=4 clsid=1 size=5",
	         "01:00:00.012  evicted   never read         5 B  a\n");
}

static void test_connections_are_told_by_their_address(void)
{
	print_is(HEAD "conn_new rip=10.0.0.1 rport=4242 transport=tcp cfd=9",
	         "01:00:00.012  connect                        -  10.0.0.1:4242\n");
	print_is(HEAD "conn_close rip=fe80::1 rport=1 transport=tcp reason=idle_timeout cfd=9",
	         "01:00:00.012  close     idle timeout         -  [fe80::1]:1\n");
	print_is(HEAD "conn_new rip=unix rport=0 transport=local cfd=9",
	         "01:00:00.012  connect                        -  unix\n");
}

static void test_nothing_of_a_line_reaches_the_terminal_as_it_is(void)
{
	print_is(HEAD "item_get key=%1B[2J%00%FF status=a\033b clsid=1 size=1",
	         "01:00:00.012  get       a\\x1bb             1 B  \\x1b[2J\\x00\\xff\n");
	print_is("", "00:00:00.000                                 -  \n");
	print_is("= type key", "00:00:00.000                                 -  \n");
	print_is(HEAD "news_of_tomorrow about=1",
	         "01:00:00.012  news_of_tomorrow                       -  \n");
}

static void test_an_object_has_all_that_the_line_has(void)
{
	json_is(HEAD "item_get key=s%3Aa status=found clsid=1 size=18446744073709551615",
	        "{\"time\":\"2025-11-28T01:00:00.012345Z\",\"gid\":7,\"type\":\"item_get\",\"key\":"
	        "\"s:a\",\"status\":\"found\",\"clsid\":1,\"size\":\"18446744073709551615\"}");
	json_is(HEAD "eviction key=%FF ttl=-1 rip=10.0.0.1",
	        "{\"time\":\"2025-11-28T01:00:00.012345Z\",\"gid\":7,\"type\":\"eviction\","
	        "\"key_escaped\":\"%FF\",\"ttl\":-1,\"rip\":\"10.0.0.1\"}");
}

static void test_lines_that_were_left_out_are_counted(void)
{
	CU_ASSERT_EQUAL(watch_line_skipped("skipped=7"), 7);
	CU_ASSERT_EQUAL(watch_line_skipped(HEAD "item_get key=skipped=7"), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"what clients ask for is a line of columns",
	     test_what_clients_ask_for_is_a_line_of_columns},
	    {"connections are told by their address", test_connections_are_told_by_their_address},
	    {"nothing of a line reaches the terminal as it is",
	     test_nothing_of_a_line_reaches_the_terminal_as_it_is},
	    {"an object has all that the line has", test_an_object_has_all_that_the_line_has},
	    {"lines that were left out are counted", test_lines_that_were_left_out_are_counted},
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return UNIT_RUN("watch_line", cases);
}
