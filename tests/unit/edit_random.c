/* SPDX-License-Identifier: Apache-2.0 */
/* Random edits of random files: what is read of the result is what was wanted and nothing else, and
 * every line that does not have to change is there as it was. Says its seed; takes one as its
 * argument. */
#include "config/edit.h"

#include "config_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define ROUNDS          4000
#define HOSTILE_ROUNDS  4000
#define VALUE_BYTES     64
#define TEXT_BYTES      32768
#define LINE_COUNT_MAX  512
#define PARAMETER_COUNT 18 /* of the top level, with the paths */
#define CLASS_COUNT     3
#define FIELD_COUNT     8
#define OWNER_NONE      UINT32_MAX

/* What the file says; "": it says nothing. */
struct model {
	char top[PARAMETER_COUNT][VALUE_BYTES];
	char classes[CLASS_COUNT][FIELD_COUNT][VALUE_BYTES];
};

/* A file and, of each line, whose it is: parameter i, or CLASS_OWNER() of a class's field. */
struct file {
	char text[TEXT_BYTES];
	size_t length;
	uint32_t owners[LINE_COUNT_MAX];
	uint32_t line_count;
	bool is_crlf;
};

#define CLASS_OWNER(class, field) (1000 + (class) * 100 + (field))
#define CLASS_WHOLE               99 /* in braces: the line is of all fields */

static uint64_t state;

static uint64_t random_below(uint64_t limit)
{
	state += 0x9e3779b97f4a7c15;
	uint64_t z = state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % limit;
}

static const struct config_parameter *top_parameter(uint32_t i)
{
	return i < config_parameter_count ? &config_parameters[i]
	                                  : &config_others.parameters[i - config_parameter_count];
}

/* Within what goes together, whatever else the file says. */
static void limits_of(const struct config_parameter *parameter, uint64_t *low, uint64_t *high)
{
	static const struct {
		const char *name;
		uint64_t low, high;
	} narrow[] = {
	    {"workers", 1, 4},
	    {"memory", 256 * CONFIG_MIB, 4 * CONFIG_GIB},
	    {"item_size_max", CONFIG_KIB, 8 * CONFIG_MIB},
	    {"share_min", 0, 5},
	    {"share_max", 10, 100},
	    {"ttl_default", 0, 3600},
	    {"ttl_max", 3600, 7200},
	};

	*low = parameter->minimum;
	*high = parameter->maximum;
	for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++) {
		if (strcmp(narrow[i].name, parameter->name) == 0) {
			*low = narrow[i].low;
			*high = narrow[i].high;
		}
	}
}

static void random_value(const struct config_parameter *parameter, char value[VALUE_BYTES])
{
	static const char *const paths[] = {
	    "/a",    "/etc/kante/users", "/a b",       "/a#b",
	    "/a: b", "/a\"b\\c",         "/\xc3\xa4/", "/it's, {x}"};
	uint64_t low, high, number;

	if (parameter->type == CONFIG_PATH) {
		snprintf(value, VALUE_BYTES, "%s",
		         paths[random_below(sizeof(paths) / sizeof(paths[0]))]);
		return;
	}
	if (parameter->type == CONFIG_TEXT) { /* `user` */
		snprintf(value, VALUE_BYTES, "%s", random_below(2) == 0 ? "kante" : "_k.1-a");
		return;
	}
	limits_of(parameter, &low, &high);
	number = low + random_below(high - low + 1);
	if (strncmp(parameter->name, "ttl_", 4) == 0)
		snprintf(value, VALUE_BYTES, "%us", (unsigned)number);
	else if (parameter->type == CONFIG_WORKERS && random_below(2) == 0)
		snprintf(value, VALUE_BYTES, "[%u, %u]", (unsigned)number, (unsigned)number + 7);
	else
		config_format_quantity(value, parameter->type, number);
}

