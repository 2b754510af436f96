// SPDX-License-Identifier: BSD-3-Clause
// millrace ports

#include "cli/client.h"
#include "cli/views.h"

enum { OPT_XSTATS };

static const struct cli_option options[] = {
	[OPT_XSTATS] = {"xstats", 0, NULL, "also the device's own statistics", NULL},
	{0},
};

static int run_ports(const struct cli *cli, const struct cli_args *args)
{
	const char *path =
		args->value[OPT_XSTATS] != NULL ? "/api/v1/ports?xstats=1" : "/api/v1/ports";

	return client_show(cli, path, view_ports);
}

const struct cli_command cmd_ports = {
	.name = "ports",
	.args = "",
	.summary = "ports: device, driver, link, what came and what was missed",
	.details = "MISSED counts what was dropped below millraced, by the device or by the socket "
		   "that stands in for one. MBUFS shows how many of the port's pool are in use.",
	.options = options,
	.run = run_ports,
};
