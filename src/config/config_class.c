/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_check.h"

#include "base/assert.h"

#include <stdio.h>

#define SECOND_US 1000000ull

_Static_assert(CLASS_PREFIX_BYTES <= UINT8_MAX, "its length has a byte");

/* One entry of `classes:` while it is checked. */
struct entry {
	struct faults *faults;
	const struct node *list;
	const struct node *node;
	uint32_t index;
	struct class_rules rules;
};

static void entry_path(const struct entry *entry, const char *field, char path[CONFIG_PATH_BYTES])
{
	config_entry_path(path, "classes", entry->index, field);
}

/* The value is in the unit of the field's range. */
static void rules_set(struct class_rules *rules, const struct config_parameter *field,
                      uint64_t value)
{
	uint32_t *rule = (uint32_t *)(void *)((char *)rules + field->offset);

	*rule = (uint32_t)(field->type == CONFIG_DURATION ? value / SECOND_US : value);
}

static bool is_left_out(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->text[0] == '\0' && node->is_plain;
}

/* `prefix: ""`: the entry is of class 0. */
static bool is_of_all_keys(const struct node *node)
{
	const struct node *prefix = node_child(node, "prefix");

	return prefix != NULL && prefix->kind == NODE_SCALAR && prefix->text[0] == '\0';
}

/* True: an entry before has the same text in that field. */
static bool is_taken(const struct entry *entry, const struct node *node, uint32_t *ret_index)
{
	uint32_t index = 0;

	for (const struct node *at = entry->list->first; at != entry->node; at = at->next) {
		const struct node *other = node_child(at, node->key);

		if (other != NULL && other->kind == NODE_SCALAR && !is_left_out(other) &&
		    strcmp(other->text, node->text) == 0) {
			*ret_index = index;
			return true;
		}
		index++;
	}
	return false;
}

static bool is_class_name(const char *text)
{
	size_t length =
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return text[length] == '\0' && length <= CLASS_NAME_BYTES;
}

static void check_name(struct entry *entry, const struct node *node, const char *path)
{
	const struct node *prefix = node_child(entry->node, "prefix");
	bool has_prefix = prefix != NULL && prefix->kind == NODE_SCALAR && prefix->text[0] != '\0';
	uint32_t index;

	if (!config_check_scalar(entry->faults, node, path))
		return;
	if (!is_class_name(node->text))
		config_refuse_text(entry->faults, node, path,
		                   "not a name for a class: write at most %d letters, digits, "
		                   "'_', '.' or '-'",
		                   CLASS_NAME_BYTES);
	else if (strcmp(node->text, "default") == 0 && has_prefix)
		config_refuse_text(entry->faults, node, path,
		                   "the name of the class of all other keys: choose another");
	else if (is_taken(entry, node, &index))
		config_refuse_text(entry->faults, node, path,
		                   "the name of classes[%u]: choose another", index);
	else
		memcpy(entry->rules.name, node->text, strlen(node->text) + 1);
}

/* Bytes that a key can have in a line of text. */
static bool is_prefix(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		if ((uint8_t)*at <= ' ' || *at == 0x7f)
			return false;
	}
	return strlen(text) <= CLASS_PREFIX_BYTES;
}

static void check_prefix(struct entry *entry, const struct node *node, const char *path)
{
	uint32_t index;

	if (is_left_out(node)) {
		faults_add(entry->faults, node->line, path,
		           "no value given: give one, or \"\" for what no other class has");
		return;
	}
	if (!is_of_all_keys(entry->node) && !config_check_scalar(entry->faults, node, path))
		return;
	if (!is_prefix(node->text)) {
		config_refuse_text(entry->faults, node, path,
		                   "not what a key can begin with: write at most %d bytes without "
		                   "spaces and control characters",
		                   CLASS_PREFIX_BYTES);
		return;
	}
	if (is_taken(entry, node, &index)) {
		config_refuse_text(entry->faults, node, path,
		                   "the prefix of classes[%u]: remove one of them", index);
		return;
	}
	entry->rules.prefix_bytes = (uint8_t)strlen(node->text);
	memcpy(entry->rules.prefix, node->text, entry->rules.prefix_bytes);
}

static void check_field(struct entry *entry, const struct config_parameter *field,
                        const struct node *node, const char *path)
{
	uint64_t value;

	if (strcmp(field->name, "name") == 0) {
		check_name(entry, node, path);
		return;
	}
	if (strcmp(field->name, "prefix") == 0) {
		check_prefix(entry, node, path);
		return;
	}
	if (!config_check_quantity(entry->faults, node, path, field->type, field->minimum,
	                           field->maximum, &value))
		return;
	if (field->type == CONFIG_DURATION && value % SECOND_US != 0)
		config_refuse_text(entry->faults, node, path,
		                   "not a number of whole seconds: write one such as 1s or 5min");
	else
		rules_set(&entry->rules, field, value);
}

