// SPDX-License-Identifier: BSD-3-Clause
// millrace consumers

#include "cli/client.h"
#include "cli/table.h"
#include "cli/views.h"
#include "common/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { OPT_REMOVE, OPT_PARTITION };

static const struct cli_option options[] = {
	[OPT_REMOVE] = {"remove", 0, "NAME", "remove this consumer of partition --partition", NULL},
	[OPT_PARTITION] = {"partition", 'p', "N", "of this partition only (default: all)", NULL},
	{0},
};

// By the receiver's clock.
static const char *expires_text(const json_t *consumer, const char *time, char *buf)
{
	double left = view_seconds(view_text(consumer, "seen_at")) - view_seconds(time) +
		      view_number(consumer, "ttl_ns") / 1e9;

	return view_ns(left > 0 ? left * 1e9 : left < 0 ? 0 : left, buf);
}

static const char *holds_text(const json_t *consumer, char *buf)
{
	const char *state = view_text(consumer, "state");
	double most = view_number(consumer, "max_bytes");

	if (strcmp(state, "expired") == 0 || strcmp(state, "other_log") == 0)
		return "nothing";
	return isnan(most) ? "everything" : cli_bytes_text(most, buf);
}

static void add_row(struct table *table, const json_t *consumer, const char *time)
{
	bool known = !json_is_null(json_object_get(consumer, "lag_batches"));
	char batches[32], events[32], holds[32], expires[VIEW_TEXT_BYTES];

	table_cell(table, "%s", view_text(consumer, "name"));
	table_cell(table, "%.0f", view_number(consumer, "partition"));
	table_cell(table, "%s", view_text(consumer, "state"));
	table_cell(table, "%s", view_text(consumer, "next_batch"));
	table_cell(table, "%s",
		known ? cli_count_text(view_number(consumer, "lag_batches"), batches) : "-");
	table_cell(table, "%s",
		known ? cli_count_text(view_number(consumer, "lag_events"), events) : "-");
	table_cell(table, "%s", holds_text(consumer, holds));
	table_cell(table, "%s", expires_text(consumer, time, expires));
}

static void view_consumers(const json_t *consumers, const char *time)
{
	static const char *const heads[] = {"CONSUMER", "PARTITION", "STATE", "NEXT BATCH",
		"BATCHES BEHIND", "EVENTS BEHIND", "HOLDS", "EXPIRES IN"};
	struct table *table = table_new("lrlrrrrr");
	json_t *consumer;
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		table_cell(table, "%s", heads[i]);
	json_array_foreach(consumers, i, consumer) add_row(table, consumer, time);
	table_print(table, stdout);
	table_free(table);
}

static int list(const struct cli *cli, const char *path)
{
	json_t *envelope;
	int rc = cli_get(cli, path, &envelope);

	if (rc != EXIT_CLI_OK)
		return rc;
	if (cli->json) {
		cli_print_json(envelope);
	} else {
		json_t *data = client_data(envelope);

		client_warn(envelope);
		view_consumers(data, view_text(envelope, "time"));
	}
	json_decref(envelope);
	return EXIT_CLI_OK;
}

// As the receiver takes them: nothing that a path would say otherwise.
static bool name_good(const char *name)
{
	for (const char *at = name; *at != '\0'; at++)
		if (!isalnum((unsigned char)*at) && strchr("._-", *at) == NULL)
			return false;
	return name[0] != '\0' && strlen(name) <= 63;
}

static int remove_one(const struct cli *cli, const char *name, uint64_t partition)
{
	char path[128], error[CLIENT_ERROR_BYTES];
	json_t *envelope;
	int rc;

	snprintf(
		path, sizeof(path), "/api/v1/partitions/%" PRIu64 "/consumers/%s", partition, name);
	rc = client_delete(cli, path, &envelope, error);
	if (rc != EXIT_CLI_OK) {
		cli_error("%s", error);
		return rc;
	}
	if (cli->json)
		cli_print_json(envelope);
	else
		printf("consumer %s of partition %" PRIu64
		       " is removed: retention holds nothing for it any more\n",
			name, partition);
	json_decref(envelope);
	return EXIT_CLI_OK;
}

static int run_consumers(const struct cli *cli, const struct cli_args *args)
{
	const char *name = args->value[OPT_REMOVE], *number = args->value[OPT_PARTITION];
	char path[64] = "/api/v1/consumers";
	uint64_t partition = 0;

	if (number != NULL && !units_parse_uint(number, &partition)) {
		cli_error("--partition %s: is no number", number);
		return EXIT_CLI_USAGE;
	}
	if (name == NULL && number != NULL)
		snprintf(path, sizeof(path), "/api/v1/partitions/%" PRIu64 "/consumers", partition);
	if (name == NULL)
		return list(cli, path);
	if (!name_good(name))
		cli_error("--remove %s: is no consumer's name", name);
	else if (number == NULL)
		cli_error("--remove wants --partition, too: a name may be in several");
	else
		return remove_one(cli, name, partition);
	return EXIT_CLI_USAGE;
}

const struct cli_command cmd_consumers = {
	.name = "consumers",
	.args = "",
	.summary = "who pulls batches by name: place, how far behind the log, until when",
	.details =
		"NEXT BATCH is the consumer's place: all before was handed on. HOLDS is how large "
		"the partition's log may be and retention still waits for it; EXPIRES IN, how long "
		"it holds without a sign of life.\n"
		"--remove ends a consumer for good. Retention no longer waits for it, and what it "
		"had not taken may go.",
	.options = options,
	.run = run_consumers,
};
