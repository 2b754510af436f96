// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A Mesos framework's side of the v1 scheduler API: SUBSCRIBE's stream (RecordIO of JSON) and the
// calls, over libcurl in the loop's thread. It finds the leading master (redirects are followed),
// watches heartbeats, reconnects with back-off and jitter, waits out a recovering master's 503, and
// never sends TEARDOWN. What to do with offers and tasks is the owner's.
//
// https://mesos.apache.org/documentation/latest/scheduler-http-api/

#include "control/loop.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define MESOS_ID_BYTES 256
#define MESOS_WHY_BYTES 512

struct mesos;

struct mesos_options {
	struct loop *loop;
	const char *principal, *secret; // Basic authentication; NULL: none
	const char *ca; // file of certificates: masters are spoken to by https; NULL: http
	const char *name, *user, *role; // of the framework
	const char *hostname;           // of this process, as the master's pages show it
	const char *webui_url;          // NULL: none
	double failover_timeout;        // seconds for which tasks outlive a lost framework
	uint64_t heartbeat_misses;      // so many heartbeat intervals of silence: reconnects
	uint64_t backoff_ns, backoff_max_ns;
	uint64_t answer_ns; // a master that takes longer than this is given up; 0: 10 s
};

enum mesos_end {
	MESOS_FAILED_OVER, // another scheduler has subscribed with this framework id
	MESOS_REMOVED,     // the master knows this id as completed: its tasks are gone
	MESOS_REFUSED,     // 401, 403: credentials or role
};

// All in the loop's thread. What is handed over is borrowed. They may make any call of this header
// but mesos_free().
struct mesos_handlers {
	void (*subscribed)(void *arg, const char *framework_id, const char *master);
	// A try to subscribe failed; others follow. NULL: the log alone tells.
	void (*failed)(void *arg, const char *why);
	void (*offers)(void *arg, const json_t *offers); // array
	void (*rescinded)(void *arg, const char *offer_id);
	void (*update)(void *arg, const json_t *status); // TaskStatus; acknowledged by the owner
	void (*agent_lost)(void *arg, const char *agent_id);
	// The stream is gone, all offers with it; it reconnects by itself. Once for each
	// subscribed(), unless ended() comes instead or mesos_stop() was called.
	void (*disconnected)(void *arg, const char *why);
	// ... but not after this. mesos_start() begins anew.
	void (*ended)(void *arg, enum mesos_end end, const char *why);
	// Asked when a call that changes anything is made, and again when it is sent, which is
	// later when others wait before it; and before subscribing, which takes the framework from
	// whoever has it. False keeps it from being sent; subscribing is tried again. NULL: always
	// true.
	bool (*may)(void *arg);
};

int mesos_new(struct mesos **ret, const struct mesos_options *options,
	const struct mesos_handlers *handlers, void *arg); // options are copied
void mesos_free(struct mesos *mesos);

// Where masters are: "host:port[,host:port…]", any of them. May be set again whenever it changes:
// the stream is moved when neither its master is in the list any more, nor the one that redirected
// to it (then disconnected() is called within). "": none is known. -EINVAL, -E2BIG: malformed,
// nothing is changed.
int mesos_set_masters(struct mesos *mesos, const char *masters);

// Begins to subscribe, anew when it had begun; framework_id "": registers a new framework. -EINVAL:
// the id is too long.
int mesos_start(struct mesos *mesos, const char *framework_id);
// Closes the stream. Tasks stay.
void mesos_stop(struct mesos *mesos);
bool mesos_connected(const struct mesos *mesos); // subscribed, and the stream lives

// The calls. 0; -ENOTCONN: no stream, nothing was sent; -EPERM: 'may' said no; -ENOMEM. A call that
// the master refuses, or that gets lost, is logged and counted: reconciliation finds what came of
// it. They reach the master in the order in which they were made; -ENOBUFS: too many wait already.
// 'operations' is taken over; NULL is -ENOMEM.
int mesos_accept(struct mesos *mesos, const char *const *offer_ids, unsigned count,
	json_t *operations, double refuse_seconds);
int mesos_decline(
	struct mesos *mesos, const char *const *offer_ids, unsigned count, double refuse_seconds);
int mesos_suppress(struct mesos *mesos);
int mesos_revive(struct mesos *mesos);
int mesos_kill(
	struct mesos *mesos, const char *task_id, const char *agent_id, double grace_seconds);
int mesos_acknowledge(struct mesos *mesos, const json_t *status); // nothing to do without a uuid: 0
// Implicit when tasks is NULL; else an array of {"task_id":{"value"},"agent_id":{"value"}}, taken
// over.
int mesos_reconcile(struct mesos *mesos, json_t *tasks);

struct mesos_counters {
	uint64_t connects, disconnects, calls, calls_failed, calls_refused, events, offers,
		heartbeats, records_malformed, silences;
	uint64_t calls_dropped; // never sent: the stream ended before, or 'may' said no
};
const struct mesos_counters *mesos_counters(const struct mesos *mesos);
