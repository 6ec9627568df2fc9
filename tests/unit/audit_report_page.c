/* SPDX-License-Identifier: Apache-2.0 */
/* Audit reports as people see them: text and HTML. */
#include "audit_rig.h"
#include "control/audit_report.h"

static const char *const evil[] = {
    "<script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "</td></table><img src=x onerror=alert(1)>",
    "&lt;script&gt;",
    "<!-- ",
    "]]>",
    "\x1b[2J\x1b]0;title\x07",
    "a\nb\r\nc\td\x7f",
    ("\xc2\x9b"
     "31mred"), /* CSI as one character */
    ("\xe2\x80\xae"
     "gnp.exe"),                                                                /* right to left */
    "\xe2\x81\xa6x\xe2\x81\xa9",                                                /* isolates */
    "\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd", /* wide */
    "\xf0\x9f\x98\x80 caf\xc3\xa9",
    "   ",
    "%s%n%x",
};

#define EVIL_COUNT (sizeof(evil) / sizeof(evil[0]))

/* A text of `length` bytes or more, with words of all lengths. */
static void long_text(char *text, size_t length, uint64_t *random)
{
	size_t used = 0;

	text[0] = '\0';
	while (used < length) {
		const char *piece = evil[next_random(random) % EVIL_COUNT];

		used += (size_t)snprintf(text + used, 128, "%s%s", piece,
		                         next_random(random) % 3 == 0 ? " " : "");
	}
}

/* A log in which all that can be chosen by somebody is hostile. */
static void rig_open_hostile(struct rig *rig)
{
	uint64_t random = 20261128;
	char target[1200], reason[1200], value[1200];

	rig_open(rig);
	for (uint32_t i = 0; i < 200; i++) {
		struct identity who = somebody(evil[i % EVIL_COUNT], evil[(i + 1) % EVIL_COUNT]);
		struct audit_event event = {.kind = (enum audit_kind)(i % AUDIT_KIND_COUNT),
		                            .result = (enum audit_result)(i % 3),
		                            .action = evil[(i + 2) % EVIL_COUNT],
		                            .who = &who,
		                            .target = target,
		                            .reason = reason};

		snprintf(who.credential_id, sizeof(who.credential_id), "%s",
		         evil[(i + 3) % EVIL_COUNT]);
		long_text(target, next_random(&random) % 300, &random);
		long_text(reason, next_random(&random) % 300, &random);
		long_text(value, next_random(&random) % 900, &random);
		event.before = json_pack("{s:s}", evil[i % EVIL_COUNT], value);
		event.after = i % 2 == 0 ? NULL : json_string(value);
		CU_ASSERT_EQUAL(audit_append(rig->audit, &event, rig->now_us), 0);
		json_decref((json_t *)(uintptr_t)event.before);
		json_decref((json_t *)(uintptr_t)event.after);
	}
}

static json_t *report_of(const struct rig *rig, enum audit_standard standard, const char *node)
{
	char error[ERROR_BYTES];
	json_t *report = NULL;

	CU_ASSERT_EQUAL_FATAL(audit_report_make(&report, rig->folder, node, standard, 0, UINT64_MAX,
	                                        rig->now_us, error, sizeof(error)),
	                      0);
	return report;
}

/* Columns on a terminal; -1: there is what it would obey. */
static int columns_of_line(const char *line, size_t length)
{
	int columns = 0;

	for (size_t i = 0; i < length; i++) {
		uint8_t byte = (uint8_t)line[i];

		if (byte < 0x20 || byte == 0x7f)
			return -1;
		if ((byte & 0xc0) == 0x80)
			continue;
		if (byte == 0xc2 && (uint8_t)line[i + 1] < 0xa0)
			return -1;
		if (byte == 0xe2 && ((uint8_t)line[i + 1] == 0x80 || (uint8_t)line[i + 1] == 0x81))
			return -1;
		columns += byte >= 0xe3 ? 2 : 1;
	}
	return columns;
}

static void text_fits_80_columns_and_has_nothing_that_a_terminal_obeys(void)
{
	static const enum audit_standard standards[] = {AUDIT_SOX, AUDIT_GDPR, AUDIT_PCI_DSS};
	size_t line_count = 0;
	struct rig rig;

	rig_open_hostile(&rig);
	for (size_t i = 0; i < 3; i++) {
		json_t *report = report_of(&rig, standards[i], "cache-1\x1b[2J");
		char *text = audit_report_text(report), *at = text, *newline;

		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		for (; (newline = strchr(at, '\n')) != NULL; at = newline + 1) {
			int columns = columns_of_line(at, (size_t)(newline - at));

			if (columns < 0 || columns > 80)
				printf("\n%d: %.*s\n", columns, (int)(newline - at), at);
			CU_ASSERT_TRUE(columns >= 0 && columns <= 80);
			line_count++;
		}
		CU_ASSERT_STRING_EQUAL(at, "");
		free(text);
		json_decref(report);
	}
	CU_ASSERT_TRUE(line_count > 1000);
	rig_close(&rig);
}

