// SPDX-License-Identifier: BSD-3-Clause
// What the API shows. With hundreds of receivers and a step for each event of Mesos, most of the
// time would go into views that nobody sees: but for answers to commands, they may be a moment old.

#include "common/json.h"
#include "control/core.h"

#include <stdio.h>
#include <string.h>

#define LONG_NS 60000000000 // after which something that should pass by itself is told

#define SHOW_NS 100000000u

static const char *const framework_texts[] = {
	[FRAMEWORK_OFF] = "off",
	[FRAMEWORK_CONNECTING] = "connecting",
	[FRAMEWORK_SUBSCRIBED] = "subscribed",
	[FRAMEWORK_FAILED_OVER] = "failed_over",
	[FRAMEWORK_REMOVED] = "removed",
	[FRAMEWORK_REFUSED] = "refused",
};

static json_t *text_or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *time_or_null(int64_t ns)
{
	char buf[40];

	return ns != 0 ? json_string(time_text(ns, buf)) : json_null();
}

static void alarm_add(json_t *alarms, const char *code, const char *text, const char *mend)
{
	json_array_append_new(alarms, json_warning(code, text, mend));
}

static bool silent(const struct receiver *r)
{
	return r->state == RECEIVER_RUNNING && !receiver_registered(r) &&
	       core_now_ns() - r->since_ns > LONG_NS;
}

// What somebody should look at, of a receiver.
static void alarm_receiver(json_t *alarms, const struct receiver *r)
{
	char text[RECEIVER_NAME_MAX + RECEIVER_TEXT_MAX + 4];

	snprintf(text, sizeof(text), "%s: %s", r->name, r->why);
	if (r->state == RECEIVER_UNREACHABLE)
		alarm_add(alarms, "receiver_unreachable", text,
			"look at its slave; millrace cluster replace SLAVE doesn't wait");
	else if (r->state == RECEIVER_WAITING && r->failures > 1)
		alarm_add(
			alarms, "receiver_ends", text, "the task's stderr in its sandbox says why");
	else if (r->state == RECEIVER_WAITING && core_now_ns() - r->since_ns > LONG_NS)
		alarm_add(alarms, "receiver_waits", text,
			"give a slave what is missing, or change what is wanted");
	else if (silent(r))
		alarm_add(alarms, "receiver_silent", text,
			"its task runs, but it isn't registered: can its slave reach ZooKeeper?");
}

static json_t *alarms(const struct core *core)
{
	json_t *ret = json_array();

	if (core->framework == FRAMEWORK_REMOVED)
		alarm_add(ret, "framework_removed", core->framework_why,
			"millrace cluster reset --yes");
	if (core->framework == FRAMEWORK_REFUSED)
		alarm_add(ret, "framework_refused", core->framework_why,
			"mesos.principal, mesos.secret, mesos.role");
	if (core->framework == FRAMEWORK_CONNECTING && core->framework_failed)
		alarm_add(ret, "mesos_unreachable", core->framework_why,
			"Mesos' masters, mesos.master, and mesos.ca for https");
	if (core->load_failed)
		alarm_add(ret, "state_unreadable",
			"the state in ZooKeeper is not what a leader stores",
			"the log of millrace-control names the node");
	for (const struct receiver *r = core->fleet.receivers; r != NULL; r = r->next)
		alarm_receiver(ret, r);
	return ret;
}

static json_t *counts(const struct core *core)
{
	struct fleet_counts counts = fleet_count(&core->fleet);

	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "running",
		(int)counts.states[RECEIVER_RUNNING], "starting",
		(int)counts.states[RECEIVER_LAUNCHING], "waiting",
		(int)counts.states[RECEIVER_WAITING], "unreachable",
		(int)counts.states[RECEIVER_UNREACHABLE], "draining", (int)counts.retiring,
		"ending", (int)counts.states[RECEIVER_ENDING]);
}

const char *core_frozen(const struct core *core)
{
	if (!core->leads)
		return "this process doesn't lead";
	if (!core->loaded)
		return "the state is being read from ZooKeeper";
	if (!election_leads(core->election))
		return "ZooKeeper doesn't answer";
	if (core->framework != FRAMEWORK_SUBSCRIBED)
		return "Mesos' master isn't reached";
	return NULL;
}

static json_t *status(const struct core *core)
{
	const char *why = core_frozen(core);

	return json_pack("{s:s, s:b, s:s, s:{s:s, s:o}, s:{s:s, s:o, s:o, s:o}, s:{s:s, s:s?}, "
			 "s:{s:i, s:I}, s:o, s:o}",
		"cluster", core->conf.cluster, "leads", (int)core->leads, "name", core->conf.name,
		"zookeeper", "state", zk_state(core->zk) == ZK_CONNECTED ? "connected" : "lost",
		"since", time_or_null(core->zookeeper_since_ns), "mesos", "state",
		framework_texts[core->framework], "master", text_or_null(core->master),
		"framework_id", text_or_null(core->framework_id), "why",
		text_or_null(core->framework_why), "placement", "state",
		why == NULL ? "running" : "frozen", "why", why, "desired", "count",
		(int)(core->fleet.applied ? core->fleet.spec.count : 0), "version",
		(json_int_t)core->fleet.version, "receivers", counts(core), "alarms", alarms(core));
}

