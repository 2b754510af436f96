// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster restart, reset

#include "cli/cluster_client.h"
#include "cli/views.h"

#include <string.h>

#define NAMES_BYTES 512

enum { OPT_RECEIVER = CLUSTER_OWN, OPT_WAIT, OPT_FOR };

static const struct cli_option restart_options[] = {
	CLUSTER_OPTIONS,
	[OPT_RECEIVER] = {"receiver", 0, "NAME", "this one only (default: all)", NULL},
	[OPT_WAIT] = {"wait", 0, NULL, "until all of them run again", NULL},
	[OPT_FOR] = {"for", 0, "TIME", "--wait at most so long (default: however long)", NULL},
	{0},
};

static void view_restart(const json_t *data, const char *time, FILE *out)
{
	const json_t *names = json_object_get(data, "receivers");
	char buf[NAMES_BYTES];

	(void)time;
	fprintf(out, "restarted one at a time: %s\n", cluster_names(names, buf, sizeof(buf)));
}

struct restart {
	json_t *before; // data of receivers
	json_t *names;  // that are restarted
};

static const json_t *find(const json_t *receivers, const char *name)
{
	json_t *receiver;
	size_t i;

	json_array_foreach(receivers, i, receiver)
	{
		if (strcmp(view_text(receiver, "name"), name) == 0)
			return receiver;
	}
	return NULL;
}

// Done is one that runs as another task than before and has registered; and one that is no more.
static bool is_back(const struct restart *restart, const json_t *receivers, const char *name)
{
	const json_t *now = find(receivers, name), *then = find(restart->before, name);

	if (now == NULL)
		return true;
	return strcmp(view_text(now, "state"), "running") == 0 &&
	       json_is_object(json_object_get(now, "live")) &&
	       strcmp(view_text(now, "task_id"), view_text(then, "task_id")) != 0;
}

static unsigned left(const json_t *receivers, void *arg, char *text)
{
	const struct restart *restart = arg;
	const char *first = "-";
	unsigned ret = 0;
	json_t *name;
	size_t i;

	json_array_foreach(restart->names, i, name)
	{
		if (!json_is_string(name) || is_back(restart, receivers, json_string_value(name)))
			continue;
		if (ret++ == 0)
			first = json_string_value(name);
	}
	snprintf(text, 128, "%u of %zu receivers to go, next is %.48s: %.16s", ret,
		json_array_size(restart->names), first, view_text(find(receivers, first), "state"));
	return ret;
}

static int restart_and_wait(
	const struct cluster *cluster, const struct cli_args *args, uint64_t limit_ns)
{
	bool wait = args->value[OPT_WAIT] != NULL;
	json_t *before = NULL, *envelope;
	struct restart restart;
	int err = wait ? cluster_get(cluster, "receivers", &before) : EXIT_CLI_OK;

	if (err == EXIT_CLI_OK)
		err = cluster_post(cluster, "restart",
			json_pack("{s:s?}", "receiver", args->value[OPT_RECEIVER]), &envelope);
	if (err != EXIT_CLI_OK)
		goto out;
	restart.before = json_object_get(before, "data");
	restart.names =
		json_incref(json_object_get(json_object_get(envelope, "data"), "receivers"));
	cluster_print(cluster, envelope, view_restart);
	fflush(stdout);
	if (wait)
		err = cluster_wait(cluster, left, &restart, limit_ns);
	json_decref(restart.names);
out:
	json_decref(before);
	return err;
}

static int run_restart(const struct cli *cli, const struct cli_args *args)
{
	struct cluster cluster;
	uint64_t limit_ns;
	int err;

	if (!cluster_wait_options(args->value, OPT_WAIT, OPT_FOR, &limit_ns))
		return EXIT_CLI_USAGE;
	err = cluster_open(&cluster, cli, args->value);
	if (err == EXIT_CLI_OK)
		err = restart_and_wait(&cluster, args, limit_ns);
	cluster_close(&cluster);
	return err;
}

const struct cli_command cmd_cluster_restart = {
	.name = "cluster restart",
	.args = "",
	.summary = "restart the receivers, one after the other",
	.details =
		"The next one is restarted when the one before is in good health and its sinks "
		"have "
		"caught up. Exit code 6: --wait has waited for the time of --for; the restart goes "
		"on.",
	.options = restart_options,
	.run = run_restart,
};

enum { OPT_YES = CLUSTER_OWN };

static const struct cli_option reset_options[] = {
	CLUSTER_OPTIONS,
	[OPT_YES] = {"yes", 0, NULL, "do it", NULL},
	{0},
};

static void view_reset(const json_t *data, const char *time, FILE *out)
{
	(void)data, (void)time;
	fputs("the framework is forgotten; the leader registers a new one\n", out);
}

static int run_reset(const struct cli *cli, const struct cli_args *args)
{
	if (args->value[OPT_YES] == NULL) {
		cli_error("cluster reset would forget the framework's id and register a new "
			  "framework: tasks of the old one that still run are unknown to it, hold "
			  "their slaves' logs and are for you to end. It is for when Mesos has "
			  "removed the framework. Nothing was changed; --yes does it");
		return EXIT_CLI_REFUSED;
	}
	return cluster_command(cli, args, "reset", json_object(), view_reset);
}

const struct cli_command cmd_cluster_reset = {
	.name = "cluster reset",
	.args = "",
	.summary = "register with Mesos as a new framework",
	.details = "For when Mesos has removed the framework, which 'cluster status' says by an "
		   "alarm: "
		   "its tasks are killed then. The desired state stays, and the receivers are "
		   "launched "
		   "anew where their logs are. Without --yes it says what it would do, with exit "
		   "code 5.",
	.options = reset_options,
	.run = run_reset,
};
