// SPDX-License-Identifier: BSD-3-Clause
// A document by a table of keys.

#include "common/config_internal.h"
#include "common/file.h"
#include "common/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_TEXT_MAX 96

struct document {
	const struct config_key *keys; // of the whole
	struct config_problems *problems;
};

#define REFUSE(d, line, ...) problem_add((d)->problems, line, false, __VA_ARGS__)

void config_keys_defaults(const struct config_key *keys, void *holder)
{
	for (const struct config_key *key = keys; key->name != NULL; key++) {
		if (key->type == TYPE_SECTION)
			config_keys_defaults(key->children, (char *)holder + key->offset);
		else if (key->type != TYPE_LIST)
			value_read_default(key, holder);
	}
}

static const char *key_name(const void *arg, unsigned i)
{
	return ((const struct config_key *)arg)[i].name;
}

static void report_unknown(const struct config_key *keys, const struct config_node *node,
	const char *prefix, const struct document *d)
{
	const char *meant = word_closest(node->name, key_name, keys);

	if (meant != NULL) {
		REFUSE(d, node->line, "%s%.60s: unknown key; did you mean '%s'?", prefix,
			node->name, meant);
		return;
	}
	for (const struct config_key *outer = d->keys; outer->name != NULL; outer++) {
		for (const struct config_key *key = outer->children;
			key != NULL && key->name != NULL; key++) {
			if (strcmp(key->name, node->name) == 0) {
				REFUSE(d, node->line,
					"%s%s: unknown key here; it belongs under '%s'", prefix,
					node->name, outer->name);
				return;
			}
		}
	}
	REFUSE(d, node->line, "%s%.60s: unknown key", prefix, node->name);
}

