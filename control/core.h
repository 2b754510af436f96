// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What millrace-control is: the fleet of the leader, and what joins it to ZooKeeper, to Mesos and
// to the API. All but the last section of struct core is the loop's thread's own.
//
// Every decision goes the same way: core_step() lets the fleet decide, stores what has changed in
// one transaction, and does what follows from it (calls to Mesos, answers to commands) when that is
// stored.

#include "common/counters.h"
#include "control/api.h"
#include "control/conf.h"
#include "control/core_metrics.h"
#include "control/election.h"
#include "control/fleet.h"
#include "control/leading.h"
#include "control/loop.h"
#include "control/mesos/scheduler.h"
#include "control/store.h"
#include "control/watching.h"
#include "control/zk.h"

#include <pthread.h>

struct core_offer {
	struct core_offer *next;
	json_t *json; // as Mesos made it
	json_t *attributes;
	struct placement_offer offer;
	bool taken; // by a launch
};

enum core_action_kind {
	ACTION_LAUNCH,
	ACTION_KILL,
	ACTION_ACKNOWLEDGE,
	ACTION_ANSWER,
	ACTION_RESET
};

// To be done when what it follows from is stored.
struct core_action {
	struct core_action *next;
	enum core_action_kind kind;
	json_t *json; // LAUNCH: {"offers":[…],"operations":[…]}; ACKNOWLEDGE: the status; ANSWER:
		      // its data
	char task_id[RECEIVER_TEXT_MAX], agent_id[RECEIVER_TEXT_MAX]; // KILL
	double grace_seconds;                                         // KILL
	uint64_t ticket;                                              // ANSWER
};

struct core_ticket {
	struct core_ticket *next;
	uint64_t number;
	bool done, forgotten;
	unsigned status;
	json_t *data;
	char error[256];
};

enum core_framework {
	FRAMEWORK_OFF,
	FRAMEWORK_CONNECTING,
	FRAMEWORK_SUBSCRIBED,
	FRAMEWORK_FAILED_OVER,
	FRAMEWORK_REMOVED,
	FRAMEWORK_REFUSED
};

struct core {
	struct conf conf;
	char root[ZK_PATH_BYTES / 2], address[ELECTION_ADDRESS_BYTES];
	struct loop *loop;
	struct zk *zk;
	struct election *election;
	struct store *store;
	struct leading *leading;
	struct mesos *mesos;
	struct watching *live;
	struct api *api;

	bool leads;  // won, and not lost since
	bool loaded; // ... and the state is here
	bool load_failed;
	struct fleet fleet;
	char framework_id[MESOS_ID_BYTES]; // "": none yet
	bool framework_changed;
	json_t *senders; // as stored last; NULL: not known
	enum core_framework framework;
	bool framework_failed; // a try to subscribe, of those since it was lost
	char framework_why[MESOS_WHY_BYTES], master[CONFIG_PATH_MAX];
	bool suppressed;
	unsigned due; // receivers that waited for offers after the last placing
	struct core_offer *offers;
	json_t *declined;            // their ids, of those of which Mesos will be told
	struct core_action *actions; // of the step that is being stored next, in order
	struct loop_timer step, reconcile, retry, decline, show;
	unsigned reconciliations; // since it was subscribed
	int64_t zookeeper_since_ns;
	struct counter_set set;
	uint64_t values[CONTROL_COUNT]; // the loop's thread writes them

	uint64_t shown_ns; // loop_now_ns() of the views

	// Between the loop's thread and the API's.
	pthread_mutex_t lock;
	json_t *views[API_VIEWS];
	bool leader_here, leader_known;
	uint64_t lease_ends_ns; // of leader_here: the loop may have been stopped since
	char leader_name[ELECTION_NAME_BYTES], leader_address[ELECTION_ADDRESS_BYTES];
	bool well;
	char well_why[256];
	struct core_ticket *tickets;
	uint64_t last_ticket;
};

int64_t core_now_ns(void);              // real time
void core_step(struct core *core);      // at once
void core_step_soon(struct core *core); // from handlers: once the loop gets to it
void core_step_within(struct core *core, uint64_t delay_ns); // ... with what comes until then

// core_actions.c. 'json' is taken over; NULL on lack of memory: what was to be done is left, and
// found again by reconciliation.
struct core_action *core_act(struct core *core, enum core_action_kind kind, json_t *json);
void core_store(struct core *core); // what has changed, and then the actions
void core_drop_actions(struct core *core, struct core_action *actions);
void core_launch_now(struct core *core, const json_t *json); // of a launch that is stored

// core_lead.c
void core_won(void *arg);
void core_lost(void *arg, const char *why);
void core_load_again(void *arg);
void core_load(struct core *core); // forgets all, and reads what is stored

// core_mesos.c
extern const struct mesos_handlers core_mesos_handlers;
void core_mesos_start(struct core *core);
void core_mesos_stop(struct core *core);
void core_reconcile(void *arg);

// core_offers.c
void core_offers_take(struct core *core, const json_t *offers);
void core_offers_rescind(struct core *core, const char *id);
void core_offers_decline(void *arg); // those that nothing took
void core_offers_drop(struct core *core);
void core_place(struct core *core);

// core_launch.c: the operations of a launch; NULL on lack of memory.
json_t *core_launch(const struct core *core, const struct receiver *r, const struct placement *p);

// core_commands.c: in the loop's thread
void core_command(struct core *core, uint64_t ticket, const char *name, json_t *body);

// core_tickets.c: the API's side
extern const struct api_core core_api; // but for its arg
void core_answer(
	struct core *core, uint64_t ticket, unsigned status, json_t *data, const char *error);
void core_answer_all(struct core *core, unsigned status, const char *error); // those that wait

void core_tickets_free(struct core *core);

// core_show.c: makes the views anew: at once, or soon, which is for what comes often
void core_show(struct core *core);
const char *core_frozen(const struct core *core); // why nothing can be placed; NULL: it can

void core_show_soon(struct core *core);
