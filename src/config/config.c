/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/assert.h"
#include "config/config_check.h"
#include "config/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKER_MEMORY_BYTES_MAX (256 * CONFIG_GIB)

/* Whether the cores exist and are ours is for whoever starts the workers to find out. */
static void check_cores(struct config *config, const struct node *list, struct faults *faults)
{
	uint32_t count = 0;

	for (const struct node *node = list->first; node != NULL; node = node->next) {
		uint64_t core;

		if (count == CONFIG_WORKER_COUNT_MAX) {
			faults_add(faults, node->line, "workers", "more than %d cores: list fewer",
			           CONFIG_WORKER_COUNT_MAX);
			return;
		}
		if (!config_check_count(faults, node, "workers", 0, CONFIG_CORE_MAX, &core))
			continue;
		for (uint32_t i = 0; i < count; i++) {
			if (config->cores[i] == core)
				faults_add(faults, node->line, "workers",
				           "core %u is listed twice: one worker a core, remove one",
				           (unsigned)core);
		}
		config->cores[count++] = (uint16_t)core;
	}
	if (list->first == NULL)
		faults_add(faults, list->line, "workers",
		           "an empty list: give cores such as [2, 3], or a count");
	config->worker_count = count;
	config->cores_given = true;
}

static uint64_t *value_of(struct config *config, const struct config_parameter *parameter)
{
	return (uint64_t *)((char *)config + parameter->offset);
}

static void check_parameter(struct config *config, const struct config_parameter *parameter,
                            const struct node *node, struct faults *faults)
{
	enum config_type type = parameter->type == CONFIG_WORKERS ? CONFIG_COUNT : parameter->type;
	uint64_t *field = value_of(config, parameter);

	if (parameter->type == CONFIG_WORKERS && node->kind == NODE_SEQUENCE)
		check_cores(config, node, faults);
	else if (config_words(type) != NULL)
		config_check_word(faults, node, parameter->name, type, field);
	else
		config_check_quantity(faults, node, parameter->name, type, parameter->minimum,
		                      parameter->maximum, field);
}

/* A segment store needs more than one value's room, and each worker has its share only. */
static void check_item_fits(const struct config *config, const struct node *root,
                            struct faults *faults)
{
	char item[CONFIG_QUANTITY_BYTES], room[CONFIG_QUANTITY_BYTES];
	uint64_t room_bytes = config->memory_bytes / config->worker_count / 2;
	const struct node *node = node_child(root, "item_size_max");

	if (config->item_bytes_max <= room_bytes)
		return;
	if (node == NULL)
		node = node_child(root, "memory");
	if (node == NULL)
		node = node_child(root, "workers");
	config_format_quantity(item, CONFIG_SIZE, config->item_bytes_max);
	config_format_quantity(room, CONFIG_SIZE, room_bytes);
	faults_add(faults, node->key_line, node->key,
	           "a value may have %s (item_size_max), but half of a worker's share of memory is "
	           "%s: give more memory or lower item_size_max",
	           item, room);
}

/* An item's place in the index is 36 bits of 4 bytes. */
static void check_memory(const struct config *config, const struct node *root,
                         struct faults *faults)
{
	const struct node *node = node_child(root, "memory");

	if (config->memory_bytes / config->worker_count >= WORKER_MEMORY_BYTES_MAX)
		faults_add(faults, node->line, node->key,
		           "a worker's share has to be below 256GiB: give less or more workers");
}

static void check_unknown(const struct node *node, struct faults *faults)
{
	char quoted[FAULTS_QUOTE_BYTES], known[512];
	size_t used = 0;

	for (uint32_t i = 0; i < config_parameter_count; i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s, ",
		                         config_parameters[i].name);
	for (uint32_t i = 0; i < config_others.count; i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		                         i == 0 ? "" : ", ", config_others.parameters[i].name);
	ASSERT(used < sizeof(known));
	faults_quote(quoted, node->key);
	faults_add(faults, node->key_line, quoted, "no such parameter: there are %s", known);
}

/* Whether there is one of that name is for whoever becomes him to find out. */
static void check_user(struct config *config, const struct node *node, struct faults *faults)
{
	static const char inner[] = "0123456789.-";
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	                              "0123456789.-";
	size_t length;

	if (!config_check_scalar(faults, node, node->key))
		return;
	length = strspn(node->text, letters);
	if (node->text[length] != '\0' || strchr(inner, node->text[0]) != NULL)
		config_refuse_text(faults, node, node->key,
		                   "no user's name: write one such as kante, which "
		                   "`getent passwd` shows");
	else if (length >= CONFIG_USER_BYTES)
		config_refuse_text(faults, node, node->key,
		                   "longer than %d bytes: choose a shorter one",
		                   CONFIG_USER_BYTES - 1);
	else
		memcpy(config->user, node->text, length + 1);
}

