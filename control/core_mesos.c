// SPDX-License-Identifier: BSD-3-Clause
// What Mesos brings, and when it is asked.

#include "common/logmsg.h"
#include "control/core.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000u
#define DECLINE_SECONDS 5         // an offer that may be of use soon
#define DECLINE_LONG_SECONDS 3600 // none is wanted: REVIVE takes it back
#define DECLINE_MAX 256
#define RECONCILE_MAX_SECONDS 60

static void offer_free(struct core_offer *offer)
{
	json_decref(offer->json);
	json_decref(offer->attributes);
	free(offer);
}

void core_offers_drop(struct core *core)
{
	while (core->offers != NULL) {
		struct core_offer *offer = core->offers;

		core->offers = offer->next;
		offer_free(offer);
	}
}

static const char *value_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json_object_get(json, key), "value"));

	return text != NULL ? text : "";
}

static void offer_take(struct core *core, json_t *json)
{
	struct core_offer *offer = calloc(1, sizeof(*offer));
	const char *hostname = json_string_value(json_object_get(json, "hostname"));

	if (offer == NULL || hostname == NULL)
		goto bad;
	offer->json = json_incref(json);
	offer->attributes = constraint_attributes(json_object_get(json, "attributes"));
	offer->offer = (struct placement_offer){.id = value_of(json, "id"),
		.agent_id = value_of(json, "agent_id"),
		.slave = {.hostname = hostname, .attributes = offer->attributes},
		.list = json_object_get(json, "resources")};
	if (offer->attributes == NULL ||
		resources_read(offer->offer.list, core->conf.role, &offer->offer.free) != 0)
		goto bad;
	offer->next = core->offers;
	core->offers = offer;
	return;

bad:
	log_warn("an offer of Mesos can't be read: it is left");
	if (offer != NULL)
		offer_free(offer);
}

static void on_offers(void *arg, const json_t *offers)
{
	struct core *core = arg;
	json_t *offer;
	size_t i;

	json_array_foreach(offers, i, offer) offer_take(core, offer);
	core_step_soon(core);
}

static void on_rescinded(void *arg, const char *id)
{
	struct core *core = arg;

	for (struct core_offer **at = &core->offers; *at != NULL; at = &(*at)->next) {
		struct core_offer *offer = *at;

		if (strcmp(offer->offer.id, id) != 0)
			continue;
		*at = offer->next;
		offer_free(offer);
		return;
	}
}

static void on_subscribed(void *arg, const char *framework_id, const char *master)
{
	struct core *core = arg;

	core->framework = FRAMEWORK_SUBSCRIBED;
	core->framework_why[0] = '\0';
	core->suppressed = false;
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

static void on_update(void *arg, const json_t *status)
{
	struct core *core = arg;
	struct core_action *action;

	if (!fleet_update(&core->fleet, status, core_now_ns())) {
		log_warn("task %s is none of the receivers': it is ended",
			value_of(status, "task_id"));
		mesos_kill(
			core->mesos, value_of(status, "task_id"), value_of(status, "agent_id"), 0);
	}
	action = core_act(core, ACTION_ACKNOWLEDGE, json_deep_copy(status));
	(void)action; // without memory Mesos repeats it
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
	json_t *tasks = known_tasks(core);
	uint64_t seconds = 1ull << (core->reconciliations < 6 ? core->reconciliations : 6);

	if (core->reconciliations % 2 == 0 && json_array_size(tasks) > 0)
		mesos_reconcile(core->mesos, json_incref(tasks));
	else
		mesos_reconcile(core->mesos, NULL);
	json_decref(tasks);
	core->reconciliations++;
	loop_timer_set(core->loop, &core->reconcile,
		(seconds < RECONCILE_MAX_SECONDS ? seconds : RECONCILE_MAX_SECONDS) * SECOND_NS);
}

static void launch(void *arg, struct receiver *r, const struct placement *p)
{
	struct core *core = arg;
	struct core_action *action;
	json_t *json = json_pack(
		"{s:s, s:o}", "offer", p->offer->id, "operations", core_launch(core, r, p));

	for (struct core_offer *o = core->offers; o != NULL; o = o->next)
		o->taken = o->taken || strcmp(o->offer.id, p->offer->id) == 0;
#ifdef MUTANT_LAUNCH_UNSTORED
	core_launch_now(core, json);
#endif
	action = core_act(core, ACTION_LAUNCH, json);
	if (action != NULL)
		snprintf(action->task_id, sizeof(action->task_id), "%s", r->task_id);
}

// All at once: a call for each would be as many round trips.
static void decline_rest(struct core *core, bool wanted)
{
	const char *ids[DECLINE_MAX];
	unsigned count = 0;

	for (const struct core_offer *o = core->offers; o != NULL; o = o->next) {
		if (!o->taken)
			ids[count++] = o->offer.id;
		if (count == DECLINE_MAX || (o->next == NULL && count > 0)) {
			mesos_decline(core->mesos, ids, count,
				wanted ? DECLINE_SECONDS : DECLINE_LONG_SECONDS);
			count = 0;
		}
	}
	core_offers_drop(core);
}

static void place(struct core *core, int64_t now_ns)
{
	unsigned count = 0, at = 0;
	struct placement_offer *list;

	for (const struct core_offer *o = core->offers; o != NULL; o = o->next)
		count++;
	list = calloc(count > 0 ? count : 1, sizeof(*list));
	if (list == NULL)
		return;
	for (const struct core_offer *o = core->offers; o != NULL; o = o->next)
		list[at++] = o->offer;
	fleet_place(&core->fleet, list, count, now_ns, launch, core);
	free(list);
}

void core_place(struct core *core)
{
	int64_t now_ns = core_now_ns();
	bool wanted;

	if (core->framework != FRAMEWORK_SUBSCRIBED)
		return;
	if (core->offers != NULL && fleet_wants_offers(&core->fleet, now_ns))
		place(core, now_ns);
	wanted = fleet_wants_offers(&core->fleet, now_ns);
	decline_rest(core, wanted);
	if (wanted && core->suppressed)
		core->suppressed = mesos_revive(core->mesos) != 0;
	else if (!wanted && !core->suppressed)
		core->suppressed = mesos_suppress(core->mesos) == 0;
}
