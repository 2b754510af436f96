// SPDX-License-Identifier: BSD-3-Clause
// The calls that there are.

#include "control/mesos/internal.h"

#include <errno.h>

static json_t *value(const char *text)
{
	return json_pack("{s:s}", "value", text);
}

static json_t *offer_list(const char *const *offer_ids, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; list != NULL && i < count; i++) {
		if (json_array_append_new(list, value(offer_ids[i])) == 0)
			continue;
		json_decref(list);
		list = NULL;
	}
	return list;
}

int mesos_accept(struct mesos *m, const char *const *offer_ids, unsigned count, json_t *operations,
	double refuse_seconds)
{
	if (operations == NULL)
		return -ENOMEM;
	return calls_make(m, "ACCEPT", true, "accept",
		json_pack("{s:o, s:o, s:{s:f}}", "offer_ids", offer_list(offer_ids, count),
			"operations", operations, "filters", "refuse_seconds", refuse_seconds));
}

int mesos_decline(
	struct mesos *m, const char *const *offer_ids, unsigned count, double refuse_seconds)
{
	return calls_make(m, "DECLINE", true, "decline",
		json_pack("{s:o, s:{s:f}}", "offer_ids", offer_list(offer_ids, count), "filters",
			"refuse_seconds", refuse_seconds));
}

int mesos_suppress(struct mesos *m)
{
	return calls_make(m, "SUPPRESS", true, NULL, NULL);
}

int mesos_revive(struct mesos *m)
{
	return calls_make(m, "REVIVE", true, NULL, NULL);
}

int mesos_kill(struct mesos *m, const char *task_id, const char *agent_id, double grace_seconds)
{
	json_t *kill = json_pack("{s:{s:s}, s:{s:{s:I}}}", "task_id", "value", task_id,
		"kill_policy", "grace_period", "nanoseconds", (json_int_t)(grace_seconds * 1e9));

	if (kill != NULL && agent_id != NULL && agent_id[0] != '\0' &&
		json_object_set_new(kill, "agent_id", value(agent_id)) < 0) {
		json_decref(kill);
		kill = NULL;
	}
	return calls_make(m, "KILL", true, "kill", kill);
}

int mesos_acknowledge(struct mesos *m, const json_t *status)
{
	json_t *uuid = json_object_get(status, "uuid"), *task = json_object_get(status, "task_id"),
	       *agent = json_object_get(status, "agent_id");

	if (uuid == NULL || task == NULL || agent == NULL)
		return 0;
	return calls_make(m, "ACKNOWLEDGE", true, "acknowledge",
		json_pack("{s:O, s:O, s:O}", "agent_id", agent, "task_id", task, "uuid", uuid));
}

int mesos_reconcile(struct mesos *m, json_t *tasks)
{
	return calls_make(m, "RECONCILE", false, "reconcile",
		json_pack("{s:o}", "tasks", tasks != NULL ? tasks : json_array()));
}
