// SPDX-License-Identifier: BSD-3-Clause
// millrace drops

#include "cli/client.h"
#include "cli/views.h"

enum { OPT_CHECK };

static const struct cli_option options[] = {
	[OPT_CHECK] = {"check", 0, NULL, "exit code 1 unless both balances are zero", NULL},
	{0},
};

static bool balanced(const json_t *data)
{
	const json_t *packets = json_object_get(data, "packets");
	const json_t *events = json_object_get(data, "events");

	return view_number(packets, "balance") == 0 && view_number(events, "balance") == 0;
}

static int run_drops(const struct cli *cli, const struct cli_args *args)
{
	json_t *envelope;
	bool ok;
	int err = cli_get(cli, "/api/v1/drops", &envelope);

	if (err != EXIT_CLI_OK)
		return err;
	ok = balanced(json_object_get(envelope, "data"));
	if (cli->json) {
		cli_print_json(envelope);
	} else {
		json_t *data = client_data(envelope);

		client_warn(envelope);
		view_drops(data, stdout);
	}
	json_decref(envelope);
	if (args->value[OPT_CHECK] == NULL || ok)
		return EXIT_CLI_OK;
	cli_error("a balance is not zero: is the receiver at rest?");
	return EXIT_CLI_DEGRADED;
}

const struct cli_command cmd_drops = {
	.name = "drops",
	.args = "",
	.summary = "drop reasons with their counts, and whether everything is accounted for",
	.details =
		"Every packet that came by the wire was taken, dropped for one of the reasons, or "
		"is in flight; the same holds of events. The balance is what is missing from "
		"that. At rest it is zero; while packets come, the counters are read one after "
		"the other and it may be off by what came between.",
	.options = options,
	.run = run_drops,
};
