// SPDX-License-Identifier: BSD-3-Clause
// From the election being won to its being lost.

#include "common/logmsg.h"
#include "control/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS 1000000000u

static void forget(struct core *core)
{
	core->loaded = false;
	core_mesos_stop(core);
	core_drop_actions(core, core->actions);
	core->actions = NULL;
	fleet_free(&core->fleet);
	core->framework_id[0] = '\0';
	core->framework_changed = false;
	json_decref(core->senders);
	core->senders = NULL;
	core->framework = FRAMEWORK_OFF;
	loop_timer_cancel(core->loop, &core->step);
	loop_timer_cancel(core->loop, &core->retry);
}

static void set_live(void *arg, const char *name, const json_t *json)
{
	struct core *core = arg;

	fleet_registered(&core->fleet, name, json);
}

static int take(struct core *core, const char *name, const json_t *json)
{
	const char *id;

	if (strcmp(name, "desired") == 0)
		return fleet_read(&core->fleet, json);
	if (strcmp(name, "history") == 0)
		return history_read(&core->fleet.history, json);
	if (strcmp(name, "framework") != 0)
		return fleet_add(&core->fleet, json);
	id = json_string_value(json_object_get(json, "id"));
	if (id == NULL || strlen(id) >= sizeof(core->framework_id))
		return -EINVAL;
	snprintf(core->framework_id, sizeof(core->framework_id), "%s", id);
	return 0;
}

static void take_node(void *arg, const char *name, const json_t *json)
{
	struct core *core = arg;
	int err = take(core, name, json);

	// Nobody but us writes these: to go on with half of it would be to lose the other half.
	if (err == 0)
		return;
	log_err("%s/%s in ZooKeeper is not what a leader stores (%s): placement stays frozen until "
		"it is mended",
		core->root, name, strerror(-err));
	core->load_failed = true;
}

static void loaded(void *arg, int err, const char *path)
{
	struct core *core = arg;

	if (err != 0 || core->load_failed) {
		if (err != 0)
			log_err("%s can't be read: %s", path, strerror(-err));
		loop_timer_set(core->loop, &core->retry, RETRY_NS);
		return;
	}
	core->loaded = true;
	watching_each(core->live, set_live, core);
	log_notice("leads %s: %s", core->conf.cluster,
		core->fleet.applied ? "goes on with what was applied" : "nothing was applied yet");
	history_add(&core->fleet.history, core_now_ns(), "lead", NULL, NULL, "%s leads",
		core->conf.name);
	core_mesos_start(core);
	core_step(core);
}

void core_load(struct core *core)
{
	struct store_reader reader = {.node = take_node, .done = loaded, .arg = core};

	forget(core);
	core->load_failed = false;
	if (fleet_new(&core->fleet) != 0 || store_read(core->store, &reader) != 0)
		loop_timer_set(core->loop, &core->retry, RETRY_NS);
}

void core_load_again(void *arg)
{
	struct core *core = arg;

	if (core->leads && !core->loaded)
		core_load(core);
}

void core_won(void *arg)
{
	struct core *core = arg;

	log_notice("elected");
	counter_add(&core->values[CONTROL_elections_won], 1);
	core->leads = true;
	store_lead(core->store, election_node(core->election));
	core_load(core);
	core_show(core);
}

void core_lost(void *arg, const char *why)
{
	struct core *core = arg;

	log_notice("leads no more: %s", why);
	counter_add(&core->values[CONTROL_leads_lost], 1);
	core->leads = false;
	forget(core);
	store_lead(core->store, "");
	core_answer_all(
		core, 503, "the leadership was lost: ask the next leader whether it was done");
	core_show(core);
}