static const char *shown_state(const struct receiver *r)
{
	if (r->retiring && r->state == RECEIVER_WAITING && r->drained)
		return "retired";
	if (r->state == RECEIVER_WAITING && r->next_launch_ns > core_now_ns())
		return "damped";
	return receiver_state_text(r->state);
}

static json_t *nics_of(const struct receiver *r)
{
	json_t *nics = json_array();

	for (unsigned i = 0; i < r->taken.nic_count; i++)
		json_array_append_new(nics, json_string(r->taken.nics[i]));
	return nics;
}

static json_t *receiver(const struct receiver *r)
{
	char lcores[CPUS_TEXT_BYTES];

	return json_pack("{s:s, s:o, s:s, s:b, s:s, s:o, s:o, s:o, s:s, s:o, s:I, s:I, s:o, s:O?}",
		"name", r->name, "slave", text_or_null(r->slave), "state", shown_state(r),
		"retiring", (int)r->retiring, "why", r->why, "task_id", text_or_null(r->task_id),
		"since", time_or_null(r->since_ns), "log_path", text_or_null(r->log_path), "lcores",
		resources_lcores_text(&r->taken, lcores, sizeof(lcores)), "nics", nics_of(r),
		"version", (json_int_t)r->version, "restarts",
		(json_int_t)(r->launches > 0 ? r->launches - 1 : 0), "next_launch_at",
		time_or_null(r->state == RECEIVER_WAITING ? r->next_launch_ns : 0), "live",
		r->live);
}

static json_t *receivers(const struct core *core)
{
	json_t *ret = json_array();

	for (const struct receiver *r = core->fleet.receivers; r != NULL; r = r->next)
		json_array_append_new(ret, receiver(r));
	return ret;
}

static json_t *tasks(const struct core *core)
{
	json_t *ret = json_array();

	for (const struct receiver *r = core->fleet.receivers; r != NULL; r = r->next) {
		if (r->task_state[0] == '\0')
			continue;
		json_array_append_new(
			ret, json_pack("{s:o, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:b}", "task_id",
				     text_or_null(r->task_id), "receiver", r->name, "slave",
				     text_or_null(r->slave), "agent_id", text_or_null(r->agent_id),
				     "state", r->task_state, "reason", text_or_null(r->reason),
				     "message", text_or_null(r->message), "since",
				     time_or_null(r->since_ns), "current",
				     (int)(r->task_id[0] != '\0')));
	}
	return ret;
}

static json_t *spec(const struct core *core)
{
	return json_pack("{s:I, s:o, s:O?}", "version", (json_int_t)core->fleet.version, "spec",
		core->fleet.applied ? spec_write(&core->fleet.spec) : json_null(), "draining",
		core->fleet.draining);
}

static void set_health(struct core *core)
{
	bool zookeeper = zk_state(core->zk) == ZK_CONNECTED;
	bool mesos = !core->leads || core->framework == FRAMEWORK_SUBSCRIBED;

	core->well = zookeeper && mesos && !core->load_failed;
	snprintf(core->well_why, sizeof(core->well_why), "%s",
		!zookeeper ? "ZooKeeper isn't reached: placement is frozen, receivers go on"
		: core->load_failed ? "the state in ZooKeeper can't be read"
		: !mesos ? "Mesos isn't subscribed to: placement is frozen, receivers go on"
			 : "");
}

static void show_leader(struct core *core)
{
	core->leader_known =
		election_leader(core->election, core->leader_name, core->leader_address);
	core->leader_here = core->loaded && election_leads(core->election);
	core->lease_ends_ns = election_lease_ends_ns(core->election);
	set_health(core);
}

void core_show(struct core *core)
{
	json_t *views[API_VIEWS] = {
		[API_STATUS] = status(core),
		[API_RECEIVERS] = receivers(core),
		[API_TASKS] = tasks(core),
		[API_SPEC] = spec(core),
		[API_EVENTS] =
			core->loaded ? json_deep_copy(core->fleet.history.events) : json_array(),
	};

	counter_set(&core->values[CONTROL_alarms],
		json_array_size(json_object_get(views[API_STATUS], "alarms")));
	metrics_update(core);
	pthread_mutex_lock(&core->lock);
	for (unsigned i = 0; i < API_VIEWS; i++) {
		json_decref(core->views[i]);
		core->views[i] = views[i];
	}
	show_leader(core);
	pthread_mutex_unlock(&core->lock);
	core->shown_ns = loop_now_ns();
	loop_timer_cancel(core->loop, &core->show);
}

void core_show_soon(struct core *core)
{
	uint64_t since_ns = loop_now_ns() - core->shown_ns;

	if (core->show.due_ns == 0 && since_ns >= SHOW_NS) {
		core_show(core);
		return;
	}
	pthread_mutex_lock(&core->lock);
	show_leader(core);
	pthread_mutex_unlock(&core->lock);
	if (core->show.due_ns == 0)
		loop_timer_set(core->loop, &core->show, SHOW_NS - since_ns);
}
