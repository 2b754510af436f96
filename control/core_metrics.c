// SPDX-License-Identifier: BSD-3-Clause

#include "control/core_metrics.h"

#include "control/core.h"

#include <string.h>

#define NS_PER_MS 1000000u

static const struct counter_def defs[CONTROL_COUNT] = {
#define X(name, kind, help) {#name, help, kind, ROLE_NONE},
	CONTROL_COUNTERS(X)
#undef X
};

void metrics_open(struct core *core)
{
	core->set = (struct counter_set){.subsystem = "control",
		.defs = defs,
		.values = core->values,
		.count = CONTROL_COUNT};
	counters_register(&core->set);
}

void metrics_close(struct core *core)
{
	counters_unregister(&core->set);
}

static void count_receivers(struct core *core)
{
	static const enum control_counter of_state[RECEIVER_STATES] = {
		[RECEIVER_WAITING] = CONTROL_receivers_waiting,
		[RECEIVER_LAUNCHING] = CONTROL_receivers_launching,
		[RECEIVER_RUNNING] = CONTROL_receivers_running,
		[RECEIVER_ENDING] = CONTROL_receivers_ending,
		[RECEIVER_UNREACHABLE] = CONTROL_receivers_unreachable,
	};
	struct fleet_counts counts = fleet_count(&core->fleet);

	for (unsigned i = 0; i < RECEIVER_STATES; i++)
		counter_set(&core->values[of_state[i]], counts.states[i]);
	counter_set(&core->values[CONTROL_receivers_retiring], counts.retiring);
	counter_set(&core->values[CONTROL_receivers_registered], counts.well);
	counter_set(&core->values[CONTROL_receivers_wanted],
		core->fleet.applied ? core->fleet.spec.count : 0);
}

static void copy_mesos(struct core *core)
{
	const struct mesos_counters *c = mesos_counters(core->mesos);

	counter_set(&core->values[CONTROL_mesos_connects], c->connects);
	counter_set(&core->values[CONTROL_mesos_disconnects], c->disconnects);
	counter_set(&core->values[CONTROL_mesos_calls], c->calls);
	counter_set(&core->values[CONTROL_mesos_calls_failed], c->calls_failed);
	counter_set(&core->values[CONTROL_mesos_calls_refused], c->calls_refused);
	counter_set(&core->values[CONTROL_mesos_events], c->events);
	counter_set(&core->values[CONTROL_mesos_offers], c->offers);
	counter_set(&core->values[CONTROL_mesos_records_malformed], c->records_malformed);
	counter_set(&core->values[CONTROL_mesos_silences], c->silences);
}

void metrics_update(struct core *core)
{
	uint64_t last = zk_last_reply_ns(core->zk);

	counter_set(&core->values[CONTROL_leads], core->loaded && election_leads(core->election));
	counter_set(&core->values[CONTROL_zookeeper_connected], zk_state(core->zk) == ZK_CONNECTED);
	counter_set(&core->values[CONTROL_zookeeper_silence_ms],
		last != 0 ? (loop_now_ns() - last) / NS_PER_MS : 0);
	counter_set(
		&core->values[CONTROL_mesos_subscribed], core->framework == FRAMEWORK_SUBSCRIBED);
	counter_set(
		&core->values[CONTROL_placement_frozen], core->leads && core_frozen(core) != NULL);
	counter_set(&core->values[CONTROL_decisions], core->fleet.history.last);
	count_receivers(core);
	copy_mesos(core);
}
