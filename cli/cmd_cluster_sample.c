// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster sample

#include "cli/cli.h"
#include "control/spec.h"

#include <stdio.h>

static int run_sample(const struct cli *cli, const struct cli_args *args)
{
	(void)cli, (void)args;
	spec_print_sample(stdout);
	return EXIT_CLI_OK;
}

const struct cli_command cmd_cluster_sample = {
	.name = "cluster sample",
	.args = "",
	.summary = "print a file for `cluster apply` with every key, ready to be changed",
	.run = run_sample,
};
