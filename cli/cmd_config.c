// SPDX-License-Identifier: BSD-3-Clause
// millrace config: check, show, docs, sample.

#include "cli/cli.h"
#include "cli/problems.h"
#include "common/config.h"
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// These two are large for a stack.
static struct config loaded;
static struct config_problems problems;

static int load(const char *path)
{
	int rc = config_load(path, &loaded, &problems);

	if (rc == 0)
		return EXIT_CLI_OK;
	if (problems.errors != 0)
		return EXIT_CLI_INVALID;
	cli_error("%s: %s", path, strerror(-rc));
	return EXIT_CLI_DEGRADED;
}

static int run_check(const struct cli *cli, const struct cli_args *args)
{
	const char *path = args->argv[0];
	int rc = load(path);

	if (rc == EXIT_CLI_DEGRADED)
		return rc;
	if (cli->json) {
		problems_print_json(&problems, path, rc == EXIT_CLI_OK);
		return rc;
	}
	problems_print(&problems, path, stdout);
	if (rc == EXIT_CLI_OK)
		printf("%s: valid\n", path);
	else
		printf("%s: %u error%s\n", path, problems.errors, problems.errors == 1 ? "" : "s");
	return rc;
}

const struct cli_command cmd_config_check = {
	.name = "config check",
	.args = "FILE",
	.min_args = 1,
	.max_args = 1,
	.summary = "say all that is wrong with a configuration file",
	.details = "Prints one line for each error and warning, with its line number. The exit "
		   "status is 0 when millraced would take the file, warnings allowed, else 4.",
	.run = run_check,
};

enum { SHOW_CONFIG, SHOW_END };

static const struct cli_option show_options[] = {
	[SHOW_CONFIG] = {"config", 'c', "FILE",
		"of this file, with the defaults filled in (default: of the running receiver)",
		NULL},
	[SHOW_END] = {0},
};

static char *config_text(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	config_print(&loaded, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int show_file(const struct cli *cli, const char *path)
{
	json_t *envelope;
	int rc = load(path);
	char *text;

	if (rc != EXIT_CLI_DEGRADED)
		problems_print(&problems, path, stderr);
	if (rc != EXIT_CLI_OK)
		return rc;
	text = config_text();
	if (text == NULL) {
		cli_error("out of memory");
		return EXIT_CLI_DEGRADED;
	}
	if (cli->json) {
		envelope = json_envelope("millrace.config/1", loaded.receiver,
			json_pack("{s:s, s:s}", "path", path, "yaml", text), NULL);
		cli_print_json(envelope);
		json_decref(envelope);
	} else {
		fputs(text, stdout);
	}
	free(text);
	return EXIT_CLI_OK;
}

static int show_running(const struct cli *cli)
{
	const char *path, *yaml;
	json_t *answer, *data;
	int rc = cli_get(cli, "/api/v1/config", &answer);

	if (rc != EXIT_CLI_OK)
		return rc;
	data = json_object_get(answer, "data");
	path = json_string_value(json_object_get(data, "path"));
	yaml = json_string_value(json_object_get(data, "yaml"));
	if (cli->json) {
		cli_print_json(answer);
	} else if (yaml != NULL) {
		printf("# %s\n%s", path != NULL ? path : "the defaults", yaml);
	} else {
		cli_error("the receiver's answer has no configuration");
		rc = EXIT_CLI_DEGRADED;
	}
	json_decref(answer);
	return rc;
}

static int run_show(const struct cli *cli, const struct cli_args *args)
{
	if (args->value[SHOW_CONFIG] != NULL)
		return show_file(cli, args->value[SHOW_CONFIG]);
	return show_running(cli);
}

const struct cli_command cmd_config_show = {
	.name = "config show",
	.args = "",
	.summary = "print the effective configuration, defaults filled in",
	.details = "Prints YAML that millraced reads back to the same values.",
	.options = show_options,
	.run = run_show,
};

static int run_docs(const struct cli *cli, const struct cli_args *args)
{
	(void)cli, (void)args;
	config_print_docs(stdout);
	return EXIT_CLI_OK;
}

const struct cli_command cmd_config_docs = {
	.name = "config docs",
	.args = "",
	.summary = "print the reference of all configuration keys in Markdown",
	.run = run_docs,
};

static int run_sample(const struct cli *cli, const struct cli_args *args)
{
	(void)cli, (void)args;
	config_print_sample(stdout);
	return EXIT_CLI_OK;
}

const struct cli_command cmd_config_sample = {
	.name = "config sample",
	.args = "",
	.summary = "print a configuration file with every key, ready to be changed",
	.run = run_sample,
};
