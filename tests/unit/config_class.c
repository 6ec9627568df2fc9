/* SPDX-License-Identifier: Apache-2.0 */
#include "config_rig.h"

#include <errno.h>

/* Lines 1 to 3; the first entry stands in line 4. */
#define CLASSES PORTS "classes:\n"

#define ENTRY(name, prefix) "- name: " name "\n  prefix: \"" prefix "\"\n"

/* Its fields start in line 6. */
#define ONE(fields) CLASSES ENTRY("a", "a:") fields

#define TEXT_BYTES 16384

/* The whole of what is said about the text. */
static void refused(const char *text, const char *faults)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_BYTES] = "";
	int r = config_parse(&config, "f", text, strlen(text), error, sizeof(error));

	if (r != -EINVAL || strcmp(error, faults) != 0)
		printf("\n--- %s\nwant %s\ngot %d: %s\n", text, faults, r, error);
	CU_ASSERT_EQUAL(r, -EINVAL);
	CU_ASSERT_STRING_EQUAL(error, faults);
	CU_ASSERT_PTR_NULL(config);
	config_destroy(config);
}

struct fault_case {
	const char *text;
	const char *faults;
};

static void run_faults(const struct fault_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		refused(cases[i].text, cases[i].faults);
}

#define RUN_FAULTS(cases) run_faults(cases, sizeof(cases) / sizeof(cases[0]))

static const char *class_of(const struct config *config, const char *key)
{
	struct slice slice = {(const uint8_t *)key, strlen(key)};

	return config->classes.rules[classes_of(&config->classes, slice)].name;
}

static bool prefix_is(const struct class_rules *rules, const char *prefix)
{
	return rules->prefix_bytes == strlen(prefix) &&
	       memcmp(rules->prefix, prefix, rules->prefix_bytes) == 0;
}

static void test_an_entry_fills_the_rules_of_its_class(void)
{
	struct config *config = parsed(CLASSES "- name: sessions\n"
	                                       "  prefix: \"sess:\"\n"
	                                       "  priority: 7\n"
	                                       "  share_min: 20%\n"
	                                       "  share_max: 50%\n"
	                                       "  ttl_default: 1h\n"
	                                       "  ttl_max: 24h\n"
	                                       "  rate_max: 100000\n"
	                                       "- {name: P.a-g_3, prefix: page, priority: 0}\n");
	const struct class_rules *rules = config->classes.rules;

	CU_ASSERT_EQUAL(config->classes.count, 3);
	CU_ASSERT_STRING_EQUAL(rules[1].name, "sessions");
	CU_ASSERT_TRUE(prefix_is(&rules[1], "sess:"));
	CU_ASSERT_EQUAL(rules[1].priority, 7);
	CU_ASSERT_EQUAL(rules[1].share_min, 20);
	CU_ASSERT_EQUAL(rules[1].share_max, 50);
	CU_ASSERT_EQUAL(rules[1].ttl_default_s, 3600);
	CU_ASSERT_EQUAL(rules[1].ttl_max_s, 86400);
	CU_ASSERT_EQUAL(rules[1].rate_max, 100000);
	CU_ASSERT_STRING_EQUAL(rules[2].name, "P.a-g_3");
	CU_ASSERT_TRUE(prefix_is(&rules[2], "page"));
	CU_ASSERT_EQUAL(rules[2].priority, 0);
	config_destroy(config);
}

static void check_default_rules(const struct class_rules *rules)
{
	CU_ASSERT_EQUAL(rules->priority, 5);
	CU_ASSERT_EQUAL(rules->share_min, 0);
	CU_ASSERT_EQUAL(rules->share_max, 100);
	CU_ASSERT_EQUAL(rules->ttl_default_s, 0);
	CU_ASSERT_EQUAL(rules->ttl_max_s, 0);
	CU_ASSERT_EQUAL(rules->rate_max, 0);
}

static void test_what_is_not_said_of_a_class_has_its_default(void)
{
	struct config *config = parsed(ONE("") "- {prefix: \"\", name: rest}\n");

	CU_ASSERT_EQUAL(config->classes.count, 2);
	check_default_rules(&config->classes.rules[0]);
	check_default_rules(&config->classes.rules[1]);
	config_destroy(config);
}

