// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The receivers as they are and as they shall be, and what follows from the difference. No clock,
// no I/O: times come as arguments (real time, ns), and what is to be stored or sent is marked.

#include "control/history.h"
#include "control/placement.h"
#include "control/receiver.h"
#include "control/spec.h"

struct fleet {
	bool applied; // there is a desired state
	struct spec spec;
	uint64_t version;           // of it, from 1
	uint64_t next_number;       // of the next receiver: names are never used twice
	json_t *draining;           // hostnames on which nothing is to be
	bool changed;               // the above is to be stored
	struct receiver *receivers; // by their numbers
	struct history history;
	int64_t offers_since_ns; // Mesos' offers come since; 0: they don't
	json_t *removed;         // names of receivers whose nodes are to be removed
};

int fleet_new(struct fleet *ret);
void fleet_free(struct fleet *fleet);

// "desired": all but the receivers and the history.
json_t *fleet_write(const struct fleet *fleet);
int fleet_read(struct fleet *fleet, const json_t *json);
int fleet_add(struct fleet *fleet, const json_t *receiver); // from its node

// For senders: {"schema","move_after_ms","leave":[names of receivers that retire]}.
json_t *fleet_senders(const struct fleet *fleet);

struct fleet_counts {
	unsigned states[RECEIVER_STATES]; // receivers by their task
	unsigned retiring, well;          // of all states; running, and well by their own word
};
struct fleet_counts fleet_count(const struct fleet *fleet);

struct receiver *fleet_find(const struct fleet *fleet, const char *name);
// What a receiver says of itself (its node's content, copied), NULL: nothing any more. False: there
// is no such receiver.
bool fleet_registered(struct fleet *fleet, const char *name, const json_t *live);

struct receiver *fleet_find_task(const struct fleet *fleet, const char *task_id);

// fleet.c: makes the receivers match the desired state: adds, retires, replaces, ends in turn.
// Returns when to look again; INT64_MAX: when something happens.
int64_t fleet_plan(struct fleet *fleet, int64_t now_ns);

bool fleet_drains(const struct fleet *fleet, const char *slave);

// fleet_tasks.c: a task's status as Mesos tells it (TaskStatus). False: it is none of ours that
// shall run, and is to be killed if it runs.
bool fleet_update(struct fleet *fleet, const json_t *status, int64_t now_ns);

// fleet_place.c: whether the receiver is to be launched now; when none is, offers are of no use.
bool fleet_due(const struct fleet *fleet, const struct receiver *receiver, int64_t now_ns);
unsigned fleet_due_count(const struct fleet *fleet, int64_t now_ns);

// Places each receiver that is due; for each that found its place, it is LAUNCHING and launch() is
// called.
void fleet_place(struct fleet *fleet, struct placement_offer *offers, unsigned count,
	int64_t now_ns,
	void (*launch)(void *arg, struct receiver *receiver, const struct placement *placement),
	void *arg);

// fleet_orders.c: what a command asks for. Each adds the names of the receivers it concerns to
// 'names'.
int fleet_apply(struct fleet *fleet, struct spec *spec, int64_t now_ns); // takes the spec over
void fleet_drain(struct fleet *fleet, const char *slave, bool off, int64_t now_ns, json_t *names);
void fleet_replace(struct fleet *fleet, const char *slave, int64_t now_ns, json_t *names);
void fleet_restart(
	struct fleet *fleet, const char *name, int64_t now_ns, json_t *names); // NULL: all

// The task is none any more, whatever Mesos says: its framework was removed, and its tasks with it.
void fleet_forget(struct receiver *receiver, int64_t now_ns);

// The text of an id as Mesos writes it, {KEY: {"value": TEXT}}; "" when there is none.
const char *fleet_id_of(const json_t *json, const char *key);

// Between the files of the fleet.
void fleet_state(struct receiver *r, enum receiver_state state, int64_t now_ns, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
void fleet_retire(struct fleet *fleet, struct receiver *r, bool moving, int64_t now_ns,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
// As many run well as are wanted, without those that retire.
bool fleet_replaced(const struct fleet *fleet);
void fleet_remove(struct fleet *fleet, struct receiver *r, int64_t now_ns, const char *why);
