/* SPDX-License-Identifier: Apache-2.0 */
#include "config/edit.h"

#include "base/assert.h"
#include "config/edit_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int refuse_layout(struct editor *editor)
{
	return edit_refuse(
	    editor, -ENOTSUP,
	    "the file is written in a way that cannot be changed here: change it by hand");
}

/* YAML counts characters, of UTF-8 as was checked when it was read. */
static size_t byte_of(const struct editor *editor, size_t characters)
{
	size_t at = 0;

	while (at < editor->length) {
		if (((uint8_t)editor->text[at] & 0xc0) != 0x80 && characters-- == 0)
			break;
		at++;
	}
	return at;
}

static size_t line_start(const struct editor *editor, size_t at)
{
	while (at > 0 && editor->text[at - 1] != '\n')
		at--;
	return at;
}

/* Behind its newline, if it has one. */
static size_t line_end(const struct editor *editor, size_t at)
{
	while (at < editor->length && editor->text[at] != '\n')
		at++;
	return at < editor->length ? at + 1 : at;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_spaces(const struct editor *editor, size_t at)
{
	while (at < editor->length && (editor->text[at] == ' ' || editor->text[at] == '\t'))
		at++;
	return at;
}

/* The line has nothing but a comment. */
static bool is_comment_line(const struct editor *editor, size_t start)
{
	size_t at = skip_spaces(editor, start);

	return at < editor->length && editor->text[at] == '#';
}

/* Where a value ends. A block scalar's end is behind the lines that follow it. */
static size_t end_of(const struct editor *editor, const struct node *node)
{
	size_t start = byte_of(editor, node->start), end = byte_of(editor, node->end);

	if (node->kind != NODE_SCALAR && !node->is_flow && node->last != NULL)
		return end_of(editor, node->last);
	while (end > start && is_blank(editor->text[end - 1]))
		end--;
	return end;
}

/* `with`: made for it, and taken. */
static int splice(struct editor *editor, size_t from, size_t until, char *with)
{
	if (with == NULL)
		return -ENOMEM;
	ASSERT(editor->splice_count < SPLICE_COUNT_MAX);
	ASSERT(from <= until && until <= editor->length);
	editor->splices[editor->splice_count++] = (struct splice){from, until, with};
	return 0;
}

static int cut(struct editor *editor, size_t from, size_t until)
{
	return splice(editor, from, until, strdup(""));
}

static char *joined(const char *a, const char *b, const char *c, const char *d)
{
	char *text;

	return asprintf(&text, "%s%s%s%s", a, b, c, d) < 0 ? NULL : text;
}

/* A line of its own, behind the one that `at` is the end of. */
static int add_line(struct editor *editor, size_t at, size_t indent)
{
	const char *first = memchr(editor->text, '\n', editor->length);
	const char *newline =
	    first != NULL && first > editor->text && first[-1] == '\r' ? "\r\n" : "\n";
	bool is_open = at > 0 && editor->text[at - 1] != '\n'; /* the last one, without an end */
	char *line;

	if (asprintf(&line, "%s%*s%s: %s%s", is_open ? newline : "", (int)indent, "",
	             editor->edit->parameter, editor->value, is_open ? "" : newline) < 0)
		return -ENOMEM;
	return splice(editor, at, at, line);
}

/* Columns before a key, if nothing but blanks and the dash of an entry is there. */
static int indent_of(struct editor *editor, const struct node *node, size_t *ret_indent,
                     bool *ret_has_dash)
{
	size_t key = byte_of(editor, node->key_start), at = line_start(editor, key);
	size_t indent = 0;

	*ret_has_dash = false;
	for (; at < key; at++, indent++) {
		if (editor->text[at] == '-' && !*ret_has_dash)
			*ret_has_dash = true;
		else if (editor->text[at] != ' ')
			return refuse_layout(editor);
	}
	*ret_indent = indent;
	return 0;
}

/* `a:` and lines below it become `a: value`. */
static int replace_block(struct editor *editor, const struct node *node)
{
	size_t colon = byte_of(editor, node->key_end);
	size_t start = line_start(editor, byte_of(editor, node->start));
	size_t end = line_end(editor, end_of(editor, node));
	int r;

	colon = skip_spaces(editor, colon);
	if (colon >= start || editor->text[colon] != ':')
		return refuse_layout(editor);
	r = splice(editor, colon + 1, colon + 1, joined(" ", editor->value, "", ""));
	return r < 0 ? r : cut(editor, start, end);
}

static int replace(struct editor *editor, const struct node *node)
{
	size_t start = byte_of(editor, node->start), end = end_of(editor, node);
	bool is_left_out = start == end; /* right behind the colon */
	bool is_commented = end < editor->length && editor->text[end] == '#';

	if (node->kind != NODE_SCALAR && !node->is_flow)
		return replace_block(editor, node);
	return splice(editor, start, end,
	              joined(is_left_out ? " " : "", editor->value, is_commented ? " " : "", ""));
}

static bool is_list_or_section(const struct node *node)
{
	return node->kind != NODE_SCALAR && strcmp(node->key, "workers") != 0;
}

/* Before the first list or section, and what is said above it; but a comment that the file begins
 * with is one on the whole of it. */
static size_t place_above(const struct editor *editor, const struct node *section)
{
	size_t at = line_start(editor, byte_of(editor, section->key_start)), above = at;

	while (above > 0 && is_comment_line(editor, line_start(editor, above - 1)))
		above = line_start(editor, above - 1);
	return above > 0 ? above : at;
}

/* Behind a value's line, and what is said of it below, farther to the right than keys are. */
static size_t place_behind(const struct editor *editor, const struct node *node, size_t indent)
{
	size_t at = line_end(editor, end_of(editor, node));

	while (is_comment_line(editor, at) && skip_spaces(editor, at) - at > indent)
		at = line_end(editor, at);
	return at;
}

static int add_to_top(struct editor *editor)
{
	const struct node *before = NULL,
	                  *node = editor->mapping == NULL ? NULL : editor->mapping->first;
	size_t indent;
	bool has_dash;
	int r;

	if (node == NULL)
		return add_line(editor, editor->length, 0);
	r = indent_of(editor, node, &indent, &has_dash);
	if (r < 0)
		return r;
	for (; node != NULL && !is_list_or_section(node); node = node->next)
		before = node;
	return add_line(editor,
	                before == NULL ? place_above(editor, node)
	                               : place_behind(editor, before, indent),
	                indent);
}

static bool is_of_top(const struct editor *editor)
{
	return editor->edit->class_name == NULL && editor->edit->section == NULL;
}

/* Behind the last field of a class or a section. */
static int add_to_mapping(struct editor *editor)
{
	const struct node *entry = editor->mapping;
	size_t end = end_of(editor, entry->last), indent;
	bool has_dash;
	int r;

	if (entry->is_flow)
		return splice(editor, end, end,
		              joined(", ", editor->edit->parameter, ": ", editor->value));
	r = indent_of(editor, entry->first, &indent, &has_dash);
	return r < 0 ? r : add_line(editor, place_behind(editor, entry->last, indent), indent);
}

/* The comma at or behind a place, with nothing but blanks and comments before it; or the place
 * where something else is. */
static size_t comma_behind(const struct editor *editor, size_t at)
{
	while (at < editor->length && (is_blank(editor->text[at]) || editor->text[at] == '#'))
		at = editor->text[at] == '#' ? line_end(editor, at) : at + 1;
	return at;
}

/* With the blanks behind it, but where a comment follows or the line ends. */
static int cut_comma(struct editor *editor, size_t comma)
{
	size_t behind = skip_spaces(editor, comma + 1);
	bool is_last = behind < editor->length && strchr("#\r\n", editor->text[behind]) != NULL;

	return cut(editor, comma, is_last ? comma + 1 : behind);
}

/* With the comma that follows, or, of the last, with the one before. */
static int remove_flow(struct editor *editor, const struct node *node)
{
	size_t start = byte_of(editor, node->key_start), end = end_of(editor, node);
	size_t comma = comma_behind(editor, end);
	const struct node *before = editor->mapping->first;
	int r;

	if (comma < editor->length && editor->text[comma] == ',') {
		r = cut(editor, start, end);
		return r < 0 ? r : cut_comma(editor, comma);
	}
	if (node == before)
		return cut(editor, start, end);
	while (before->next != node)
		before = before->next;
	comma = comma_behind(editor, end_of(editor, before));
	if (comma >= start || editor->text[comma] != ',')
		return refuse_layout(editor);
	r = cut_comma(editor, comma);
	return r < 0 ? r : cut(editor, start, end);
}

/* The first field of an entry, `- a: b`: the next comes behind the dash. */
static int remove_behind_dash(struct editor *editor, const struct node *node)
{
	size_t start = byte_of(editor, node->key_start);
	size_t end = line_end(editor, end_of(editor, node)), next;

	if (node->next == NULL)
		return refuse_layout(editor);
	next = byte_of(editor, node->next->key_start);
	if (line_start(editor, next) == end)
		return cut(editor, start, next);
	/* something is said in between: the dash stays alone */
	return cut(editor, start, end_of(editor, node));
}

static int remove_value(struct editor *editor, const struct node *node)
{
	size_t key = byte_of(editor, node->key_start), indent;
	bool has_dash;
	int r;

	if (editor->mapping->is_flow)
		return remove_flow(editor, node);
	r = indent_of(editor, node, &indent, &has_dash);
	if (r < 0)
		return r;
	if (has_dash)
		return remove_behind_dash(editor, node);
	return cut(editor, key - indent, line_end(editor, end_of(editor, node)));
}

static int change(struct editor *editor)
{
	const struct node *node =
	    editor->mapping == NULL ? NULL : node_child(editor->mapping, editor->edit->parameter);

	if (node == NULL && editor->value == NULL)
		return 0;
	if (node == NULL)
		return is_of_top(editor) ? add_to_top(editor) : add_to_mapping(editor);
	return editor->value == NULL ? remove_value(editor, node) : replace(editor, node);
}

static bool is_list(const struct editor *editor)
{
	return strcmp(editor->edit->parameter, "workers") == 0 && editor->edit->value[0] == '[';
}

static int write_value(struct editor *editor)
{
	const char *value = editor->edit->value;
	size_t length;
	FILE *to;

	if (value == NULL)
		return 0;
	if (strlen(value) > DOCUMENT_SCALAR_BYTES_MAX)
		return edit_refuse(editor, -EINVAL,
		                   "a text of more than 255 bytes: no parameter takes one so long");
	for (const char *c = value; *c != '\0'; c++)
		if ((uint8_t)*c < ' ' || *c == 0x7f)
			return edit_refuse(editor, -EINVAL,
			                   "a text with control characters: remove them");
	if (is_list(editor) && strspn(value, "[0123456789, ]") != strlen(value))
		return edit_refuse(editor, -EINVAL,
		                   "not a list of cores: write one such as [2, 3], or a count");
	to = open_memstream(&editor->value, &length);
	if (to == NULL)
		return -ENOMEM;
	if (is_list(editor))
		fputs(value, to);
	else
		config_write_text(to, value);
	return fclose(to) == 0 ? 0 : -ENOMEM;
}

static int build(const struct editor *editor, char **ret_text, size_t *ret_length)
{
	size_t length = editor->length, at = 0;
	char *text, *to;

	for (uint32_t i = 0; i < editor->splice_count; i++)
		length += strlen(editor->splices[i].with);
	text = to = malloc(length + 1);
	if (text == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < editor->splice_count; i++) {
		const struct splice *splice = &editor->splices[i];

		ASSERT(splice->from >= at);
		memcpy(to, editor->text + at, splice->from - at);
		to += splice->from - at;
		memcpy(to, splice->with, strlen(splice->with));
		to += strlen(splice->with);
		at = splice->until;
	}
	memcpy(to, editor->text + at, editor->length - at);
	to += editor->length - at;
	*to = '\0';
	*ret_text = text;
	*ret_length = (size_t)(to - text);
	return 0;
}

/* Whether two trees are the same but for what was to change; *ret_mapping: where that is in b. */
static bool same_but_for(const struct editor *editor, const struct node *a, const struct node *b,
                         const struct node **ret_mapping)
{
	const struct node *x = a->first, *y = b->first;
	const char *except = a == editor->mapping ? editor->edit->parameter : NULL;

	if (a->kind != b->kind || (a->key == NULL) != (b->key == NULL) ||
	    (a->key != NULL && strcmp(a->key, b->key) != 0))
		return false;
	if (a->kind == NODE_SCALAR)
		return strcmp(a->text, b->text) == 0 && a->is_plain == b->is_plain;
	if (except != NULL)
		*ret_mapping = b;
	for (;;) {
		if (x != NULL && except != NULL && strcmp(x->key, except) == 0)
			x = x->next;
		if (y != NULL && except != NULL && strcmp(y->key, except) == 0)
			y = y->next;
		if (x == NULL || y == NULL)
			return x == y;
		if (!same_but_for(editor, x, y, ret_mapping))
			return false;
		x = x->next;
		y = y->next;
	}
}

static bool is_wanted(const struct editor *editor, const struct node *mapping)
{
	const struct node *value = node_child(mapping, editor->edit->parameter);

	if (value == NULL || editor->edit->value == NULL)
		return value == NULL && editor->edit->value == NULL;
	if (is_list(editor))
		return value->kind == NODE_SEQUENCE;
	return value->kind == NODE_SCALAR && strcmp(value->text, editor->edit->value) == 0;
}

/* Nothing but what was to change may mean something else, however strangely the file is written. */
static int verify(struct editor *editor, const char *text, size_t length)
{
	char ignored[256];
	struct faults faults;
	struct document *document = NULL;
	const struct node *mapping = NULL;
	bool is_good;
	int r;

	faults_create(&faults, "", ignored, sizeof(ignored));
	r = document_parse(&document, text, length, &faults);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || document->root == NULL) {
		is_good = false;
	} else if (editor->mapping == NULL) {
		mapping = document->root;
		is_good = mapping->first == mapping->last && is_wanted(editor, mapping);
	} else {
		is_good = same_but_for(editor, editor->document->root, document->root, &mapping) &&
		          is_wanted(editor, mapping);
	}
	document_destroy(document);
	return is_good ? 0 : refuse_layout(editor);
}

