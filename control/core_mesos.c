// SPDX-License-Identifier: BSD-3-Clause
// What Mesos brings but for offers, and when it is asked.

#include "common/logmsg.h"
#include "control/core.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000u
#define RECONCILE_MAX_SECONDS 60
#define RECONCILE_DOUBLES 6 // from one second

static void on_offers(void *arg, const json_t *offers)
{
	core_offers_take(arg, offers);
}

static void on_rescinded(void *arg, const char *id)
{
	core_offers_rescind(arg, id);
}

static void on_subscribed(void *arg, const char *framework_id, const char *master)
{
	struct core *core = arg;

	core->framework = FRAMEWORK_SUBSCRIBED;
	core->framework_why[0] = '\0';
	core->framework_failed = false;
	core->suppressed = false;
	core->due = 0;
	snprintf(core->master, sizeof(core->master), "%s", master);
	core->fleet.offers_since_ns = core_now_ns();
	if (strcmp(core->framework_id, framework_id) != 0) {
		snprintf(core->framework_id, sizeof(core->framework_id), "%s", framework_id);
		core->framework_changed = true;
		history_add(&core->fleet.history, core_now_ns(), "register", NULL, NULL,
			"Mesos knows the cluster as framework %s", framework_id);
	}
	for (struct receiver *r = core->fleet.receivers; r != NULL; r = r->next) {
		r->reconciled = false;
		r->killed_ns = 0;
	}
	core->reconciliations = 0;
	core_reconcile(core);
	core_step(core);
}

static void on_failed(void *arg, const char *why)
{
	struct core *core = arg;

	core->framework_failed = true;
	snprintf(core->framework_why, sizeof(core->framework_why), "%s", why);
	core_step_soon(core);
}

static void on_update(void *arg, const json_t *status)
{
	struct core *core = arg;

	if (!fleet_update(&core->fleet, status, core_now_ns())) {
		log_warn("task %s is none of the receivers': it is ended",
			fleet_id_of(status, "task_id"));
		mesos_kill(core->mesos, fleet_id_of(status, "task_id"),
			fleet_id_of(status, "agent_id"), 0);
	}
	core_act(core, ACTION_ACKNOWLEDGE,
		json_deep_copy(status)); // without memory Mesos repeats it
	core_step(core);
}

static void on_agent_lost(void *arg, const char *agent_id)
{
	log_warn("Mesos has lost agent %s", agent_id);
	core_step_soon(arg);
}

static void on_disconnected(void *arg, const char *why)
{
	struct core *core = arg;

	core_offers_drop(core);
	core->framework = FRAMEWORK_CONNECTING;
	core->fleet.offers_since_ns = 0;
	snprintf(core->framework_why, sizeof(core->framework_why), "%s", why);
	loop_timer_cancel(core->loop, &core->reconcile);
	core_step_soon(core);
}

static void on_ended(void *arg, enum mesos_end end, const char *why)
{
	static const struct {
		enum core_framework state;
		const char *mend;
	} ends[] = {
		[MESOS_FAILED_OVER] = {FRAMEWORK_FAILED_OVER,
			"another leader has subscribed: nothing is done until the election is won "
			"again"},
		[MESOS_REMOVED] = {FRAMEWORK_REMOVED,
			"Mesos has removed the framework and ended its tasks: millrace cluster "
			"reset --yes registers a new one"},
		[MESOS_REFUSED] = {FRAMEWORK_REFUSED,
			"Mesos refuses it: look at mesos.principal, mesos.secret and mesos.role"},
	};
	struct core *core = arg;

	on_disconnected(arg, why);
	core->framework = ends[end].state;
	log_err("%s: %s", why, ends[end].mend);
	history_add(&core->fleet.history, core_now_ns(), "freeze", NULL, NULL, "%s: %s", why,
		ends[end].mend);
}

static bool on_may(void *arg)
{
	struct core *core = arg;

	return core->loaded && election_leads(core->election);
}

const struct mesos_handlers core_mesos_handlers = {
	.subscribed = on_subscribed,
	.failed = on_failed,
	.offers = on_offers,
	.rescinded = on_rescinded,
	.update = on_update,
	.agent_lost = on_agent_lost,
	.disconnected = on_disconnected,
	.ended = on_ended,
	.may = on_may,
};

void core_mesos_start(struct core *core)
{
	core->framework = FRAMEWORK_CONNECTING;
	snprintf(core->framework_why, sizeof(core->framework_why), "begins");
	core->framework_failed = false;
	if (mesos_start(core->mesos, core->framework_id) != 0)
		log_err("can't begin to subscribe to Mesos");
}

void core_mesos_stop(struct core *core)
{
	mesos_stop(core->mesos);
	core_offers_drop(core);
	loop_timer_cancel(core->loop, &core->reconcile);
	core->fleet.offers_since_ns = 0;
}

// Of all tasks that the master may know (one whose launch isn't stored yet it would call gone),
// then, as a check, of all that the master knows; again and again: right after a failover a master
// knows little, and an answer may get lost.
static json_t *known_tasks(const struct core *core)
{
	json_t *tasks = json_array();

	for (const struct receiver *r = core->fleet.receivers; r != NULL; r = r->next)
		if (r->task_id[0] != '\0' && r->sent)
			json_array_append_new(
				tasks, json_pack("{s:{s:s}, s:{s:s}}", "task_id", "value",
					       r->task_id, "agent_id", "value", r->agent_id));
	return tasks;
}

void core_reconcile(void *arg)
{
	struct core *core = arg;
	unsigned n = core->reconciliations++;
	json_t *tasks = n % 2 == 0 ? known_tasks(core) : NULL;

	if (json_array_size(tasks) == 0) {
		json_decref(tasks);
		tasks = NULL;
	}
	mesos_reconcile(core->mesos, tasks);
	loop_timer_set(core->loop, &core->reconcile,
		(n < RECONCILE_DOUBLES ? 1ull << n : RECONCILE_MAX_SECONDS) * SECOND_NS);
}
