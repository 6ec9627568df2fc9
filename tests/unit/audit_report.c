/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_report.h"

#include "audit_rig.h"
#include "faults.h"

#define DAY_US (86400 * (uint64_t)SECOND_US)

static void *faulty_malloc(size_t bytes)
{
	return fault_hits("malloc") ? NULL : malloc(bytes);
}

FAULTY(FILE *, NULL, open_memstream, (char **bytes, size_t *length), (bytes, length))

int fclose(FILE *stream)
{
	int (*next)(FILE *);
	int r;

	*(void **)&next = dlsym(RTLD_NEXT, "fclose");
	r = next(stream);
	return fault_hits("fclose") ? EOF : r;
}

static json_t *report_of_span(const struct rig *rig, enum audit_standard standard, uint64_t from_us,
                              uint64_t to_us)
{
	char error[ERROR_BYTES];
	json_t *report = NULL;
	int r = audit_report_make(&report, rig->folder, "cache-1", standard, from_us, to_us,
	                          rig->now_us, error, sizeof(error));

	if (r != 0)
		printf("\n%s\n", error);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_STRING_EQUAL(error, "");
	return report;
}

static json_t *report_of(const struct rig *rig, enum audit_standard standard)
{
	return report_of_span(rig, standard, 0, UINT64_MAX);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static const json_t *section_of(const json_t *report, const char *title)
{
	const json_t *sections = json_object_get(report, "sections");

	for (size_t i = 0; i < json_array_size(sections); i++)
		if (strcmp(text_of(json_array_get(sections, i), "title"), title) == 0)
			return json_array_get(sections, i);
	printf("\nno section %s\n", title);
	CU_FAIL_FATAL("no such section");
	return NULL;
}

/* The section has these lines, and a row for each. */
static void has_lines(const json_t *report, const char *title, size_t count, ...)
{
	const json_t *section = section_of(report, title), *rows = json_object_get(section, "rows");
	va_list seqs;

	if (json_array_size(rows) != count)
		printf("\n%s: %zu rows, not %zu\n", title, json_array_size(rows), count);
	CU_ASSERT_EQUAL_FATAL(json_array_size(rows), count);
	CU_ASSERT_EQUAL(number_of(section, "lines"), count);
	va_start(seqs, count);
	for (size_t i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(number_at(rows, i, "seq"), va_arg(seqs, unsigned));
		CU_ASSERT_STRING_EQUAL(text_at(rows, i, "hash"), "");
		CU_ASSERT_STRING_EQUAL(text_at(rows, i, "prev"), "");
	}
	va_end(seqs);
}

static void add(struct rig *rig, enum audit_kind kind, enum audit_result result, enum role role,
                const char *action, const char *target, const char *before, const char *after)
{
	struct identity who = somebody("CN=ops", "192.0.2.1:4711");
	struct audit_event event = {
	    .kind = kind, .result = result, .action = action, .who = &who, .target = target};

	who.role = role;
	event.before = before == NULL ? NULL : json_string(before);
	event.after = after == NULL ? NULL : json_string(after);
	rig->now_us += SECOND_US;
	CU_ASSERT_EQUAL(audit_append(rig->audit, &event, rig->now_us), 0);
	json_decref((json_t *)(uintptr_t)event.before);
	json_decref((json_t *)(uintptr_t)event.after);
}

/* One of each; line 1 is the log's start. */
static void rig_open_with_one_of_each(struct rig *rig)
{
	rig_open(rig);
	/* 2 to 6 */
	add(rig, AUDIT_login, AUDIT_OK, ROLE_admin, "login", NULL, NULL, NULL);
	add(rig, AUDIT_login, AUDIT_REFUSED, ROLE_none, "login", NULL, NULL, NULL);
	add(rig, AUDIT_refusal, AUDIT_REFUSED, ROLE_viewer, "purge", "user:", NULL, NULL);
	add(rig, AUDIT_read, AUDIT_OK, ROLE_viewer, "watch", "user:", NULL, NULL);
	add(rig, AUDIT_read, AUDIT_OK, ROLE_admin, "audit.list", NULL, NULL, NULL);
	/* 7 to 13 */
	add(rig, AUDIT_change, AUDIT_OK, ROLE_operator, "config.set", "eviction", "lru", "s3fifo");
	add(rig, AUDIT_change, AUDIT_FAILED, ROLE_operator, "block.add", "x:", NULL, "deny");
	add(rig, AUDIT_change, AUDIT_OK, ROLE_operator, "class.add", "users", NULL, "10%");
	add(rig, AUDIT_change, AUDIT_OK, ROLE_operator, "class.delete", "users", "10%", NULL);
	add(rig, AUDIT_erasure, AUDIT_OK, ROLE_operator, "purge", "user:17:", NULL, NULL);
	add(rig, AUDIT_access, AUDIT_OK, ROLE_admin, "user.add", "alice", NULL, "viewer");
	add(rig, AUDIT_credential, AUDIT_OK, ROLE_admin, "key.create", "ci", NULL, "operator");
}

static void standards_are_known_by_their_names(void)
{
	enum audit_standard standard = AUDIT_GDPR;

	CU_ASSERT_TRUE(audit_standard_parse(&standard, "sox"));
	CU_ASSERT_EQUAL(standard, AUDIT_SOX);
	CU_ASSERT_TRUE(audit_standard_parse(&standard, "gdpr"));
	CU_ASSERT_EQUAL(standard, AUDIT_GDPR);
	CU_ASSERT_TRUE(audit_standard_parse(&standard, "pci-dss"));
	CU_ASSERT_EQUAL(standard, AUDIT_PCI_DSS);
	CU_ASSERT_FALSE(audit_standard_parse(&standard, "SOX"));
	CU_ASSERT_FALSE(audit_standard_parse(&standard, ""));
	CU_ASSERT_EQUAL(standard, AUDIT_PCI_DSS);
}

static void a_sox_report_has_changes_access_and_refusals(void)
{
	struct rig rig;
	json_t *report;
	const json_t *row;

	rig_open_with_one_of_each(&rig);
	report = report_of(&rig, AUDIT_SOX);
	CU_ASSERT_STRING_EQUAL(text_of(report, "standard"), "sox");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "sections")), 5);
	has_lines(report, "Changes of what runs", 4, 7, 8, 9, 10);
	has_lines(report, "Access granted and taken away", 2, 12, 13);
	has_lines(report, "Refusals", 1, 4);
	has_lines(report, "Logins that failed", 1, 3);
	has_lines(report, "The log itself", 1, 1);
	row =
	    json_array_get(json_object_get(section_of(report, "Changes of what runs"), "rows"), 0);
	CU_ASSERT_STRING_EQUAL(text_of(row, "who"), "CN=ops");
	CU_ASSERT_STRING_EQUAL(text_of(row, "time"), "2026-11-28T00:00:06.000000Z");
	CU_ASSERT_STRING_EQUAL(text_of(row, "before"), "lru");
	CU_ASSERT_STRING_EQUAL(text_of(row, "after"), "s3fifo");
	json_decref(report);
	rig_close(&rig);
}