static void test_without_classes_all_keys_are_of_class_0(void)
{
	struct config *config = parsed(PORTS);

	CU_ASSERT_EQUAL(config->classes.count, 1);
	CU_ASSERT_STRING_EQUAL(config->classes.rules[0].name, "default");
	CU_ASSERT_EQUAL(config->classes.rules[0].prefix_bytes, 0);
	check_default_rules(&config->classes.rules[0]);
	CU_ASSERT_STRING_EQUAL(class_of(config, "a:1"), "default");
	CU_ASSERT_STRING_EQUAL(class_of(config, ""), "default");
	config_destroy(config);
}

/* So that a manual made of the table says what holds. */
static void test_the_table_of_fields_says_the_defaults_of_class_0(void)
{
	struct classes classes;

	classes_create(&classes);
	for (uint32_t i = 0; i < config_class_fields.count; i++) {
		const struct config_parameter *field = &config_class_fields.parameters[i];
		const char *rule = (const char *)&classes.rules[0] + field->offset;
		uint64_t unit = field->type == CONFIG_DURATION ? 1000000 : 1;
		uint32_t held;

		CU_ASSERT_EQUAL(field->is_required, field->type == CONFIG_TEXT);
		if (field->is_required)
			continue;
		memcpy(&held, rule, sizeof(held));
		CU_ASSERT_EQUAL(held * unit, field->default_value);
		CU_ASSERT_TRUE(field->default_value >= field->minimum);
		CU_ASSERT_TRUE(field->default_value <= field->maximum);
		CU_ASSERT_TRUE(field->maximum / unit <= UINT32_MAX);
	}
}

static void test_percentages_are_written_as_they_are_read(void)
{
	char text[CONFIG_QUANTITY_BYTES];

	config_format_quantity(text, CONFIG_PERCENT, 20);
	CU_ASSERT_STRING_EQUAL(text, "20%");
	config_format_quantity(text, CONFIG_PERCENT, 100);
	CU_ASSERT_STRING_EQUAL(text, "100%");
	config_format_quantity(text, CONFIG_PERCENT, 0);
	CU_ASSERT_STRING_EQUAL(text, "0");
}

static void test_the_ends_of_every_range_are_taken(void)
{
	struct config *config =
	    parsed(CLASSES "- {name: low, prefix: a, priority: 0, share_min: 0, share_max: 1%,\n"
	                   "   ttl_default: 0, ttl_max: 0, rate_max: 0}\n"
	                   "- {name: high, prefix: b, priority: 9, share_min: 90%,\n"
	                   "   share_max: 100%, ttl_default: 87600h, ttl_max: 87600h,\n"
	                   "   rate_max: 1000000000}\n"
	                   "- {name: same, prefix: c, share_min: 0%, share_max: 1%,\n"
	                   "   ttl_default: 1s, ttl_max: 1000ms}\n"
	                   "- {name: over, prefix: d, ttl_default: 2min}\n");
	const struct class_rules *rules = config->classes.rules;

	CU_ASSERT_EQUAL(rules[1].priority, 0);
	CU_ASSERT_EQUAL(rules[1].share_min, 0);
	CU_ASSERT_EQUAL(rules[1].share_max, 1);
	CU_ASSERT_EQUAL(rules[1].ttl_default_s, 0);
	CU_ASSERT_EQUAL(rules[1].ttl_max_s, 0);
	CU_ASSERT_EQUAL(rules[1].rate_max, 0);
	CU_ASSERT_EQUAL(rules[2].priority, 9);
	CU_ASSERT_EQUAL(rules[2].share_min, 90);
	CU_ASSERT_EQUAL(rules[2].share_max, 100);
	CU_ASSERT_EQUAL(rules[2].ttl_default_s, 315360000);
	CU_ASSERT_EQUAL(rules[2].ttl_max_s, 315360000);
	CU_ASSERT_EQUAL(rules[2].rate_max, 1000000000);
	CU_ASSERT_EQUAL(rules[3].share_min, 0);
	CU_ASSERT_EQUAL(rules[3].ttl_default_s, 1);
	CU_ASSERT_EQUAL(rules[3].ttl_max_s, 1);
	CU_ASSERT_EQUAL(rules[4].ttl_default_s, 120);
	CU_ASSERT_EQUAL(rules[4].ttl_max_s, 0);
	config_destroy(config);
}

