// SPDX-License-Identifier: BSD-3-Clause
// millrace batches

#include "cli/client.h"
#include "cli/views.h"
#include "common/clock.h"
#include "common/units.h"

#include <inttypes.h>

#define FOLLOW_NS 200000000u // a batch by default settings takes as long

enum { OPT_PARTITION, OPT_FROM, OPT_LIMIT, OPT_FOLLOW };

static const struct cli_option options[] = {
	[OPT_PARTITION] = {"partition", 'p', "N", "whose batches (default 0)", NULL},
	[OPT_FROM] = {"from", 0, "BATCH", "first batch wanted (default: the last ones)", NULL},
	[OPT_LIMIT] = {"limit", 'n', "N", "at most so many, 1 to 1000 (default 20)", NULL},
	[OPT_FOLLOW] = {"follow", 'f', NULL, "go on with those sealed from now on", NULL},
	{0},
};

struct wanted {
	uint64_t partition, limit, from;
	bool has_from;
};

static bool parse_number(
	const struct cli_args *args, int option, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *text = args->value[option];

	if (text == NULL || (units_parse_uint(text, ret) && *ret >= min && *ret <= max))
		return true;
	cli_error("--%s %s: wants a whole number from %" PRIu64 " to %" PRIu64,
		options[option].name, text, min, max);
	return false;
}

static int fetch(const struct cli *cli, const struct wanted *wanted, json_t **ret)
{
	char path[160], from[40] = "";

	if (wanted->has_from)
		snprintf(from, sizeof(from), "&from=%" PRIu64, wanted->from);
	snprintf(path, sizeof(path), "/api/v1/batches?partition=%" PRIu64 "&limit=%" PRIu64 "%s",
		wanted->partition, wanted->limit, from);
	return cli_get(cli, path, ret);
}

static void show(const struct cli *cli, json_t *envelope, bool first)
{
	json_t *data = json_object_get(envelope, "data");

	if (cli->json) {
		if (first || json_array_size(json_object_get(data, "batches")) > 0)
			cli_print_json(envelope);
		return;
	}
	client_warn(envelope);
	view_batches(client_data(envelope), first, stdout);
	fflush(stdout);
}

// Behind the last one listed, which is not next_batch when the limit cut the list.
static void advance(const json_t *envelope, struct wanted *wanted)
{
	const json_t *data = json_object_get(envelope, "data");
	const json_t *list = json_object_get(data, "batches");
	size_t count = json_array_size(list);
	uint64_t last;

	if (count == 0) {
		if (!wanted->has_from && units_parse_uint(view_text(data, "next_batch"), &last)) {
			wanted->from = last;
			wanted->has_from = true;
		}
		return;
	}
	if (units_parse_uint(view_text(json_array_get(list, count - 1), "batch"), &last)) {
		wanted->from = last + 1;
		wanted->has_from = true;
	}
}

static int follow(const struct cli *cli, struct wanted *wanted)
{
	json_t *envelope;
	int err;

	while (!cli_interrupted) {
		client_sleep_until(clock_monotonic_ns() + FOLLOW_NS, NULL);
		if (cli_interrupted)
			break;
		err = fetch(cli, wanted, &envelope);
		if (err != EXIT_CLI_OK)
			return err;
		show(cli, envelope, false);
		advance(envelope, wanted);
		json_decref(envelope);
	}
	return EXIT_CLI_INTERRUPTED;
}

static int run_batches(const struct cli *cli, const struct cli_args *args)
{
	struct wanted wanted = {.limit = 20, .has_from = args->value[OPT_FROM] != NULL};
	json_t *envelope;
	int err;

	if (!parse_number(args, OPT_PARTITION, 0, UINT32_MAX, &wanted.partition) ||
		!parse_number(args, OPT_FROM, 0, UINT64_MAX, &wanted.from) ||
		!parse_number(args, OPT_LIMIT, 1, 1000, &wanted.limit))
		return EXIT_CLI_USAGE;
	err = fetch(cli, &wanted, &envelope);
	if (err != EXIT_CLI_OK)
		return err;
	show(cli, envelope, true);
	advance(envelope, &wanted);
	json_decref(envelope);
	return args->value[OPT_FOLLOW] != NULL ? follow(cli, &wanted) : EXIT_CLI_OK;
}

const struct cli_command cmd_batches = {
	.name = "batches",
	.args = "",
	.summary = "sealed, durable batches of a partition",
	.details =
		"SPAN is the time between a batch's first and last event, DURABLE AFTER the time "
		"from its last event until it was durable. Only batches of the recent past are "
		"known; the log holds them all (millrace log).",
	.options = options,
	.run = run_batches,
};
