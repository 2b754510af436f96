// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"
#include "cli/table.h"
#include "common/config.h"
#include "common/json.h"
#include "dataplane/preflight.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/millrace/millraced.yaml"

enum { DOCTOR_CONFIG, DOCTOR_END };

static const struct cli_option doctor_options[] = {
	[DOCTOR_CONFIG] = {"config", 'c', "FILE",
		"check for this configuration (default " DEFAULT_CONFIG
		" where it is, else the defaults)",
		NULL},
	[DOCTOR_END] = {0},
};

// These are large for a stack.
static struct config config;
static struct config_problems problems;
static struct preflight preflight;

static const char *result_text(enum check_result result)
{
	static const char *const texts[] = {[CHECK_OK] = "ok",
		[CHECK_WARN] = "warning",
		[CHECK_FAIL] = "failed",
		[CHECK_SKIP] = "skipped"};

	return texts[result];
}

static int load(const char *path)
{
	int err;

	if (path == NULL && access(DEFAULT_CONFIG, F_OK) == 0)
		path = DEFAULT_CONFIG;
	err = config_load(path, &config, &problems);
	if (err == 0)
		return EXIT_CLI_OK;
	if (err == -EINVAL)
		cli_error("%s has errors; 'millrace config check %s' tells them", path, path);
	else
		cli_error("%s: %s", path, strerror(-err));
	return EXIT_CLI_INVALID;
}

static void print_rows(void)
{
	struct table *table = table_new("lll");

	if (table == NULL)
		return;
	table_cell(table, "CHECK");
	table_cell(table, "RESULT");
	table_cell(table, "FOUND");
	for (unsigned i = 0; i < preflight.count; i++) {
		table_cell(table, "%s", preflight.rows[i].name);
		table_cell(table, "%s", result_text(preflight.rows[i].result));
		table_cell(table, "%s", preflight.rows[i].found);
	}
	table_print(table, stdout);
	table_free(table);
	for (unsigned i = 0; i < preflight.count; i++) {
		const struct check_row *row = &preflight.rows[i];

		if (row->result != CHECK_OK && row->mend[0] != '\0')
			printf("\nto mend '%s':\n    %s\n", row->name, row->mend);
	}
}

static void print_rows_json(void)
{
	json_t *data = json_array(), *envelope;

	for (unsigned i = 0; i < preflight.count; i++) {
		const struct check_row *row = &preflight.rows[i];

		json_array_append_new(
			data, json_pack("{s:s, s:s, s:s, s:o}", "check", row->name, "result",
				      result_text(row->result), "found", row->found, "mend",
				      row->mend[0] != '\0' ? json_string(row->mend) : json_null()));
	}
	envelope = json_envelope("millrace.doctor/1", config.receiver, data, NULL);
	cli_print_json(envelope);
	json_decref(envelope);
}

static int run(const struct cli *cli, const struct cli_args *args)
{
	int rc = load(args->value[DOCTOR_CONFIG]);

	if (rc != EXIT_CLI_OK)
		return rc;
	preflight_run(&preflight, &config, true, preflight_receiver_runs(&config));
	if (cli->json)
		print_rows_json();
	else
		print_rows();
	return preflight_worst(&preflight) == CHECK_FAIL ? EXIT_CLI_DEGRADED : EXIT_CLI_OK;
}

const struct cli_command cmd_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "check this machine for a receiver, with the command that mends each fault",
	.details = "The same table that millraced goes through before it starts, with the disk's "
		   "latencies measured besides. The exit status is 1 when a check failed.",
	.options = doctor_options,
	.run = run,
};
