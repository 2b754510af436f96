// SPDX-License-Identifier: BSD-3-Clause

#include "control/fleet.h"

#include "common/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAUGHT_UP_BATCHES 10 // 2 s of them, as they are cut by default
#define LOOK_NS 1000000000   // while something is awaited that nothing tells of

void fleet_state(
	struct receiver *r, enum receiver_state state, int64_t now_ns, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, args);
	va_end(args);
	if (r->state != state)
		r->since_ns = now_ns;
	r->state = state;
	if (state != RECEIVER_ENDING)
		r->killed_ns = 0;
	r->changed = true;
}

void fleet_retire(
	struct fleet *fleet, struct receiver *r, bool moving, int64_t now_ns, const char *fmt, ...)
{
	char why[RECEIVER_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	r->retiring = true;
	r->moving = moving;
	r->restart = false;
	r->changed = true;
	history_add(&fleet->history, now_ns, "retire", r->name,
		r->slave[0] != '\0' ? r->slave : NULL, "%s", why);
}

void fleet_remove(struct fleet *fleet, struct receiver *r, int64_t now_ns, const char *why)
{
	struct receiver **at = &fleet->receivers;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	json_array_append_new(fleet->removed, json_string(r->name));
	history_add(&fleet->history, now_ns, "remove", r->name,
		r->slave[0] != '\0' ? r->slave : NULL, "%s", why);
	receiver_free(r);
}

bool fleet_drains(const struct fleet *fleet, const char *slave)
{
	const json_t *name;
	size_t i;

	json_array_foreach(fleet->draining, i,
		name) if (strcmp(json_string_value(name), slave) == 0) return true;
	return false;
}

struct fleet_counts fleet_count(const struct fleet *fleet)
{
	struct fleet_counts ret = {0};

	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next) {
		ret.states[r->state]++;
		ret.retiring += r->retiring;
		ret.well += receiver_well(r);
	}
	return ret;
}

struct receiver *fleet_find(const struct fleet *fleet, const char *name)
{
	struct receiver *r = fleet->receivers;

	while (r != NULL && strcmp(r->name, name) != 0)
		r = r->next;
	return r;
}

bool fleet_registered(struct fleet *fleet, const char *name, const json_t *live)
{
	struct receiver *r = fleet_find(fleet, name);

	if (r == NULL)
		return false;
	json_decref(r->live);
	r->live = json_deep_copy(live);
	return true;
}

struct receiver *fleet_find_task(const struct fleet *fleet, const char *task_id)
{
	struct receiver *r = fleet->receivers;

	while (r != NULL && strcmp(r->task_id, task_id) != 0)
		r = r->next;
	return r;
}

// Of each sink, and none has more than so many batches to be given; without a sink there is
// nothing. Which sinks it has is not known before its millraced has answered.
static bool caught_up(const struct receiver *r, json_int_t batches)
{
	const json_t *sink;
	size_t i;

	if (!receiver_registered(r))
		return false;
#ifndef MUTANT_FLEET_STARTING_DRAINED
	if (receiver_starting(r))
		return false;
#endif
	json_array_foreach(json_object_get(r->live, "sinks"), i, sink)
	{
		const json_t *lag = json_object_get(sink, "lag_batches");
		json_int_t events = json_integer_value(json_object_get(sink, "lag_events"));

		// Not known: it still asks the other side.
		if (!json_is_integer(lag) || json_integer_value(lag) > batches ||
			(batches == 0 && events > 0))
			return false;
	}
	return true;
}

static double receives(const struct receiver *r)
{
	return json_number_value(
		json_object_get(json_object_get(r->live, "load"), "events_per_second"));
}

static unsigned number_of(const struct receiver *r)
{
	return (unsigned)strtoul(r->name + 1, NULL, 10);
}

