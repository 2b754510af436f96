// SPDX-License-Identifier: BSD-3-Clause
// What Mesos says of tasks.
// https://mesos.apache.org/documentation/latest/task-state-reasons/

#include "common/units.h"
#include "control/fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum effect {
	EFFECT_STARTS,
	EFFECT_RUNS,
	EFFECT_ENDS,
	EFFECT_ENDED,
	EFFECT_OUT_OF_REACH,
	EFFECT_SLAVE_GONE
};

static const struct {
	const char *state;
	enum effect effect;
} effects[] = {
	{"TASK_STAGING", EFFECT_STARTS},
	{"TASK_STARTING", EFFECT_STARTS},
	{"TASK_RUNNING", EFFECT_RUNS},
	{"TASK_KILLING", EFFECT_ENDS},
	{"TASK_FINISHED", EFFECT_ENDED},
	{"TASK_FAILED", EFFECT_ENDED},
	{"TASK_KILLED", EFFECT_ENDED},
	{"TASK_ERROR", EFFECT_ENDED},
	{"TASK_LOST", EFFECT_ENDED},
	{"TASK_DROPPED", EFFECT_ENDED},
	{"TASK_GONE", EFFECT_ENDED}, // the slave is there, the task isn't
	{"TASK_UNREACHABLE", EFFECT_OUT_OF_REACH},
	{"TASK_UNKNOWN", EFFECT_OUT_OF_REACH}, // nor does the master know the slave
	{"TASK_GONE_BY_OPERATOR", EFFECT_SLAVE_GONE},
};

static const char *text_of(const json_t *status, const char *key)
{
	const char *text = json_string_value(json_object_get(status, key));

	return text != NULL ? text : "";
}

const char *fleet_id_of(const json_t *status, const char *key)
{
	return text_of(json_object_get(status, key), "value");
}

// The n-th end in a row: at once, then doubling.
static int64_t back_off(const struct spec *spec, uint64_t failures)
{
	uint64_t delay = spec->backoff_ns;

#ifdef MUTANT_FLEET_UNDAMPED
	return 0;
#endif
	if (failures <= 1)
		return 0;
	for (uint64_t i = 2; i < failures && delay < spec->backoff_max_ns; i++)
		delay *= 2;
	return (int64_t)(delay < spec->backoff_max_ns ? delay : spec->backoff_max_ns);
}

static void forget_task(struct receiver *r)
{
	r->task_id[0] = '\0';
	r->agent_id[0] = '\0';
	r->sent = false;
	r->reconciled = false;
}

void fleet_forget(struct receiver *r, int64_t now_ns)
{
	if (r->task_id[0] == '\0')
		return;
	forget_task(r);
	r->next_launch_ns = 0;
	fleet_state(r, RECEIVER_WAITING, now_ns, "its framework was removed");
}

static void failed(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	char text[UNITS_TEXT_BYTES];
	int64_t delay;

	r->failures++;
	delay = back_off(&fleet->spec, r->failures);
	r->next_launch_ns = now_ns + delay;
	history_add(&fleet->history, now_ns, delay > 0 ? "damp" : "relaunch", r->name, r->slave,
		"%s%s%s%s%s; launched again %s%s", r->task_state, r->reason[0] != '\0' ? ", " : "",
		r->reason, r->message[0] != '\0' ? ": " : "", r->message,
		delay > 0 ? "after " : "at once",
		delay > 0 ? units_duration_text((uint64_t)delay, text) : "");
	fleet_state(r, RECEIVER_WAITING, now_ns, "%s: %s", r->task_state, r->message);
}

static void ended(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	bool wanted = r->state == RECEIVER_ENDING;

	forget_task(r);
	if (!wanted) {
		failed(fleet, r, now_ns);
		return;
	}
	r->restart = false;
	r->next_launch_ns = 0;
	fleet_state(r, RECEIVER_WAITING, now_ns, "ended as it was told: %s", r->task_state);
}

static void out_of_reach(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	if (r->state == RECEIVER_UNREACHABLE)
		return;
	history_add(&fleet->history, now_ns, "unreachable", r->name, r->slave,
		"%s: it is waited for, then replaced", r->task_state);
	fleet_state(r, RECEIVER_UNREACHABLE, now_ns, "%s: %s", r->task_state, r->message);
}

static void runs(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	if (r->state == RECEIVER_RUNNING || r->state == RECEIVER_ENDING)
		return;
	if (r->state == RECEIVER_UNREACHABLE)
		history_add(&fleet->history, now_ns, "back", r->name, r->slave,
			"its slave is reached again%s",
			r->retiring ? ": it gives its log away" : "");
	r->volume_made = r->volume[0] != '\0';
	fleet_state(r, RECEIVER_RUNNING, now_ns, "runs");
}

static void apply(struct fleet *fleet, struct receiver *r, enum effect effect, int64_t now_ns)
{
	switch (effect) {
	case EFFECT_STARTS:
		if (r->state == RECEIVER_UNREACHABLE)
			fleet_state(r, RECEIVER_LAUNCHING, now_ns, "starts");
		break;
	case EFFECT_RUNS:
		runs(fleet, r, now_ns);
		break;
	case EFFECT_ENDS:
		break;
	case EFFECT_ENDED:
		ended(fleet, r, now_ns);
		break;
	case EFFECT_OUT_OF_REACH:
		out_of_reach(fleet, r, now_ns);
		break;
	case EFFECT_SLAVE_GONE:
		forget_task(r);
		fleet_remove(fleet, r, now_ns,
			"its slave is gone for good, by the operator's word, and its log with it");
		break;
	}
}

bool fleet_update(struct fleet *fleet, const json_t *status, int64_t now_ns)
{
	const char *state = text_of(status, "state");
	struct receiver *r = fleet_find_task(fleet, fleet_id_of(status, "task_id"));
	size_t i = 0;

	while (i < sizeof(effects) / sizeof(effects[0]) && strcmp(effects[i].state, state) != 0)
		i++;
	if (i == sizeof(effects) / sizeof(effects[0]))
		return true; // a state that a later Mesos has: nothing follows
	if (r == NULL)
		return effects[i].effect >= EFFECT_ENDED;
	r->changed = r->changed || strcmp(r->task_state, state) != 0;
	snprintf(r->task_state, sizeof(r->task_state), "%s", state);
	snprintf(r->reason, sizeof(r->reason), "%s", text_of(status, "reason"));
	snprintf(r->message, sizeof(r->message), "%.200s", text_of(status, "message"));
	r->reconciled = true;
	apply(fleet, r, effects[i].effect, now_ns);
	return true;
}