static void random_model(struct model *model)
{
	memset(model, 0, sizeof(*model));
	for (uint32_t i = 0; i < PARAMETER_COUNT; i++)
		if (random_below(3) == 0)
			random_value(top_parameter(i), model->top[i]);
	for (uint32_t i = 0; i < CLASS_COUNT; i++) {
		snprintf(model->classes[i][0], VALUE_BYTES, "c%u", i);
		snprintf(model->classes[i][1], VALUE_BYTES, "c%u:", i);
		for (uint32_t j = 2; j < FIELD_COUNT; j++)
			if (random_below(3) == 0)
				random_value(&config_class_fields.parameters[j],
				             model->classes[i][j]);
	}
}

/* A line, or a part of one when it has no newline. */
static void add(struct file *file, uint32_t owner, const char *text)
{
	size_t length = strlen(text);

	if (file->length + length + 2 > TEXT_BYTES)
		abort();
	if (length > 0 && text[length - 1] == '\n') {
		file->owners[file->line_count++] = owner;
		if (file->line_count == LINE_COUNT_MAX)
			abort();
		memcpy(file->text + file->length, text, length - 1);
		file->length += length - 1;
		if (file->is_crlf)
			file->text[file->length++] = '\r';
		file->text[file->length++] = '\n';
	} else {
		memcpy(file->text + file->length, text, length);
		file->length += length;
	}
	file->text[file->length] = '\0';
}

static void add_comment(struct file *file, uint32_t owner)
{
	static const char *const comments[] = {"\n", " # memory: 5\n", "\t# \xe2\x82\xac: [\n",
	                                       " #'\"}]\n", "   \n"};

	add(file, owner, comments[random_below(sizeof(comments) / sizeof(comments[0]))]);
}

static void add_noise(struct file *file, const char *indent)
{
	while (random_below(3) == 0) {
		if (random_below(2) == 0) {
			add(file, OWNER_NONE, indent);
			add(file, OWNER_NONE, "# eviction: lru, \xc3\xa4\n");
		} else {
			add(file, OWNER_NONE, "\n");
		}
	}
}

/* In one of the ways in which a value may stand. */
static void add_value(struct file *file, uint32_t owner, const char *value)
{
	bool is_plain = strpbrk(value, " #:\"\\',{}") == NULL;
	char quoted[2 * VALUE_BYTES + 3] = "\"", *to = quoted + 1;

	if (value[0] == '[' || (is_plain && random_below(2) == 0)) {
		add(file, owner, value);
		return;
	}
	if (strpbrk(value, "\"\\'") == NULL && random_below(2) == 0) {
		snprintf(quoted, sizeof(quoted), "'%s'", value);
	} else {
		for (; *value != '\0'; value++) {
			if (strchr("\"\\", *value) != NULL)
				*to++ = '\\';
			*to++ = *value;
		}
		memcpy(to, "\"", 2);
	}
	add(file, owner, quoted);
}

static void add_parameter(struct file *file, const char *indent, uint32_t index, const char *value)
{
	const char *name = top_parameter(index)->name;
	bool is_quoted = random_below(4) == 0;
	unsigned first, second;

	add(file, index, indent);
	add(file, index, is_quoted ? "\"" : "");
	add(file, index, name);
	add(file, index, is_quoted ? "\"" : "");
	add(file, index, random_below(4) == 0 ? " :" : ":");
	if (sscanf(value, "[%u, %u]", &first, &second) == 2 && random_below(2) == 0) {
		char line[VALUE_BYTES];

		add_comment(file, index);
		snprintf(line, sizeof(line), "%s- %u", indent, first);
		add(file, index, line);
		add_comment(file, index);
		snprintf(line, sizeof(line), "%s- %u", indent, second);
		add(file, index, line);
	} else if (random_below(6) == 0 && value[0] != '[') {
		add_comment(file, index);
		add(file, index, indent);
		add(file, index, "  ");
		add_value(file, index, value);
	} else {
		add(file, index, random_below(2) == 0 ? " " : "    ");
		add_value(file, index, value);
	}
	add_comment(file, index);
}