static void test_a_key_is_of_the_class_with_the_longest_prefix_it_has(void)
{
	struct config *config = parsed(CLASSES ENTRY("users", "user:") ENTRY("u", "u")
	                                   ENTRY("admins", "user:admin:") ENTRY("pages", "page:"));

	CU_ASSERT_STRING_EQUAL(class_of(config, "user:admin:1"), "admins");
	CU_ASSERT_STRING_EQUAL(class_of(config, "user:admin:"), "admins");
	CU_ASSERT_STRING_EQUAL(class_of(config, "user:admin"), "users");
	CU_ASSERT_STRING_EQUAL(class_of(config, "user:1"), "users");
	CU_ASSERT_STRING_EQUAL(class_of(config, "user"), "u");
	CU_ASSERT_STRING_EQUAL(class_of(config, "u"), "u");
	CU_ASSERT_STRING_EQUAL(class_of(config, "page:"), "pages");
	CU_ASSERT_STRING_EQUAL(class_of(config, "page"), "default");
	CU_ASSERT_STRING_EQUAL(class_of(config, ""), "default");
	config_destroy(config);
}

static void test_an_empty_prefix_gives_the_rules_of_all_other_keys(void)
{
	static const char *const names[] = {"rest", "default"};

	for (size_t i = 0; i < 2; i++) {
		char text[TEXT_BYTES];
		struct config *config;

		snprintf(text, sizeof(text),
		         "%s- {name: %s, prefix: '', priority: 2, share_max: 30%%}\n%s",
		         CLASSES ENTRY("a", "a:"), names[i], ENTRY("b", "b:"));
		config = parsed(text);
		CU_ASSERT_EQUAL(config->classes.count, 3);
		CU_ASSERT_STRING_EQUAL(config->classes.rules[0].name, names[i]);
		CU_ASSERT_EQUAL(config->classes.rules[0].prefix_bytes, 0);
		CU_ASSERT_EQUAL(config->classes.rules[0].priority, 2);
		CU_ASSERT_EQUAL(config->classes.rules[0].share_max, 30);
		CU_ASSERT_STRING_EQUAL(class_of(config, "c:1"), names[i]);
		CU_ASSERT_STRING_EQUAL(class_of(config, "a:1"), "a");
		CU_ASSERT_STRING_EQUAL(class_of(config, "b:1"), "b");
		config_destroy(config);
	}
}

static void test_a_prefix_is_taken_byte_by_byte(void)
{
	struct config *config = parsed(
	    CLASSES ENTRY("cafe", "caf\xc3\xa9") "- {name: signs, prefix: \"!%[\\\\\\\"~\"}\n"
	                                         "- {name: number, prefix: 007}\n");

	CU_ASSERT_TRUE(prefix_is(&config->classes.rules[1], "caf\xc3\xa9"));
	CU_ASSERT_TRUE(prefix_is(&config->classes.rules[2], "!%[\\\"~"));
	CU_ASSERT_TRUE(prefix_is(&config->classes.rules[3], "007"));
	CU_ASSERT_STRING_EQUAL(class_of(config, "caf\xc3\xa9"), "cafe");
	CU_ASSERT_STRING_EQUAL(class_of(config, "caf\xc3\xa8"), "default");
	config_destroy(config);
}

/* `count` bytes of one letter as a prefix. */
static void text_with_long_prefix(char ret_text[TEXT_BYTES], size_t count)
{
	size_t used = (size_t)snprintf(ret_text, TEXT_BYTES, CLASSES "- name: a\n  prefix: ");

	memset(ret_text + used, 'p', count);
	ret_text[used + count] = '\0';
}

