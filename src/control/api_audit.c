/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: what is in it, whether it is as it was written, and reports. A long log takes
 * seconds, so all of it is read by children (chore.h). Who looked at it is written there, too. */
#include "control/api.h"

#include "config/faults.h"
#include "control/audit_lines.h"
#include "control/audit_newest.h"
#include "control/audit_report.h"
#include "control/audit_verify.h"
#include "control/chore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000
#define FAULTS_MAX    100
#define ERROR_BYTES   1024
#define DAY_LENGTH    10 /* "2026-11-27" */
#define SECOND_LENGTH 19 /* "2026-11-27T21:08:23" */
#define DIGITS        6  /* of a second's parts */

/* Owner: the exchange. */
struct reading {
	struct exchange *exchange;
	struct chore *chore;
	char directory[ADMIN_PATH_BYTES + 32];
	const char *action;
	const char *target; /* or NULL */
	const char *content_type;
	uint64_t from_us;
	uint64_t to_us;
	enum audit_kind kind;
	const char *who;
	uint32_t limit;
	enum audit_standard standard;
	enum {
		REPORT_JSON,
		REPORT_TEXT,
		REPORT_HTML
	} format;
};

static void forget(void *data)
{
	struct reading *reading = data;

	if (reading == NULL)
		return;
	chore_cancel(reading->chore);
	free(reading);
}

/* What was asked for. */

/* False: it was refused, and is gone. `names` end in NULL. */
static bool check_names(struct exchange *exchange, const char *const *names)
{
	struct evkeyval *pair;
	char quoted[FAULTS_QUOTE_BYTES];

	TAILQ_FOREACH(pair, &exchange->query, next)
	{
		const char *const *name = names;

		while (*name != NULL && strcmp(*name, pair->key) != 0)
			name++;
		if (*name == NULL) {
			faults_quote(quoted, pair->key);
			exchange_refuse(exchange, 400, "%s is not known here: see /v1/openapi.yaml",
			                quoted);
			return false;
		}
	}
	return true;
}

/* A day, a second or parts of one, in UTC. */
static bool time_parse(uint64_t *ret_time_us, const char *text)
{
	char whole[] = "dddd-dd-ddT00:00:00.000000Z";
	size_t length = strlen(text);
	const char *dot = text + SECOND_LENGTH;

	if (length == DAY_LENGTH) {
		memcpy(whole, text, DAY_LENGTH);
	} else if (length > SECOND_LENGTH && text[length - 1] == 'Z') {
		memcpy(whole, text, SECOND_LENGTH);
		length -= SECOND_LENGTH + 1; /* of a dot and digits */
		if (length > DIGITS + 1 || length == 1 || (length > 0 && *dot != '.'))
			return false;
		memcpy(whole + SECOND_LENGTH, dot, length);
	} else {
		return false;
	}
	return audit_time_parse(ret_time_us, whole);
}

/* False: it was refused, and is gone. Without it, *time_us is as it was. */
static bool read_time(struct exchange *exchange, const char *name, uint64_t *time_us)
{
	const char *text = exchange_query(exchange, name);
	char quoted[FAULTS_QUOTE_BYTES];

	if (text == NULL || time_parse(time_us, text))
		return true;
	faults_quote(quoted, text);
	exchange_refuse(exchange, 400,
	                "%s=%s is not a time: give UTC, such as 2026-11-27 or "
	                "2026-11-27T21:08:23Z",
	                name, quoted);
	return false;
}

/* From and to. NULL: it was refused, and is gone. */
static struct reading *reading_create(struct exchange *exchange, const char *const *names)
{
	struct reading *reading;

	if (!check_names(exchange, names))
		return NULL;
	reading = calloc(1, sizeof(*reading));
	if (reading == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return NULL;
	}
	reading->exchange = exchange;
	reading->content_type = "application/json";
	reading->to_us = UINT64_MAX;
	exchange->data = reading;
	exchange->forget = forget;
	snprintf(reading->directory, sizeof(reading->directory), "%s/audit",
	         exchange->control->config->admin.directory);
	if (!read_time(exchange, "from", &reading->from_us) ||
	    !read_time(exchange, "to", &reading->to_us))
		return NULL;
	return reading;
}