static void add_class(struct file *file, const char *indent, const struct model *model,
                      uint32_t class)
{
	uint32_t shift = (uint32_t)random_below(FIELD_COUNT);
	bool is_flow = random_below(2) == 0, is_first = true;

	add(file, OWNER_NONE, indent);
	add(file, OWNER_NONE, is_flow ? "- {" : "- ");
	for (uint32_t i = 0; i < FIELD_COUNT; i++) {
		uint32_t field = (i + shift) % FIELD_COUNT;
		uint32_t owner = CLASS_OWNER(class, is_flow ? CLASS_WHOLE : field);

		if (model->classes[class][field][0] == '\0')
			continue;
		if (!is_first && is_flow) {
			bool is_last = random_below(5) == 0; /* of its line */

			add(file, owner, is_last ? ",\n" : ", ");
			add(file, owner, is_last ? "      " : "");
		}
		if (!is_first && !is_flow) {
			add(file, owner, indent);
			add(file, owner, "  ");
		}
		add(file, owner, config_class_fields.parameters[field].name);
		add(file, owner, ": ");
		add_value(file, owner, model->classes[class][field]);
		if (!is_flow)
			add_comment(file, owner);
		is_first = false;
	}
	if (is_flow) {
		add(file, CLASS_OWNER(class, CLASS_WHOLE), random_below(4) == 0 ? ", }" : "}");
		add_comment(file, CLASS_OWNER(class, CLASS_WHOLE));
	}
}

/* The same model is written another way each time. */
static void random_file(struct file *file, const struct model *model)
{
	const char *indent = random_below(4) == 0 ? "  " : "";
	uint32_t shift = (uint32_t)random_below(PARAMETER_COUNT);
	uint32_t ports_at = (uint32_t)random_below(PARAMETER_COUNT + 1);

	*file = (struct file){.is_crlf = random_below(4) == 0};
	for (uint32_t i = 0; i <= PARAMETER_COUNT; i++) {
		uint32_t index = (i + shift) % PARAMETER_COUNT;

		add_noise(file, indent);
		if (i == ports_at) {
			add(file, OWNER_NONE, indent);
			add(file, OWNER_NONE, "ports:\n");
			add(file, OWNER_NONE, indent);
			add(file, OWNER_NONE, "- {kind: socket, listen: /k}\n");
			add(file, OWNER_NONE, indent);
			add(file, OWNER_NONE, "classes:\n");
			for (uint32_t class = 0; class < CLASS_COUNT; class ++)
				add_class(file, indent, model, class);
		}
		if (i < PARAMETER_COUNT && model->top[index][0] != '\0')
			add_parameter(file, indent, index, model->top[index]);
	}
	add_noise(file, indent);
	if (random_below(4) == 0) {
		file->length -= file->is_crlf ? 2 : 1;
		file->text[file->length] = '\0';
	}
}

static struct config *read_whole(const char *text, size_t length)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_BYTES] = "";

	if (config_parse(&config, "f", text, length, error, sizeof(error)) != 0)
		printf("\n--- %s\n%s\n", text, error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	return config;
}

struct lines {
	const char *list[LINE_COUNT_MAX];
	size_t lengths[LINE_COUNT_MAX]; /* without their ends */
	uint32_t count;
};

/* has_entries: what is before a line's text does not count, as the second field of an entry gets
 * the dash of the first one when that goes. */
static void split(struct lines *lines, const char *text, bool has_entries)
{
	lines->count = 0;
	while (*text != '\0' && lines->count < LINE_COUNT_MAX) {
		size_t length;

		if (has_entries)
			text += strspn(text, " -");
		length = strcspn(text, "\n");
		lines->list[lines->count] = text;
		lines->lengths[lines->count++] =
		    length > 0 && text[length - 1] == '\r' ? length - 1 : length;
		text += length + (text[length] == '\n');
	}
}