static void test_a_prefix_may_be_as_long_as_a_key_and_not_longer(void)
{
	char text[TEXT_BYTES];
	struct config *config;

	text_with_long_prefix(text, 250);
	config = parsed(text);
	CU_ASSERT_EQUAL(config->classes.rules[1].prefix_bytes, 250);
	CU_ASSERT_EQUAL(config->classes.rules[1].prefix[249], 'p');
	config_destroy(config);
	text_with_long_prefix(text, 251);
	refused(text, "f:5: classes[0].prefix: \"pppppppppppppppppppppppppppppppppppppppppppp...\" "
	              "is not what a key can begin with: write at most 250 bytes without spaces "
	              "and control characters");
	text_with_long_prefix(text, 256);
	refused(text, "f:5: a text of more than 255 bytes: no parameter takes one so long");
}

static void test_a_name_may_have_32_bytes_and_not_more(void)
{
	struct config *config = parsed(CLASSES ENTRY("a2345678901234567890123456789012", "a"));

	CU_ASSERT_STRING_EQUAL(config->classes.rules[1].name, "a2345678901234567890123456789012");
	config_destroy(config);
	refused(CLASSES ENTRY("a23456789012345678901234567890123", "a"),
	        "f:4: classes[0].name: \"a23456789012345678901234567890123\" is not a name for a "
	        "class: write at most 32 letters, digits, '_', '.' or '-'");
}

/* Classes with the prefixes k01, k02 … ; the last one is found by class_of(config, "k63"). */
static size_t text_with_classes(char ret_text[TEXT_BYTES], int count)
{
	size_t used = (size_t)snprintf(ret_text, TEXT_BYTES, CLASSES);

	for (int i = 1; i <= count; i++)
		used += (size_t)snprintf(ret_text + used, TEXT_BYTES - used,
		                         "- {name: n%d, prefix: k%02d}\n", i, i);
	return used;
}

static void test_there_may_be_63_classes_besides_the_one_of_all_other_keys(void)
{
	char text[TEXT_BYTES];
	size_t used = text_with_classes(text, CLASS_COUNT_MAX - 1);
	struct config *config;

	snprintf(text + used, sizeof(text) - used, "- {name: rest, prefix: \"\"}\n");
	config = parsed(text);
	CU_ASSERT_EQUAL(config->classes.count, CLASS_COUNT_MAX);
	CU_ASSERT_STRING_EQUAL(class_of(config, "k01"), "n1");
	CU_ASSERT_STRING_EQUAL(class_of(config, "k63"), "n63");
	CU_ASSERT_STRING_EQUAL(class_of(config, "k64"), "rest");
	config_destroy(config);
	text_with_classes(text, CLASS_COUNT_MAX);
	refused(text, "f:67: classes: more than 63 classes with a prefix: list fewer");
	text_with_classes(text, CLASS_COUNT_MAX + 5);
	refused(text, "f:67: classes: more than 63 classes with a prefix: list fewer");
}

#define NOT_A_LIST                                                                                 \
	"f:3: classes: not a list of classes: write one such as "                                  \
	"`- {name: sessions, prefix: \"sess:\"}`"
#define NOT_A_CLASS "classes[0]: not a class: write {name: ..., prefix: ..., ...}"
#define NEEDS_NAME                                                                                 \
	".name: missing, a class needs it: What it is called: letters, digits, '_', '.' or '-'"
#define NEEDS_PREFIX                                                                               \
	".prefix: missing, a class needs it: What its keys begin with; \"\": all keys that no "    \
	"other class has"
#define FIELDS "name, prefix, priority, share_min, share_max, ttl_default, ttl_max, rate_max"