static void a_gdpr_report_has_reads_erasures_and_who_may_have_access(void)
{
	struct rig rig;
	json_t *report;
	const json_t *rows;

	rig_open_with_one_of_each(&rig);
	report = report_of(&rig, AUDIT_GDPR);
	CU_ASSERT_STRING_EQUAL(text_of(report, "standard"), "gdpr");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "sections")), 5);
	has_lines(report, "Reads of keys and values", 1, 5);
	has_lines(report, "Erasures", 1, 11);
	has_lines(report, "Roles and life of credentials", 2, 12, 13);
	has_lines(report, "Access to personal data by role", 2, 5, 11);
	rows = json_object_get(section_of(report, "Access to personal data by role"), "rows");
	CU_ASSERT_STRING_EQUAL(text_at(rows, 0, "role"), "viewer");
	CU_ASSERT_STRING_EQUAL(text_at(rows, 0, "kind"), "read");
	CU_ASSERT_STRING_EQUAL(text_at(rows, 1, "role"), "operator");
	CU_ASSERT_STRING_EQUAL(text_at(rows, 1, "kind"), "erasure");
	json_decref(report);
	rig_close(&rig);
}

static void a_pci_dss_report_has_all_of_requirement_10_2_1(void)
{
	struct rig rig;
	json_t *report;

	rig_open_with_one_of_each(&rig);
	report = report_of(&rig, AUDIT_PCI_DSS);
	CU_ASSERT_STRING_EQUAL(text_of(report, "standard"), "pci-dss");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "sections")), 10);
	has_lines(report, "Access to stored data", 1, 5);
	has_lines(report, "Administrative actions", 8, 6, 7, 8, 9, 10, 11, 12, 13);
	has_lines(report, "Access to audit logs", 1, 6);
	has_lines(report, "Invalid logical access attempts: logins", 1, 3);
	has_lines(report, "Invalid logical access attempts: refusals", 1, 4);
	has_lines(report, "Changes to identification and authentication", 2, 12, 13);
	has_lines(report, "Initialisation, start and stop of audit logs", 1, 1);
	has_lines(report, "Creation and deletion of system-level objects", 2, 9, 10);
	has_lines(report, "Life of keys and credentials", 1, 13);
	CU_ASSERT_EQUAL(number_of(section_of(report, "Roles in use"), "lines"), 9);
	json_decref(report);
	rig_close(&rig);
}

