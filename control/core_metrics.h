// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The counters of millrace-control, for /metrics. Those of the fleet are of the leader, and zero
// elsewhere. X(name, kind, help)
#define CONTROL_COUNTERS(X) \
	X(leads, COUNTER_GAUGE, "1: this process leads") \
	X(zookeeper_connected, COUNTER_GAUGE, "1: the session with ZooKeeper lives") \
	X(zookeeper_silence_ms, COUNTER_GAUGE, \
		"since the last request that was answered had been sent") \
	X(mesos_subscribed, COUNTER_GAUGE, "1: Mesos sends offers and statuses") \
	X(placement_frozen, COUNTER_GAUGE, "1: of the leader, nothing can be placed now") \
	X(receivers_wanted, COUNTER_GAUGE, "receivers that were applied") \
	X(receivers_running, COUNTER_GAUGE, "receivers whose task runs") \
	X(receivers_registered, COUNTER_GAUGE, \
		"receivers that say of themselves that they are well") \
	X(receivers_launching, COUNTER_GAUGE, "receivers whose task is launched") \
	X(receivers_waiting, COUNTER_GAUGE, "receivers without a task") \
	X(receivers_unreachable, COUNTER_GAUGE, "receivers whose slave Mesos doesn't reach") \
	X(receivers_ending, COUNTER_GAUGE, "receivers whose task was told to end") \
	X(receivers_retiring, COUNTER_GAUGE, "receivers that are to go") \
	X(alarms, COUNTER_GAUGE, "what somebody should look at: millrace cluster status") \
	X(elections_won, COUNTER_TOTAL, "times that this process was elected") \
	X(leads_lost, COUNTER_TOTAL, "times that it led no more") \
	X(decisions, COUNTER_TOTAL, "decisions with a reason in the history") \
	X(writes, COUNTER_TOTAL, "transactions that ZooKeeper has stored") \
	X(writes_failed, COUNTER_TOTAL, \
		"transactions that weren't stored, by a leader that is none any more or else") \
	X(launches, COUNTER_TOTAL, "tasks that Mesos was told to launch") \
	X(kills, COUNTER_TOTAL, "tasks that Mesos was told to end") \
	X(mesos_connects, COUNTER_TOTAL, "subscriptions to a master that were tried") \
	X(mesos_disconnects, COUNTER_TOTAL, "subscriptions that ended") \
	X(mesos_calls, COUNTER_TOTAL, "calls to the master") \
	X(mesos_calls_failed, COUNTER_TOTAL, "calls of which nobody knows what came of them") \
	X(mesos_calls_refused, COUNTER_TOTAL, "calls that the master didn't take") \
	X(mesos_events, COUNTER_TOTAL, "events from the master") \
	X(mesos_offers, COUNTER_TOTAL, "offers from the master") \
	X(mesos_records_malformed, COUNTER_TOTAL, "records of the master that can't be read") \
	X(mesos_silences, COUNTER_TOTAL, "subscriptions given up because heartbeats were missing")

struct core;

// Registers them; once for each process, as 'core' is one.
void metrics_open(struct core *core);
void metrics_close(struct core *core);
void metrics_update(struct core *core); // after each step

#define X(name, kind, help) CONTROL_##name,
enum control_counter { CONTROL_COUNTERS(X) CONTROL_COUNT };
#undef X