static void check_known(struct entry *entry, const struct node *node)
{
	char path[CONFIG_PATH_BYTES], known[128] = "";
	size_t used = 0;

	entry_path(entry, node->key, path);
	for (uint32_t i = 0; i < config_class_fields.count; i++) {
		if (strcmp(config_class_fields.parameters[i].name, node->key) == 0) {
			check_field(entry, &config_class_fields.parameters[i], node, path);
			return;
		}
		used +=
		    (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		                     used == 0 ? "" : ", ", config_class_fields.parameters[i].name);
	}
	ASSERT(used < sizeof(known));
	faults_add(entry->faults, node->key_line, path, "no such field: a class has %s", known);
}

static void check_required(const struct entry *entry)
{
	char path[CONFIG_PATH_BYTES];

	for (uint32_t i = 0; i < config_class_fields.count; i++) {
		const struct config_parameter *field = &config_class_fields.parameters[i];

		if (!field->is_required || node_child(entry->node, field->name) != NULL)
			continue;
		entry_path(entry, field->name, path);
		faults_add(entry->faults, entry->node->line, path, "missing, a class needs it: %s",
		           field->help);
	}
}

/* What is above the other was given: the defaults are not. */
static void check_limits(const struct entry *entry)
{
	const struct class_rules *rules = &entry->rules;
	char path[CONFIG_PATH_BYTES], text[CONFIG_QUANTITY_BYTES];

	if (rules->share_max < rules->share_min) {
		const struct node *node = node_child(entry->node, "share_max");

		entry_path(entry, node->key, path);
		config_format_quantity(text, CONFIG_PERCENT, rules->share_min);
		faults_add(entry->faults, node->line, path,
		           "%s is below share_min, %s: raise it or lower share_min", node->text,
		           text);
	}
	if (rules->ttl_max_s != 0 && rules->ttl_default_s > rules->ttl_max_s) {
		const struct node *node = node_child(entry->node, "ttl_default");

		entry_path(entry, node->key, path);
		config_format_quantity(text, CONFIG_DURATION, rules->ttl_max_s * SECOND_US);
		faults_add(entry->faults, node->line, path,
		           "%s is above ttl_max, %s: lower it or raise ttl_max", node->text, text);
	}
}

static void check_entry(struct entry *entry)
{
	char path[CONFIG_PATH_BYTES];

	if (entry->node->kind != NODE_MAPPING) {
		entry_path(entry, "", path);
		faults_add(entry->faults, entry->node->line, path,
		           "not a class: write {name: ..., prefix: ..., ...}");
		return;
	}
	for (uint32_t i = 0; i < config_class_fields.count; i++) {
		if (config_class_fields.parameters[i].type != CONFIG_TEXT)
			rules_set(&entry->rules, &config_class_fields.parameters[i],
			          config_class_fields.parameters[i].default_value);
	}
	for (const struct node *node = entry->node->first; node != NULL; node = node->next)
		check_known(entry, node);
	check_required(entry);
	check_limits(entry);
}

void config_check_classes(struct config *config, const struct node *classes, struct faults *faults)
{
	uint32_t index = 0, count = 1, share_min_sum = 0;

	if (classes->kind != NODE_SEQUENCE || classes->first == NULL) {
		faults_add(faults, classes->key_line, "classes",
		           "not a list of classes: write one such as "
		           "`- {name: sessions, prefix: \"sess:\"}`");
		return;
	}
	for (const struct node *node = classes->first; node != NULL; node = node->next) {
		struct entry entry = {
		    .faults = faults, .list = classes, .node = node, .index = index++};
		uint32_t fault_count = faults->count;

		count += is_of_all_keys(node) ? 0 : 1;
		if (count > CLASS_COUNT_MAX) {
			faults_add(faults, node->line, "classes",
			           "more than %d classes with a prefix: list fewer",
			           CLASS_COUNT_MAX - 1);
			break;
		}
		check_entry(&entry);
		share_min_sum += entry.rules.share_min;
		if (faults->count == fault_count)
			classes_add(&config->classes, &entry.rules);
	}
	if (share_min_sum > CONFIG_SHARE_MIN_SUM_MAX)
		faults_add(faults, classes->key_line, "classes",
		           "share_min of all together is %u%%, above %d%%: lower some",
		           share_min_sum, CONFIG_SHARE_MIN_SUM_MAX);
}
