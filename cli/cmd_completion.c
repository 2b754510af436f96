// SPDX-License-Identifier: BSD-3-Clause

#include "cli/help.h"

#include <string.h>

static int run(const struct cli *cli, const struct cli_args *args)
{
	(void)cli;
	if (strcmp(args->argv[0], "bash") == 0) {
		completion_bash(stdout);
		return EXIT_CLI_OK;
	}
	if (strcmp(args->argv[0], "zsh") == 0) {
		completion_zsh(stdout);
		return EXIT_CLI_OK;
	}
	cli_error("completion: '%s' is neither bash nor zsh", args->argv[0]);
	return EXIT_CLI_USAGE;
}

const struct cli_command cmd_completion = {
	.name = "completion",
	.args = "bash|zsh",
	.min_args = 1,
	.max_args = 1,
	.summary = "print a script that completes the words of this command",
	.details = "For bash: millrace completion bash > "
		   "/usr/share/bash-completion/completions/millrace\n"
		   "For zsh: millrace completion zsh > /usr/share/zsh/vendor-completions/_millrace",
	.run = run,
};
