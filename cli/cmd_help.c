// SPDX-License-Identifier: BSD-3-Clause

#include "cli/help.h"
#include "cli/options.h"

static int run(const struct cli *cli, const struct cli_args *args)
{
	const struct cli_command *command;
	char name[64];

	(void)cli;
	if (args->argc == 0) {
		help_all(stdout);
		return EXIT_CLI_OK;
	}
	snprintf(name, sizeof(name), "%s%s%s", args->argv[0], args->argc > 1 ? " " : "",
		args->argc > 1 ? args->argv[1] : "");
	command = cli_find(name);
	if (command != NULL) {
		help_command(command, stdout);
		return EXIT_CLI_OK;
	}
	if (args->argc == 1 && cli_is_group(name)) {
		help_group(name, stdout);
		return EXIT_CLI_OK;
	}
	cli_error("there is no command '%s'; see 'millrace help'", name);
	return EXIT_CLI_USAGE;
}

const struct cli_command cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.max_args = 2,
	.summary = "show what a command does and its options",
	.run = run,
};