static void a_report_says_what_it_is_of(void)
{
	struct audit_state state;
	struct rig rig;
	json_t *report;
	const json_t *chain;

	rig_open_with_one_of_each(&rig);
	audit_state(rig.audit, &state);
	report = report_of_span(&rig, AUDIT_SOX, START_US, START_US + DAY_US);
	CU_ASSERT_STRING_EQUAL(text_of(report, "node"), "cache-1");
	CU_ASSERT_STRING_EQUAL(text_of(report, "from"), "2026-11-28T00:00:00.000000Z");
	CU_ASSERT_STRING_EQUAL(text_of(report, "to"), "2026-11-29T00:00:00.000000Z");
	CU_ASSERT_STRING_EQUAL(text_of(report, "made"), "2026-11-28T00:00:12.000000Z");
	chain = json_object_get(report, "chain");
	CU_ASSERT_TRUE(json_is_true(json_object_get(chain, "verified")));
	CU_ASSERT_EQUAL(number_of(chain, "lines"), 13);
	CU_ASSERT_EQUAL(number_of(chain, "files"), 1);
	CU_ASSERT_EQUAL(number_of(chain, "first_seq"), 1);
	CU_ASSERT_EQUAL(number_of(chain, "last_seq"), 13);
	CU_ASSERT_STRING_EQUAL(text_of(chain, "hash"), state.hash);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(chain, "faults")), 0);
	json_decref(report);
	rig_close(&rig);
}

static void a_broken_chain_is_in_the_report(void)
{
	struct rig rig;
	json_t *report;
	const json_t *chain;
	size_t length;
	char *bytes, *text;

	rig_open_with_one_of_each(&rig);
	bytes = file_bytes(rig.folder, "audit.log", &length);
	memcpy(strstr(bytes, "s3fifo"), "S3FIFO", 6);
	set_file(rig.folder, "audit.log", bytes, length);
	free(bytes);
	report = report_of(&rig, AUDIT_SOX);
	chain = json_object_get(report, "chain");
	CU_ASSERT_TRUE(json_is_false(json_object_get(chain, "verified")));
	CU_ASSERT_EQUAL(number_of(chain, "fault_count"), 1);
	CU_ASSERT_STRING_EQUAL(
	    json_string_value(json_array_get(json_object_get(chain, "faults"), 0)),
	    "audit.log:7: line 7 was changed: its hash does not match");
	has_lines(report, "Changes of what runs", 3, 8, 9, 10);
	text = audit_report_text(report);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "NOT as it was written"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "audit.log:7: line 7 was changed"));
	free(text);
	text = audit_report_html(report);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<span class=\"broken\">not as it was written</span>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "audit.log:7: line 7 was changed"));
	free(text);
	json_decref(report);
	rig_close(&rig);
}

