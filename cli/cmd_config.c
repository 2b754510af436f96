// SPDX-License-Identifier: BSD-3-Clause
// millrace config: check, show, docs, sample.

#include "cli/cli.h"
#include "common/config.h"
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LISTED_MAX (sizeof(((struct config_problems *)0)->list) / sizeof(struct config_problem))

// These two are large for a stack.
static struct config loaded;
static struct config_problems problems;

static unsigned listed(void)
{
	return problems.count < LISTED_MAX ? problems.count : (unsigned)LISTED_MAX;
}

// As compilers say it, so that editors jump to the line.
static void print_problems(const char *path, FILE *out)
{
	for (unsigned i = 0; i < listed(); i++) {
		const struct config_problem *p = &problems.list[i];
		const char *kind = p->warning ? "warning" : "error";

		if (p->line != 0)
			fprintf(out, "%s:%u: %s: %s\n", path, p->line, kind, p->text);
		else
			fprintf(out, "%s: %s: %s\n", path, kind, p->text);
	}
	if (problems.count > listed())
		fprintf(out, "%s: %u more\n", path, problems.count - listed());
}

static json_t *problems_json(void)
{
	json_t *ret = json_array();

	for (unsigned i = 0; i < listed(); i++) {
		const struct config_problem *p = &problems.list[i];
		json_t *warning = json_warning("", p->text, NULL); // takes text of any bytes
		json_t *row = json_pack("{s:o, s:s, s:O}", "line",
			p->line != 0 ? json_integer(p->line) : json_null(), "severity",
			p->warning ? "warning" : "error", "text", json_object_get(warning, "text"));

		json_decref(warning);
		json_array_append_new(ret, row);
	}
	return ret;
}

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

static void print_check_json(const char *path, int rc)
{
	json_t *envelope = json_envelope("millrace.config-check/1", NULL,
		json_pack("{s:s, s:b, s:i, s:i, s:o}", "path", path, "valid", rc == EXIT_CLI_OK,
			"errors", (int)problems.errors, "warnings",
			(int)(problems.count - problems.errors), "problems", problems_json()),
		NULL);

	cli_print_json(envelope);
	json_decref(envelope);
}

static int run_check(const struct cli *cli, const struct cli_args *args)
{
	const char *path = args->argv[0];
	int rc = load(path);

	if (rc == EXIT_CLI_DEGRADED)
		return rc;
	if (cli->json) {
		print_check_json(path, rc);
		return rc;
	}
	print_problems(path, stdout);
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
		print_problems(path, stderr);
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
