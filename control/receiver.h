// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A receiver as the control process keeps it: a name, the slave that has its log, and the task that
// runs it now. It outlives its tasks; it ends when its log has nothing more to give.

#include "control/resources.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define RECEIVER_NAME_MAX 32
#define RECEIVER_TEXT_MAX 256

enum receiver_state {
	RECEIVER_WAITING,     // no task: for an offer, or for its time
	RECEIVER_LAUNCHING,   // its task is stored, and perhaps sent
	RECEIVER_RUNNING,     // TASK_RUNNING
	RECEIVER_ENDING,      // its task is told to end
	RECEIVER_UNREACHABLE, // Mesos doesn't reach the slave, or doesn't know what became of the
			      // task
	RECEIVER_STATES
};

struct receiver {
	char name[RECEIVER_NAME_MAX];
	char slave[RECEIVER_TEXT_MAX];    // hostname; "": its log is nowhere yet
	char log_path[RECEIVER_TEXT_MAX]; // there; relative to the sandbox: in the volume
	char volume[RECEIVER_TEXT_MAX];   // Mesos' id of the persistent volume; "": a host path
	bool volume_made;                 // a task has run with it
	bool retiring;                    // gives its batches away and ends, then is no more
	bool moving;                      // ... once another runs in its place
	bool restart;                     // is to be ended once, when its turn comes
	enum receiver_state state;
	int64_t since_ns; // real time, as all times here: of the state
	char task_id[RECEIVER_TEXT_MAX], agent_id[RECEIVER_TEXT_MAX]; // "": no task
	char task_state[32];                                          // Mesos' word
	char reason[64], message[RECEIVER_TEXT_MAX];                  // of the last update
	char why[RECEIVER_TEXT_MAX];                                  // it is as it is, for people
	struct resources taken;                                       // of the last task
	uint64_t version; // of the desired state that the last task was launched for
	uint64_t launches;
	uint64_t failures;      // ends in a row that count for the back-off
	int64_t next_launch_ns; // not before; 0: any time
	bool closed;            // its last task was launched to take no events any more
	bool drained;           // nothing of its log was undelivered when it ended
	json_t *attributes;     // of the slave, when the task was launched; NULL: never was
	// Not stored:
	json_t *live;      // its registration; NULL: none
	bool changed;      // is to be stored
	bool reconciled;   // the master has said something of its task since it was subscribed to
	bool sent;         // the launch was sent by this leader
	int64_t killed_ns; // KILL was sent last; 0: it wasn't
	struct receiver *next;
};

struct receiver *receiver_new(const char *name);
void receiver_free(struct receiver *receiver);

// What is kept of it. The reader takes what the writer gave; -EINVAL else.
json_t *receiver_write(const struct receiver *receiver);
int receiver_read(const json_t *json, struct receiver **ret);

// Whether its registration is there, and of the task that it has now; and says that its millraced
// has not answered yet, or that it is well.
bool receiver_registered(const struct receiver *receiver);
bool receiver_starting(const struct receiver *receiver);
bool receiver_well(const struct receiver *receiver);

const char *receiver_state_text(enum receiver_state state);