/* Having it read. */

static void ended(void *context, bool is_good, struct evbuffer *text)
{
	struct reading *reading = context;
	struct exchange *exchange = reading->exchange;
	struct audit_event event = {.kind = AUDIT_read,
	                            .result = is_good ? AUDIT_OK : AUDIT_FAILED,
	                            .action = reading->action,
	                            .target = reading->target,
	                            .who = &exchange->who};

	reading->chore = NULL;
	audit_append(exchange->control->audit, &event, control_now_us());
	if (is_good)
		exchange_reply_text(exchange, HTTP_OK, reading->content_type, text);
	else if (evbuffer_get_length(text) > 0)
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "%.*s", (int)evbuffer_get_length(text),
		                (const char *)evbuffer_pullup(text, -1));
	else
		exchange_refuse(exchange, HTTP_SERVUNAVAIL,
		                "the process that reads the audit log has ended too soon: see "
		                "whether there is memory left, or ask for a shorter time");
}

static void begin(struct reading *reading, const char *action, chore_work_fn *work)
{
	struct exchange *exchange = reading->exchange;
	struct control *control = exchange->control;
	int r;

	reading->action = action;
	r = chore_begin(&reading->chore, control->base, &control->chore_count, work, reading, ended,
	                reading);
	if (r < 0)
		exchange_refuse(exchange, HTTP_SERVUNAVAIL,
		                r == -EBUSY
		                    ? "others are having the audit log read: try again in a moment"
		                    : "a process to read it cannot be begun: try again");
}

/* In the child. `json` is taken. */
static bool write_json(FILE *to, json_t *json)
{
	bool is_good = json != NULL && json_dumpf(json, to, JSON_COMPACT) == 0;

	json_decref(json);
	if (!is_good)
		fputs("no memory is left: ask for less", to);
	else
		fputc('\n', to);
	return is_good;
}

/* Lines. */

static bool write_lines(FILE *to, void *context)
{
	const struct reading *reading = context;
	const struct audit_newest_options options = {
	    .directory = reading->directory,
	    .from_us = reading->from_us,
	    .to_us = reading->to_us,
	    .kind = reading->kind,
	    .who = reading->who,
	    .limit = reading->limit,
	};
	struct audit_newest newest;
	char error[ERROR_BYTES];

	if (audit_newest(&newest, &options, error, sizeof(error)) < 0) {
		fputs(error, to);
		return false;
	}
	return write_json(to, json_pack("{s:o, s:I}", "lines", newest.lines, "damaged",
	                                (json_int_t)newest.damaged_count));
}

/* False: it was refused, and is gone. */
static bool read_kind(struct exchange *exchange, enum audit_kind *ret_kind)
{
	const char *name = exchange_query(exchange, "kind");
	char known[256] = "";
	size_t used = 0;
	int kind = 0;

	while (name != NULL && kind < AUDIT_KIND_COUNT &&
	       strcmp(audit_kind_name((enum audit_kind)kind), name) != 0)
		kind++;
	*ret_kind = name == NULL ? AUDIT_KIND_COUNT : (enum audit_kind)kind;
	if (name == NULL || kind < AUDIT_KIND_COUNT)
		return true;
	for (kind = 0; kind < AUDIT_KIND_COUNT; kind++)
		used +=
		    (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		                     used == 0 ? "" : ", ", audit_kind_name((enum audit_kind)kind));
	exchange_refuse(exchange, 400, "no such kind: there are %s", known);
	return false;
}

/* False: it was refused, and is gone. */
static bool read_limit(struct exchange *exchange, uint32_t *ret_limit)
{
	const char *text = exchange_query(exchange, "limit");
	unsigned long limit = LIMIT_DEFAULT;

	if (text != NULL)
		limit = strspn(text, "0123456789") == strlen(text) ? strtoul(text, NULL, 10) : 0;
	*ret_limit = (uint32_t)limit;
	if (limit > 0 && limit <= LIMIT_MAX)
		return true;
	exchange_refuse(exchange, 400, "limit is out of range: give a number from 1 to %d",
	                LIMIT_MAX);
	return false;
}

