/* SPDX-License-Identifier: Apache-2.0 */
#include "config/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* The state of one document_parse(). */
struct builder {
	struct document *document;
	struct faults *faults;
	struct node *open[DOCUMENT_DEPTH_MAX]; /* sequences and mappings not yet ended */
	uint32_t depth;
	char *key; /* owned: waits for its value */
	uint32_t key_line;
	size_t key_start;
	size_t key_end;
	uint32_t document_count;
};

static uint32_t line_of(const yaml_event_t *event)
{
	return (uint32_t)event->start_mark.line + 1;
}

static int refuse(struct builder *builder, uint32_t line, const char *reason)
{
	faults_add(builder->faults, line, "", "%s", reason);
	return -EINVAL;
}

static int copy_scalar(struct builder *builder, const yaml_event_t *event, char **ret_text)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	char *text;

	if (length > DOCUMENT_SCALAR_BYTES_MAX)
		return refuse(builder, line_of(event),
		              "a text of more than 255 bytes: no parameter takes one so long");
	if (memchr(value, '\0', length) != NULL)
		return refuse(builder, line_of(event), "a text with a zero byte in it: remove it");
	text = strdup(value);
	if (text == NULL)
		return -ENOMEM;
	*ret_text = text;
	return 0;
}

static int take_key(struct builder *builder, const yaml_event_t *event)
{
	char quoted[FAULTS_QUOTE_BYTES];
	struct node *child = builder->open[builder->depth - 1]->first;
	int r;

	if (event->type != YAML_SCALAR_EVENT)
		return refuse(builder, line_of(event),
		              "a list or mapping stands where the name of a parameter should");
	r = copy_scalar(builder, event, &builder->key);
	if (r < 0)
		return r;
	builder->key_line = line_of(event);
	builder->key_start = event->start_mark.index;
	builder->key_end = event->end_mark.index;
	for (; child != NULL; child = child->next) {
		if (strcmp(child->key, builder->key) != 0)
			continue;
		faults_quote(quoted, builder->key);
		faults_add(builder->faults, builder->key_line, quoted,
		           "given twice, first in line %u: remove one", child->key_line);
		return -EINVAL;
	}
	return 0;
}

static bool wants_key(const struct builder *builder)
{
	return builder->depth > 0 && builder->open[builder->depth - 1]->kind == NODE_MAPPING &&
	       builder->key == NULL;
}

static void link_node(struct builder *builder, struct node *node)
{
	struct node *parent;

	if (builder->depth == 0) {
		builder->document->root = node;
		return;
	}
	parent = builder->open[builder->depth - 1];
	if (parent->last == NULL)
		parent->first = node;
	else
		parent->last->next = node;
	parent->last = node;
}

static bool is_flow(const yaml_event_t *event)
{
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	return event->type == YAML_MAPPING_START_EVENT &&
	       event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
}

static int add_node(struct builder *builder, const yaml_event_t *event, enum node_kind kind)
{
	struct document *document = builder->document;
	struct node *node;

	if (document->node_count == DOCUMENT_NODE_COUNT_MAX)
		return refuse(builder, line_of(event),
		              "more than 4096 values: no config needs so many");
	node = &document->nodes[document->node_count++];
	*node = (struct node){.kind = kind,
	                      .line = line_of(event),
	                      .is_flow = is_flow(event),
	                      .start = event->start_mark.index,
	                      .end = event->end_mark.index,
	                      .key_start = builder->key_start,
	                      .key_end = builder->key_end};
	node->key = builder->key;
	node->key_line = builder->key == NULL ? node->line : builder->key_line;
	builder->key = NULL;
	link_node(builder, node);
	if (kind == NODE_SCALAR) {
		node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		return copy_scalar(builder, event, &node->text);
	}
	if (builder->depth == DOCUMENT_DEPTH_MAX)
		return refuse(builder, node->line, "nested more than 8 deep: no config needs that");
	builder->open[builder->depth++] = node;
	return 0;
}

/* Refuses what would make a line mean something that does not stand in it. */
static int check_properties(struct builder *builder, const yaml_event_t *event,
                            const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return refuse(builder, line_of(event),
		              "an anchor (&): anchors are not supported, write the value out");
	if (tag != NULL)
		return refuse(builder, line_of(event),
		              "a tag (!): tags are not supported, remove it");
	return 0;
}

static int take_value(struct builder *builder, const yaml_event_t *event)
{
	enum node_kind kind;
	int r;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		kind = NODE_SCALAR;
		r = check_properties(builder, event, event->data.scalar.anchor,
		                     event->data.scalar.tag);
		break;
	case YAML_SEQUENCE_START_EVENT:
		kind = NODE_SEQUENCE;
		r = check_properties(builder, event, event->data.sequence_start.anchor,
		                     event->data.sequence_start.tag);
		break;
	default:
		kind = NODE_MAPPING;
		r = check_properties(builder, event, event->data.mapping_start.anchor,
		                     event->data.mapping_start.tag);
		break;
	}
	if (r < 0)
		return r;
	return wants_key(builder) ? take_key(builder, event) : add_node(builder, event, kind);
}

static int take_event(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (builder->document_count++ > 0)
			return refuse(builder, line_of(event),
			              "a second document begins (---): put all into one");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(builder, line_of(event),
		              "an alias (*): aliases are not supported, write the value out");
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT: return take_value(builder, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		builder->open[--builder->depth]->end = event->end_mark.index;
		return 0;
	default: return 0;
	}
}

static int refuse_syntax(struct builder *builder, const yaml_parser_t *parser, const char *text,
                         size_t length)
{
	const char *problem = parser->problem == NULL ? "unreadable" : parser->problem;
	uint32_t line = (uint32_t)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR) {
		/* The reader knows bytes, not lines. */
		line = 1;
		for (size_t i = 0; i < parser->problem_offset && i < length; i++)
			line += text[i] == '\n' ? 1 : 0;
		faults_add(builder->faults, line, "", "not a text file in UTF-8: %s", problem);
		return -EINVAL;
	}
	if (parser->context == NULL)
		faults_add(builder->faults, line, "",
		           "not YAML: %s: check brackets, quotes and indents", problem);
	else
		faults_add(builder->faults, line, "",
		           "not YAML: %s (from line %u), %s: check brackets, quotes and indents",
		           parser->context, (unsigned)parser->context_mark.line + 1, problem);
	return -EINVAL;
}

int document_parse(struct document **ret_document, const char *text, size_t length,
                   struct faults *faults)
{
	struct builder builder = {.faults = faults};
	yaml_parser_t parser;
	bool ended = false;
	int r = -ENOMEM;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	builder.document = calloc(1, sizeof(*builder.document));
	if (builder.document == NULL)
		goto fail;
	while (!ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			r = refuse_syntax(&builder, &parser, text, length);
			goto fail;
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		r = take_event(&builder, &event);
		yaml_event_delete(&event);
		if (r < 0)
			goto fail;
	}
	yaml_parser_delete(&parser);
	*ret_document = builder.document;
	return 0;
fail:
	yaml_parser_delete(&parser);
	free(builder.key);
	document_destroy(builder.document);
	return r;
}

void document_destroy(struct document *document)
{
	if (document == NULL)
		return;
	for (uint32_t i = 0; i < document->node_count; i++) {
		free(document->nodes[i].key);
		free(document->nodes[i].text);
	}
	free(document);
}

const struct node *node_child(const struct node *mapping, const char *key)
{
	const struct node *node = mapping->kind == NODE_MAPPING ? mapping->first : NULL;

	while (node != NULL && strcmp(node->key, key) != 0)
		node = node->next;
	return node;
}