static bool same_line(const struct lines *a, uint32_t i, const struct lines *b, uint32_t j)
{
	return a->lengths[i] == b->lengths[j] && memcmp(a->list[i], b->list[j], a->lengths[i]) == 0;
}

static bool are_owned(const struct file *file, uint32_t first, uint32_t count, uint32_t owner,
                      uint32_t whole_owner)
{
	for (uint32_t i = first; i < first + count; i++)
		if (file->owners[i] == OWNER_NONE ||
		    (file->owners[i] != owner && file->owners[i] != whole_owner))
			return false;
	return true;
}

/* Between the lines that both begin and end with, there are only lines of `owner` in the old text,
 * and at most as many in the new one, or a line more where there was none. Where a line is gone
 * that another like it follows, either may be it. */
static bool only_its_lines_differ(const struct file *file, const char *result, uint32_t owner,
                                  uint32_t whole_owner)
{
	struct lines before, after;
	uint32_t head = 0, tail = 0, old_count, new_count;

	split(&before, file->text, whole_owner != OWNER_NONE);
	split(&after, result, whole_owner != OWNER_NONE);
	while (head < before.count && head < after.count && same_line(&before, head, &after, head))
		head++;
	while (tail < before.count - head && tail < after.count - head &&
	       same_line(&before, before.count - 1 - tail, &after, after.count - 1 - tail))
		tail++;
	old_count = before.count - head - tail;
	new_count = after.count - head - tail;
	while (new_count == 0 && head > 0 &&
	       !are_owned(file, head, old_count, owner, whole_owner) &&
	       same_line(&before, head - 1, &before, head - 1 + old_count))
		head--;
	return are_owned(file, head, old_count, owner, whole_owner) &&
	       new_count <= (old_count == 0 ? 1 : old_count);
}

static bool ends_are_alike(const char *text, bool is_crlf)
{
	for (const char *at = strchr(text, '\n'); at != NULL; at = strchr(at + 1, '\n'))
		if ((at > text && at[-1] == '\r') != is_crlf)
			return false;
	return true;
}

/* The old model and the new one are written plainly, to know what is to be read. */
static void edit_once(uint32_t round)
{
	static struct file file, wanted_file;
	static struct model model;
	struct config_edit edit = {0};
	char class_name[VALUE_BYTES], value[VALUE_BYTES] = "", error[CONFIG_ERROR_BYTES] = "";
	uint32_t class = (uint32_t)random_below(2 * CLASS_COUNT), index, owner, whole = OWNER_NONE;
	char *to, *result = NULL;
	size_t length = 0;
	bool is_good;
	int r;

	random_model(&model);
	random_file(&file, &model);
	if (class < CLASS_COUNT) {
		index = 2 + (uint32_t)random_below(FIELD_COUNT - 2);
		snprintf(class_name, sizeof(class_name), "c%u", class);
		edit.class_name = class_name;
		edit.parameter = config_class_fields.parameters[index].name;
		to = model.classes[class][index];
		owner = CLASS_OWNER(class, index);
		whole = CLASS_OWNER(class, CLASS_WHOLE);
		random_value(&config_class_fields.parameters[index], value);
	} else {
		index = (uint32_t)random_below(PARAMETER_COUNT);
		edit.parameter = top_parameter(index)->name;
		to = model.top[index];
		owner = index;
		random_value(top_parameter(index), value);
	}
	if (random_below(3) == 0)
		value[0] = '\0';
	else
		edit.value = value;
	memcpy(to, value, VALUE_BYTES);
	random_file(&wanted_file, &model);
	r = config_edit(&result, &length, "f", file.text, file.length, &edit, error, sizeof(error));
	is_good = r == 0;
	if (is_good) {
		struct config *got = read_whole(result, length);
		struct config *wanted = read_whole(wanted_file.text, wanted_file.length);

		is_good = memcmp(got, wanted, sizeof(*got)) == 0 &&
		          only_its_lines_differ(&file, result, owner, whole) &&
		          ends_are_alike(result, file.is_crlf);
		config_destroy(got);
		config_destroy(wanted);
	}
	if (!is_good)
		printf("\nround %u: %s.%s = %s: %d %s\n--- file\n%s\n--- result\n%s\n", round,
		       edit.class_name == NULL ? "" : edit.class_name, edit.parameter,
		       edit.value == NULL ? "(out)" : edit.value, r, error, file.text,
		       result == NULL ? "" : result);
	CU_ASSERT_TRUE(is_good);
	free(result);
}

