// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"

#include <string.h>

#define WRAP_COLUMN 96

static const char *reload_text(const struct config_key *key)
{
	return key->reload == RELOAD_LIVE ? "live" : "restart";
}

// Words in comment lines of at most WRAP_COLUMN columns.
static void print_comment(const char *indent, const char *text, FILE *out)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (column == 0 || column + 1 + len > WRAP_COLUMN) {
			fprintf(out, "%s%s#", column == 0 ? "" : "\n", indent);
			column = strlen(indent) + 1;
		}
		fprintf(out, " %.*s", (int)len, text);
		column += 1 + len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_facts(const struct config_key *key, const char *indent, FILE *out)
{
	char range[128], line[512];

	snprintf(line, sizeof(line), "%s%s%s. %s%s. Change: %s.", config_range_text(key, range),
		key->unit != NULL && key->unit[0] != '\0' ? ", in " : "",
		key->unit != NULL ? key->unit : "", key->required ? "" : "Default: ",
		key->required ? "Required" : config_default_text(key), reload_text(key));
	print_comment(indent, line, out);
}

// What stands behind the key in the sample: the default where it can be written, else an example.
static const char *sample_value(const struct config_key *key, char *buf, size_t room)
{
	const char *value = key->standard;

	if (value == NULL || strcmp(value, "[]") == 0 || strcmp(value, "{}") == 0)
		value = key->example;
	if (value == NULL)
		return strcmp(key->name, "receiver") == 0 ? "\"receiver1\"" : "\"name1\"";
	switch (key->type) {
	case TYPE_TEXT:
	case TYPE_NAME:
	case TYPE_PATH:
	case TYPE_CPUS:
	case TYPE_LISTEN_ADDRESS:
		snprintf(buf, room, "\"%s\"", value);
		return buf;
	default:
		return value;
	}
}

static void print_sample_key(
	const struct config_key *key, const char *indent, const char *dash, FILE *out)
{
	char value[CONFIG_PATH_MAX];

	print_comment(indent, key->help, out);
	print_facts(key, indent, out);
	fprintf(out, "%s%s%s: %s\n\n", indent, key->required ? dash : "#", key->name,
		sample_value(key, value, sizeof(value)));
}

static void print_sample_keys(const struct config_key *keys, const char *indent, FILE *out)
{
	for (; keys->name != NULL; keys++)
		if (keys->children == NULL)
			print_sample_key(keys, indent, "", out);
}

// The required keys lead the element, so that what is commented out may be used as it stands. A
// list that may be empty is in the sample.
static void print_sample_list(const struct config_key *list, FILE *out)
{
	const char *dash = list->min > 0 ? "- " : "#- ";
	const char *rest = list->min > 0 ? "  " : "  #";

	for (const struct config_key *key = list->children; key->name != NULL; key++) {
		if (!key->required)
			continue;
		print_sample_key(key, "  ", dash, out);
		dash = rest;
	}
	for (const struct config_key *key = list->children; key->name != NULL; key++)
		if (!key->required)
			print_sample_key(key, "    ", "", out);
}

void config_keys_print_sample(const struct config_key *keys, FILE *out)
{
	print_sample_keys(keys, "", out);
	for (const struct config_key *key = keys; key->name != NULL; key++) {
		if (key->children == NULL)
			continue;
		print_comment("", key->help, out);
		fprintf(out, "%s:\n", key->name);
		if (key->type == TYPE_LIST)
			print_sample_list(key, out);
		else
			print_sample_keys(key->children, "  ", out);
	}
}

void config_print_sample(FILE *out)
{
	fputs("# SPDX-License-Identifier: BSD-3-Clause\n"
	      "# Configuration of millraced, of every key with its default.\n"
	      "# Made from the table of keys by 'millrace config sample'; check changes with\n"
	      "# 'millrace config check FILE'.\n\n",
		out);
	config_keys_print_sample(config_keys, out);
}

static void print_cell(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void print_row(const struct config_key *key, FILE *out)
{
	char range[128];

	fprintf(out, "| `%s` | ", key->name);
	if (key->standard != NULL)
		fprintf(out, "`%s`", key->standard);
	else
		fputs(config_default_text(key), out);
	fputs(" | ", out);
	print_cell(config_range_text(key, range), out);
	fprintf(out, " | %s | %s | ", key->unit != NULL ? key->unit : "", reload_text(key));
	print_cell(key->help, out);
	fputs(" |\n", out);
}

static void print_table(const struct config_key *keys, FILE *out)
{
	fputs("| key | default | range | unit | change | meaning |\n"
	      "| --- | --- | --- | --- | --- | --- |\n",
		out);
	for (; keys->name != NULL; keys++)
		if (keys->children == NULL)
			print_row(keys, out);
}

void config_keys_print_docs(const struct config_key *keys, FILE *out)
{
	print_table(keys, out);
	for (const struct config_key *key = keys; key->name != NULL; key++) {
		char range[128];

		if (key->children == NULL)
			continue;
		fprintf(out, "\n## %s\n\n%s", key->name, key->help);
		if (key->type == TYPE_LIST)
			fprintf(out, "; a list of %s", config_range_text(key, range));
		fputs(".\n\n", out);
		print_table(key->children, out);
	}
}

void config_print_docs(FILE *out)
{
	fputs("# Configuration\n\n"
	      "<!-- Made from the table of keys by `millrace config docs`. -->\n\n"
	      "`millraced` reads one YAML file. `millrace config check FILE` says all that is "
	      "wrong with it, with\nline numbers; `millrace config sample` prints a file with "
	      "every key.\n\n"
	      "Durations are written as `50ms` (`ns us ms s m h d`), sizes as `64MiB` (`KiB MiB "
	      "GiB TiB`; `k M G T`\nare the same; `kB MB GB TB` count in thousands). A key that "
	      "is not in the file has its default.\n"
	      "`restart`: a change is taken at the next start.\n\n"
	      "## Top level\n\n",
		out);
	config_keys_print_docs(config_keys, out);
}
