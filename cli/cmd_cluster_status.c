// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster status, leader

#include "cli/client.h"
#include "cli/cluster_client.h"
#include "cli/views.h"

#include <math.h>
#include <string.h>

#define LINE_BYTES 256

static const struct cli_option options[] = {CLUSTER_OPTIONS, {0}};

static bool is(const json_t *object, const char *key, const char *value)
{
	return strcmp(view_text(object, key), value) == 0;
}

static double wanted_of(const json_t *status)
{
	return view_number(json_object_get(status, "desired"), "count");
}

static bool is_well(const json_t *status)
{
	double running = view_number(json_object_get(status, "receivers"), "running");

	return is(json_object_get(status, "zookeeper"), "state", "connected") &&
	       is(json_object_get(status, "mesos"), "state", "subscribed") &&
	       is(json_object_get(status, "placement"), "state", "running") &&
	       json_array_size(json_object_get(status, "alarms")) == 0 &&
	       !(running < wanted_of(status));
}

// "3 running, 1 waiting": those that are none are left out.
static const char *counts_text(const json_t *receivers, char *buf)
{
	const char *state;
	size_t len = 0;
	json_t *count;

	snprintf(buf, LINE_BYTES, "none");
	json_object_foreach((json_t *)receivers, state, count)
	{
		int n;

		if (!json_is_integer(count) || json_integer_value(count) == 0)
			continue;
		n = snprintf(buf + len, LINE_BYTES - len, "%s%lld %s", len > 0 ? ", " : "",
			(long long)json_integer_value(count), state);
		if (n < 0 || (size_t)n >= LINE_BYTES - len)
			break;
		len += (size_t)n;
	}
	return buf;
}

static void put_why(const json_t *object, FILE *out)
{
	if (!is(object, "why", "-"))
		fprintf(out, ": %s", view_text(object, "why"));
	fputc('\n', out);
}

static void put_zookeeper(const json_t *zookeeper, const char *time, FILE *out)
{
	char age[VIEW_TEXT_BYTES];

	fprintf(out, "zookeeper   %s, for %s\n", view_text(zookeeper, "state"),
		cluster_age(zookeeper, "since", time, age));
}

static void put_mesos(const json_t *mesos, FILE *out)
{
	fprintf(out, "mesos       %s, master %s, framework %s", view_text(mesos, "state"),
		view_text(mesos, "master"), view_text(mesos, "framework_id"));
	put_why(mesos, out);
}

static void put_alarms(const json_t *alarms, FILE *out)
{
	json_t *alarm;
	size_t i;

	json_array_foreach(alarms, i, alarm)
	{
		fprintf(out, "alarm       %s: %s", view_text(alarm, "code"),
			view_text(alarm, "text"));
		if (!is(alarm, "mend", "-"))
			fprintf(out, ": %s", view_text(alarm, "mend"));
		fputc('\n', out);
	}
}

static void view(const json_t *status, const char *time, FILE *out)
{
	const json_t *desired = json_object_get(status, "desired");
	const json_t *placement = json_object_get(status, "placement");
	char counts[LINE_BYTES];

	fprintf(out, "cluster     %s, led by %s\n", view_text(status, "cluster"),
		view_text(status, "name"));
	put_zookeeper(json_object_get(status, "zookeeper"), time, out);
	put_mesos(json_object_get(status, "mesos"), out);
	fprintf(out, "placement   %s", view_text(placement, "state"));
	put_why(placement, out);
	if (isnan(wanted_of(status)))
		fprintf(out, "wanted      nothing was applied yet: millrace cluster apply FILE\n");
	else
		fprintf(out, "wanted      %.0f receivers, version %.0f\n", wanted_of(status),
			view_number(desired, "version"));
	fprintf(out, "receivers   %s\n", counts_text(json_object_get(status, "receivers"), counts));
	put_alarms(json_object_get(status, "alarms"), out);
}

static int run_status(const struct cli *cli, const struct cli_args *args)
{
	struct cluster cluster;
	json_t *envelope;
	int err = cluster_open(&cluster, cli, args->value);

	if (err == EXIT_CLI_OK)
		err = cluster_get(&cluster, "status", &envelope);
	if (err == EXIT_CLI_OK) {
		if (!is_well(json_object_get(envelope, "data")))
			err = EXIT_CLI_DEGRADED;
		cluster_print(&cluster, envelope, view);
	}
	cluster_close(&cluster);
	return err;
}

const struct cli_command cmd_cluster_status = {
	.name = "cluster status",
	.args = "",
	.summary = "how the cluster is: ZooKeeper, Mesos, placement, receivers, alarms",
	.details = "What is asked is the leader, whichever control process is named. Exit code 0: "
		   "all is well; 1: something is lost, frozen or alarming, or fewer receivers run "
		   "than are wanted; 3: nobody answers, or nobody leads.",
	.options = options,
	.run = run_status,
};

static void view_leader(const json_t *leader, const char *time, FILE *out)
{
	(void)time;
	if (is(leader, "leader", "-"))
		fprintf(out, "no leader is known\n");
	else
		fprintf(out, "%s leads, at %s%s\n", view_text(leader, "leader"),
			view_text(leader, "address"),
			json_is_true(json_object_get(leader, "here")) ? " (the one asked)" : "");
}

static int run_leader(const struct cli *cli, const struct cli_args *args)
{
	struct cluster cluster;
	json_t *envelope;
	int err = cluster_open(&cluster, cli, args->value);

	if (err == EXIT_CLI_OK)
		err = cluster_get(&cluster, "leader", &envelope);
	if (err == EXIT_CLI_OK) {
		if (json_is_null(json_object_get(json_object_get(envelope, "data"), "leader")))
			err = EXIT_CLI_DEGRADED;
		cluster_print(&cluster, envelope, view_leader);
	}
	cluster_close(&cluster);
	return err;
}

const struct cli_command cmd_cluster_leader = {
	.name = "cluster leader",
	.args = "",
	.summary = "which control process leads",
	.details = "As the process that is asked knows it. Exit code 1: it knows of none.",
	.options = options,
	.run = run_leader,
};
