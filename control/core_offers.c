// SPDX-License-Identifier: BSD-3-Clause
// What Mesos offers: placed at once, and what nothing takes declined in one call with what else has
// come meanwhile. Each call is a round trip, and they go one after the other: one for each event of
// a large cluster would be more than there is time for, and a launch would wait behind them.

#include "common/logmsg.h"
#include "control/core.h"

#include <stdlib.h>
#include <string.h>

#define DECLINE_SECONDS 5         // an offer that may be of use soon
#define DECLINE_LONG_SECONDS 3600 // none is wanted: REVIVE takes it back
#define DECLINE_DELAY_NS 100000000
#define DECLINE_MAX 4096        // of a call
#define PLACE_DELAY_NS 20000000 // more offers are a better choice, and fewer choices

static void offer_free(struct core_offer *offer)
{
	json_decref(offer->json);
	json_decref(offer->attributes);
	free(offer);
}

static void drop_list(struct core *core)
{
	while (core->offers != NULL) {
		struct core_offer *offer = core->offers;

		core->offers = offer->next;
		offer_free(offer);
	}
}

void core_offers_drop(struct core *core)
{
	drop_list(core);
	json_array_clear(core->declined);
	loop_timer_cancel(core->loop, &core->decline);
}

static void take(struct core *core, json_t *json)
{
	struct core_offer *offer = calloc(1, sizeof(*offer));
	const char *hostname = json_string_value(json_object_get(json, "hostname"));

	if (offer == NULL || hostname == NULL)
		goto bad;
	offer->json = json_incref(json);
	offer->attributes = constraint_attributes(json_object_get(json, "attributes"));
	offer->offer = (struct placement_offer){.id = fleet_id_of(json, "id"),
		.agent_id = fleet_id_of(json, "agent_id"),
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

static void decline(struct core *core, const json_t *json)
{
	json_array_append(core->declined, json_object_get(json, "id"));
	if (core->decline.due_ns == 0)
		loop_timer_set(core->loop, &core->decline, DECLINE_DELAY_NS);
}

void core_offers_take(struct core *core, const json_t *offers)
{
	bool wanted = fleet_due_count(&core->fleet, core_now_ns()) > 0;
	json_t *offer;
	size_t i;

	json_array_foreach(offers, i, offer)
	{
		if (wanted)
			take(core, offer);
		else
			decline(core, offer);
	}
	if (wanted || !core->suppressed)
		core_step_within(core, PLACE_DELAY_NS);
}

void core_offers_rescind(struct core *core, const char *id)
{
	for (struct core_offer **at = &core->offers; *at != NULL; at = &(*at)->next) {
		struct core_offer *offer = *at;

		if (strcmp(offer->offer.id, id) != 0)
			continue;
		*at = offer->next;
		offer_free(offer);
		return;
	}
}

void core_offers_decline(void *arg)
{
	struct core *core = arg;
	bool wanted = fleet_due_count(&core->fleet, core_now_ns()) > 0;
	const char *ids[DECLINE_MAX];
	const json_t *id;
	size_t i, count = 0, last = json_array_size(core->declined);

	json_array_foreach(core->declined, i, id)
	{
		ids[count++] = json_string_value(json_object_get(id, "value"));
		if (count < DECLINE_MAX && i + 1 < last)
			continue;
		mesos_decline(core->mesos, ids, (unsigned)count,
			wanted ? DECLINE_SECONDS : DECLINE_LONG_SECONDS);
		count = 0;
	}
	json_array_clear(core->declined);
	loop_timer_cancel(core->loop, &core->decline);
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
	unsigned due;

	if (core->framework != FRAMEWORK_SUBSCRIBED)
		return;
	if (core->offers != NULL && fleet_due_count(&core->fleet, now_ns) > 0)
		place(core, now_ns);
	for (const struct core_offer *o = core->offers; o != NULL; o = o->next)
		if (!o->taken)
			decline(core, o->json);
	drop_list(core);
	due = fleet_due_count(&core->fleet, now_ns);
	if (due > core->due || (due > 0 && core->suppressed)) {
		// What was declined may suit who has become due. What is declined afterwards is
		// kept away.
		core_offers_decline(core);
		core->suppressed = mesos_revive(core->mesos) != 0;
	} else if (due == 0 && !core->suppressed) {
		core->suppressed = mesos_suppress(core->mesos) == 0;
	}
	core->due = due;
}
