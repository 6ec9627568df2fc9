/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: its lines, whether they are as they were written, a report for an auditor. */
#include "cli/commands.h"

#include "cli/human.h"
#include "cli/show.h"
#include "control/audit_verify.h"

#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Adds "from" or "to": a time, or how long ago. False: told. */
static bool add_time(const struct command_call *call, char path[CLIENT_PATH_BYTES],
                     const char *option)
{
	const char *text = command_value(call, option);
	uint64_t now_s = (uint64_t)time(NULL), time_us, ago_s;
	char written[HUMAN_BYTES];

	if (text == NULL)
		return true;
	if (human_parse_duration(&ago_s, text) && ago_s <= now_s) {
		time_us = (now_s - ago_s) * 1000000;
	} else if (!human_parse_time(&time_us, text)) {
		fprintf(stderr,
		        "kante %s: --%s %s: no time: write 2026-11-27, 2026-11-27T21:08:23Z, or "
		        "how long ago: 12h, 30d\n",
		        call->command->name, option, text);
		return false;
	}
	/* the node minds whole seconds; what is copied from the log has more */
	human_time(written, (time_us + (option[0] == 't' ? 999999 : 0)) / 1000000 * 1000000);
	client_path_query(path, option, written);
	return true;
}

int audit_log_command(const struct command_call *call)
{
	static const struct show_column columns[] = {
	    {"TIME", "time", SHOW_TEXT},     {"KIND", "kind", SHOW_TEXT},
	    {"ACTION", "action", SHOW_TEXT}, {"RESULT", "result", SHOW_TEXT},
	    {"WHO", "who", SHOW_LONG},       {"FROM", "from", SHOW_LONG},
	    {"TARGET", "target", SHOW_LONG}, {"REASON", "reason", SHOW_LONG},
	};
	struct client_request request = {.method = "GET"};
	char path[CLIENT_PATH_BYTES] = "/v1/audit";
	struct client_reply reply;
	json_int_t damaged;
	int r;

	if (!add_time(call, path, "from") || !add_time(call, path, "to"))
		return COMMAND_USAGE;
	client_path_query(path, "kind", command_value(call, "kind"));
	client_path_query(path, "who", command_value(call, "who"));
	client_path_query(path, "limit", command_value(call, "limit"));
	request.path = path;
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	r = show_list(json_object_get(reply.json, "lines"), columns, COUNT(columns),
	              "such lines in the audit log");
	damaged = json_integer_value(json_object_get(reply.json, "damaged"));
	if (r == 0 && damaged > 0) {
		fprintf(stderr,
		        "kante audit log: %lld lines are not as they were written, and left out: "
		        "see `kante audit verify`\n",
		        (long long)damaged);
		r = COMMAND_NO;
	}
	client_reply_release(&reply);
	return r;
}

static void add_fault(void *context, const char *fault)
{
	json_array_append_new(context, json_string(fault));
}

/* What a copy of a log is, with no node. NULL: no memory. */
static json_t *verify_directory(const char *directory)
{
	struct audit_verdict verdict = {0};
	json_t *faults = json_array();
	int r = audit_verify(directory, &verdict, add_fault, faults);

	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:s, s:I, s:o}", "verified", r == 0, "lines",
	                 (json_int_t)verdict.line_count, "files", (json_int_t)verdict.file_count,
	                 "first_seq", (json_int_t)verdict.first_seq, "last_seq",
	                 (json_int_t)verdict.last_seq, "hash", verdict.last_hash, "fault_count",
	                 (json_int_t)verdict.fault_count, "faults", faults);
}

static int show_verdict(const json_t *verdict)
{
	static const struct show_column lines[] = {
	    {"verified", "verified", SHOW_TEXT},   {"files", "files", SHOW_COUNT},
	    {"lines", "lines", SHOW_COUNT},        {"first line", "first_seq", SHOW_TEXT},
	    {"last line", "last_seq", SHOW_TEXT},  {"its hash", "hash", SHOW_TEXT},
	    {"faults", "fault_count", SHOW_COUNT}, {"fault", "faults", SHOW_EACH},
	};

	return show_object(verdict, lines, COUNT(lines));
}

int audit_verify_command(const struct command_call *call)
{
	struct client_request request = {
	    .method = "GET", .path = "/v1/audit/verify", .is_slow = true};
	struct client_reply reply = {0};
	int r;

	if (call->argument_count > 0) {
		reply.json = verify_directory(call->arguments[0]);
		reply.text = json_dumps(reply.json, JSON_COMPACT);
		if (reply.text == NULL) {
			fputs("kante audit verify: not enough memory\n", stderr);
			return COMMAND_USAGE;
		}
		reply.length = strlen(reply.text);
	} else {
		r = client_ask_once(call, &request, &reply);
		if (r != 0)
			return r;
	}
	r = show_wants_json(call) ? show_json(&reply) : show_verdict(reply.json);
	if (r == 0 && !json_is_true(json_object_get(reply.json, "verified")))
		r = COMMAND_NO;
	client_reply_release(&reply);
	return r;
}

int audit_report_command(const struct command_call *call)
{
	const char *format = command_value(call, "format");
	struct client_request request = {.method = "GET", .is_slow = true, .wants_text = true};
	char path[CLIENT_PATH_BYTES] = "/v1/audit/report";
	struct client_reply reply;
	int r;

	if (command_value(call, "standard") == NULL) {
		fputs("kante audit report: say by --standard which: sox, gdpr or pci-dss\n",
		      stderr);
		return COMMAND_USAGE;
	}
	if (format != NULL && show_wants_json(call)) {
		fputs("kante audit report: --json and --format: give one of them\n", stderr);
		return COMMAND_USAGE;
	}
	client_path_query(path, "standard", command_value(call, "standard"));
	if (!add_time(call, path, "from") || !add_time(call, path, "to"))
		return COMMAND_USAGE;
	client_path_query(path, "format",
	                  show_wants_json(call) ? "json"
	                  : format == NULL      ? "text"
	                                        : format);
	request.path = path;
	r = client_ask_once(call, &request, &reply);
	if (r != 0)
		return r;
	fwrite(reply.text, 1, reply.length, stdout);
	client_reply_release(&reply);
	return 0;
}