static void test_what_is_no_list_of_classes_is_refused(void)
{
	static const struct fault_case lists[] = {
	    {CLASSES, NOT_A_LIST},
	    {PORTS "classes: []\n", NOT_A_LIST},
	    {PORTS "classes: sessions\n", NOT_A_LIST},
	    {PORTS "classes: {name: a, prefix: a}\n", NOT_A_LIST},
	    {CLASSES "- sessions\n", "f:4: " NOT_A_CLASS},
	    {CLASSES "- [a]\n", "f:4: " NOT_A_CLASS},
	    {CLASSES "-\n", "f:4: " NOT_A_CLASS},
	    {CLASSES "- {}\n", "f:4: classes[0]" NEEDS_NAME "\nf:4: classes[0]" NEEDS_PREFIX},
	    {CLASSES "- name: a\n", "f:4: classes[0]" NEEDS_PREFIX},
	    {CLASSES ENTRY("a", "a") "- prefix: b\n", "f:6: classes[1]" NEEDS_NAME},
	    {ONE("  priorty: 1\n"), "f:6: classes[0].priorty: no such field: a class has " FIELDS},
	    {ONE("  kind: [1]\n"), "f:6: classes[0].kind: no such field: a class has " FIELDS},
	    {ONE("  \"\\x01\": 1\n"), "f:6: classes[0].?: no such field: a class has " FIELDS},
	    {ONE("  name: b\n"), "f:6: name: given twice, first in line 4: remove one"},
	    {CLASSES ENTRY("a", "a") "classes:\n" ENTRY("b", "b"),
	     "f:6: classes: given twice, first in line 3: remove one"},
	};

	RUN_FAULTS(lists);
}

#define NO_NAME(text)                                                                              \
	"f:4: classes[0].name: \"" text "\" is not a name for a class: write at most 32 letters, " \
	"digits, '_', '.' or '-'"
#define NO_PREFIX(text)                                                                            \
	"f:5: classes[0].prefix: \"" text "\" is not what a key can begin with: write at most "    \
	"250 bytes without spaces and control characters"
#define NO_VALUE "no value given: give one or remove the line"
#define NO_LIST  "a list or mapping where one value belongs: write a single value"

static void test_bad_names_and_prefixes_are_refused(void)
{
	static const struct fault_case texts[] = {
	    {CLASSES ENTRY("a b", "a"), NO_NAME("a b")},
	    {CLASSES ENTRY("a/b", "a"), NO_NAME("a/b")},
	    {CLASSES ENTRY("caf\xc3\xa9", "a"), NO_NAME("caf??")},
	    {CLASSES ENTRY("", "a"), "f:4: classes[0].name: " NO_VALUE},
	    {CLASSES ENTRY("\"\"", "a"), "f:4: classes[0].name: " NO_VALUE},
	    {CLASSES ENTRY("[a]", "a"), "f:4: classes[0].name: " NO_LIST},
	    {CLASSES ENTRY("default", "a"),
	     "f:4: classes[0].name: \"default\" is the name of the class of all other keys: choose "
	     "another"},
	    {CLASSES ENTRY("a", "a") ENTRY("b", "b") ENTRY("b", "c"),
	     "f:8: classes[2].name: \"b\" is the name of classes[1]: choose another"},
	    {CLASSES ENTRY("a", "") ENTRY("a", "b"),
	     "f:6: classes[1].name: \"a\" is the name of classes[0]: choose another"},
	    {CLASSES ENTRY("a", "a b"), NO_PREFIX("a b")},
	    {CLASSES ENTRY("a", " "), NO_PREFIX(" ")},
	    {CLASSES ENTRY("a", "a\\t"), NO_PREFIX("a?")},
	    {CLASSES ENTRY("a", "\\x1f"), NO_PREFIX("?")},
	    {CLASSES ENTRY("a", "a\\x7f"), NO_PREFIX("a?")},
	    {CLASSES ENTRY("a", "a\\r\\n"), NO_PREFIX("a??")},
	    {CLASSES "- name: a\n  prefix: |\n    a\n", NO_PREFIX("a?")},
	    {CLASSES "- name: a\n  prefix:\n", "f:5: classes[0].prefix: no value given: give one, "
	                                       "or \"\" for what no other class has"},
	    {CLASSES "- name: a\n  prefix: [a, b]\n", "f:5: classes[0].prefix: " NO_LIST},
	    {CLASSES "- name: a\n  prefix: {}\n", "f:5: classes[0].prefix: " NO_LIST},
	    {CLASSES ENTRY("a", "a") ENTRY("b", "ab") ENTRY("c", "a"),
	     "f:9: classes[2].prefix: \"a\" is the prefix of classes[0]: remove one of them"},
	    {CLASSES ENTRY("a", "") ENTRY("b", "b") ENTRY("default", ""),
	     "f:9: classes[2].prefix: \"\" is the prefix of classes[0]: remove one of them"},
	    {CLASSES "- name: a\n  prefix:\n" ENTRY("b", ""),
	     "f:5: classes[0].prefix: no value given: give one, or \"\" for what no other class "
	     "has"},
	    {CLASSES "- a\n- [a]\n" ENTRY("a", "a"),
	     "f:4: " NOT_A_CLASS "\n"
	     "f:5: classes[1]: not a class: write {name: ..., prefix: ..., ...}"},
	};

	RUN_FAULTS(texts);
}

