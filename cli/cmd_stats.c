// SPDX-License-Identifier: BSD-3-Clause
// millrace stats

#include "cli/client.h"
#include "cli/rates.h"
#include "cli/views.h"

enum { OPT_RATE, OPT_NONZERO };

static const struct cli_option options[] = {
	[OPT_RATE] = {"rate", 0, "TIME", "also what totals grew by per second, over this time",
		NULL},
	[OPT_NONZERO] = {"nonzero", 0, NULL, "leave out what is zero", NULL},
	{0},
};

static int fetch(const struct cli *cli, uint64_t interval_ns, json_t **ret)
{
	struct client_samples samples;
	int err;

	if (interval_ns == 0)
		return cli_get(cli, "/api/v1/stats", ret);
	err = client_sample(cli, interval_ns, &samples);
	if (err != EXIT_CLI_OK)
		return err;
	rates_add(json_object_get(samples.before, "data"), json_object_get(samples.after, "data"),
		samples.interval_ns);
	*ret = json_incref(samples.after);
	client_samples_free(&samples);
	return EXIT_CLI_OK;
}

static size_t filter(json_t *rows, const char *glob, bool nonzero)
{
	for (size_t i = json_array_size(rows); i-- > 0;) {
		if (!view_stats_match(json_array_get(rows, i), glob, nonzero))
			json_array_remove(rows, i);
	}
	return json_array_size(rows);
}

static int run_stats(const struct cli *cli, const struct cli_args *args)
{
	const char *glob = args->argc > 0 ? args->argv[0] : NULL;
	bool rate = args->value[OPT_RATE] != NULL;
	uint64_t interval;
	json_t *envelope;
	size_t count;
	int err;

	if (!client_duration(args->value[OPT_RATE], "rate", 0, &interval))
		return EXIT_CLI_USAGE;
	err = fetch(cli, interval, &envelope);
	if (err != EXIT_CLI_OK)
		return err;
	count = filter(json_object_get(envelope, "data"), glob, args->value[OPT_NONZERO] != NULL);
	if (cli->json) {
		cli_print_json(envelope);
	} else {
		json_t *data = client_data(envelope);

		client_warn(envelope);
		if (count > 0)
			view_stats(data, rate, stdout);
	}
	json_decref(envelope);
	if (count > 0 || cli->json)
		return EXIT_CLI_OK;
	cli_error("no counter %s", glob != NULL ? "of that name" : "is above zero");
	return EXIT_CLI_DEGRADED;
}

const struct cli_command cmd_stats = {
	.name = "stats",
	.args = "[GLOB]",
	.max_args = 1,
	.summary = "every counter and histogram",
	.details = "GLOB is held against NAME, SUBSYSTEM.NAME and SUBSYSTEM.NAME{LABELS}: "
		   "'rx_*', 'partition.*', '*partition=\"0\"*'. The metric of a counter is "
		   "millrace_SUBSYSTEM_NAME, with _total for those that only grow.",
	.options = options,
	.run = run_stats,
};