static void add(struct fleet *fleet, int64_t now_ns)
{
	struct receiver **at = &fleet->receivers;
	char name[RECEIVER_NAME_MAX];
	struct receiver *r;

	snprintf(name, sizeof(name), "r%" PRIu64, fleet->next_number);
	r = receiver_new(name);
	if (r == NULL)
		return; // the next plan tries again
	fleet->next_number++;
	fleet->changed = true;
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
	r->since_ns = now_ns;
	fleet_state(r, RECEIVER_WAITING, now_ns, "waits for an offer");
	history_add(&fleet->history, now_ns, "add", r->name, NULL, "%u receivers are wanted",
		fleet->spec.count);
}

// The one to go when there are too many: one that doesn't run, else the youngest.
static struct receiver *surplus(const struct fleet *fleet)
{
	struct receiver *worst = NULL;

	for (struct receiver *r = fleet->receivers; r != NULL; r = r->next) {
		if (r->retiring)
			continue;
		if (worst == NULL || r->state != RECEIVER_RUNNING ||
			worst->state == RECEIVER_RUNNING)
			worst = r;
	}
	return worst;
}

static void match_count(struct fleet *fleet, int64_t now_ns)
{
	unsigned wanted = fleet->applied ? fleet->spec.count : 0, active = 0;

	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		active += !r->retiring;
	for (; active < wanted; active++)
		add(fleet, now_ns);
	for (; active > wanted; active--)
		fleet_retire(
			fleet, surplus(fleet), false, now_ns, "%u receivers are wanted", wanted);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

// Since when the receiver does without its slave although Mesos is there; 0: it doesn't.
static int64_t lost_since(const struct fleet *fleet, const struct receiver *r)
{
#ifndef MUTANT_FLEET_AWAY_COUNTS
	if (fleet->offers_since_ns == 0)
		return 0;
#endif
	if (r->slave[0] == '\0')
		return 0;
	if (r->state == RECEIVER_UNREACHABLE && r->reconciled)
		return r->since_ns;
	if (r->state == RECEIVER_WAITING)
		return later(later(r->since_ns, r->next_launch_ns), fleet->offers_since_ns);
	return 0;
}

static int64_t replace_lost(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	int64_t since = lost_since(fleet, r);
	int64_t due = since + (int64_t)fleet->spec.unreachable_after_ns;
	char text[UNITS_TEXT_BYTES];

	if (r->retiring || since == 0)
		return INT64_MAX;
	if (now_ns < due)
		return due;
	fleet_retire(fleet, r, false, now_ns,
		"its slave has been %s for %s: another takes its place",
		r->state == RECEIVER_UNREACHABLE ? "unreachable" : "without room for it",
		units_duration_text(fleet->spec.unreachable_after_ns, text));
	return INT64_MAX;
}

static void end(struct fleet *fleet, struct receiver *r, int64_t now_ns, const char *why)
{
	fleet_state(r, RECEIVER_ENDING, now_ns, "%s", why);
	history_add(&fleet->history, now_ns, "end", r->name, r->slave, "%s", why);
}

bool fleet_replaced(const struct fleet *fleet)
{
	unsigned running = 0;

	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		running += !r->retiring && receiver_well(r);
	return running >= fleet->spec.count;
}

static void say(struct receiver *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct receiver *r, const char *fmt, ...)
{
	char why[RECEIVER_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	r->changed = r->changed || strcmp(why, r->why) != 0;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

// What it took after its last word would stay in its log, given to nobody: only one that takes
// nothing any more has surely given all of it. Without a sink there is nothing to give.
static void end_given(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	bool has_sinks = json_array_size(json_object_get(r->live, "sinks")) > 0;

	r->drained = r->closed || !has_sinks;
#ifdef MUTANT_FLEET_OPEN_DRAINED
	r->drained = true;
#endif
	end(fleet, r, now_ns,
		r->drained ? "all of its log was given away"
			   : "its sinks have what it took: once more, without taking any");
}

// One that retires: until all of its log has been given away, and, where it moves, until the other
// runs.
static int64_t retire_on(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	if (r->state == RECEIVER_WAITING && (r->slave[0] == '\0' || r->drained)) {
		fleet_remove(fleet, r, now_ns,
			r->drained ? "its log was given to the sinks; its files stay where they are"
				   : "it never ran");
		return INT64_MAX;
	}
	if (r->state != RECEIVER_RUNNING || !receiver_registered(r))
		return INT64_MAX;
	if (r->moving && !fleet_replaced(fleet))
		say(r, "retires when another runs in its place");
	else if (receives(r) > 0)
		say(r, "retires when its senders have left: %.0f events/s", receives(r));
#ifndef MUTANT_FLEET_UNDRAINED
	else if (!caught_up(r, 0))
		say(r, "retires when its sinks have all of its log");
#endif
	else
		end_given(fleet, r, now_ns);
	return now_ns + LOOK_NS;
}

// Who may be ended next for a restart: only while all others are well and their sinks not behind.
static bool all_well_but(const struct fleet *fleet, const struct receiver *except)
{
#ifdef MUTANT_FLEET_RESTARTS_ALL
	return true;
#endif
	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		if (r != except && !r->retiring &&
			(!receiver_well(r) || !caught_up(r, CAUGHT_UP_BATCHES)))
			return false;
	return true;
}

static int64_t restart_next(struct fleet *fleet, int64_t now_ns)
{
	int64_t again = INT64_MAX;

	for (struct receiver *r = fleet->receivers; r != NULL; r = r->next) {
		if (!r->restart)
			continue;
		if (r->state == RECEIVER_WAITING) {
			r->restart = false; // it will be launched as is wanted now
			r->changed = true;
		} else if (r->state == RECEIVER_RUNNING && all_well_but(fleet, r)) {
			end(fleet, r, now_ns, "its turn to be restarted");
			return now_ns + LOOK_NS;
		} else {
			say(r, "waits for its turn to be restarted");
			again = now_ns + LOOK_NS;
		}
	}
	return again;
}

// Good health for long enough ends the back-off.
static int64_t forgive(struct fleet *fleet, struct receiver *r, int64_t now_ns)
{
	int64_t due = r->since_ns + (int64_t)fleet->spec.healthy_after_ns;

	if (r->failures == 0 || !receiver_well(r))
		return INT64_MAX;
	if (now_ns < due)
		return due;
	r->failures = 0;
	r->changed = true;
	return INT64_MAX;
}

static int64_t due_launch(const struct receiver *r, int64_t now_ns)
{
	return r->state == RECEIVER_WAITING && r->next_launch_ns > now_ns ? r->next_launch_ns
									  : INT64_MAX;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t fleet_plan(struct fleet *fleet, int64_t now_ns)
{
	int64_t next = INT64_MAX;

	if (!fleet->applied)
		return next;
	for (struct receiver *r = fleet->receivers; r != NULL; r = r->next) {
		if (!r->retiring && r->slave[0] != '\0' && fleet_drains(fleet, r->slave))
			fleet_retire(fleet, r, true, now_ns, "its slave is drained");
		next = sooner(next, replace_lost(fleet, r, now_ns));
		next = sooner(next, forgive(fleet, r, now_ns));
		next = sooner(next, due_launch(r, now_ns));
	}
	match_count(fleet, now_ns);
	for (struct receiver *r = fleet->receivers, *after; r != NULL; r = after) {
		after = r->next;
		if (r->retiring)
			next = sooner(next, retire_on(fleet, r, now_ns));
	}
	return sooner(next, restart_next(fleet, now_ns));
}

int fleet_add(struct fleet *fleet, const json_t *json)
{
	struct receiver **at = &fleet->receivers, *r;
	int err = receiver_read(json, &r);

	if (err != 0)
		return err;
	while (*at != NULL && number_of(*at) < number_of(r))
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	return 0;
}
