/* SPDX-License-Identifier: Apache-2.0 */
#include "control/kept.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "control/private_file.h"

#include <errno.h>
#include <time.h>

#define VERSION 1

static int no_memory(struct faults *faults)
{
	faults_add(faults, 0, "", "not enough memory: try again");
	return -ENOMEM;
}

/* The records, which are the document's, or NULL, which is then a fault, too. */
static json_t *records_of(json_t *document, const char *name, size_t count_max,
                          struct faults *faults)
{
	json_t *version = json_object_get(document, "version");
	json_t *records = json_object_get(document, name);

	if (json_is_integer(version) && json_integer_value(version) != VERSION)
		faults_add(faults, 0, "version", "not %d: use the Kante that has written it",
		           VERSION);
	else if (!json_is_integer(version) || !json_is_array(records) ||
	         json_object_size(document) != 2)
		faults_add(faults, 0, "", "not {\"version\": %d, \"%s\": [...]}: put a copy back",
		           VERSION, name);
	else if (json_array_size(records) > count_max)
		faults_add(faults, 0, name, "%zu of them: at most %zu can be kept",
		           json_array_size(records), count_max);
	else
		return records;
	return NULL;
}

static int parse(struct kept *kept, const char *name, size_t count_max, struct faults *faults)
{
	json_error_t error;
	json_t *document = json_loadb(kept->text, kept->length, JSON_REJECT_DUPLICATES, &error);

	if (document == NULL) {
		/* what has no line is no fault of the text (jansson 2.14 often takes having no
		 * memory for one, though) */
		if (error.line < 1)
			return no_memory(faults);
		faults_add(faults, (uint32_t)error.line, "", "%s: put a copy back", error.text);
		return -EINVAL;
	}
	kept->records = json_incref(records_of(document, name, count_max, faults));
	json_decref(document);
	return kept->records == NULL ? -EINVAL : 0;
}

int kept_read(struct kept *ret_kept, const char *path, const char *name, size_t count_max,
              struct faults *faults)
{
	struct kept kept = {0};
	int r =
	    private_file_read(&kept.text, &kept.length, path, KEPT_FILE_BYTES_MAX, false, faults);

	if (r == 0) {
		r = parse(&kept, name, count_max, faults);
	} else if (r == -ENOENT) {
		kept.records = json_array();
		r = kept.records == NULL ? no_memory(faults) : 0;
	}
	if (r < 0)
		kept_release(&kept);
	else
		*ret_kept = kept;
	return r;
}

void kept_release(struct kept *kept)
{
	json_decref(kept->records);
	private_file_release(kept->text, kept->length);
}

/* The text is JSON and has that many records, so all that is looked for is there: in the array in
 * the object, the first byte of what follows so many commas. */
uint32_t kept_line(const struct kept *kept, size_t index)
{
	uint32_t line = 1, depth = 0;
	bool in_string = false;

	for (const char *at = kept->text; *at != '\0'; at++) {
		if (in_string) {
			in_string = *at != '"';
			at += *at == '\\';
			continue;
		}
		if (depth == 2 && index == 0 && strchr(" \t\r\n", *at) == NULL)
			break;
		switch (*at) {
		case '\n': line++; break;
		case '"': in_string = true; break;
		case '{':
		case '[': depth++; break;
		case '}':
		case ']': depth--; break;
		case ',': index -= depth == 2; break;
		}
	}
	return line;
}

int kept_write(const char *path, const char *name, json_t *records, struct faults *faults)
{
	char *text = NULL;
	size_t length = 0, index;
	FILE *stream = open_memstream(&text, &length);
	json_t *record;
	bool good = stream != NULL;
	int r;

	if (good)
		good = fprintf(stream, "{\"version\": %d, \"%s\": [", VERSION, name) > 0;
	json_array_foreach(records, index, record) good =
	    good && fputs(index == 0 ? "\n" : ",\n", stream) >= 0 &&
	    json_dumpf(record, stream, JSON_COMPACT) == 0;
	good = good && fputs("\n]}\n", stream) >= 0;
	if (stream != NULL)
		good = fclose(stream) == 0 && good;
	r = good ? private_file_write(path, text, length, faults) : no_memory(faults);
	private_file_release(text, text == NULL ? 0 : length);
	return r;
}

json_t *kept_time(uint64_t unix_s)
{
	time_t time = (time_t)unix_s;
	struct tm parts;
	char text[sizeof("9999-12-31T23:59:59Z")];
	size_t length;

	ASSERT(unix_s <= KEPT_TIME_S_MAX);
	if (unix_s == 0)
		return json_null();
	gmtime_r(&time, &parts);
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	ASSERT(length == sizeof(text) - 1);
	return json_string(text);
}
