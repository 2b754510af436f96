// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"
#include "common/json.h"
#include "wal/format.h"

static int run(const struct cli *cli, const struct cli_args *args)
{
	json_t *envelope;

	(void)args;
	if (!cli->json) {
		printf("millrace %s, log format %u\n", MILLRACE_VERSION, WAL_FORMAT_VERSION);
		return EXIT_CLI_OK;
	}
	envelope = json_envelope("millrace.version/1", NULL,
		json_pack("{s:s, s:i}", "version", MILLRACE_VERSION, "log_format",
			(int)WAL_FORMAT_VERSION),
		NULL);
	cli_print_json(envelope);
	json_decref(envelope);
	return EXIT_CLI_OK;
}

const struct cli_command cmd_version = {
	.name = "version",
	.args = "",
	.summary = "show the version of this command and of the log format it reads",
	.run = run,
};
