// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"
#include "common/file.h"
#include "common/words.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_TEXT_MAX 96

static void set_defaults(const struct config_key *keys, void *holder)
{
	for (const struct config_key *key = keys; key->name != NULL; key++) {
		if (key->type == TYPE_SECTION)
			set_defaults(key->children, (char *)holder + key->offset);
		else if (key->type != TYPE_LIST)
			value_read_default(key, holder);
	}
}

static void set_receiver_default(struct config *config)
{
	char host[CONFIG_NAME_MAX];
	struct config_node node = {.kind = NODE_SCALAR, .text = host};
	struct config_problems problems = {0};

	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	value_read(&config_keys[0], &node, config, "receiver", &problems);
	if (problems.errors != 0)
		snprintf(config->receiver, sizeof(config->receiver), "millrace");
}

static void set_cpus_default(struct config *config)
{
	cpu_set_t set;

	config->cpu_count = 1;
	config->cpus[0] = 0;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			config->cpus[0] = (uint16_t)cpu;
}

static const char *key_name(const void *arg, unsigned i)
{
	return ((const struct config_key *)arg)[i].name;
}

static void report_unknown(const struct config_key *keys, const struct config_node *node,
	const char *prefix, struct config_problems *problems)
{
	const char *meant = word_closest(node->name, key_name, keys);

	if (meant != NULL) {
		problem_add(problems, node->line, false, "%s%.60s: unknown key; did you mean '%s'?",
			prefix, node->name, meant);
		return;
	}
	for (const struct config_key *outer = config_keys; outer->name != NULL; outer++) {
		for (const struct config_key *key = outer->children;
			key != NULL && key->name != NULL; key++) {
			if (strcmp(key->name, node->name) == 0) {
				problem_add(problems, node->line, false,
					"%s%s: unknown key here; it belongs under '%s'", prefix,
					node->name, outer->name);
				return;
			}
		}
	}
	problem_add(problems, node->line, false, "%s%.60s: unknown key", prefix, node->name);
}

