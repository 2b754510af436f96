// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_yaml.h"

#include <yaml.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct builder {
	struct config_tree *tree;
	struct yaml_problem *problem;
	struct config_node *end;                   // of tree->all
	struct config_node *stack[YAML_DEPTH_MAX]; // open lists and maps
	unsigned depth;
	char *key; // of the map on top: its value comes next
	unsigned key_line;
	unsigned documents;
};

static unsigned line_of(const yaml_event_t *event)
{
	return (unsigned)event->start_mark.line + 1;
}

__attribute__((format(printf, 3, 4))) static int fail(
	struct builder *b, const yaml_event_t *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	b->problem->line = line_of(event);
	vsnprintf(b->problem->text, sizeof(b->problem->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static struct config_node *top(const struct builder *b)
{
	return b->depth == 0 ? NULL : b->stack[b->depth - 1];
}

// A new node, hung on the open list or map (which gives it its name) or made the root; NULL after
// an error.
static int add_node(
	struct builder *b, const yaml_event_t *event, enum node_kind kind, struct config_node **ret)
{
	struct config_node *parent = top(b), *node;

	*ret = NULL;
	if (b->tree->count++ >= YAML_NODES_MAX)
		return fail(b, event, "more than %d values; no configuration needs as many",
			YAML_NODES_MAX);
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	node->kind = kind;
	node->line = b->key != NULL ? b->key_line : line_of(event);
	node->name = b->key;
	b->key = NULL;
	if (b->end != NULL)
		b->end->all = node;
	else
		b->tree->all = node;
	b->end = node;
	if (parent == NULL)
		b->tree->root = node;
	else if (parent->last == NULL)
		parent->child = node;
	else
		parent->last->next = node;
	if (parent != NULL)
		parent->last = node;
	*ret = node;
	return 0;
}

static int set_anchor(
	struct builder *b, const yaml_event_t *event, struct config_node *node, const char *anchor)
{
	if (anchor == NULL)
		return 0;
	if (b->tree->anchors++ >= YAML_ANCHORS_MAX)
		return fail(b, event, "more than %d anchors", YAML_ANCHORS_MAX);
	node->anchor = strdup(anchor);
	return node->anchor == NULL ? -ENOMEM : 0;
}

static bool is_open(const struct builder *b, const struct config_node *node)
{
	for (unsigned i = 0; i < b->depth; i++)
		if (b->stack[i] == node)
			return true;
	return false;
}

static int take_alias(struct builder *b, const yaml_event_t *event)
{
	const char *anchor = (const char *)event->data.alias.anchor;
	struct config_node *node, *target = NULL;
	int rc;

	for (struct config_node *n = b->tree->all; n != NULL; n = n->all)
		if (n->anchor != NULL && strcmp(n->anchor, anchor) == 0)
			target = n; // the last one of that name counts
	if (target == NULL)
		return fail(b, event, "nothing is anchored as '&%.64s'", anchor);
	if (is_open(b, target))
		return fail(b, event, "'*%.64s' stands inside what it stands for", anchor);
	if (b->tree->anchors++ >= YAML_ANCHORS_MAX)
		return fail(b, event, "more than %d anchors and aliases", YAML_ANCHORS_MAX);
	rc = add_node(b, event, NODE_SCALAR, &node);
	if (node != NULL)
		node->target = target;
	return rc;
}

static bool is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (*text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int take_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	bool is_key = b->depth > 0 && top(b)->kind == NODE_MAP && b->key == NULL;
	struct config_node *node;
	char *copy;
	int rc;

	if (strlen(text) != event->data.scalar.length)
		return fail(b, event, "a zero byte in a value");
	if (event->data.scalar.tag != NULL)
		return fail(b, event, "tags ('!...') mean nothing here");
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	if (is_key) {
		b->key = copy;
		b->key_line = line_of(event);
		return event->data.scalar.anchor == NULL
			       ? 0
			       : fail(b, event, "an anchor on a key means nothing here");
	}
	rc = add_node(b, event, NODE_SCALAR, &node);
	if (node == NULL) {
		free(copy);
		return rc;
	}
	node->text = copy;
	node->null = is_null(event);
	return set_anchor(b, event, node, (const char *)event->data.scalar.anchor);
}

static int open_collection(struct builder *b, const yaml_event_t *event, enum node_kind kind,
	const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct config_node *node;
	int rc;

#ifndef MUTANT_YAML_UNBOUNDED
	if (b->depth == YAML_DEPTH_MAX)
		return fail(b, event, "nested deeper than %d levels", YAML_DEPTH_MAX);
#endif
	if (tag != NULL)
		return fail(b, event, "tags ('!...') mean nothing here");
	if (top(b) != NULL && top(b)->kind == NODE_MAP && b->key == NULL)
		return fail(b, event, "a key must be a word");
	rc = add_node(b, event, kind, &node);
	if (node == NULL)
		return rc;
	b->stack[b->depth++] = node;
	return set_anchor(b, event, node, (const char *)anchor);
}

static int take_event(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return b->documents++ == 0 ? 0 : fail(b, event, "a second document ('---')");
	case YAML_ALIAS_EVENT:
		if (top(b) != NULL && top(b)->kind == NODE_MAP && b->key == NULL)
			return fail(b, event, "a key must be a word");
		return take_alias(b, event);
	case YAML_SCALAR_EVENT:
		return take_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(b, event, NODE_LIST, event->data.sequence_start.anchor,
			event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return open_collection(b, event, NODE_MAP, event->data.mapping_start.anchor,
			event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	default:
		return 0;
	}
}

// The reader, which looks at bytes before there are lines, gives an offset only.
static unsigned failure_line(const yaml_parser_t *parser, const char *text, size_t len)
{
	unsigned line = 1;

	if (parser->error != YAML_READER_ERROR)
		return (unsigned)parser->problem_mark.line + 1;
	for (size_t i = 0; i < len && i < parser->problem_offset; i++)
		line += text[i] == '\n';
	return line;
}

static int parser_failure(
	const yaml_parser_t *parser, const char *text, size_t len, struct yaml_problem *problem)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	problem->line = failure_line(parser, text, len);
	snprintf(problem->text, sizeof(problem->text), "not YAML: %s%s%s",
		parser->problem != NULL ? parser->problem : "unreadable",
		parser->context != NULL ? ", " : "",
		parser->context != NULL ? parser->context : "");
	return -EINVAL;
}

int config_tree_read(
	const char *text, size_t len, struct config_tree *ret, struct yaml_problem *problem)
{
	struct builder b = {.tree = ret, .problem = problem};
	yaml_parser_t parser;
	bool done = false;
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (rc == 0 && !done) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			rc = parser_failure(&parser, text, len, problem);
			break;
		}
		rc = take_event(&b, &event);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	free(b.key);
	yaml_parser_delete(&parser);
	return rc;
}

void config_tree_free(struct config_tree *tree)
{
	for (struct config_node *node = tree->all, *next; node != NULL; node = next) {
		next = node->all;
		free(node->text);
		free(node->name);
		free(node->anchor);
		free(node);
	}
	memset(tree, 0, sizeof(*tree));
}

const struct config_node *node_get(const struct config_node *map, const char *name)
{
	if (map == NULL || map->kind != NODE_MAP)
		return NULL;
	for (const struct config_node *n = map->child; n != NULL; n = n->next)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}
