/* SPDX-License-Identifier: Apache-2.0 */
#include "control/authority_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RECORDS_FILE "issued.json"

/* One takes 200 bytes at most, so all of them are less than AUTHORITY_FILE_BYTES_MAX. */
#define RECORD_COUNT_MAX 10000
#define KEPT_S           (UINT64_C(365) * 86400) /* after it has expired */

#define TIME_S_MAX UINT64_C(253402300799) /* the end of 9999, and of what certificates can say */

static json_t *list_of(const struct authority *authority)
{
	return json_object_get(authority->records, "issued");
}

static bool is_time(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) >= 0 &&
	       (uint64_t)json_integer_value(value) <= TIME_S_MAX;
}

static bool is_serial(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t length = json_string_length(value);

	return text != NULL && length > 0 && length < AUTHORITY_SERIAL_BYTES &&
	       strspn(text, "0123456789ABCDEF") == length;
}

static bool is_record(const json_t *record)
{
	const json_t *name = json_object_get(record, "name");
	const char *role_text = json_string_value(json_object_get(record, "role"));
	enum role role;

	return json_is_string(name) && json_string_length(name) <= AUTHORITY_NAME_BYTES_MAX &&
	       is_serial(json_object_get(record, "serial")) && role_text != NULL &&
	       role_parse(&role, role_text) && is_time(json_object_get(record, "issued")) &&
	       is_time(json_object_get(record, "expires")) &&
	       is_time(json_object_get(record, "revoked"));
}

static int check_records(struct authority *authority)
{
	const json_t *number = json_object_get(authority->records, "crl_number");
	const json_t *list = list_of(authority), *record;
	size_t i;

	if (!json_is_integer(number) || json_integer_value(number) < 0 || !json_is_array(list))
		return authority_refuse(authority, EINVAL, RECORDS_FILE,
		                        "not what was written here: restore it from a backup");
	json_array_foreach(list, i, record)
	{
		if (!is_record(record))
			return authority_refuse(authority, EINVAL, RECORDS_FILE,
			                        "certificate %zu in it is not what was written "
			                        "here: restore it from a backup",
			                        i + 1);
	}
	return 0;
}

static int parse(struct authority *authority)
{
	json_error_t fault;
	char *text;
	size_t length;
	int r = authority_read(authority, RECORDS_FILE, &text, &length);

	if (r < 0)
		return r;
	authority->records = json_loadb(text, length, JSON_REJECT_DUPLICATES, &fault);
	free(text);
	if (authority->records != NULL)
		return check_records(authority);
	if (json_error_code(&fault) == json_error_out_of_memory)
		return authority_refuse(authority, ENOMEM, RECORDS_FILE,
		                        "not enough memory to read it");
	return authority_refuse(authority, EINVAL, RECORDS_FILE,
	                        "line %d: %s: restore it from a backup", fault.line, fault.text);
}

int authority_records_load(struct authority *authority)
{
	bool has_records, has_list = false;
	int r;

	if (authority->records != NULL)
		return 0;
	r = authority_has(authority, RECORDS_FILE, &has_records);
	if (r == 0 && has_records)
		return parse(authority);
	if (r == 0)
		r = authority_has(authority, "ca.crl", &has_list);
	if (r < 0)
		return r;
	/* else the next list would be an empty one */
	if (has_list)
		return authority_refuse(authority, ENOENT, RECORDS_FILE,
		                        "it is gone, and who is revoked with it: restore it from a "
		                        "backup, or take ca.crl away as well to begin anew");
	authority->records = json_pack("{s:i, s:[]}", "crl_number", 0, "issued");
	return authority->records != NULL
	           ? 0
	           : authority_refuse(authority, ENOMEM, RECORDS_FILE, "not enough memory");
}

int authority_records_stage(struct authority *authority)
{
	char *text = json_dumps(authority->records, JSON_INDENT(1));
	int r;

	if (text == NULL)
		return authority_refuse(authority, ENOMEM, RECORDS_FILE, "not enough memory");
	r = authority_stage(authority, RECORDS_FILE, AUTHORITY_SECRET_MODE, text, strlen(text));
	free(text);
	return r;
}

uint64_t authority_record_time(const json_t *record, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(record, key));
}

uint64_t authority_crl_number(const struct authority *authority)
{
	return authority_record_time(authority->records, "crl_number");
}

static void forget_old(struct authority *authority)
{
	json_t *list = list_of(authority);

	for (size_t i = json_array_size(list); i > 0; i--) {
		const json_t *record = json_array_get(list, i - 1);

		if (authority_record_time(record, "expires") + KEPT_S < authority->now_s)
			json_array_remove(list, i - 1);
	}
}

