// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster drain, replace

#include "cli/cluster_client.h"
#include "cli/views.h"

#include <string.h>

#define NAMES_BYTES 512

enum { OPT_OFF = CLUSTER_OWN, OPT_WAIT, OPT_FOR };

static const struct cli_option drain_options[] = {
	CLUSTER_OPTIONS,
	[OPT_OFF] = {"off", 0, NULL, "the slave may have receivers again", NULL},
	[OPT_WAIT] = {"wait", 0, NULL, "until no receiver is left on the slave", NULL},
	[OPT_FOR] = {"for", 0, "TIME", "--wait at most so long (default: however long)", NULL},
	{0},
};

static void view_drain(const json_t *data, const char *time, FILE *out)
{
	const json_t *names = json_object_get(data, "receivers");
	char buf[NAMES_BYTES];

	(void)time;
	if (json_array_size(names) == 0)
		fprintf(out, "slave %s drains: no receiver is on it\n", view_text(data, "slave"));
	else
		fprintf(out, "slave %s drains: %s\n", view_text(data, "slave"),
			cluster_names(names, buf, sizeof(buf)));
}

static void view_off(const json_t *data, const char *time, FILE *out)
{
	(void)time;
	fprintf(out, "slave %s drains no more: it may have receivers\n", view_text(data, "slave"));
}

// Receivers that are still on the slave. A retired one's log lies there, and nothing else does.
static unsigned left_on(const json_t *receivers, void *arg, char *text)
{
	const char *slave = arg, *state = "-";
	unsigned ret = 0;
	json_t *receiver;
	size_t i;

	json_array_foreach(receivers, i, receiver)
	{
		if (strcmp(view_text(receiver, "slave"), slave) != 0 ||
			strcmp(view_text(receiver, "state"), "retired") == 0)
			continue;
		if (ret++ == 0)
			state = view_text(receiver, "state");
	}
	snprintf(text, 128, "%u receiver%s on %.64s, the first is %.16s", ret, ret == 1 ? "" : "s",
		slave, state);
	return ret;
}

static int drain(const struct cluster *cluster, const struct cli_args *args, uint64_t limit_ns)
{
	bool off = args->value[OPT_OFF] != NULL;
	char *slave = args->argv[0];
	json_t *envelope;
	int err = cluster_post(cluster, "drain",
		json_pack("{s:s, s:b}", "slave", slave, "off", (int)off), &envelope);

	if (err != EXIT_CLI_OK)
		return err;
	cluster_print(cluster, envelope, off ? view_off : view_drain);
	fflush(stdout);
	if (args->value[OPT_WAIT] == NULL)
		return EXIT_CLI_OK;
	return cluster_wait(cluster, left_on, slave, limit_ns);
}

static int run_drain(const struct cli *cli, const struct cli_args *args)
{
	struct cluster cluster;
	uint64_t limit_ns;
	int err;

	if (!cluster_wait_options(args->value, OPT_WAIT, OPT_FOR, &limit_ns))
		return EXIT_CLI_USAGE;
	if (args->value[OPT_OFF] != NULL && args->value[OPT_WAIT] != NULL) {
		cli_error("--off has nothing to --wait for");
		return EXIT_CLI_USAGE;
	}
	err = cluster_open(&cluster, cli, args->value);
	if (err == EXIT_CLI_OK)
		err = drain(&cluster, args, limit_ns);
	cluster_close(&cluster);
	return err;
}

const struct cli_command cmd_cluster_drain = {
	.name = "cluster drain",
	.args = "SLAVE",
	.min_args = 1,
	.max_args = 1,
	.summary = "take the receivers off a slave, and keep others away",
	.details = "SLAVE is its hostname as Mesos knows it. What its receivers have in their logs "
		   "goes "
		   "into the sinks before they end. Exit code 6: --wait has waited for the time of "
		   "--for; the draining goes on.",
	.options = drain_options,
	.run = run_drain,
};

static const struct cli_option replace_options[] = {CLUSTER_OPTIONS, {0}};

static void view_replace(const json_t *data, const char *time, FILE *out)
{
	const json_t *names = json_object_get(data, "receivers");
	char buf[NAMES_BYTES];

	(void)time;
	fprintf(out, "slave %s is given up; others take the place of: %s\n",
		view_text(data, "slave"), cluster_names(names, buf, sizeof(buf)));
}

static int run_replace(const struct cli *cli, const struct cli_args *args)
{
	return cluster_command(
		cli, args, "replace", json_pack("{s:s}", "slave", args->argv[0]), view_replace);
}

const struct cli_command cmd_cluster_replace = {
	.name = "cluster replace",
	.args = "SLAVE",
	.min_args = 1,
	.max_args = 1,
	.summary = "give a dead slave's receivers to other slaves now",
	.details = "For one that won't come back soon: otherwise its receivers wait for it, since "
		   "their "
		   "logs lie there. When it comes back all the same, those logs go into the sinks.",
	.options = replace_options,
	.run = run_replace,
};