#define VALUE(field, value, reason)                                                                \
	{                                                                                          \
		ONE("  " field ": " value "\n"), "f:6: classes[0]." field ": " reason              \
	}

#define RANGE(value, from, to) value " is out of range: choose a value from " from " to " to
#define NO_NUMBER(value)       "\"" value "\" is not a whole number: write digits only"
#define NO_PERCENT(value)                                                                          \
	"\"" value "\" is not a percentage: write a whole number with %, such as 20%"
#define NO_DURATION(value)                                                                         \
	"\"" value "\" is not a duration: write a number with us, ms, s, min or h, such as 10s"
#define NO_SECONDS(value)                                                                          \
	"\"" value "\" is not a number of whole seconds: write one such as 1s or 5min"

static void test_bad_values_are_refused(void)
{
	static const struct fault_case values[] = {
	    VALUE("priority", "10", RANGE("10", "0", "9")),
	    VALUE("priority", "-1", NO_NUMBER("-1")),
	    VALUE("priority", "high", NO_NUMBER("high")),
	    VALUE("priority", "5%", NO_NUMBER("5%")),
	    VALUE("priority", "", NO_VALUE),
	    VALUE("priority", "[5]", NO_LIST),
	    VALUE("share_min", "20", NO_PERCENT("20")),
	    VALUE("share_min", "20 %", NO_PERCENT("20 %")),
	    VALUE("share_min", "0.5%", NO_PERCENT("0.5%")),
	    VALUE("share_min", "-1%", NO_PERCENT("-1%")),
	    VALUE("share_min", "020%", NO_PERCENT("020%")),
	    VALUE("share_min", "20%%", NO_PERCENT("20%%")),
	    VALUE("share_min", "91%", RANGE("91%", "0", "90%")),
	    VALUE("share_max", "0%", RANGE("0%", "1%", "100%")),
	    VALUE("share_max", "0", RANGE("0", "1%", "100%")),
	    VALUE("share_max", "101%", RANGE("101%", "1%", "100%")),
	    VALUE("share_max", "18446744073709551616%", NO_PERCENT("18446744073709551616%")),
	    VALUE("share_max", "{}", NO_LIST),
	    VALUE("ttl_default", "10", NO_DURATION("10")),
	    VALUE("ttl_default", "1d", NO_DURATION("1d")),
	    VALUE("ttl_default", "500ms", NO_SECONDS("500ms")),
	    VALUE("ttl_default", "1500ms", NO_SECONDS("1500ms")),
	    VALUE("ttl_default", "87601h", RANGE("87601h", "0", "87600h")),
	    VALUE("ttl_max", "never", NO_DURATION("never")),
	    VALUE("ttl_max", "1ms", NO_SECONDS("1ms")),
	    VALUE("ttl_max", "315360001s", RANGE("315360001s", "0", "87600h")),
	    VALUE("ttl_max", "", NO_VALUE),
	    VALUE("rate_max", "1000000001", RANGE("1000000001", "0", "1000000000")),
	    VALUE("rate_max", "1k", NO_NUMBER("1k")),
	};

	RUN_FAULTS(values);
}

