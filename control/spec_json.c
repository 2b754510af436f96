// SPDX-License-Identifier: BSD-3-Clause
// The desired state as JSON: keys and values of the YAML file, and the receivers' text in place of
// their file's name. It is read by the same table, as if it were YAML.

#include "common/units.h"
#include "control/spec_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *text_or_null(const char *text)
{
	return text != NULL && *text != '\0' ? json_string(text) : json_null();
}

static json_t *section_json(const struct config_key *keys, const struct spec *spec)
{
	json_t *ret = json_object();
	int rc = 0;

	for (const struct config_key *key = keys; rc == 0 && key->name != NULL; key++) {
		json_t *value = spec_value(key, spec);

		if (json_is_null(value))
			json_decref(value);
		else
			rc = json_object_set_new(ret, key->name, value);
	}
	if (rc != 0) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}

json_t *spec_value(const struct config_key *key, const struct spec *spec)
{
	char text[UNITS_TEXT_BYTES];

	if (strcmp(key->name, "receiver") == 0)
		return text_or_null(spec->receiver);
	switch (key->type) {
	case TYPE_UINT:
		return json_integer((json_int_t)config_key_load(key, spec));
	case TYPE_SIZE:
		return json_string(units_size_text(config_key_load(key, spec), text));
	case TYPE_DURATION:
		return json_string(units_duration_text(config_key_load(key, spec), text));
	case TYPE_OWN:
		return spec_constraints_json(spec);
	case TYPE_SECTION:
		return section_json(key->children, spec);
	default:
		return text_or_null((const char *)spec + key->offset);
	}
}

json_t *spec_write(const struct spec *spec)
{
	json_t *ret = section_json(spec_keys, spec);

	if (json_object_set_new(ret, "schema", json_string(SPEC_SCHEMA)) != 0) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}

// NULL: no room, or nothing that a file could say.
static struct config_node *add_node(
	struct config_tree *tree, const char *name, const json_t *json, unsigned depth)
{
	struct config_node *node = NULL;

	if (tree->count++ < YAML_NODES_MAX && depth < YAML_DEPTH_MAX)
		node = calloc(1, sizeof(*node));
	if (node == NULL)
		return NULL;
	node->all = tree->all;
	tree->all = node;
	if (name != NULL)
		node->name = strdup(name);
	if (json_is_object(json))
		node->kind = NODE_MAP;
	else if (json_is_array(json))
		node->kind = NODE_LIST;
	else if (json_is_integer(json) &&
		 asprintf(&node->text, "%" JSON_INTEGER_FORMAT, json_integer_value(json)) < 0)
		node->text = NULL;
	else if (json_is_string(json) &&
		 strlen(json_string_value(json)) == json_string_length(json))
		node->text = strdup(json_string_value(json));
	if ((name != NULL && node->name == NULL) ||
		(node->kind == NODE_SCALAR && node->text == NULL))
		return NULL;
	return node;
}

static struct config_node *convert(
	struct config_tree *tree, const char *name, json_t *json, unsigned depth);

static bool add_child(struct config_tree *tree, struct config_node *parent, const char *name,
	json_t *json, unsigned depth)
{
	struct config_node *child = convert(tree, name, json, depth);

	if (child == NULL)
		return false;
	if (parent->last == NULL)
		parent->child = child;
	else
		parent->last->next = child;
	parent->last = child;
	return true;
}

static struct config_node *convert(
	struct config_tree *tree, const char *name, json_t *json, unsigned depth)
{
	struct config_node *node = add_node(tree, name, json, depth);
	const char *key;
	json_t *value;
	size_t i;

	if (node == NULL)
		return NULL;
	json_object_foreach(
		json, key, value) if (!add_child(tree, node, key, value, depth + 1)) return NULL;
	json_array_foreach(
		json, i, value) if (!add_child(tree, node, NULL, value, depth + 1)) return NULL;
	return node;
}

// Where YAML knows texts only, JSON has types, and spec_write() means them.
static bool has_type(const struct config_key *key, const json_t *value)
{
	switch (key->type) {
	case TYPE_UINT:
		return json_is_integer(value);
	case TYPE_OWN:
		return json_is_array(value);
	case TYPE_SECTION:
		return json_is_object(value);
	default:
		return json_is_string(value);
	}
}

static void check_types(
	const struct config_key *keys, const json_t *json, struct config_problems *problems)
{
	for (; keys->name != NULL; keys++) {
		const json_t *value = json_object_get(json, keys->name);

		if (value == NULL)
			continue;
		if (!has_type(keys, value))
			problem_add(problems, 0, false, "%s: is of another type", keys->name);
		else if (keys->type == TYPE_SECTION)
			check_types(keys->children, value, problems);
	}
}

static int read_keys(json_t *json, struct spec_draft *draft, struct config_problems *problems)
{
	struct config_tree tree = {0};
	struct config_node *root = convert(&tree, NULL, json, 0);
	int rc = -EINVAL;

	if (root == NULL)
		problem_add(problems, 0, false, "holds what no desired state has");
	else
		rc = config_keys_read(spec_keys, root, draft, spec_check, problems);
	config_tree_free(&tree);
	return rc;
}

static int read_receiver(const json_t *text, struct spec *spec, struct config_problems *problems)
{
	const char *value = json_string_value(text);
	char *copy;

	if (value == NULL || strlen(value) != json_string_length(text)) {
		problem_add(problems, 0, false, "receiver: is no text");
		return -EINVAL;
	}
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	return spec_take_receiver(spec, copy, strlen(copy), "receiver", 0, problems);
}

static bool check_schema(const json_t *json, struct config_problems *problems)
{
	const char *schema = json_string_value(json_object_get(json, "schema"));

	if (schema != NULL && strcmp(schema, SPEC_SCHEMA) == 0)
		return true;
	problem_add(problems, 0, false, "schema: must be " SPEC_SCHEMA ", the only one known here");
	return false;
}

int spec_read_check(const json_t *json, struct spec *ret, struct config_problems *problems)
{
	struct spec_draft draft = {0};
	json_t *keys;
	int rc;

	memset(problems, 0, sizeof(*problems));
	memset(ret, 0, sizeof(*ret));
	if (!check_schema(json, problems))
		return -EINVAL;
	check_types(spec_keys, json, problems);
	keys = json_copy((json_t *)json);
	json_object_del(keys, "schema");
	// The table has a file's name here, and it may have any.
	if (json_object_get(keys, "receiver") != NULL)
		json_object_set_new(keys, "receiver", json_string("-"));
	config_keys_defaults(spec_keys, &draft);
	rc = keys != NULL ? read_keys(keys, &draft, problems) : -ENOMEM;
	json_decref(keys);
	if (rc == 0)
		rc = read_receiver(json_object_get(json, "receiver"), &draft.spec, problems);
	if (rc != 0)
		spec_free(&draft.spec);
	else
		*ret = draft.spec;
	return rc;
}

int spec_read(const json_t *json, struct spec *ret)
{
	struct config_problems *problems = malloc(sizeof(*problems));
	int rc = problems != NULL ? spec_read_check(json, ret, problems) : -ENOMEM;

	free(problems);
	return rc;
}
