// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A YAML text as a tree whose nodes know their lines, within bounds that no hostile text exceeds.

#include <stdbool.h>
#include <stddef.h>

#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 20000
#define YAML_ANCHORS_MAX 64

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct config_node {
	enum node_kind kind;
	unsigned line; // 1-based; in a map that of the key
	char *text;    // scalar: its value, without zero bytes inside
	bool null;     // scalar: written as nothing, "~" or "null"
	char *name;    // in a map: the key it stands under
	char *anchor;
	struct config_node *target; // an alias: the anchored node; read it by node_value()
	struct config_node *child;  // list, map: the first
	struct config_node *last;
	struct config_node *next; // the next of the same parent
	struct config_node *all;  // the next of the tree, in order of creation
};

struct config_tree {
	struct config_node *root; // NULL: the text has no document
	struct config_node *all;
	unsigned count;
	unsigned anchors;
};

struct yaml_problem {
	unsigned line;
	char text[200];
};

// 0; -EINVAL with *problem filled; -ENOMEM. config_tree_free() in each case.
int config_tree_read(
	const char *text, size_t len, struct config_tree *ret, struct yaml_problem *problem);
void config_tree_free(struct config_tree *tree);

// The node that an alias stands for, else the node itself.
static inline const struct config_node *node_value(const struct config_node *node)
{
	return node->target != NULL ? node->target : node;
}

// The element of a map by name, NULL when there is none (or map is NULL or no map).
const struct config_node *node_get(const struct config_node *map, const char *name);
