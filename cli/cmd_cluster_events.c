// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster events

#include "cli/client.h"
#include "cli/cluster_client.h"
#include "cli/views.h"
#include "common/clock.h"
#include "common/units.h"

#include <inttypes.h>

#define HOLD_MS 25000u
#define NS_PER_MS 1000000u
#define RETRY_NS 1000000000u

enum { OPT_FOLLOW = CLUSTER_OWN, OPT_FROM };

static const struct cli_option options[] = {
	CLUSTER_OPTIONS,
	[OPT_FOLLOW] = {"follow", 0, NULL, "go on with those that come", NULL},
	[OPT_FROM] = {"from", 0, "ID", "those behind this one (default: all that are kept)", NULL},
	{0},
};

static void view(const json_t *events, const char *time, FILE *out)
{
	json_t *event;
	size_t i;

	(void)time;
	json_array_foreach(events, i, event) fprintf(out, "%.0f  %.19sZ  %-10s  %-16s  %-16s  %s\n",
		view_number(event, "id"), view_text(event, "time"), view_text(event, "decision"),
		view_text(event, "receiver"), view_text(event, "slave"),
		view_text(event, "reason"));
	fflush(out);
}

// Prints what came, if anything or 'always'; takes the envelope. The id of the last event.
static uint64_t take(const struct cluster *cluster, json_t *envelope, bool always, uint64_t from)
{
	const json_t *events = json_object_get(envelope, "data");
	size_t count = json_array_size(events);
	const json_t *last =
		json_object_get(json_array_get(events, count > 0 ? count - 1 : 0), "id");

	if (json_is_integer(last))
		from = (uint64_t)json_integer_value(last);
	if (count > 0 || always)
		cluster_print(cluster, envelope, view);
	else
		json_decref(envelope);
	return from;
}

// Goes on over a change of leader. 'from' is where to begin.
static int follow(const struct cluster *cluster, uint64_t from)
{
	char path[96], error[CLUSTER_ERROR_BYTES];
	bool told = false;
	json_t *envelope;

	while (!cli_interrupted) {
		int err;

		snprintf(path, sizeof(path), "events?from=%" PRIu64 "&wait_ms=%u", from, HOLD_MS);
		err = cluster_try(cluster, path, (uint64_t)HOLD_MS * NS_PER_MS, &envelope, error);
		if (err == EXIT_CLI_OK) {
			from = take(cluster, envelope, false, from);
			told = false;
			continue;
		}
		if (error[0] != '\0' && !told)
			cli_error("%s%s", error, cluster_may_mend(err) ? "; trying on" : "");
		told = true;
		if (!cluster_may_mend(err))
			return err;
		client_sleep_until(clock_monotonic_ns() + RETRY_NS, NULL);
	}
	return EXIT_CLI_INTERRUPTED;
}

static int run(const struct cluster *cluster, const struct cli_args *args, uint64_t from)
{
	json_t *envelope;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "events?from=%" PRIu64, from);
	err = cluster_get(cluster, path, &envelope);
	if (err != EXIT_CLI_OK)
		return err;
	from = take(cluster, envelope, true, from);
	return args->value[OPT_FOLLOW] != NULL ? follow(cluster, from) : EXIT_CLI_OK;
}

static int run_events(const struct cli *cli, const struct cli_args *args)
{
	struct cluster cluster;
	uint64_t from = 0;
	int err;

	if (args->value[OPT_FROM] != NULL &&
		(!units_parse_uint(args->value[OPT_FROM], &from) || from > INT64_MAX)) {
		cli_error("--from %s: is no event's number", args->value[OPT_FROM]);
		return EXIT_CLI_USAGE;
	}
	err = cluster_open(&cluster, cli, args->value);
	if (err == EXIT_CLI_OK)
		err = run(&cluster, args, from);
	cluster_close(&cluster);
	return err;
}

const struct cli_command cmd_cluster_events = {
	.name = "cluster events",
	.args = "",
	.summary = "what was decided, and why",
	.details = "A line for each decision: its number, when, what, of which receiver and slave, "
		   "why. --follow goes on over a change of leader; with --json it prints an "
		   "envelope a line whenever there are new ones.",
	.options = options,
	.run = run_events,
};