/* Whether a file can be read, and what is in it, is for whoever reads it to find out. */
static void check_files(struct config *config, const struct node *root, struct faults *faults)
{
	for (uint32_t i = 0; i < config_others.count; i++) {
		const struct config_parameter *parameter = &config_others.parameters[i];
		const struct node *node = node_child(root, parameter->name);

		if (node != NULL && parameter->type == CONFIG_PATH)
			config_check_path(faults, node, node->key, parameter,
			                  (char *)config + parameter->offset);
	}
}

static void check_node(struct config *config, const struct node *node, struct faults *faults)
{
	uint32_t i = 0;

	if (strcmp(node->key, "ports") == 0) {
		config_check_ports(config, node, faults);
		return;
	}
	if (strcmp(node->key, "classes") == 0) {
		config_check_classes(config, node, faults);
		return;
	}
	if (strcmp(node->key, "admin") == 0) {
		config_check_admin(config, node, faults);
		return;
	}
	if (strcmp(node->key, "user") == 0) {
		check_user(config, node, faults);
		return;
	}
	if (config_table_find(&config_others, node->key) != NULL)
		return; /* checked first */
	while (i < config_parameter_count && strcmp(config_parameters[i].name, node->key) != 0)
		i++;
	if (i < config_parameter_count)
		check_parameter(config, &config_parameters[i], node, faults);
	else
		check_unknown(node, faults);
}

static void check_root(struct config *config, const struct node *root, struct faults *faults)
{
	if (root == NULL || (root->kind == NODE_SCALAR && root->text[0] == '\0')) {
		faults_add(faults, 1, "", "the file is empty: at least `ports:` is needed");
		return;
	}
	if (root->kind != NODE_MAPPING) {
		faults_add(faults, root->line, "",
		           "not a list of parameters: write lines such as `memory: 64MiB`");
		return;
	}
	/* first, as ports go by it */
	check_files(config, root, faults);
	for (const struct node *node = root->first; node != NULL; node = node->next)
		check_node(config, node, faults);
	if (node_child(root, "ports") == NULL)
		faults_add(faults, root->line, "ports",
		           "missing: say where clients come in, such as "
		           "`ports: [{kind: socket, listen: \"127.0.0.1:11211\"}]`");
	if (faults->count == 0) {
		check_item_fits(config, root, faults);
		check_memory(config, root, faults);
		if (admin_is_given(&config->admin))
			config_check_admin_places(config, node_child(root, "admin"), faults);
	}
}

static int parse_into(struct config **ret_config, const char *text, size_t length,
                      struct faults *faults)
{
	struct document *document = NULL;
	struct config *config;
	int r = -ENOMEM;

	config = calloc(1, sizeof(*config));
	if (config == NULL)
		goto fail;
	for (uint32_t i = 0; i < config_parameter_count; i++)
		*value_of(config, &config_parameters[i]) = config_parameters[i].default_value;
	classes_create(&config->classes);
	r = document_parse(&document, text, length, faults);
	if (r < 0)
		goto fail;
	check_root(config, document->root, faults);
	if (faults->count > 0) {
		r = -EINVAL;
		goto fail;
	}
	document_destroy(document);
	*ret_config = config;
	return 0;
fail:
	if (r == -ENOMEM)
		faults_add(faults, 0, "", "not enough memory to read it");
	document_destroy(document);
	config_destroy(config);
	return r;
}

int config_parse(struct config **ret_config, const char *name, const char *text, size_t length,
                 char *error, size_t error_bytes)
{
	struct faults faults;
	int r;

	faults_create(&faults, name, error, error_bytes);
	r = parse_into(ret_config, text, length, &faults);
	faults_finish(&faults);
	return r;
}

int config_load(struct config **ret_config, const char *path, char *error, size_t error_bytes)
{
	struct faults faults;
	char *text = NULL;
	size_t length = 0;
	int r;

	faults_create(&faults, path, error, error_bytes);
	r = file_read(&text, &length, path, CONFIG_FILE_BYTES_MAX, &faults);
	if (r < 0)
		return r;
	r = config_parse(ret_config, path, text, length, error, error_bytes);
	free(text);
	return r;
}

void config_take_live(struct config *config, const struct config *from)
{
	for (uint32_t i = 0; i < config_parameter_count; i++)
		if (config_parameters[i].effect == CONFIG_LIVE)
			*value_of(config, &config_parameters[i]) =
			    *value_of((struct config *)from, &config_parameters[i]);
	if (admin_is_given(&config->admin) && admin_is_given(&from->admin))
		admin_take_live(&config->admin, &from->admin);
}

void config_destroy(struct config *config)
{
	free(config);
}
