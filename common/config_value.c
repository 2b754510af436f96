// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"
#include "common/cpus.h"
#include "common/units.h"

#include <stdio.h>
#include <string.h>

// Quotes from the file are cut: a message has 255 bytes for all.
#define QUOTE "'%.60s'"

struct reading {
	const struct config_key *key;
	const struct config_node *node; // what stands for an alias already resolved
	void *holder;
	const char *path;
	unsigned line; // where it is written, an alias' own line
	struct config_problems *problems;
};

#define REFUSE(r, ...) problem_add((r)->problems, (r)->line, false, __VA_ARGS__)

static void store(const struct config_key *key, void *holder, uint64_t value)
{
	char *field = (char *)holder + key->offset;

	switch (key->size) {
	case 1:
		*(uint8_t *)field = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)field = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)field = (uint32_t)value;
		break;
	case 8:
		*(uint64_t *)field = value;
		break;
	default: // checked, not stored
		break;
	}
}

static bool parse_number(const struct config_key *key, const char *text, uint64_t *ret)
{
	if (key->type == TYPE_SIZE)
		return units_parse_size(text, ret);
	if (key->type == TYPE_DURATION)
		return units_parse_duration(text, ret);
	return units_parse_uint(text, ret);
}

static const char *number_kind(const struct config_key *key)
{
	if (key->type == TYPE_SIZE)
		return "a size such as 64MiB";
	if (key->type == TYPE_DURATION)
		return "a duration such as 50ms";
	return "a whole number";
}

static void read_number(const struct reading *r)
{
	const struct config_key *key = r->key;
	char range[128], unit[UNITS_TEXT_BYTES];
	uint64_t value;

	if (!parse_number(key, r->node->text, &value))
		REFUSE(r, "%s: " QUOTE " is not %s (%s)", r->path, r->node->text, number_kind(key),
			config_range_text(key, range));
	else if (value < key->min || value > key->max)
		REFUSE(r, "%s: " QUOTE " is out of range (%s)", r->path, r->node->text,
			config_range_text(key, range));
	else if (key->power_of_two && (value & (value - 1)) != 0)
		REFUSE(r, "%s: " QUOTE " is not a power of two", r->path, r->node->text);
	else if (key->multiple != 0 && value % key->multiple != 0)
		REFUSE(r, "%s: " QUOTE " is not a multiple of %s", r->path, r->node->text,
			units_size_text(key->multiple, unit));
	else
		store(key, r->holder, value);
}

static void read_choice(const struct reading *r)
{
	const char *choice = r->key->choices, *text = r->node->text;
	size_t len = strlen(text);
	char range[128];
	uint64_t index = 0;

	for (; choice != NULL; index++) {
		const char *end = strchrnul(choice, '|');

		if ((size_t)(end - choice) == len && memcmp(choice, text, len) == 0) {
			store(r->key, r->holder, index);
			return;
		}
		choice = *end == '|' ? end + 1 : NULL;
	}
	REFUSE(r, "%s: " QUOTE " must be %s%s", r->path, text, config_range_text(r->key, range),
		r->key->note != NULL ? r->key->note : "");
}

static void read_bool(const struct reading *r)
{
	bool yes = strcmp(r->node->text, "true") == 0;

	if (!yes && strcmp(r->node->text, "false") != 0)
		REFUSE(r, "%s: " QUOTE " must be true or false", r->path, r->node->text);
	else
		store(r->key, r->holder, yes);
}