static void test_limits_that_contradict_each_other_are_refused(void)
{
	static const struct fault_case limits[] = {
	    {ONE("  share_min: 20%\n  share_max: 19%\n"),
	     "f:7: classes[0].share_max: 19% is below share_min, 20%: raise it or lower share_min"},
	    {ONE("  ttl_default: 48h\n  ttl_max: 86400s\n"),
	     "f:6: classes[0].ttl_default: 48h is above ttl_max, 24h: lower it or raise ttl_max"},
	    {CLASSES "- {name: a, prefix: a, share_min: 50%}\n"
	             "- {name: b, prefix: \"\", share_min: 41%}\n",
	     "f:3: classes: share_min of all together is 91%, above 90%: lower some"},
	};
	struct config *config =
	    parsed(CLASSES "- {name: a, prefix: a, share_min: 50%, share_max: 50%}\n"
	                   "- {name: b, prefix: \"\", share_min: 40%}\n");

	config_destroy(config);
	RUN_FAULTS(limits);
}

static void test_all_faults_of_all_classes_are_told_at_once(void)
{
	refused(
	    "memory: 1\n" CLASSES "- name: a b\n"
	    "  prefix: \"a b\"\n"
	    "  priority: 10\n"
	    "  share_min: 60%\n"
	    "  share_max: 50%\n"
	    "  ttl_max: 1ms\n"
	    "- prefix: b\n"
	    "  share_min: 40%\n"
	    "  colour: red\n"
	    "- {name: c, prefix: b, rate_max: x}\n",
	    "f:1: memory: 1 is out of range: choose a value from 4MiB to 4096GiB\n"
	    "f:5: classes[0].name: \"a b\" is not a name for a class: write at most 32 letters, "
	    "digits, '_', '.' or '-'\n"
	    "f:6: classes[0].prefix: \"a b\" is not what a key can begin with: write at most "
	    "250 bytes without spaces and control characters\n"
	    "f:7: classes[0].priority: 10 is out of range: choose a value from 0 to 9\n"
	    "f:10: classes[0].ttl_max: \"1ms\" is not a number of whole seconds: write one such "
	    "as 1s or 5min\n"
	    "f:9: classes[0].share_max: 50% is below share_min, 60%: raise it or lower "
	    "share_min\n"
	    "f:13: classes[1].colour: no such field: a class has " FIELDS "\n"
	    "f:11: classes[1]" NEEDS_NAME "\n"
	    "f:14: classes[2].prefix: \"b\" is the prefix of classes[1]: remove one of them\n"
	    "f:14: classes[2].rate_max: \"x\" is not a whole number: write digits only\n"
	    "f:4: classes: share_min of all together is 100%, above 90%: lower some");
}

static const struct unit_case cases[] = {
    {"an entry fills the rules of its class", test_an_entry_fills_the_rules_of_its_class},
    {"what is not said of a class has its default",
     test_what_is_not_said_of_a_class_has_its_default},
    {"without classes all keys are of class 0", test_without_classes_all_keys_are_of_class_0},
    {"the table of fields says the defaults of class 0",
     test_the_table_of_fields_says_the_defaults_of_class_0},
    {"percentages are written as they are read", test_percentages_are_written_as_they_are_read},
    {"the ends of every range are taken", test_the_ends_of_every_range_are_taken},
    {"a key is of the class with the longest prefix it has",
     test_a_key_is_of_the_class_with_the_longest_prefix_it_has},
    {"an empty prefix gives the rules of all other keys",
     test_an_empty_prefix_gives_the_rules_of_all_other_keys},
    {"a prefix is taken byte by byte", test_a_prefix_is_taken_byte_by_byte},
    {"a prefix may be as long as a key, and not longer",
     test_a_prefix_may_be_as_long_as_a_key_and_not_longer},
    {"a name may have 32 bytes, and not more", test_a_name_may_have_32_bytes_and_not_more},
    {"there may be 63 classes besides the one of all other keys",
     test_there_may_be_63_classes_besides_the_one_of_all_other_keys},
    {"what is no list of classes is refused", test_what_is_no_list_of_classes_is_refused},
    {"bad names and prefixes are refused", test_bad_names_and_prefixes_are_refused},
    {"bad values are refused", test_bad_values_are_refused},
    {"limits that contradict each other are refused",
     test_limits_that_contradict_each_other_are_refused},
    {"all faults of all classes are told at once", test_all_faults_of_all_classes_are_told_at_once},
};

int main(void)
{
	return UNIT_RUN("config_class", cases);
}
