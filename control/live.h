// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a running receiver says of itself in ZooKeeper: ROOT/live/NAME, an ephemeral node that its
// supervisor keeps. Written there, read by the control process and by senders;
// docs/schema/live.1.json.

#include "common/config.h"

#include <jansson.h>

#include <netinet/in.h>

#define LIVE_SCHEMA "millrace.live/1"
#define LIVE_DIR "live" // below the cluster's node
#define LIVE_TEXT_BYTES 256
#define LIVE_TIME_BYTES 40
#define LIVE_LOG_ID_BYTES 33
#define LIVE_ADDRESSES_MAX 16 // of a listener; more are not registered

enum live_health {
	LIVE_STARTING, // its API doesn't answer yet
	LIVE_OK,
	LIVE_DEGRADED,
	LIVE_FAILED, // can't make events durable, doesn't answer any more, or ends
};

struct live_listener {
	char name[CONFIG_NAME_MAX];
	enum config_kind kind;
	uint16_t udp_port;
	unsigned address_count; // 0: nothing is known by which it can be reached
	char addresses[LIVE_ADDRESSES_MAX][INET6_ADDRSTRLEN];
};

// While it starts: as they were before.
struct live_partition {
	unsigned number;
	char log_id[LIVE_LOG_ID_BYTES]; // 32 hex digits
	uint64_t durable_seq, log_bytes;
};

// Of a sink's partitions together. What is durable and not confirmed; both zero: it has all.
struct live_sink {
	char name[CONFIG_NAME_MAX];
	bool lag_known; // false: it still asks the other side how far it is, or doesn't answer
	uint64_t lag_batches, lag_events;
};

struct live {
	char receiver[CONFIG_NAME_MAX];
	char task_id[LIVE_TEXT_BYTES];
	char hostname[LIVE_TEXT_BYTES];   // the slave, as Mesos names it
	char socket[CONFIG_PATH_MAX];     // of the receiver's API, on that slave
	int pid;                          // of millraced
	char started_at[LIVE_TIME_BYTES]; // of this millraced, RFC 3339 as time_text() writes it
	uint64_t restarts;                // by the supervisor since the task began
	enum live_health health;
	char why[LIVE_TEXT_BYTES]; // the worst cause; "" when ok
	unsigned listener_count;
	struct live_listener *listeners; // allocated
	unsigned partition_count;
	struct live_partition partitions[CONFIG_PARTITIONS_MAX];
	uint64_t packets_per_second, events_per_second, bytes_per_second;
	unsigned sink_count;
	struct live_sink sinks[CONFIG_SINKS_MAX];
};

const char *live_health_text(enum live_health health);

// NULL on lack of memory, or when a text is no UTF-8.
json_t *live_write(const struct live *live);

// What live_write() gave, of this version or a later one that has more fields. 0, and the caller
// frees by live_free(); -EPROTONOSUPPORT: of another schema; -EINVAL: a field is missing or is
// none; -ENOMEM. *ret holds nothing then.
int live_read(const json_t *json, struct live *ret);
void live_free(struct live *live); // what it holds

// The largest lag of a sink, of those that know theirs.
uint64_t live_worst_lag_batches(const struct live *live);

enum live_change {
	LIVE_SAME,
	LIVE_COUNTED, // only positions, load and lags, which change all the time
	LIVE_CHANGED,
};

enum live_change live_compare(const struct live *a, const struct live *b);