static const struct config_key *find_key(const struct config_key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

static void read_map(const struct config_key *keys, const struct config_node *node, void *holder,
	const char *prefix, struct config_problems *problems);

static void name_item(const struct config_key *key, char *item, unsigned index)
{
	const struct config_key *name = find_key(key->children, "name");
	char *field = item + name->offset;

	// "ports" makes "port0".
	if (field[0] == '\0')
		snprintf(field, name->size, "%.*s%u", (int)strlen(key->name) - 1, key->name, index);
}

static void check_required(const struct config_key *keys, const struct config_node *map,
	unsigned line, const char *prefix, struct config_problems *problems)
{
	for (; keys->name != NULL; keys++)
		if (keys->required && node_get(map, keys->name) == NULL)
			problem_add(problems, line, false, "%s%s: is missing", prefix, keys->name);
}

static void read_item(const struct config_key *key, const struct config_node *node, char *item,
	unsigned index, struct config_problems *problems)
{
	const struct config_node *map = node_value(node);
	char prefix[PATH_TEXT_MAX];

	set_defaults(key->children, item);
	snprintf(prefix, sizeof(prefix), "%s[%u].", key->name, index);
	if (map->kind != NODE_MAP) {
		problem_add(problems, node->line, false, "%s[%u]: must be a map of keys", key->name,
			index);
	} else {
		read_map(key->children, map, item, prefix, problems);
		check_required(key->children, map, node->line, prefix, problems);
	}
	name_item(key, item, index);
}

static void read_list(const struct config_key *key, const struct config_node *node, void *holder,
	struct config_problems *problems)
{
	unsigned *count = (unsigned *)((char *)holder + key->count_offset);
	const struct config_node *list = node_value(node);

	if (list->kind == NODE_SCALAR && list->null)
		return;
	if (list->kind != NODE_LIST) {
		problem_add(problems, node->line, false, "%s: must be a list ('- ...')", key->name);
		return;
	}
	for (const struct config_node *n = list->child; n != NULL; n = n->next) {
		if (*count == key->max) {
			problem_add(problems, n->line, false, "%s: more than %u elements",
				key->name, *count);
			return;
		}
		read_item(key, n, (char *)holder + key->offset + *count * key->size, *count,
			problems);
		(*count)++;
	}
}

static void read_section(const struct config_key *key, const struct config_node *node, void *holder,
	struct config_problems *problems)
{
	const struct config_node *map = node_value(node);
	char prefix[PATH_TEXT_MAX];

	snprintf(prefix, sizeof(prefix), "%s.", key->name);
	if (map->kind == NODE_MAP)
		read_map(key->children, map, (char *)holder + key->offset, prefix, problems);
	else if (map->kind == NODE_LIST || !map->null)
		problem_add(problems, node->line, false, "%s: must be a map of keys", key->name);
}

static void read_key(const struct config_key *key, const struct config_node *node, void *holder,
	const char *prefix, struct config_problems *problems)
{
	char path[2 * PATH_TEXT_MAX];

	snprintf(path, sizeof(path), "%s%s", prefix, key->name);
	if (key->type == TYPE_SECTION)
		read_section(key, node, holder, problems);
	else if (key->type == TYPE_LIST)
		read_list(key, node, holder, problems);
	else if (key->type == TYPE_PROPERTIES)
		properties_read(key, node, holder, path, problems);
	else
		value_read(key, node, holder, path, problems);
}

static void read_map(const struct config_key *keys, const struct config_node *map, void *holder,
	const char *prefix, struct config_problems *problems)
{
	for (const struct config_node *n = map->child; n != NULL; n = n->next) {
		const struct config_key *key = find_key(keys, n->name);
		const struct config_node *first;

		if (key == NULL) {
			report_unknown(keys, n, prefix, problems);
			continue;
		}
		first = node_get(map, n->name);
		if (first != n)
			problem_add(problems, n->line, false,
				"%s%s: is there twice, first in line %u", prefix, n->name,
				first->line);
		else
			read_key(key, n, holder, prefix, problems);
	}
}

static void number_listeners(struct config *config)
{
	for (unsigned i = 0; i < config->listener_count; i++)
		config->listeners[i].number = (uint16_t)i;
}

static void read_root(
	const struct config_tree *tree, struct config *config, struct config_problems *problems)
{
	static const struct config_node empty = {.kind = NODE_MAP};
	const struct config_node *root = tree->root;

	if (root == NULL || (root->kind == NODE_SCALAR && root->null))
		root = &empty;
	if (root->kind != NODE_MAP) {
		problem_add(problems, root->line, false, "must be a map of keys ('key: value')");
		return;
	}
	read_map(config_keys, root, config, "", problems);
	number_listeners(config);
	config_cross_check(config, root, problems);
}

static void prepare(struct config *ret, struct config_problems *problems)
{
	memset(ret, 0, sizeof(*ret));
	memset(problems, 0, sizeof(*problems));
	for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
		ret->listeners[i].any_address = true;
	set_defaults(config_keys, ret);
	set_receiver_default(ret);
	set_cpus_default(ret);
}

static int finish(struct config_problems *problems)
{
	problems_sort(problems);
	return problems->errors == 0 ? 0 : -EINVAL;
}

static int refuse_large(struct config_problems *problems)
{
	problem_add(problems, 0, false, "the file is larger than 1 MiB; no configuration is");
	return -EINVAL;
}

int config_parse(const char *text, size_t len, struct config *ret, struct config_problems *problems)
{
	struct yaml_problem problem = {0};
	struct config_tree tree;
	int rc;

	prepare(ret, problems);
	if (len > CONFIG_FILE_MAX)
		return refuse_large(problems);
	rc = config_tree_read(text, len, &tree, &problem);
	if (rc == -EINVAL)
		problem_add(problems, problem.line, false, "%s", problem.text);
	if (rc == 0) {
		read_root(&tree, ret, problems);
		rc = finish(problems);
	}
	config_tree_free(&tree);
	return rc;
}

int config_load(const char *path, struct config *ret, struct config_problems *problems)
{
	size_t len;
	char *text;
	int rc;

	prepare(ret, problems);
	if (path == NULL) {
		config_cross_check(ret, NULL, problems);
		return finish(problems);
	}
	rc = file_read(path, CONFIG_FILE_MAX, &text, &len);
	if (rc == -EFBIG)
		return refuse_large(problems);
	if (rc != 0)
		return rc;
	rc = config_parse(text, len, ret, problems);
	free(text);
	return rc;
}
