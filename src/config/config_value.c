/* SPDX-License-Identifier: Apache-2.0 */
/* Values: how they are read, checked and written. */
#include "config/config_check.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

#define REASON_BYTES 256

#define WORD(name) #name,

static const struct config_unit size_units[] = {
    {"GiB", CONFIG_GIB}, {"MiB", CONFIG_MIB}, {"KiB", CONFIG_KIB}, {"", 1}, {NULL, 0}};
static const struct config_unit duration_units[] = {
    {"h", 3600000000}, {"min", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}, {NULL, 0}};
static const struct config_unit second_units[] = {{"h", 3600}, {"min", 60}, {"s", 1}, {NULL, 0}};
static const struct config_unit percent_units[] = {{"%", 1}, {NULL, 0}};
static const struct config_unit count_units[] = {{"", 1}, {NULL, 0}};

const struct config_unit *config_units(enum config_type type)
{
	switch (type) {
	case CONFIG_SIZE: return size_units;
	case CONFIG_DURATION: return duration_units;
	case CONFIG_SECONDS: return second_units;
	case CONFIG_PERCENT: return percent_units;
	default: return count_units;
	}
}

const char *const *config_words(enum config_type type)
{
	static const char *const congestion[] = {TCP_CONGESTION_CONTROLS(WORD) NULL};
	static const char *const policies[] = {POLICIES(WORD) NULL};
	static const char *const roles[] = {ROLES(ROLE_NAME) NULL};
	static const char *const algorithms[] = {ADMIN_ALGORITHMS(WORD) NULL};
	static const char *const when_full[] = {ADMIN_WHEN_FULL(WORD) NULL};
	static const char *const metrics[] = {ADMIN_METRICS(WORD) NULL};
	static const char *const switches[] = {"false", "true", NULL};
	static const char *const port_kinds[] = {PORT_KINDS(PORT_KIND_NAME) NULL};

	switch (type) {
	case CONFIG_CONGESTION: return congestion;
	case CONFIG_POLICY: return policies;
	case CONFIG_SWITCH: return switches;
	case CONFIG_PORT_KIND: return port_kinds;
	case CONFIG_ROLE: return roles;
	case CONFIG_ALGORITHM: return algorithms;
	case CONFIG_WHEN_FULL: return when_full;
	case CONFIG_METRICS: return metrics;
	default: return NULL;
	}
}

static const char *type_hint(enum config_type type)
{
	switch (type) {
	case CONFIG_SIZE:
		return "not a size: write a number of bytes, or one with KiB, MiB or GiB, such as "
		       "64MiB";
	case CONFIG_DURATION:
		return "not a duration: write a number with us, ms, s, min or h, such as 10s";
	case CONFIG_SECONDS:
		return "not a duration in whole seconds: write a number with s, min or h, such as "
		       "60s";
	case CONFIG_PERCENT: return "not a percentage: write a whole number with %, such as 20%";
	default: return "not a whole number: write digits only";
	}
}

void config_format_quantity(char ret_text[CONFIG_QUANTITY_BYTES], enum config_type type,
                            uint64_t value)
{
	const struct config_unit *unit = config_units(type);

	if (config_words(type) != NULL) {
		snprintf(ret_text, CONFIG_QUANTITY_BYTES, "%s", config_words(type)[value]);
		return;
	}
	if (type == CONFIG_MODE) {
		snprintf(ret_text, CONFIG_QUANTITY_BYTES, "%04llo", (unsigned long long)value);
		return;
	}
	while (unit->suffix != NULL && (value == 0 || value % unit->factor != 0))
		unit++;
	if (unit->suffix == NULL)
		snprintf(ret_text, CONFIG_QUANTITY_BYTES, "%llu", (unsigned long long)value);
	else
		snprintf(ret_text, CONFIG_QUANTITY_BYTES, "%llu%s",
		         (unsigned long long)(value / unit->factor), unit->suffix);
}

bool config_parse_number(uint64_t *ret_number, const char **ret_end, const char *text)
{
	const char *at = text;
	uint64_t number = 0;

	if (*at < '0' || *at > '9' || (at[0] == '0' && at[1] >= '0' && at[1] <= '9'))
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
			return false;
	}
	*ret_number = number;
	*ret_end = at;
	return true;
}

void config_entry_path(char ret_path[CONFIG_PATH_BYTES], const char *list, uint32_t index,
                       const char *field)
{
	char quoted[FAULTS_QUOTE_BYTES];

	faults_quote(quoted, field);
	snprintf(ret_path, CONFIG_PATH_BYTES, "%s[%u]%s%s", list, index,
	         field[0] == '\0' ? "" : ".", quoted);
}

