// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster apply, scale

#include "cli/cluster_client.h"
#include "cli/problems.h"
#include "cli/table.h"
#include "cli/views.h"
#include "common/file.h"
#include "common/units.h"
#include "control/spec.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (1u << 20)
#define PATH_BYTES 4096

// Too large for a stack.
static struct config_problems problems;

enum { OPT_DRY_RUN = CLUSTER_OWN };

static const struct cli_option apply_options[] = {
	CLUSTER_OPTIONS,
	[OPT_DRY_RUN] = {"dry-run", 0, NULL, "say what would change, and change nothing", NULL},
	{0},
};

// The desired state that a file describes, as it is kept. An exit code, told.
static int parse(const struct cli *cli, const char *path, const char *text, size_t len,
	const char *dir, json_t **ret)
{
	struct spec spec = {0};
	int err = spec_parse(text, len, dir, &spec, &problems);

	if (err < 0 && problems.errors == 0) {
		cli_error("%s: %s", path, strerror(-err));
		return EXIT_CLI_DEGRADED;
	}
	if (err < 0) {
		if (cli->json)
			problems_print_json(&problems, path, false);
		else
			problems_print(&problems, path, stderr);
		return EXIT_CLI_INVALID;
	}
	problems_print(&problems, path, stderr); // warnings
	*ret = spec_write(&spec);
	spec_free(&spec);
	if (*ret != NULL)
		return EXIT_CLI_OK;
	cli_error("out of memory");
	return EXIT_CLI_DEGRADED;
}

static int read_file(const struct cli *cli, const char *path, json_t **ret)
{
	char copy[PATH_BYTES], *text;
	size_t len;
	int err;

	if (strlen(path) >= sizeof(copy)) {
		cli_error("%s: %s", path, strerror(ENAMETOOLONG));
		return EXIT_CLI_USAGE;
	}
	err = file_read(path, FILE_MAX, &text, &len);
	if (err < 0) {
		cli_error("%s: %s", path, strerror(-err));
		return EXIT_CLI_DEGRADED;
	}
	memcpy(copy, path, strlen(path) + 1);
	err = parse(cli, path, text, len, dirname(copy), ret);
	free(text);
	return err;
}

// A value of the YAML file: a text mostly.
static void value_cell(struct table *table, const json_t *value)
{
	char *text = json_is_string(value) || value == NULL || json_is_null(value)
			     ? NULL
			     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	if (text != NULL)
		table_cell(table, "%s", text);
	else
		table_cell(table, "%s", json_is_string(value) ? json_string_value(value) : "-");
	free(text);
}

static void put_changes(const json_t *changes, FILE *out)
{
	struct table *table = table_new("lll");
	json_t *change;
	size_t i;

	if (table == NULL)
		return;
	table_cell(table, "KEY");
	table_cell(table, "FROM");
	table_cell(table, "TO");
	json_array_foreach(changes, i, change)
	{
		table_cell(table, "%s", view_text(change, "key"));
		value_cell(table, json_object_get(change, "from"));
		value_cell(table, json_object_get(change, "to"));
	}
	table_print(table, out);
	table_free(table);
}

static void view_diff(const json_t *data, FILE *out, const char *verb)
{
	const json_t *changes = json_object_get(data, "changes");
	double restarts = view_number(data, "restarts");

	if (json_array_size(changes) == 0) {
		fputs("nothing changes\n", out);
		return;
	}
	put_changes(changes, out);
	if (restarts > 0)
		fprintf(out, "\n%.0f receiver%s %s restarted, one at a time\n", restarts,
			restarts == 1 ? "" : "s", verb);
}

static void view_dry_run(const json_t *data, const char *time, FILE *out)
{
	(void)time;
	view_diff(data, out, "would be");
	fputs("Nothing was changed; without --dry-run it is.\n", out);
}

static void view_apply(const json_t *data, const char *time, FILE *out)
{
	(void)time;
	view_diff(data, out, "to be");
	fprintf(out, "desired state: version %.0f\n", view_number(data, "version"));
}

static int run_apply(const struct cli *cli, const struct cli_args *args)
{
	bool dry = args->value[OPT_DRY_RUN] != NULL;
	json_t *spec = NULL;
	int err = read_file(cli, args->argv[0], &spec);

	if (err != EXIT_CLI_OK)
		return err;
	return cluster_command(cli, args, "apply",
		json_pack("{s:o, s:b}", "spec", spec, "dry_run", (int)dry),
		dry ? view_dry_run : view_apply);
}

const struct cli_command cmd_cluster_apply = {
	.name = "cluster apply",
	.args = "FILE",
	.min_args = 1,
	.max_args = 1,
	.summary = "make what a file says the desired state",
	.details =
		"docs/cluster.md describes the file. It is checked here first, with the receivers' "
		"configuration that it names: what is wrong is printed as 'config check' prints "
		"it, "
		"and the exit code is 4. Receivers that must be restarted to be as it wants them "
		"are, one at a time.",
	.options = apply_options,
	.run = run_apply,
};

static const struct cli_option scale_options[] = {CLUSTER_OPTIONS, {0}};

static void view_scale(const json_t *data, const char *time, FILE *out)
{
	double count = view_number(data, "count");

	(void)time;
	fprintf(out, "%.0f receiver%s wanted instead of %.0f; desired state: version %.0f\n", count,
		count == 1 ? "" : "s", view_number(data, "from"), view_number(data, "version"));
}

static int run_scale(const struct cli *cli, const struct cli_args *args)
{
	uint64_t count;

	if (!units_parse_uint(args->argv[0], &count) || count > SPEC_COUNT_MAX) {
		cli_error("cluster scale %s: wants a number of receivers, from 0 to %d",
			args->argv[0], SPEC_COUNT_MAX);
		return EXIT_CLI_USAGE;
	}
	return cluster_command(
		cli, args, "scale", json_pack("{s:I}", "count", (json_int_t)count), view_scale);
}

const struct cli_command cmd_cluster_scale = {
	.name = "cluster scale",
	.args = "N",
	.min_args = 1,
	.max_args = 1,
	.summary = "have so many receivers",
	.details = "Those that there are too many are drained: their logs go into the sinks first. "
		   "The file of the next 'cluster apply' has its own count.",
	.options = scale_options,
	.run = run_scale,
};