static bool is_name(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static void read_text(const struct reading *r)
{
	const struct config_key *key = r->key;
	const char *text = r->node->text;
	size_t most = key->max != 0 ? key->max : key->size - 1;

	if (*text == '\0')
		REFUSE(r, "%s: is empty", r->path);
	else if (strlen(text) > most)
		REFUSE(r, "%s: is longer than %zu bytes", r->path, most);
	else if (!is_printable(text))
		REFUSE(r, "%s: " QUOTE " holds control characters", r->path, text);
	else if (key->type == TYPE_NAME && !is_name(text))
		REFUSE(r, "%s: " QUOTE " may hold letters, digits, '.', '_' and '-' only", r->path,
			text);
	else if (key->type == TYPE_PATH && *text != '/')
		REFUSE(r, "%s: " QUOTE " must be an absolute path", r->path, text);
	else
		memcpy((char *)r->holder + key->offset, text, strlen(text) + 1);
}

static void read_cpus(const struct reading *r)
{
	struct config *config = r->holder;
	const char *wrong = cpus_parse(r->node->text, config->cpus, &config->cpu_count);

	if (wrong != NULL)
		REFUSE(r, "%s: " QUOTE " %s", r->path, r->node->text, wrong);
}

static void read_partitions(const struct reading *r)
{
	const char *text = r->node->text, *wrong = NULL;
	uint64_t first = 0, last = 0, partitions = 0;

	if (strcmp(text, CONFIG_ALL_TEXT) == 0) {
		store(r->key, r->holder, CONFIG_ALL_PARTITIONS);
		return;
	}
	do {
		wrong = cpus_parse_range(&text, &first, &last);
		if (wrong == NULL && last >= CONFIG_PARTITIONS_MAX)
			wrong = "has a partition above 63";
		for (uint64_t n = first; wrong == NULL && n <= last; n++)
			partitions |= 1ull << n;
	} while (wrong == NULL && *text++ == ',');
	if (wrong != NULL)
		REFUSE(r, "%s: " QUOTE " %s", r->path, r->node->text, wrong);
	else
		store(r->key, r->holder, partitions);
}

static void read_address(const struct reading *r)
{
	struct config_listener *listener = r->holder;
	const char *wrong = address_parse(r->node->text, ADDRESS_LISTEN, &listener->address);

	listener->any_address = false;
	if (wrong != NULL)
		REFUSE(r, "%s: " QUOTE " %s", r->path, r->node->text, wrong);
}

static bool is_array(const struct config_key *key)
{
	return key->type == TYPE_ADDRESSES || key->type == TYPE_GATEWAYS ||
	       key->type == TYPE_PREFIXES;
}

static const char *add_address(const struct reading *r)
{
	static const enum address_form forms[] = {
		[TYPE_ADDRESSES] = ADDRESS_OWN,
		[TYPE_GATEWAYS] = ADDRESS_GATEWAY,
		[TYPE_PREFIXES] = ADDRESS_PREFIX,
	};
	unsigned *count = (unsigned *)((char *)r->holder + r->key->count_offset);
	struct config_address *list = (struct config_address *)((char *)r->holder + r->key->offset);
	struct config_address address;
	const char *wrong = address_parse(r->node->text, forms[r->key->type], &address);

	if (wrong != NULL)
		return wrong;
	for (unsigned i = 0; i < *count; i++)
		if (address_equal(&address, &list[i]) &&
			(r->key->type != TYPE_PREFIXES || address.prefix_len == list[i].prefix_len))
			return "is there twice";
	if (*count == r->key->max)
		return "is one too many";
	list[(*count)++] = address;
	return NULL;
}

static void read_array_item(const struct reading *r)
{
	char range[128];
	const char *wrong;

	if (r->node->kind != NODE_SCALAR || r->node->null) {
		REFUSE(r, "%s: must be a list of addresses (%s)", r->path,
			config_range_text(r->key, range));
		return;
	}
	wrong = add_address(r);
	if (wrong != NULL)
		REFUSE(r, "%s: " QUOTE " %s (%s)", r->path, r->node->text, wrong,
			config_range_text(r->key, range));
}

static void read_array(const struct reading *r)
{
	for (const struct config_node *n = r->node->child; n != NULL; n = n->next) {
		struct reading one = *r;

		one.node = node_value(n);
		one.line = n->line;
		read_array_item(&one);
	}
}

static void read_scalar(const struct reading *r)
{
	switch (r->key->type) {
	case TYPE_UINT:
	case TYPE_SIZE:
	case TYPE_DURATION:
		read_number(r);
		break;
	case TYPE_CHOICE:
		read_choice(r);
		break;
	case TYPE_BOOL:
		read_bool(r);
		break;
	case TYPE_CPUS:
		read_cpus(r);
		break;
	case TYPE_PARTITIONS:
		read_partitions(r);
		break;
	case TYPE_LISTEN_ADDRESS:
		read_address(r);
		break;
	default:
		read_text(r);
		break;
	}
}

void value_read(const struct config_key *key, const struct config_node *node, void *holder,
	const char *path, struct config_problems *problems)
{
	struct reading r = {.key = key,
		.node = node_value(node),
		.holder = holder,
		.path = path,
		.line = node->line,
		.problems = problems};
	char range[128];

	if (is_array(key) && r.node->kind == NODE_LIST)
		read_array(&r);
	else if (is_array(key))
		REFUSE(&r, "%s: must be a list, as in [\"10.0.0.1%s\"]", path,
			key->type == TYPE_GATEWAYS ? "" : "/24");
	else if (r.node->kind != NODE_SCALAR)
		REFUSE(&r, "%s: must be one value (%s), not a %s", path,
			config_range_text(key, range), r.node->kind == NODE_LIST ? "list" : "map");
	else if (r.node->null)
		REFUSE(&r, "%s: has no value (%s)", path, config_range_text(key, range));
	else
		read_scalar(&r);
}

void value_read_default(const struct config_key *key, void *holder)
{
	struct config_problems problems = {0};
	struct config_node node = {.kind = NODE_SCALAR, .text = (char *)key->standard};

	if (key->standard != NULL && !is_array(key) && key->type != TYPE_PROPERTIES &&
		key->type != TYPE_OWN)
		value_read(key, &node, holder, key->name, &problems);
}
