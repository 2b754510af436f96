// SPDX-License-Identifier: BSD-3-Clause
// The key 'constraints': a list of lists of texts.

#include "control/spec_internal.h"

#include <string.h>

#define FORM "must be [FIELD, OPERATOR] or [FIELD, OPERATOR, VALUE]"

// False: no list of two or three texts.
static bool read_texts(const struct config_node *list, const char *ret[3])
{
	unsigned count = 0;

	if (list->kind != NODE_LIST)
		return false;
	for (const struct config_node *n = list->child; n != NULL; n = n->next) {
		const struct config_node *item = node_value(n);

		if (count == 3 || item->kind != NODE_SCALAR || item->null)
			return false;
		ret[count++] = item->text;
	}
	return count >= 2;
}

static void read_one(const struct config_node *node, const char *path, struct spec *spec,
	struct config_problems *problems)
{
	struct constraint *next = &spec->constraints[spec->constraint_count];
	const char *texts[3] = {NULL};
	char why[200];

	if (!read_texts(node_value(node), texts))
		problem_add(
			problems, node->line, false, "%s[%u]: " FORM, path, spec->constraint_count);
	else if (!constraint_parse(texts[0], texts[1], texts[2], next, why, sizeof(why)))
		problem_add(problems, node->line, false, "%s[%u]: %s", path, spec->constraint_count,
			why);
	spec->constraint_count++;
}

void spec_constraints_read(const struct config_key *key, const struct config_node *node,
	void *holder, const char *path, struct config_problems *problems)
{
	const struct config_node *list = node_value(node);
	struct spec *spec = holder;

	if (list->kind == NODE_SCALAR && list->null)
		return;
	if (list->kind != NODE_LIST) {
		problem_add(problems, node->line, false, "%s: must be a list, as %s", path,
			key->example);
		return;
	}
	for (const struct config_node *n = list->child; n != NULL; n = n->next) {
		if (spec->constraint_count == CONSTRAINTS_MAX) {
			problem_add(problems, n->line, false, "%s: more than %u", path,
				CONSTRAINTS_MAX);
			return;
		}
		read_one(n, path, spec, problems);
	}
}

json_t *spec_constraints_json(const struct spec *spec)
{
	json_t *ret = json_array();
	int rc = ret != NULL ? 0 : -1;

	for (unsigned i = 0; rc == 0 && i < spec->constraint_count; i++) {
		const struct constraint *c = &spec->constraints[i];
		json_t *one = json_pack("[s,s]", c->field, constraint_operator_text(c->op));

		if (c->value[0] != '\0')
			rc = json_array_append_new(one, json_string(c->value));
		rc |= json_array_append_new(ret, one);
	}
	if (rc != 0) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}

// JSON is YAML, too.
void spec_constraints_print(const struct config_key *key, const void *holder, FILE *out)
{
	json_t *json = spec_constraints_json(holder);

	(void)key;
	json_dumpf(json, out, 0);
	json_decref(json);
}
