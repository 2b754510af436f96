// SPDX-License-Identifier: BSD-3-Clause
// millrace sinks list

#include "cli/client.h"
#include "cli/table.h"
#include "cli/views.h"

#include <string.h>

static void add_row(struct table *table, const json_t *sink)
{
	const json_t *cursor = json_object_get(sink, "cursor");
	char batches[32], events[32], delivered[32];

	table_cell(table, "%s", view_text(sink, "sink"));
	table_cell(table, "%s", view_text(sink, "kind"));
	table_cell(table, "%.0f", view_number(sink, "partition"));
	table_cell(table, "%s%s", view_text(sink, "state"),
		json_is_true(json_object_get(sink, "required")) ? "" : " (not required)");
	table_cell(table, "%s", view_text(cursor, "batch"));
	table_cell(table, "%s", cli_count_text(view_number(sink, "lag_batches"), batches));
	table_cell(table, "%s", cli_count_text(view_number(sink, "lag_events"), events));
	table_cell(table, "%s", cli_count_text(view_number(sink, "events_total"), delivered));
}

static void view_sinks(const json_t *sinks, FILE *out)
{
	static const char *const heads[] = {"SINK", "KIND", "PARTITION", "STATE", "NEXT BATCH",
		"BATCHES BEHIND", "EVENTS BEHIND", "DELIVERED"};
	struct table *table = table_new("llrlrrrr");
	json_t *sink;
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		table_cell(table, "%s", heads[i]);
	json_array_foreach(sinks, i, sink) add_row(table, sink);
	table_print(table, out);
	table_free(table);
	json_array_foreach(sinks, i, sink)
	{
		if (!json_is_null(json_object_get(sink, "why")))
			fprintf(out, "\n%s, partition %.0f: %s\n", view_text(sink, "sink"),
				view_number(sink, "partition"), view_text(sink, "why"));
	}
}

// Whether each sink delivers.
static bool all_well(const json_t *sinks)
{
	json_t *sink;
	size_t i;

	json_array_foreach(sinks, i, sink)
	{
		if (!json_is_null(json_object_get(sink, "why")))
			return false;
	}
	return true;
}

static int run_sinks(const struct cli *cli, const struct cli_args *args)
{
	json_t *envelope;
	bool well;
	int err = cli_get(cli, "/api/v1/sinks", &envelope);

	(void)args;
	if (err != EXIT_CLI_OK)
		return err;
	well = all_well(json_object_get(envelope, "data"));
	if (cli->json) {
		cli_print_json(envelope);
	} else {
		client_warn(envelope);
		view_sinks(client_data(envelope), stdout);
	}
	json_decref(envelope);
	return well ? EXIT_CLI_OK : EXIT_CLI_DEGRADED;
}

const struct cli_command cmd_sinks = {
	.name = "sinks list",
	.args = "",
	.summary = "sinks: state, next batch, how far behind the log",
	.details = "One row for each sink and partition. NEXT BATCH is the sink's cursor: all "
		   "batches before were confirmed by the other side. Exit code 0: all deliver; 1: "
		   "one is stopped, or can't deliver now, and below the table stands why.",
	.run = run_sinks,
};
