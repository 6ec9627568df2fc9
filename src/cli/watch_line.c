/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch_line.h"

#include "cli/human.h"
#include "cli/key_text.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORD_BYTES   64

/* "name=value" */
struct field {
	const char *name, *value;
	size_t name_bytes, value_bytes;
};

/* Moves *at behind it; without "=" its value is empty. False: there are no more. */
static bool field_next(const char **at, struct field *ret_field)
{
	const char *word = *at + strspn(*at, " ");
	size_t length = strcspn(word, " "), name_bytes = strcspn(word, "= ");
	size_t before = name_bytes == length ? length : name_bytes + 1;

	if (length == 0)
		return false;
	*at = word + length;
	*ret_field = (struct field){word, word + before, name_bytes, length - before};
	return true;
}

static bool field_is(const struct field *field, const char *name)
{
	return strlen(name) == field->name_bytes &&
	       strncmp(field->name, name, field->name_bytes) == 0;
}

static bool field_find(const char *line, const char *name, struct field *ret_field)
{
	while (field_next(&line, ret_field))
		if (field_is(ret_field, name))
			return true;
	*ret_field = (struct field){.name = "", .value = ""};
	return false;
}

static void copy_word(char ret_word[WORD_BYTES], const char *line, const char *name)
{
	struct field field;

	field_find(line, name, &field);
	snprintf(ret_word, WORD_BYTES, "%.*s", (int)field.value_bytes, field.value);
}

static uint64_t number_of(const char *line, const char *name)
{
	struct field field;

	return field_find(line, name, &field) ? strtoull(field.value, NULL, 10) : 0;
}

/* Of "ts=SECONDS.MICROSECONDS". */
static uint64_t time_us_of(const char *line)
{
	struct field field;
	unsigned long long s, us = 0;
	char *end;

	if (!field_find(line, "ts", &field))
		return 0;
	s = strtoull(field.value, &end, 10);
	if (*end == '.')
		us = strtoull(end + 1, NULL, 10);
	return s * 1000000 + us;
}

uint64_t watch_line_skipped(const char *line)
{
	return strncmp(line, "skipped=", 8) == 0 ? number_of(line, "skipped") : 0;
}

void watch_line_print_heading(FILE *to)
{
	fprintf(to, "%-12s  %-8s  %-12s  %8s  %s\n", "TIME", "WHAT", "STATUS", "SIZE", "KEY");
}

/* "not_found" is "not found". */
static void write_blanks(char *text)
{
	while ((text = strchr(text, '_')) != NULL)
		*text = ' ';
}

/* What happened, and what came of it. */
static void name_event(const char *line, char ret_what[WORD_BYTES], char ret_status[WORD_BYTES])
{
	static const struct {
		const char *type, *what, *status_name; /* what: NULL: the line's cmd */
	} types[] = {
	    {"item_get", "get", "status"},     {"item_store", NULL, "status"},
	    {"deleted", "delete", "status"},   {"eviction", "evicted", "status"},
	    {"conn_new", "connect", "status"}, {"conn_close", "close", "reason"},
	};
	char type[WORD_BYTES], fetch[WORD_BYTES];

	copy_word(type, line, "type");
	copy_word(fetch, line, "fetch");
	snprintf(ret_what, WORD_BYTES, "%s", type);
	copy_word(ret_status, line, "status");
	for (size_t i = 0; i < COUNT(types); i++) {
		if (strcmp(type, types[i].type) != 0)
			continue;
		if (types[i].what == NULL)
			copy_word(ret_what, line, "cmd");
		else
			snprintf(ret_what, WORD_BYTES, "%s", types[i].what);
		copy_word(ret_status, line, types[i].status_name);
	}
	if (fetch[0] != '\0')
		snprintf(ret_status, WORD_BYTES, "%s",
		         strcmp(fetch, "yes") == 0 ? "was read" : "never read");
	write_blanks(ret_status);
}

/* The key, or the client's address. To be free()d. */
static char *name_subject(const char *line)
{
	char address[WORD_BYTES], *text;
	struct field field;

	if (field_find(line, "key", &field))
		return key_text_decode(field.value, field.value_bytes);
	copy_word(address, line, "rip");
	if (address[0] == '\0' || strcmp(address, "unix") == 0)
		return strdup(address);
	if (asprintf(&text, strchr(address, ':') != NULL ? "[%s]:%llu" : "%s:%llu", address,
	             (unsigned long long)number_of(line, "rport")) < 0)
		return NULL;
	return text;
}

static void print_time(const char *line, FILE *to)
{
	uint64_t us = time_us_of(line);
	time_t s = (time_t)(us / 1000000);
	char text[16] = "";
	struct tm tm;

	if (localtime_r(&s, &tm) != NULL)
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(to, "%s.%03u", text, (unsigned)(us % 1000000 / 1000));
}

/* A word of the node's, on so many columns. */
static void print_word(const char *word, uint32_t columns, FILE *to)
{
	char *text = terminal_text(word, false);

	fprintf(to, "  %-*s", (int)columns, text == NULL ? "?" : text);
	free(text);
}

void watch_line_print(const char *line, FILE *to)
{
	char what[WORD_BYTES], status[WORD_BYTES], size[HUMAN_BYTES];
	char *subject = name_subject(line);
	struct field field;

	name_event(line, what, status);
	human_size(size, number_of(line, "size"));
	print_time(line, to);
	print_word(what, 8, to);
	print_word(status, 12, to);
	fprintf(to, "  %8s  %s\n",
	        field_find(line, "size", &field) && strcmp(status, "not found") != 0 ? size : "-",
	        subject == NULL ? "?" : subject);
	free(subject);
}

static json_t *value_json(const struct field *field)
{
	char text[WORD_BYTES], *end;
	long long number;

	snprintf(text, sizeof(text), "%.*s", (int)field->value_bytes, field->value);
	number = strtoll(text, &end, 10);
	if (end != text && *end == '\0' && field->value_bytes < 19)
		return json_integer(number);
	return json_stringn(field->value, field->value_bytes);
}

json_t *watch_line_json(const char *line)
{
	json_t *object = json_object();
	char time[HUMAN_BYTES];
	struct field field;
	const char *at = line;

	human_time(time, time_us_of(line));
	json_object_set_new(object, "time", json_string(time));
	while (field_next(&at, &field)) {
		if (field_is(&field, "ts"))
			continue;
		if (field_is(&field, "key"))
			key_json_set(object, field.value, field.value_bytes);
		else
			json_object_setn_new(object, field.name, field.name_bytes,
			                     value_json(&field));
	}
	return object;
}