static const struct config_key *find_key(const struct config_key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

static void read_map(const struct config_key *keys, const struct config_node *node, void *holder,
	const char *prefix, const struct document *d);

static void name_item(const struct config_key *key, char *item, unsigned index)
{
	const struct config_key *name = find_key(key->children, "name");
	char *field = item + name->offset;

	// "ports" makes "port0".
	if (field[0] == '\0')
		snprintf(field, name->size, "%.*s%u", (int)strlen(key->name) - 1, key->name, index);
}

static void check_required(const struct config_key *keys, const struct config_node *map,
	unsigned line, const char *prefix, const struct document *d);

// A section that was left out may have keys that must be there.
static void check_section(const struct config_key *key, const struct config_node *map,
	unsigned line, const struct document *d)
{
	const struct config_node *node = node_get(map, key->name);
	const struct config_node *section = node != NULL ? node_value(node) : NULL;
	char prefix[PATH_TEXT_MAX];

	if (section != NULL && section->kind != NODE_MAP && !section->null)
		return; // refused already
	snprintf(prefix, sizeof(prefix), "%s.", key->name);
	check_required(key->children, section, node != NULL ? node->line : line, prefix, d);
}

static void check_required(const struct config_key *keys, const struct config_node *map,
	unsigned line, const char *prefix, const struct document *d)
{
	for (; keys->name != NULL; keys++) {
		if (keys->type == TYPE_SECTION)
			check_section(keys, map, line, d);
		else if (keys->required && node_get(map, keys->name) == NULL)
			REFUSE(d, line, "%s%s: is missing", prefix, keys->name);
	}
}

static void read_item(const struct config_key *key, const struct config_node *node, char *item,
	unsigned index, const struct document *d)
{
	const struct config_node *map = node_value(node);
	char prefix[PATH_TEXT_MAX];

	config_keys_defaults(key->children, item);
	snprintf(prefix, sizeof(prefix), "%s[%u].", key->name, index);
	if (map->kind != NODE_MAP) {
		REFUSE(d, node->line, "%s[%u]: must be a map of keys", key->name, index);
	} else {
		read_map(key->children, map, item, prefix, d);
		check_required(key->children, map, node->line, prefix, d);
	}
	name_item(key, item, index);
}

static void read_list(const struct config_key *key, const struct config_node *node, void *holder,
	const struct document *d)
{
	unsigned *count = (unsigned *)((char *)holder + key->count_offset);
	const struct config_node *list = node_value(node);

	if (list->kind == NODE_SCALAR && list->null)
		return;
	if (list->kind != NODE_LIST) {
		REFUSE(d, node->line, "%s: must be a list ('- ...')", key->name);
		return;
	}
	for (const struct config_node *n = list->child; n != NULL; n = n->next) {
		if (*count == key->max) {
			REFUSE(d, n->line, "%s: more than %u elements", key->name, *count);
			return;
		}
		read_item(key, n, (char *)holder + key->offset + *count * key->size, *count, d);
		(*count)++;
	}
}

static void read_section(const struct config_key *key, const struct config_node *node, void *holder,
	const struct document *d)
{
	const struct config_node *map = node_value(node);
	char prefix[PATH_TEXT_MAX];

	snprintf(prefix, sizeof(prefix), "%s.", key->name);
	if (map->kind == NODE_MAP)
		read_map(key->children, map, (char *)holder + key->offset, prefix, d);
	else if (map->kind == NODE_LIST || !map->null)
		REFUSE(d, node->line, "%s: must be a map of keys", key->name);
}

static void read_key(const struct config_key *key, const struct config_node *node, void *holder,
	const char *prefix, const struct document *d)
{
	char path[2 * PATH_TEXT_MAX];

	snprintf(path, sizeof(path), "%s%s", prefix, key->name);
	if (key->type == TYPE_SECTION)
		read_section(key, node, holder, d);
	else if (key->type == TYPE_LIST)
		read_list(key, node, holder, d);
	else if (key->type == TYPE_PROPERTIES)
		properties_read(key, node, holder, path, d->problems);
	else if (key->type == TYPE_OWN)
		key->read(key, node, holder, path, d->problems);
	else
		value_read(key, node, holder, path, d->problems);
}

static void read_map(const struct config_key *keys, const struct config_node *map, void *holder,
	const char *prefix, const struct document *d)
{
	for (const struct config_node *n = map->child; n != NULL; n = n->next) {
		const struct config_key *key = find_key(keys, n->name);
		const struct config_node *first;

		if (key == NULL) {
			report_unknown(keys, n, prefix, d);
			continue;
		}
		first = node_get(map, n->name);
		if (first != n)
			REFUSE(d, n->line, "%s%s: is there twice, first in line %u", prefix,
				n->name, first->line);
		else
			read_key(key, n, holder, prefix, d);
	}
}

unsigned config_key_line(const struct config_node *root, const char *section, const char *name)
{
	const struct config_node *outer = root, *node;

	if (section != NULL)
		outer = node_get(outer, section);
	node = node_get(outer != NULL ? node_value(outer) : NULL, name);
	if (node != NULL)
		return node->line;
	return section != NULL && outer != NULL ? outer->line : 0;
}

void config_host_default(const struct config_key *key, void *holder)
{
	char host[CONFIG_NAME_MAX];
	struct config_node node = {.kind = NODE_SCALAR, .text = host};
	struct config_problems problems = {0};

	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	value_read(key, &node, holder, key->name, &problems);
	if (problems.errors != 0)
		snprintf((char *)holder + key->offset, key->size, "millrace");
}

int config_keys_read(const struct config_key *keys, const struct config_node *root, void *holder,
	config_check_fn *check, struct config_problems *problems)
{
	static const struct config_node empty = {.kind = NODE_MAP};
	const struct document d = {.keys = keys, .problems = problems};

	if (root == NULL || (root->kind == NODE_SCALAR && root->null))
		root = &empty;
	if (root->kind != NODE_MAP) {
		REFUSE(&d, root->line, "must be a map of keys ('key: value')");
	} else {
		read_map(keys, root, holder, "", &d);
		check_required(keys, root, 0, "", &d);
		if (check != NULL)
			check(holder, root, problems);
	}
	problems_sort(problems);
	return problems->errors == 0 ? 0 : -EINVAL;
}

static int refuse_large(struct config_problems *problems)
{
	problem_add(problems, 0, false, "the file is larger than 1 MiB; no configuration is");
	return -EINVAL;
}

int config_keys_parse(const struct config_key *keys, const char *text, size_t len, void *holder,
	config_check_fn *check, struct config_problems *problems)
{
	struct yaml_problem problem = {0};
	struct config_tree tree;
	int rc;

	if (len > CONFIG_FILE_MAX)
		return refuse_large(problems);
	rc = config_tree_read(text, len, &tree, &problem);
	if (rc == -EINVAL)
		problem_add(problems, problem.line, false, "%s", problem.text);
	if (rc == 0)
		rc = config_keys_read(keys, tree.root, holder, check, problems);
	config_tree_free(&tree);
	return rc;
}

int config_keys_load(const struct config_key *keys, const char *path, void *holder,
	config_check_fn *check, struct config_problems *problems)
{
	size_t len;
	char *text;
	int rc = file_read(path, CONFIG_FILE_MAX, &text, &len);

	if (rc == -EFBIG)
		return refuse_large(problems);
	if (rc != 0)
		return rc;
	rc = config_keys_parse(keys, text, len, holder, check, problems);
	free(text);
	return rc;
}