static void of_very_many_faults_the_first_are_told_and_all_counted(void)
{
	struct rig rig;
	json_t *report;
	const json_t *chain;

	rig_write(&rig, 3);
	unlink(path_of(rig.folder, "audit.log"));
	{
		char junk[500];

		memset(junk, '\n', sizeof(junk));
		set_file(rig.folder, "audit.log", junk, sizeof(junk));
	}
	report = report_of(&rig, AUDIT_SOX);
	chain = json_object_get(report, "chain");
	CU_ASSERT_EQUAL(number_of(chain, "fault_count"), 500);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(chain, "faults")), 100);
	json_decref(report);
	rig_close(&rig);
}

struct tally {
	uint64_t kinds[AUDIT_KIND_COUNT][3];
	uint64_t line_count;
	uint64_t changes, credentials, failed_logins, reads, administration;
};

/* A day's events from a seed; those from `from_us` up to before `to_us` are counted. */
static void add_day(struct rig *rig, uint64_t seed, uint64_t from_us, uint64_t to_us,
                    struct tally *tally)
{
	static const char *const names[] = {"CN=ops", "ci", "uid 0 (root)", "alice"};
	uint64_t random = seed * 0x9e3779b97f4a7c15u;

	for (int i = 0; i < 2000; i++) {
		uint64_t dice = next_random(&random);
		enum audit_kind kind = (enum audit_kind)(dice % AUDIT_system); /* all others */
		enum audit_result result = (enum audit_result)((dice >> 8) % 3);
		struct identity who = somebody(names[(dice >> 16) % 4], "192.0.2.7:1");
		struct audit_event event = {
		    .kind = kind, .result = result, .action = "something", .who = &who};

		who.role = (enum role)((dice >> 24) % ROLE_COUNT);
		event.count = (dice >> 32) % 10 == 0 ? (dice >> 40) % 100 : 0;
		rig->now_us += DAY_US / 2000;
		CU_ASSERT_EQUAL(audit_append(rig->audit, &event, rig->now_us), 0);
		if (rig->now_us < from_us || rig->now_us >= to_us)
			continue;
		event.count = event.count == 0 ? 1 : event.count;
		tally->line_count++;
		tally->kinds[kind][result] += event.count;
		tally->changes += kind == AUDIT_change ? event.count : 0;
		tally->credentials += kind == AUDIT_credential ? event.count : 0;
		tally->failed_logins += kind == AUDIT_login && result != AUDIT_OK ? event.count : 0;
		tally->reads += kind == AUDIT_read ? event.count : 0;
		tally->administration +=
		    kind != AUDIT_login && who.role >= ROLE_operator ? event.count : 0;
	}
}

static uint64_t events_of(const json_t *report, const char *title)
{
	return number_of(section_of(report, title), "events");
}

/* Counts of rows are those of their section. */
static void check_sums(const json_t *report)
{
	const json_t *sections = json_object_get(report, "sections");

	for (size_t i = 0; i < json_array_size(sections); i++) {
		const json_t *section = json_array_get(sections, i);
		const json_t *rows = json_object_get(section, "rows");
		bool is_list = strcmp(text_of(section, "layout"), "list") == 0;
		uint64_t events = 0, lines = 0;

		for (size_t j = 0; j < json_array_size(rows); j++) {
			uint64_t count = number_at(rows, j, "count");

			events += count == 0 ? 1 : count;
			lines += is_list ? 1 : number_at(rows, j, "lines");
		}
		CU_ASSERT_EQUAL(lines, number_of(section, "lines"));
		CU_ASSERT_EQUAL(events, number_of(section, "events"));
		CU_ASSERT_EQUAL(number_of(section, "left_out_lines"), 0);
	}
}

