/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the file a parameter is, or is to be. */
#include "config/describe.h"
#include "config/edit_internal.h"

#include <errno.h>
#include <stdio.h>

int edit_refuse(struct editor *editor, int error_number, const char *reason)
{
	char quoted[FAULTS_QUOTE_BYTES];

	faults_quote(quoted, editor->edit->parameter);
	faults_add(editor->faults, 0, quoted, "%s", reason);
	return error_number;
}

static int find_class(struct editor *editor, const struct node *root)
{
	const struct node *classes = root == NULL ? NULL : node_child(root, "classes");
	const struct node *entry = classes == NULL ? NULL : classes->first;
	char quoted[FAULTS_QUOTE_BYTES];

	for (; entry != NULL; entry = entry->next) {
		const struct node *name = node_child(entry, "name");

		if (name != NULL && name->kind == NODE_SCALAR &&
		    strcmp(name->text, editor->edit->class_name) == 0) {
			editor->mapping = entry;
			return 0;
		}
	}
	faults_quote(quoted, editor->edit->class_name);
	faults_add(editor->faults, 0, "classes",
	           "there is no class \"%s\": write it into the file first", quoted);
	return -ENOENT;
}

/* The first part of "admin.audit"; *section is behind it. */
static void next_part(char ret_part[DESCRIBE_PATH_BYTES], const char **section)
{
	size_t length = strcspn(*section, ".");

	snprintf(ret_part, DESCRIBE_PATH_BYTES, "%.*s", (int)length, *section);
	*section += length + ((*section)[length] == '.');
}

static int find_section(struct editor *editor, const struct node *root)
{
	const char *section = editor->edit->section;
	const struct node *node = root;
	char part[DESCRIBE_PATH_BYTES];

	while (node != NULL && *section != '\0') {
		next_part(part, &section);
		node = node_child(node, part);
	}
	if (node == NULL || node->kind != NODE_MAPPING || node->first == NULL)
		return edit_refuse(editor, -ENOTSUP,
		                   "its section is not in the file: write it there by hand first");
	editor->mapping = node;
	return 0;
}

int edit_find_mapping(struct editor *editor)
{
	const struct node *root = editor->document->root;

	if (root != NULL && root->kind == NODE_SCALAR && root->text[0] == '\0')
		root = NULL;
	if (root != NULL && root->kind != NODE_MAPPING)
		return edit_refuse(editor, -EINVAL,
		                   "the file is not a list of parameters: write lines such as "
		                   "`memory: 64MiB`");
	if (root != NULL && root->is_flow)
		return edit_refuse(
		    editor, -ENOTSUP,
		    "the whole file is in braces: write each parameter in a line of its "
		    "own first");
	editor->mapping = root;
	if (editor->edit->section != NULL)
		return find_section(editor, root);
	return editor->edit->class_name == NULL ? 0 : find_class(editor, root);
}

/* NULL: there is none of that name. */
static const struct config_parameter *parameter_of(const struct config_edit *edit)
{
	char name[2 * DESCRIBE_PATH_BYTES];
	size_t length;

	if (edit->class_name != NULL)
		return config_table_find(&config_class_fields, edit->parameter);
	length = (size_t)snprintf(name, sizeof(name), "%s%s%s",
	                          edit->section == NULL ? "" : edit->section,
	                          edit->section == NULL ? "" : ".", edit->parameter);
	return length < sizeof(name) ? describe_find(name) : NULL;
}

int edit_find_parameter(struct editor *editor)
{
	const struct config_edit *edit = editor->edit;
	const struct config_parameter *parameter = parameter_of(edit);

	if (parameter == NULL)
		return edit_refuse(editor, -ENOENT,
		                   edit->class_name == NULL
		                       ? "no such parameter: see `kante config help`"
		                       : "a class has no such field: see `kante "
		                         "config help classes`");
	if (parameter->type >= CONFIG_HOSTS ||
	    (edit->section != NULL && strchr(edit->section, '[') != NULL))
		return edit_refuse(editor, -ENOTSUP, "not a single value: change it by hand");
	return 0;
}