void config_refuse_text(struct faults *faults, const struct node *node, const char *path,
                        const char *format, ...)
{
	char quoted[FAULTS_QUOTE_BYTES], reason[REASON_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	faults_quote(quoted, node->text);
	faults_add(faults, node->line, path, "\"%s\" is %s", quoted, reason);
}

bool config_check_scalar(struct faults *faults, const struct node *node, const char *path)
{
	if (node->kind != NODE_SCALAR) {
		faults_add(faults, node->key_line, path,
		           "a list or mapping where one value belongs: write a single value");
		return false;
	}
	if (node->text[0] == '\0') {
		faults_add(faults, node->line, path, "no value given: give one or remove the line");
		return false;
	}
	return true;
}

static bool parse_quantity(const char *text, enum config_type type, uint64_t *ret_value)
{
	uint64_t number;
	const char *suffix;

	if (!config_parse_number(&number, &suffix, text))
		return false;
	if (number == 0 && *suffix == '\0') {
		*ret_value = 0;
		return true;
	}
	for (const struct config_unit *unit = config_units(type); unit->suffix != NULL; unit++) {
		if (strcmp(unit->suffix, suffix) == 0)
			return !__builtin_mul_overflow(number, unit->factor, ret_value);
	}
	return false;
}

bool config_check_quantity(struct faults *faults, const struct node *node, const char *path,
                           enum config_type type, uint64_t minimum, uint64_t maximum,
                           uint64_t *ret_value)
{
	char quoted[FAULTS_QUOTE_BYTES];
	char from[CONFIG_QUANTITY_BYTES], to[CONFIG_QUANTITY_BYTES];
	uint64_t value;

	if (!config_check_scalar(faults, node, path))
		return false;
	faults_quote(quoted, node->text);
	if (!parse_quantity(node->text, type, &value)) {
		faults_add(faults, node->line, path, "\"%s\" is %s", quoted, type_hint(type));
		return false;
	}
	if (value < minimum || value > maximum) {
		config_format_quantity(from, type, minimum);
		config_format_quantity(to, type, maximum);
		faults_add(faults, node->line, path,
		           "%s is out of range: choose a value from %s to %s", quoted, from, to);
		return false;
	}
	*ret_value = value;
	return true;
}

bool config_check_count(struct faults *faults, const struct node *node, const char *path,
                        uint64_t minimum, uint64_t maximum, uint64_t *ret_number)
{
	return config_check_quantity(faults, node, path, CONFIG_COUNT, minimum, maximum,
	                             ret_number);
}

bool config_check_word(struct faults *faults, const struct node *node, const char *path,
                       enum config_type type, uint64_t *ret_value)
{
	const char *const *words = config_words(type);
	char quoted[FAULTS_QUOTE_BYTES], known[256];
	size_t used = 0;

	if (!config_check_scalar(faults, node, path))
		return false;
	for (uint64_t i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], node->text) == 0) {
			*ret_value = i;
			return true;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		                         i == 0 ? "" : " or ", words[i]);
	}
	ASSERT(used < sizeof(known));
	faults_quote(quoted, node->text);
	faults_add(faults, node->line, path, "\"%s\" is not known: write %s", quoted, known);
	return false;
}

bool config_check_path(struct faults *faults, const struct node *node, const char *path,
                       const struct config_parameter *parameter, char *to)
{
	size_t length;

	if (!config_check_scalar(faults, node, path))
		return false;
	length = strlen(node->text);
	if (node->text[0] != '/') {
		config_refuse_text(faults, node, path, "not an absolute path: write one such as %s",
		                   parameter->example == NULL ? parameter->default_text
		                                              : parameter->example);
		return false;
	}
	if (length > parameter->maximum) {
		config_refuse_text(faults, node, path, "longer than %u bytes: choose a shorter one",
		                   (unsigned)parameter->maximum);
		return false;
	}
	memcpy(to, node->text, length + 1);
	return true;
}

/* What means the same to every reader without quotes. */
static bool needs_quotes(const char *value)
{
	size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "0123456789_./%-");

	return value[0] == '\0' || value[length] != '\0' || strchr("_.%-", value[0]) != NULL;
}

void config_write_text(FILE *to, const char *text)
{
	if (!needs_quotes(text)) {
		fputs(text, to);
		return;
	}
	fputc('"', to);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}