static int edit_into(struct editor *editor, char **ret_text, size_t *ret_length)
{
	int r = edit_find_parameter(editor);

	if (r == 0)
		r = write_value(editor);
	if (r == 0)
		r = document_parse(&editor->document, editor->text, editor->length, editor->faults);
	if (r == 0)
		r = edit_find_mapping(editor);
	if (r == 0)
		r = change(editor);
	if (r == 0)
		r = build(editor, ret_text, ret_length);
	if (r == 0 && editor->splice_count > 0)
		r = verify(editor, *ret_text, *ret_length);
	return r;
}

int config_edit(char **ret_text, size_t *ret_length, const char *name, const char *text,
                size_t length, const struct config_edit *edit, char *error, size_t error_bytes)
{
	struct faults faults;
	struct editor editor = {.edit = edit, .text = text, .length = length, .faults = &faults};
	struct config *config = NULL;
	char *result = NULL;
	size_t result_length = 0;
	int r;

	faults_create(&faults, name, error, error_bytes);
	r = edit_into(&editor, &result, &result_length);
	if (r == -ENOMEM)
		faults_add(&faults, 0, "", "not enough memory to change it");
	faults_finish(&faults);
	if (r == 0)
		r = config_parse(&config, name, result, result_length, error, error_bytes);
	config_destroy(config);
	document_destroy(editor.document);
	free(editor.value);
	for (uint32_t i = 0; i < editor.splice_count; i++)
		free(editor.splices[i].with);
	if (r < 0) {
		free(result);
		return r;
	}
	*ret_text = result;
	*ret_length = result_length;
	return 0;
}
