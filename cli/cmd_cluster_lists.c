// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster receivers, tasks

#include "cli/cluster_client.h"
#include "cli/table.h"
#include "cli/views.h"

#include <string.h>

#define NAMES_BYTES 256

static const struct cli_option options[] = {CLUSTER_OPTIONS, {0}};

static struct table *table_of(const char *align, const char *const *heads)
{
	struct table *table = table_new(align);

	for (size_t i = 0; table != NULL && i < strlen(align); i++)
		table_cell(table, "%s", heads[i]);
	return table;
}

static void count_cell(struct table *table, double count)
{
	char buf[32];

	table_cell(table, "%s", cli_count_text(count, buf));
}

static void receiver_row(struct table *table, const json_t *receiver, const char *time)
{
	const json_t *live = json_object_get(receiver, "live");
	char age[VIEW_TEXT_BYTES], nics[NAMES_BYTES];

	table_cell(table, "%s", view_text(receiver, "name"));
	table_cell(table, "%s", view_text(receiver, "slave"));
	table_cell(table, "%s", view_text(receiver, "state"));
	table_cell(table, "%s", cluster_age(receiver, "since", time, age));
	table_cell(table, "%s", view_text(receiver, "lcores"));
	table_cell(
		table, "%s", cluster_names(json_object_get(receiver, "nics"), nics, sizeof(nics)));
	table_cell(table, "%s", view_text(live, "health"));
	count_cell(table, view_number(json_object_get(live, "load"), "events_per_second"));
	count_cell(table, view_number(live, "worst_lag_batches"));
	count_cell(table, view_number(receiver, "restarts"));
	table_cell(table, "%s",
		strcmp(view_text(receiver, "why"), "-") != 0 ? view_text(receiver, "why")
							     : view_text(live, "why"));
}

static void view_receivers(const json_t *receivers, const char *time, FILE *out)
{
	static const char *const heads[] = {"RECEIVER", "SLAVE", "STATE", "FOR", "LCORES", "NICS",
		"HEALTH", "EVENTS/S", "BATCHES BEHIND", "RELAUNCHES", "WHY"};
	struct table *table = table_of("lllrlllrrrl", heads);
	json_t *receiver;
	size_t i;

	if (table == NULL)
		return;
	json_array_foreach(receivers, i, receiver) receiver_row(table, receiver, time);
	table_print(table, out);
	table_free(table);
}

static int run_receivers(const struct cli *cli, const struct cli_args *args)
{
	return cluster_show(cli, args, "receivers", view_receivers);
}

const struct cli_command cmd_cluster_receivers = {
	.name = "cluster receivers",
	.args = "",
	.summary = "the receivers: where, in what state and why, their load",
	.details =
		"HEALTH, EVENTS/S and BATCHES BEHIND (of the slowest sink) are what the receiver "
		"says of itself; RELAUNCHES are those by Mesos. States: waiting (for a slave), "
		"launching, running, ending, unreachable, damped (it ended too often: WHY says "
		"when "
		"it is launched again), retired. One that is to go runs until the others have its "
		"senders and its sinks all of its log: WHY says what it still waits for.",
	.options = options,
	.run = run_receivers,
};

static void task_row(struct table *table, const json_t *task, const char *time)
{
	char age[VIEW_TEXT_BYTES];

	table_cell(table, "%s", view_text(task, "task_id"));
	table_cell(table, "%s", view_text(task, "receiver"));
	table_cell(table, "%s", view_text(task, "slave"));
	table_cell(table, "%s", view_text(task, "state"));
	table_cell(table, "%s", cluster_age(task, "since", time, age));
	table_cell(table, "%s", json_is_true(json_object_get(task, "current")) ? "yes" : "no");
	table_cell(table, "%s", view_text(task, "reason"));
	table_cell(table, "%s", view_text(task, "message"));
}

static void view_tasks(const json_t *tasks, const char *time, FILE *out)
{
	static const char *const heads[] = {
		"TASK", "RECEIVER", "SLAVE", "STATE", "FOR", "CURRENT", "REASON", "MESSAGE"};
	struct table *table = table_of("llllrlll", heads);
	json_t *task;
	size_t i;

	if (table == NULL)
		return;
	json_array_foreach(tasks, i, task) task_row(table, task, time);
	table_print(table, out);
	table_free(table);
}

static int run_tasks(const struct cli *cli, const struct cli_args *args)
{
	return cluster_show(cli, args, "tasks", view_tasks);
}

const struct cli_command cmd_cluster_tasks = {
	.name = "cluster tasks",
	.args = "",
	.summary = "the tasks of Mesos that the receivers have and had",
	.details =
		"CURRENT is the task that a receiver has now; the others are over, or are to be.",
	.options = options,
	.run = run_tasks,
};
