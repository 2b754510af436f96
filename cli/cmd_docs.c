// SPDX-License-Identifier: BSD-3-Clause
// millrace docs man: for the build, which installs the pages.

#include "cli/help.h"

#include <errno.h>
#include <string.h>

static FILE *open_page(const char *dir, const char *name, unsigned section)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s.%u", dir, name, section);
	out = fopen(path, "we");
	if (out == NULL)
		cli_error("%s: %s", path, strerror(errno));
	return out;
}

static int close_page(FILE *out)
{
	if (fclose(out) == 0)
		return EXIT_CLI_OK;
	cli_error("cannot write a page: %s", strerror(errno));
	return EXIT_CLI_DEGRADED;
}

static int write_fixed(
	const char *dir, const char *name, unsigned section, void (*print)(FILE *out))
{
	FILE *out = open_page(dir, name, section);

	if (out == NULL)
		return EXIT_CLI_DEGRADED;
	print(out);
	return close_page(out);
}

static int write_command(const char *dir, const struct cli_command *command)
{
	char name[80];
	FILE *out;

	snprintf(name, sizeof(name), "millrace-%s", command->name);
	for (char *c = name; *c != '\0'; c++)
		if (*c == ' ')
			*c = '-';
	out = open_page(dir, name, 1);
	if (out == NULL)
		return EXIT_CLI_DEGRADED;
	man_command(command, out);
	return close_page(out);
}

static int run(const struct cli *cli, const struct cli_args *args)
{
	const char *dir = args->argv[0];
	int rc = write_fixed(dir, "millrace", 1, man_overview);

	(void)cli;
	if (rc == EXIT_CLI_OK)
		rc = write_fixed(dir, "millrace.yaml", 5, man_config);
	for (unsigned i = 0; rc == EXIT_CLI_OK && cli_commands[i] != NULL; i++)
		if (!cli_commands[i]->hidden)
			rc = write_command(dir, cli_commands[i]);
	return rc;
}

const struct cli_command cmd_docs_man = {
	.name = "docs man",
	.args = "DIR",
	.min_args = 1,
	.max_args = 1,
	.summary = "write the man pages into a directory",
	.run = run,
	.hidden = true,
};
