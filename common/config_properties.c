// SPDX-License-Identifier: BSD-3-Clause
// Maps of names and texts: what goes on to a library under its own names.

#include "common/config_internal.h"

#include <stdio.h>
#include <string.h>

static const char *const prefixes[] = {
	[PROPERTY_PLAIN] = "",
	[PROPERTY_FILE] = "file:",
	[PROPERTY_ENVIRONMENT] = "env:",
};

static const char *text_behind(const char *text, enum config_property_source *ret)
{
	*ret = PROPERTY_PLAIN;
	for (unsigned s = PROPERTY_FILE; s <= PROPERTY_ENVIRONMENT; s++)
		if (strncmp(text, prefixes[s], strlen(prefixes[s])) == 0)
			*ret = s;
	return text + strlen(prefixes[*ret]);
}

// NULL, or what is wrong.
static const char *read_one(const struct config_node *node, struct config_property *ret)
{
	const struct config_node *value = node_value(node);
	const char *text;

	if (value->kind != NODE_SCALAR || value->null)
		return "must be one value";
	text = text_behind(value->text, &ret->source);
	if (strlen(node->name) >= sizeof(ret->name) || strlen(text) >= sizeof(ret->value))
		return "is too long: names have at most 63 bytes, values 255";
	if (ret->source == PROPERTY_FILE && *text != '/')
		return "must be file: and an absolute path";
	if (ret->source == PROPERTY_ENVIRONMENT && *text == '\0')
		return "must be env: and a variable's name";
	snprintf(ret->name, sizeof(ret->name), "%s", node->name);
	snprintf(ret->value, sizeof(ret->value), "%s", text);
	return NULL;
}

void properties_read(const struct config_key *key, const struct config_node *node, void *holder,
	const char *path, struct config_problems *problems)
{
	struct config_property *list = (struct config_property *)((char *)holder + key->offset);
	unsigned *count = (unsigned *)((char *)holder + key->count_offset);
	const struct config_node *map = node_value(node);

	if (map->kind != NODE_MAP) {
		problem_add(problems, node->line, false,
			"%s: must be a map of names and values, as %s", path, key->example);
		return;
	}
	for (const struct config_node *n = map->child; n != NULL; n = n->next) {
		const char *wrong = *count == key->max            ? "is one too many"
				    : node_get(map, n->name) != n ? "is there twice"
								  : read_one(n, &list[*count]);

		if (wrong == NULL)
			(*count)++;
		else // never the value: it may be a secret
			problem_add(problems, n->line, false, "%s.%.60s: %s", path, n->name, wrong);
	}
}

void properties_print(const struct config_key *key, const void *holder, FILE *out)
{
	const struct config_property *list =
		(const struct config_property *)((const char *)holder + key->offset);
	unsigned count = *(const unsigned *)((const char *)holder + key->count_offset);

	fputc('{', out);
	for (unsigned i = 0; i < count; i++) {
		fprintf(out, "%s%s: ", i > 0 ? ", " : "", list[i].name);
		quoted_print(prefixes[list[i].source], list[i].value, out);
	}
	fputc('}', out);
}
