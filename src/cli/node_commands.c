/* SPDX-License-Identifier: Apache-2.0 */
/* What the node is, and who asks it. */
#include "cli/commands.h"

#include "cli/show.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* "93.1 %" */
static void add_hit_ratio(json_t *status)
{
	uint64_t gets = number_of(status, "gets"), hits = number_of(status, "hits");
	char text[32];

	if (gets == 0)
		return;
	snprintf(text, sizeof(text), "%.1f %%", 100.0 * (double)hits / (double)gets);
	json_object_set_new(status, "hit_ratio", json_string(text));
}

/* "xdp eth1: hot keys by xdp (native)" */
static void add_ports(json_t *status)
{
	const json_t *port;
	json_t *texts = json_array();
	size_t index;

	json_array_foreach(json_object_get(status, "ports"), index, port)
	{
		const char *kind, *name, *by, *note;

		if (json_unpack((json_t *)port, "{s:s, s:s, s:s, s:s}", "kind", &kind, "name",
		                &name, "hot_keys_by", &by, "hot_keys_note", &note) == 0)
			json_array_append_new(texts, json_sprintf("%s %s: hot keys by %s (%s)",
			                                          kind, name, by, note));
	}
	json_object_set_new(status, "ports", texts);
}

int status_command(const struct command_call *call)
{
	static const struct show_column lines[] = {
	    {"version", "version", SHOW_TEXT},
	    {"config", "config", SHOW_TEXT},
	    {"pid", "pid", SHOW_TEXT},
	    {"uptime", "uptime_s", SHOW_SECONDS},
	    {"workers", "workers", SHOW_COUNT},
	    {"memory", "memory_bytes", SHOW_SIZE},
	    {"items", "items", SHOW_COUNT},
	    {"connections", "connections", SHOW_COUNT},
	    {"requests", "requests", SHOW_COUNT},
	    {"gets", "gets", SHOW_COUNT},
	    {"hit ratio", "hit_ratio", SHOW_TEXT},
	    {"evictions", "evictions", SHOW_COUNT},
	    {"port", "ports", SHOW_EACH},
	    {"alarm", "alarms", SHOW_EACH},
	};
	struct client_request request = {.method = "GET", .path = "/v1/status"};
	struct client_reply reply;
	int r = client_ask_once(call, &request, &reply);

	if (r != 0)
		return r;
	if (show_wants_json(call)) {
		r = show_json(&reply);
	} else {
		add_hit_ratio(reply.json);
		add_ports(reply.json);
		r = show_object(reply.json, lines, COUNT(lines));
	}
	if (r == 0 && json_array_size(json_object_get(reply.json, "alarms")) > 0)
		r = COMMAND_NO;
	client_reply_release(&reply);
	return r;
}

int whoami_command(const struct command_call *call)
{
	static const struct show_column lines[] = {
	    {"name", "name", SHOW_TEXT},
	    {"role", "role", SHOW_TEXT},
	    {"credential", "credential", SHOW_TEXT},
	    {"id", "credential_id", SHOW_TEXT},
	    {"from", "from", SHOW_TEXT},
	};
	struct client_request request = {.method = "GET", .path = "/v1/whoami"};
	struct client_reply reply;
	int r = show_or_ask(call, &request, &reply);

	if (r >= 0)
		return r;
	r = show_object(reply.json, lines, COUNT(lines));
	client_reply_release(&reply);
	return r;
}
