/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document as a small tree that knows its lines, read with libyaml.
 *
 * Bounds: DOCUMENT_DEPTH_MAX, DOCUMENT_NODE_COUNT_MAX, DOCUMENT_SCALAR_BYTES_MAX. Anchors, aliases,
 * tags, several documents and keys given twice are refused: what a line says is what it means.
 * Owner: whoever parsed it. */
#pragma once

#include "config/faults.h"

#include <stdbool.h>
#include <stddef.h>

#define DOCUMENT_DEPTH_MAX        8
#define DOCUMENT_NODE_COUNT_MAX   4096
#define DOCUMENT_SCALAR_BYTES_MAX 255

enum node_kind {
	NODE_SCALAR,
	NODE_SEQUENCE,
	NODE_MAPPING,
};

struct node {
	enum node_kind kind;
	uint32_t line;     /* where the value starts, from 1 */
	uint32_t key_line; /* where the key stands, or as line */
	char *key;         /* of a mapping's child, else NULL */
	char *text;        /* of a scalar, else NULL; has no NUL inside */
	bool is_plain;     /* a scalar without quotes: "" is one that was left out */
	bool is_flow;      /* a sequence or a mapping in brackets or braces */
	/* Characters (not bytes) before its first and up to its last, quotes and brackets included;
	 * of what is no scalar and not in brackets, the end may lie anywhere before what follows */
	size_t start;
	size_t end;
	size_t key_start; /* likewise of the key, if it has one */
	size_t key_end;
	struct node *first; /* child of a sequence or a mapping, in the file's order */
	struct node *last;
	struct node *next; /* sibling */
};

struct document {
	struct node *root; /* NULL: there is nothing in it */
	uint32_t node_count;
	struct node nodes[DOCUMENT_NODE_COUNT_MAX];
};

/* 0; -EINVAL with a fault added; -ENOMEM. */
int document_parse(struct document **ret_document, const char *text, size_t length,
                   struct faults *faults);
void document_destroy(struct document *document);

/* NULL: it has no such key, or is no mapping. */
const struct node *node_child(const struct node *mapping, const char *key);