int authority_record_add(struct authority *authority, const char *name, enum role role,
                         const char *serial, uint64_t expires_s)
{
	json_t *record;

	forget_old(authority);
	if (json_array_size(list_of(authority)) >= RECORD_COUNT_MAX)
		return authority_refuse(authority, ENOSPC, RECORDS_FILE,
		                        "%d certificates are in it: wait until one has been "
		                        "expired for a year and is forgotten",
		                        RECORD_COUNT_MAX);
	record = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "name", name, "serial", serial, "role",
	                   role_name(role), "issued", (json_int_t)authority->now_s, "expires",
	                   (json_int_t)expires_s, "revoked", (json_int_t)0);
	if (record == NULL || json_array_append_new(list_of(authority), record) < 0)
		return authority_refuse(authority, ENOMEM, RECORDS_FILE, "not enough memory");
	return 0;
}

/* As we write it, from how `openssl x509 -text` and others do. False: no serial of ours. */
static bool normalize_serial(char ret_serial[AUTHORITY_SERIAL_BYTES], const char *serial)
{
	size_t length = 0;

	for (; *serial != '\0'; serial++) {
		if (*serial == ':')
			continue;
		if (length == AUTHORITY_SERIAL_BYTES - 1)
			return false;
		ret_serial[length++] = (char)toupper((unsigned char)*serial);
	}
	ret_serial[length] = '\0';
	return true;
}

json_t *authority_record_by_serial(const struct authority *authority, const char *serial)
{
	char wanted[AUTHORITY_SERIAL_BYTES];
	json_t *record;
	size_t i;

	if (!normalize_serial(wanted, serial))
		return NULL;
	json_array_foreach(list_of(authority), i, record)
	{
		if (strcmp(json_string_value(json_object_get(record, "serial")), wanted) == 0)
			return record;
	}
	return NULL;
}

static const char *state_of(const json_t *record, uint64_t now_s)
{
	if (authority_record_time(record, "revoked") != 0)
		return "revoked";
	return authority_record_time(record, "expires") <= now_s ? "expired" : "good";
}

json_t *authority_record_good(const struct authority *authority, const char *name)
{
	json_t *record;
	size_t i;

	json_array_foreach(list_of(authority), i, record)
	{
		if (strcmp(json_string_value(json_object_get(record, "name")), name) == 0 &&
		    strcmp(json_string_value(json_object_get(record, "role")),
		           role_name(ROLE_none)) != 0 &&
		    strcmp(state_of(record, authority->now_s), "good") == 0)
			return record;
	}
	return NULL;
}

void authority_format_time(char ret_text[AUTHORITY_TIME_BYTES], uint64_t time_s)
{
	time_t time = (time_t)time_s;
	struct tm parts;

	gmtime_r(&time, &parts);
	strftime(ret_text, AUTHORITY_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static json_t *shown_time(const json_t *record, const char *key)
{
	uint64_t time_s = authority_record_time(record, key);
	char text[AUTHORITY_TIME_BYTES];

	if (time_s == 0)
		return json_null();
	authority_format_time(text, time_s);
	return json_string(text);
}

/* NULL: no memory. */
static json_t *shown(const json_t *record, uint64_t now_s)
{
	return json_pack(
	    "{s:O, s:O, s:O, s:o, s:o, s:o, s:s}", "name", json_object_get(record, "name"),
	    "serial", json_object_get(record, "serial"), "role", json_object_get(record, "role"),
	    "issued", shown_time(record, "issued"), "expires", shown_time(record, "expires"),
	    "revoked", shown_time(record, "revoked"), "state", state_of(record, now_s));
}

json_t *authority_list(const char *directory, uint64_t now_s, char *error, size_t error_bytes)
{
	struct authority authority;
	json_t *list = NULL, *record;
	size_t i;
	int r = authority_open(&authority, directory, AUTHORITY_READ, now_s, error, error_bytes);

	if (r == 0)
		r = authority_records_load(&authority);
	if (r == 0) {
		list = json_array();
		if (list == NULL)
			r = -ENOMEM;
	}
	json_array_foreach(list_of(&authority), i, record)
	{
		if (r == 0 && json_array_append_new(list, shown(record, now_s)) < 0)
			r = -ENOMEM;
	}
	if (r == -ENOMEM)
		authority_refuse(&authority, ENOMEM, RECORDS_FILE, "not enough memory");
	if (r < 0) {
		json_decref(list);
		list = NULL;
	}
	authority_close(&authority);
	return list;
}