static void text_breaks_between_words(void)
{
	struct audit_event event = {.kind = AUDIT_change, .action = "config.set"};
	struct rig rig;
	json_t *report;
	char *text;

	rig_open(&rig);
	event.target = "eviction";
	event.reason = "one two three four five six seven eight nine ten eleven twelve thirteen "
	               "fourteen fifteen sixteen";
	event.after = json_string("s3fifo");
	CU_ASSERT_EQUAL(audit_append(rig.audit, &event, rig.now_us), 0);
	json_decref((json_t *)(uintptr_t)event.after);
	report = report_of(&rig, AUDIT_SOX, "cache-1");
	text = audit_report_text(report);
	CU_ASSERT_PTR_NOT_NULL(strstr(
	    text, "\n#2  2026-11-28 00:00:00Z  config.set: ok\n"
	          "      on eviction: nothing -> \"s3fifo\"\n"
	          "      why: one two three four five six seven eight nine ten eleven twelve\n"
	          "      thirteen fourteen fifteen sixteen\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "SOX section 404: changes and access\n====="));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nNode        cache-1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "verified: as it was written, 2 lines, #1 to #2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "            change: 1 ok\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n\nNone.\n"));
	free(text);
	json_decref(report);
	rig_close(&rig);
}

/* How often `text` is in `page`. */
static size_t count_of(const char *page, const char *text)
{
	size_t count = 0;

	for (; (page = strstr(page, text)) != NULL; page++)
		count++;
	return count;
}

/* All that begins with '<' are tags of ours, with attributes of ours. */
static void check_tags(const char *page)
{
	static const char *const tags[] = {"<!doctype html>",
	                                   "<html lang=\"en\">",
	                                   "<head>",
	                                   "<meta ",
	                                   "<title>",
	                                   "</title>",
	                                   "<style>",
	                                   "</style>",
	                                   "</head>",
	                                   "<body>",
	                                   "</body>",
	                                   "</html>",
	                                   "<h1>",
	                                   "</h1>",
	                                   "<h2>",
	                                   "</h2>",
	                                   "<p>",
	                                   "</p>",
	                                   "<dl>",
	                                   "</dl>",
	                                   "<dt>",
	                                   "<dd>",
	                                   "<div>",
	                                   "<div class=\"",
	                                   "</div>",
	                                   "<table>",
	                                   "</table>",
	                                   "<table class=\"counts\">",
	                                   "<thead>",
	                                   "<tbody>",
	                                   "<tr>",
	                                   "<th>",
	                                   "<th class=\"",
	                                   "<td>",
	                                   "<td class=\"",
	                                   "<span class=\"",
	                                   "</span>",
	                                   "<code>",
	                                   "</code>",
	                                   "<bdi>",
	                                   "</bdi>",
	                                   "<section>",
	                                   "</section>"};

	for (; (page = strchr(page, '<')) != NULL; page++) {
		bool known = false;

		for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
			known = known || strncmp(page, tags[i], strlen(tags[i])) == 0;
		if (!known)
			printf("\n%.60s\n", page);
		CU_ASSERT_TRUE(known);
		/* a value that got out of its quotes would bring an attribute along */
		if (strncmp(page, "<meta ", 6) != 0)
			CU_ASSERT_TRUE(strcspn(page, "=>") >= strcspn(page, ">") ||
			               strncmp(page + strcspn(page, "="), "=\"", 2) == 0);
	}
}

static void html_has_no_tags_but_its_own_whatever_names_say(void)
{
	static const enum audit_standard standards[] = {AUDIT_SOX, AUDIT_GDPR, AUDIT_PCI_DSS};
	struct rig rig;

	rig_open_hostile(&rig);
	for (size_t i = 0; i < 3; i++) {
		json_t *report = report_of(&rig, standards[i], "<script>node</script>");
		char *page = audit_report_html(report);

		CU_ASSERT_PTR_NOT_NULL_FATAL(page);
		CU_ASSERT_PTR_NULL(strstr(page, "<script"));
		CU_ASSERT_PTR_NULL(strstr(page, "<img"));
		CU_ASSERT_PTR_NOT_NULL(strstr(page, "&lt;script&gt;node&lt;/script&gt;"));
		CU_ASSERT_PTR_NOT_NULL(strstr(page, "&lt;script&gt;alert(1)&lt;/script&gt;"));
		CU_ASSERT_PTR_NOT_NULL(strstr(page, "&amp;lt;script&amp;gt;"));
		CU_ASSERT_PTR_NOT_NULL(strstr(page, "&quot; onmouseover=&quot;alert(1)"));
		CU_ASSERT_PTR_NOT_NULL(strstr(page, "&#39; onmouseover=&#39;alert(1)"));
		CU_ASSERT_PTR_NULL(strchr(page, '\x1b'));
		check_tags(page);
		free(page);
		json_decref(report);
	}
	rig_close(&rig);
}

static void html_takes_nothing_from_elsewhere_and_is_light_and_dark(void)
{
	struct rig rig;
	json_t *report;
	char *page;

	rig_open(&rig);
	rig_appends(&rig, AUDIT_change, "eviction");
	report = report_of(&rig, AUDIT_SOX, "cache-1");
	page = audit_report_html(report);
	CU_ASSERT_EQUAL(strncmp(page, "<!doctype html>", 15), 0);
	CU_ASSERT_PTR_NULL(strstr(page, "http:"));
	CU_ASSERT_PTR_NULL(strstr(page, "https:"));
	CU_ASSERT_PTR_NULL(strstr(page, "url("));
	CU_ASSERT_PTR_NULL(strstr(page, "src="));
	CU_ASSERT_PTR_NOT_NULL(strstr(page, "default-src 'none'"));
	CU_ASSERT_PTR_NOT_NULL(strstr(page, "prefers-color-scheme: dark"));
	CU_ASSERT_PTR_NOT_NULL(strstr(page, "@media print"));
	CU_ASSERT_PTR_NOT_NULL(strstr(page, "eviction"));
	CU_ASSERT_PTR_NOT_NULL(strstr(page, "<td class=\"time\">2026-11-28 00:00:00"));
	CU_ASSERT_EQUAL(count_of(page, "<section>"), 5);
	CU_ASSERT_EQUAL(count_of(page, "<section>"), count_of(page, "</section>"));
	CU_ASSERT_EQUAL(count_of(page, "<span"), count_of(page, "</span>"));
	CU_ASSERT_EQUAL(count_of(page, "<bdi>"), count_of(page, "</bdi>"));
	CU_ASSERT_EQUAL(count_of(page, "<table"), count_of(page, "</table>"));
	free(page);
	json_decref(report);
	rig_close(&rig);
}

/* A member of `value`, anywhere in it, becomes something else. */
static void spoil(json_t *value, uint64_t *random)
{
	json_t *other;
	const char *name;
	size_t index = 0, wanted;
	void *member;

	switch (next_random(random) % 5) {
	case 0: other = json_null(); break;
	case 1: other = json_integer(-17); break;
	case 2: other = json_string("<x>"); break;
	case 3: other = json_array(); break;
	default: other = json_object(); break;
	}
	if (json_array_size(value) > 0) {
		wanted = next_random(random) % json_array_size(value);
		if (next_random(random) % 4 == 0)
			json_array_set(value, wanted, other);
		else
			spoil(json_array_get(value, wanted), random);
	} else if (json_object_size(value) > 0) {
		wanted = next_random(random) % json_object_size(value);
		for (member = json_object_iter(value); index < wanted; index++)
			member = json_object_iter_next(value, member);
		name = json_object_iter_key(member);
		if (next_random(random) % 4 == 0)
			json_object_set(value, name, other);
		else
			spoil(json_object_iter_value(member), random);
	}
	json_decref(other);
}

static void a_report_of_another_form_is_shown_as_far_as_it_goes(void)
{
	struct rig rig;
	json_t *report, *spoilt;

	rig_write_files(&rig, 0, 20);
	report = report_of(&rig, AUDIT_PCI_DSS, "cache-1");
	for (uint64_t seed = 1; seed <= 300; seed++) {
		uint64_t random = seed * 0x9e3779b97f4a7c15u;
		char *text, *page;

		spoilt = json_deep_copy(report);
		for (int i = 0; i < 20; i++)
			spoil(spoilt, &random);
		text = audit_report_text(spoilt);
		page = audit_report_html(spoilt);
		CU_ASSERT_PTR_NOT_NULL(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(page);
		CU_ASSERT_PTR_NULL(strstr(page, "<x>"));
		free(text);
		free(page);
		json_decref(spoilt);
	}
	json_decref(report);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"text fits 80 columns, and has nothing that a terminal obeys",
	     text_fits_80_columns_and_has_nothing_that_a_terminal_obeys},
	    {"text breaks between words", text_breaks_between_words},
	    {"HTML has no tags but its own, whatever names say",
	     html_has_no_tags_but_its_own_whatever_names_say},
	    {"HTML takes nothing from elsewhere, and is light and dark",
	     html_takes_nothing_from_elsewhere_and_is_light_and_dark},
	    {"a report of another form is shown as far as it goes",
	     a_report_of_another_form_is_shown_as_far_as_it_goes},
	};

	return UNIT_RUN("audit_report_page", cases);
}