void api_audit_lines(struct exchange *exchange)
{
	static const char *const names[] = {"from", "to", "kind", "who", "limit", NULL};
	struct reading *reading = reading_create(exchange, names);

	if (reading == NULL || !read_kind(exchange, &reading->kind) ||
	    !read_limit(exchange, &reading->limit))
		return;
	reading->who = exchange_query(exchange, "who");
	begin(reading, "audit.read", write_lines);
}

/* Verifying. */

static void add_fault(void *context, const char *fault)
{
	json_t *faults = context;

	if (json_array_size(faults) < FAULTS_MAX)
		json_array_append_new(faults, json_string(fault));
}

/* A log that cannot be read is not verified, and a fault says why. */
static bool write_verdict(FILE *to, void *context)
{
	const struct reading *reading = context;
	json_t *faults = json_array();
	struct audit_verdict verdict;
	int r = audit_verify(reading->directory, &verdict, add_fault, faults);

	return write_json(
	    to, json_pack("{s:b, s:I, s:I, s:I, s:I, s:s, s:I, s:o}", "verified", r == 0, "lines",
	                  (json_int_t)verdict.line_count, "files", (json_int_t)verdict.file_count,
	                  "first_seq", (json_int_t)verdict.first_seq, "last_seq",
	                  (json_int_t)verdict.last_seq, "hash", verdict.last_hash, "fault_count",
	                  (json_int_t)verdict.fault_count, "faults", faults));
}

void api_audit_verify(struct exchange *exchange)
{
	static const char *const names[] = {NULL};
	struct reading *reading = reading_create(exchange, names);

	if (reading != NULL)
		begin(reading, "audit.verify", write_verdict);
}

/* Reports. */

static bool write_report(FILE *to, void *context)
{
	const struct reading *reading = context;
	char node[256] = "kante", error[ERROR_BYTES];
	json_t *report = NULL;
	char *page;

	gethostname(node, sizeof(node) - 1);
	if (audit_report_make(&report, reading->directory, node, reading->standard,
	                      reading->from_us, reading->to_us, control_now_us(), error,
	                      sizeof(error)) < 0) {
		fputs(error, to);
		return false;
	}
	if (reading->format == REPORT_JSON)
		return write_json(to, report);
	page =
	    reading->format == REPORT_TEXT ? audit_report_text(report) : audit_report_html(report);
	fputs(page == NULL ? "no memory is left: ask for a shorter time" : page, to);
	return page != NULL;
}

/* False: it was refused, and is gone. */
static bool read_format(struct exchange *exchange, struct reading *reading)
{
	static const struct {
		const char *name;
		const char *content_type;
	} formats[] = {
	    [REPORT_JSON] = {"json", "application/json"},
	    [REPORT_TEXT] = {"text", "text/plain; charset=utf-8"},
	    [REPORT_HTML] = {"html", "text/html; charset=utf-8"},
	};
	const char *name = exchange_query(exchange, "format");
	uint32_t format = 0;

	while (name != NULL && format <= REPORT_HTML && strcmp(formats[format].name, name) != 0)
		format++;
	if (format > REPORT_HTML) {
		exchange_refuse(exchange, 400, "no such format: there are json, text and html");
		return false;
	}
	reading->format = format;
	reading->content_type = formats[format].content_type;
	return true;
}

void api_audit_report(struct exchange *exchange)
{
	static const char *const names[] = {"standard", "from", "to", "format", NULL};
	struct reading *reading = reading_create(exchange, names);
	const char *standard;

	if (reading == NULL || !read_format(exchange, reading))
		return;
	standard = exchange_query(exchange, "standard");
	if (standard == NULL || !audit_standard_parse(&reading->standard, standard)) {
		exchange_refuse(exchange, 400,
		                "which standard? There are sox, gdpr and pci-dss: "
		                "?standard=sox");
		return;
	}
	reading->target = standard;
	if (reading->to_us == UINT64_MAX)
		reading->to_us = control_now_us();
	if (reading->from_us >= reading->to_us) {
		exchange_refuse(exchange, 400, "`from` is not before `to`: change one of them");
		return;
	}
	begin(reading, "audit.report", write_report);
}
