// SPDX-License-Identifier: BSD-3-Clause
// Storing what was decided, and doing what follows from it.

#include "common/logmsg.h"
#include "control/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// What one transaction is followed by.
struct batch {
	struct core *core;
	struct core_action *actions;
};

struct core_action *core_act(struct core *core, enum core_action_kind kind, json_t *json)
{
	struct core_action **at = &core->actions, *action = calloc(1, sizeof(*action));

	if (action == NULL) {
		json_decref(json);
		return NULL;
	}
	action->kind = kind;
	action->json = json;
	while (*at != NULL)
		at = &(*at)->next;
	*at = action;
	return action;
}

void core_drop_actions(struct core *core, struct core_action *actions)
{
	for (struct core_action *a = actions, *after; a != NULL; a = after) {
		after = a->next;
		if (a->kind == ACTION_ANSWER)
			core_answer(core, a->ticket, 503, NULL,
				"the leadership was lost before it was stored: ask the next leader "
				"whether it has it");
		json_decref(a->json);
		free(a);
	}
}

void core_launch_now(struct core *core, const json_t *json)
{
	const char *ids[1];
	json_t *operations = json_deep_copy(json_object_get(json, "operations"));

	ids[0] = json_string_value(json_object_get(json, "offer"));
	if (mesos_accept(core->mesos, ids, 1, operations, 0) != 0)
		log_warn("a launch was not sent: reconciliation will say that its task is gone");
}

static void act(struct core *core, struct core_action *action)
{
	struct receiver *r;

	switch (action->kind) {
	case ACTION_LAUNCH:
		counter_add(&core->values[CONTROL_launches], 1);
		core_launch_now(core, action->json);
		r = fleet_find_task(&core->fleet, action->task_id);
		if (r != NULL)
			r->sent = true;
		break;
	case ACTION_KILL:
		counter_add(&core->values[CONTROL_kills], 1);
		mesos_kill(core->mesos, action->task_id, action->agent_id, action->grace_seconds);
		break;
	case ACTION_ACKNOWLEDGE:
		mesos_acknowledge(core->mesos, action->json);
		break;
	case ACTION_ANSWER:
		core_answer(core, action->ticket, 200, json_incref(action->json), NULL);
		break;
	case ACTION_RESET:
		core_mesos_start(core);
		break;
	}
}

static bool answers(const struct core_action *actions)
{
	for (const struct core_action *a = actions; a != NULL; a = a->next)
		if (a->kind == ACTION_ANSWER)
			return true;
	return false;
}

static void stored(void *arg, int err)
{
	struct batch *batch = arg;
	struct core *core = batch->core;
	struct core_action *actions = batch->actions;

	free(batch);
	counter_add(&core->values[err == 0 ? CONTROL_writes : CONTROL_writes_failed], 1);
	if (err != 0 || !core->leads) {
		core_drop_actions(core, actions);
		if (err == -ECANCELED || err == 0 || !core->leads)
			return;
		log_err("can't store what was decided: %s: it is dropped, and read again what is "
			"stored",
			strerror(-err));
		core_load(core);
		return;
	}
	if (answers(actions)) // who gets it and asks is to see what was done
		core_show(core);
	for (struct core_action *a = actions, *after; a != NULL; a = after) {
		after = a->next;
		act(core, a);
		json_decref(a->json);
		free(a);
	}
	core_show_soon(core);
}

// One node of the transaction; true: it needs no more to be stored.
static bool put(struct core *core, const char *name, json_t *json)
{
	int err = json != NULL ? store_put(core->store, name, json) : -ENOMEM;

	if (err == -ENOSPC) { // this much at once is rare: what is stored first waits for nothing
		store_commit(core->store, NULL, NULL);
		err = store_put(core->store, name, json);
	}
	json_decref(json);
	return err == 0;
}

static void put_receiver(struct core *core, struct receiver *r)
{
	char name[RECEIVER_NAME_MAX + 16];

	if (!r->changed)
		return;
	snprintf(name, sizeof(name), "receivers/%s", r->name);
	r->changed = !put(core, name, receiver_write(r));
}

static void put_removed(struct core *core)
{
	const json_t *removed;
	size_t i;

	json_array_foreach(core->fleet.removed, i, removed)
	{
		char name[RECEIVER_NAME_MAX + 16];

		snprintf(name, sizeof(name), "receivers/%s", json_string_value(removed));
		store_put(core->store, name, NULL);
	}
	json_array_clear(core->fleet.removed);
}

// What senders are told, when it is something new.
static void put_senders(struct core *core)
{
	json_t *now = core->fleet.applied ? fleet_senders(&core->fleet) : NULL;

	if (now == NULL || json_equal(now, core->senders)) {
		json_decref(now);
		return;
	}
	json_decref(core->senders);
	core->senders = json_incref(now);
	if (!put(core, STORE_SENDERS, now)) {
		json_decref(core->senders);
		core->senders = NULL;
	}
}

static bool anything(const struct core *core)
{
	if (core->actions != NULL || core->fleet.changed || core->fleet.history.changed ||
		core->framework_changed || json_array_size(core->fleet.removed) > 0)
		return true;
	for (const struct receiver *r = core->fleet.receivers; r != NULL; r = r->next)
		if (r->changed)
			return true;
	return false;
}

void core_store(struct core *core)
{
	struct batch *batch;

	if (!anything(core))
		return;
	batch = malloc(sizeof(*batch));
	if (batch == NULL)
		return; // all of it stays marked
	if (core->fleet.changed)
		core->fleet.changed = !put(core, "desired", fleet_write(&core->fleet));
	if (core->framework_changed)
		core->framework_changed =
			!put(core, "framework", json_pack("{s:s}", "id", core->framework_id));
	for (struct receiver *r = core->fleet.receivers; r != NULL; r = r->next)
		put_receiver(core, r);
	put_removed(core);
	put_senders(core);
	if (core->fleet.history.changed)
		core->fleet.history.changed =
			!put(core, "history", history_write(&core->fleet.history));
	*batch = (struct batch){.core = core, .actions = core->actions};
	core->actions = NULL;
	if (store_commit(core->store, stored, batch) != 0) {
		core->actions = batch->actions;
		free(batch);
	}
}