static void test_random_edits_change_what_is_wanted_and_no_other_line(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++)
		edit_once(i);
}

static void make_hostile(struct file *file)
{
	static const char *const pieces[] = {"\r", "\n",  ": ", "- ",       "{",    "}",
	                                     "[",  "]",   "#",  "\"",       "'",    ", ",
	                                     "? ", "|\n", ">-", "\xc2\x85", "\xff", "---",
	                                     "\t", " ",   "&a", "*a",       "\\",   "\xe2\x80\xa8"};

	for (uint64_t count = 1 + random_below(4); count > 0; count--) {
		const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
		size_t length = strlen(piece), at = random_below(file->length + 1);
		size_t gone = random_below(3) == 0 ? random_below(file->length - at + 1) % 8 : 0;

		if (file->length + length >= TEXT_BYTES)
			return;
		memmove(file->text + at + length, file->text + at + gone,
		        file->length + 1 - at - gone);
		memcpy(file->text + at, piece, length);
		file->length = file->length + length - gone;
	}
}

/* The value of that parameter, which is a number of the top level. */
static uint64_t held(const struct config *config, uint32_t index)
{
	uint64_t value;

	memcpy(&value, (const char *)config + config_parameters[index].offset, sizeof(value));
	return value;
}

/* Whatever the text is, an edit either changes the one value, or is refused with a reason. */
static void test_a_hostile_text_is_changed_in_the_one_value_or_refused(void)
{
	static struct file file;
	static struct model model;
	uint32_t changed_count = 0;

	for (uint32_t i = 0; i < HOSTILE_ROUNDS; i++) {
		uint32_t index = (uint32_t)random_below(config_parameter_count);
		char value[VALUE_BYTES], error[CONFIG_ERROR_BYTES] = "";
		struct config_edit edit = {.parameter = config_parameters[index].name};
		struct config *before = NULL, *after = NULL;
		char *result = NULL;
		size_t length = 0;
		int r;

		random_model(&model);
		random_file(&file, &model);
		make_hostile(&file);
		random_value(&config_parameters[index], value);
		edit.value = random_below(3) == 0 ? NULL : value;
		r = config_edit(&result, &length, "f", file.text, file.length, &edit, error,
		                sizeof(error));
		CU_ASSERT_EQUAL(r == 0, error[0] == '\0');
		if (r != 0)
			continue;
		after = read_whole(result, length);
		if (config_parse(&before, "f", file.text, file.length, error, sizeof(error)) == 0) {
			changed_count++;
			for (uint32_t j = 0; j < config_parameter_count; j++)
				if (j != index)
					CU_ASSERT_EQUAL(held(before, j), held(after, j));
		}
		config_destroy(before);
		config_destroy(after);
		free(result);
	}
	CU_ASSERT_TRUE(changed_count > HOSTILE_ROUNDS / 50);
}

static const struct unit_case cases[] = {
    {"random edits change what is wanted and no other line",
     test_random_edits_change_what_is_wanted_and_no_other_line},
    {"a hostile text is changed in the one value or refused",
     test_a_hostile_text_is_changed_in_the_one_value_or_refused},
};

int main(int argc, char **argv)
{
	if (argc > 1)
		state = strtoull(argv[1], NULL, 10);
	else if (getrandom(&state, sizeof(state), 0) != sizeof(state))
		return 2;
	printf("seed %llu\n", (unsigned long long)state);
	return UNIT_RUN("edit_random", cases);
}