static void counts_equal_what_the_log_has(void)
{
	static const char *const kinds[] = {"login",   "refusal", "read",       "change",
	                                    "erasure", "access",  "credential", "system"};
	static const char *const results[] = {"ok", "refused", "failed"};

	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct tally tally = {0};
		uint64_t from_us = START_US + seed * DAY_US / 10,
		         to_us = START_US + DAY_US * 9 / 10;
		struct rig rig;
		json_t *report, *counts;
		uint64_t events = 0;

		rig_folder(&rig);
		rig.options.file_bytes_max = 100000;
		rig_open_log(&rig);
		add_day(&rig, seed, from_us, to_us, &tally);
		report = report_of_span(&rig, AUDIT_PCI_DSS, from_us, to_us);
		counts = json_object_get(report, "counts");
		for (int kind = 0; kind < AUDIT_system; kind++)
			for (int result = 0; result < 3; result++) {
				const json_t *of_kind =
				    json_object_get(json_object_get(counts, "kinds"), kinds[kind]);

				if (number_of(of_kind, results[result]) !=
				    tally.kinds[kind][result])
					printf("\nseed %" PRIu64 ": %s %s\n", seed, kinds[kind],
					       results[result]);
				CU_ASSERT_EQUAL(number_of(of_kind, results[result]),
				                tally.kinds[kind][result]);
				events += tally.kinds[kind][result];
			}
		/* the log's own lines are counted, too */
		CU_ASSERT_EQUAL(
		    number_of(counts, "lines"),
		    tally.line_count +
		        events_of(report, "Initialisation, start and stop of audit logs"));
		CU_ASSERT_EQUAL(
		    number_of(counts, "events"),
		    events + events_of(report, "Initialisation, start and stop of audit logs"));
		CU_ASSERT_EQUAL(events_of(report, "Access to stored data"), tally.reads);
		CU_ASSERT_EQUAL(events_of(report, "Administrative actions"), tally.administration);
		CU_ASSERT_EQUAL(events_of(report, "Life of keys and credentials"),
		                tally.credentials);
		CU_ASSERT_EQUAL(events_of(report, "Invalid logical access attempts: logins"),
		                tally.failed_logins);
		check_sums(report);
		json_decref(report);
		report = report_of_span(&rig, AUDIT_SOX, from_us, to_us);
		CU_ASSERT_EQUAL(events_of(report, "Changes of what runs"), tally.changes);
		check_sums(report);
		json_decref(report);
		rig_close(&rig);
	}
}

static void logins_that_failed_stand_together_by_source(void)
{
	char from[64];
	struct rig rig;
	json_t *report;
	const json_t *rows;

	rig_open(&rig);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(from, sizeof(from), "192.0.2.%u:%u", i % 4, 5000 + i);
		rig.now_us += 10000;
		CU_ASSERT_EQUAL(rig_refuse(&rig, from, i % 2 == 0 ? "bad key" : "expired"), 0);
	}
	audit_tick(rig.audit, rig.now_us);
	report = report_of(&rig, AUDIT_SOX);
	CU_ASSERT_EQUAL(events_of(report, "Logins that failed"), 1000);
	rows = json_object_get(section_of(report, "Logins that failed"), "rows");
	CU_ASSERT_EQUAL_FATAL(json_array_size(rows), 4);
	for (size_t i = 0; i < 4; i++) {
		snprintf(from, sizeof(from), "192.0.2.%zu", i);
		CU_ASSERT_STRING_EQUAL(text_at(rows, i, "from"), from);
		CU_ASSERT_EQUAL(number_at(rows, i, "count"), 250);
		CU_ASSERT_TRUE(number_at(rows, i, "lines") < 250);
		CU_ASSERT_STRING_EQUAL(text_at(rows, i, "reason"),
		                       i % 2 == 0 ? "bad key" : "expired");
		CU_ASSERT_TRUE(number_at(rows, i, "last_seq") > number_at(rows, i, "seq"));
		CU_ASSERT_TRUE(strcmp(text_at(rows, i, "first"), text_at(rows, i, "last")) < 0);
	}
	json_decref(report);
	rig_close(&rig);
}

static void what_is_too_much_for_a_section_is_counted(void)
{
	char name[32];
	struct rig rig;
	json_t *report;
	const json_t *section;
	char *text;

	rig_folder(&rig);
	rig.options.file_bytes_max = 64 << 20;
	rig_open_log(&rig);
	for (int i = 0; i < AUDIT_REPORT_ROWS_MAX + 10; i++) {
		struct identity who;
		struct audit_event event = {.kind = AUDIT_read, .action = "watch", .who = &who};

		snprintf(name, sizeof(name), "somebody %d", i);
		who = somebody(name, "192.0.2.1:1");
		CU_ASSERT_EQUAL(audit_append(rig.audit, &event, rig.now_us), 0);
	}
	report = report_of(&rig, AUDIT_GDPR);
	section = section_of(report, "Reads of keys and values");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(section, "rows")), AUDIT_REPORT_ROWS_MAX);
	CU_ASSERT_EQUAL(number_of(section, "events"), AUDIT_REPORT_ROWS_MAX + 10);
	CU_ASSERT_EQUAL(number_of(section, "left_out_lines"), 10);
	section = section_of(report, "Access to personal data by role");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(section, "rows")), AUDIT_REPORT_ROWS_MAX);
	CU_ASSERT_EQUAL(number_of(section, "left_out_lines"), 10);
	text = audit_report_text(report);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "and 10 more lines: ask for a shorter span of time"));
	free(text);
	text = audit_report_html(report);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "and 10 more lines: ask for a shorter span of time"));
	free(text);
	json_decref(report);
	rig_close(&rig);
}

static void what_cannot_be_read_is_told(void)
{
	char error[ERROR_BYTES];
	json_t *report = NULL;

	CU_ASSERT_EQUAL(audit_report_make(&report, "/tmp/kante-nowhere", "n", AUDIT_SOX, 0, 1, 2,
	                                  error, sizeof(error)),
	                -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "/tmp/kante-nowhere: there is no"));
	CU_ASSERT_PTR_NULL(report);
}

static void without_memory_at_any_point_there_is_a_report_or_none(void)
{
	char error[ERROR_BYTES];
	struct rig rig;
	json_t *report;
	uint32_t skip_count = 0;
	int r;

	json_set_alloc_funcs(faulty_malloc, free);
	rig_open_with_one_of_each(&rig);
	do {
		report = NULL;
		fault_set("malloc", ENOMEM, skip_count++, 1);
		r = audit_report_make(&report, rig.folder, "n", AUDIT_PCI_DSS, 0, UINT64_MAX,
		                      rig.now_us, error, sizeof(error));
		if (r < 0) {
			CU_ASSERT_EQUAL(r, -ENOMEM);
			CU_ASSERT_PTR_NOT_NULL(strstr(error, "memory"));
			CU_ASSERT_PTR_NULL(report);
		}
		json_decref(report);
	} while (fault_over());
	CU_ASSERT_TRUE(skip_count > 100);
	fault_clear();
	report = report_of(&rig, AUDIT_PCI_DSS);
	for (uint32_t i = 0; i < 4; i++) {
		fault_set(i < 2 ? "open_memstream" : "fclose", ENOMEM, 0, 1);
		CU_ASSERT_PTR_NULL(i % 2 == 0 ? audit_report_text(report)
		                              : audit_report_html(report));
	}
	fault_clear();
	json_decref(report);
	json_set_alloc_funcs(malloc, free);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"standards are known by their names", standards_are_known_by_their_names},
	    {"a SOX report has changes, access and refusals",
	     a_sox_report_has_changes_access_and_refusals},
	    {"a GDPR report has reads, erasures and who may have access",
	     a_gdpr_report_has_reads_erasures_and_who_may_have_access},
	    {"a PCI DSS report has all of requirement 10.2.1",
	     a_pci_dss_report_has_all_of_requirement_10_2_1},
	    {"a report says what it is of", a_report_says_what_it_is_of},
	    {"a broken chain is in the report", a_broken_chain_is_in_the_report},
	    {"of very many faults the first are told, and all counted",
	     of_very_many_faults_the_first_are_told_and_all_counted},
	    {"counts equal what the log has", counts_equal_what_the_log_has},
	    {"logins that failed stand together by source",
	     logins_that_failed_stand_together_by_source},
	    {"what is too much for a section is counted",
	     what_is_too_much_for_a_section_is_counted},
	    {"what cannot be read is told", what_cannot_be_read_is_told},
	    {"without memory at any point there is a report or none",
	     without_memory_at_any_point_there_is_a_report_or_none},
	};

	return UNIT_RUN("audit_report", cases);
}
