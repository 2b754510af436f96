// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Which of the processes leads. Each has an ephemeral sequential node under ROOT/election; the
// lowest leads, every other watches the one before its own. The node's name begins with random
// bits, by which a creation whose answer was lost is found again.
// https://zookeeper.apache.org/doc/current/recipes.html#sc_leaderElection
//
// Leadership ends by this process's own clock (CLOCK_BOOTTIME) when the last request that was
// answered had been sent two thirds of the session timeout ago: before the ensemble can have given
// it to another. What is being written then is stopped by a check on the node, which every write
// carries.

#include "control/zk.h"

#include <stdbool.h>

#define ELECTION_NAME_BYTES 64
#define ELECTION_ADDRESS_BYTES 256

struct election;

struct election_options {
	struct loop *loop;
	struct zk *zk;
	const char *root;       // "/millrace/CLUSTER"
	const char *name;       // of this process, for people
	const char *address;    // where its API is: "https://…" or "unix:…"
	void (*won)(void *arg); // all that is known of the state is to be read anew
	void (*lost)(void *arg, const char *why);
	void *arg;
};

int election_new(struct election **ret, const struct election_options *options);
// After zk_close() and the loop's last turn. NULL is fine.
void election_free(struct election *election);

// The owner passes the session's states on.
void election_session(struct election *election, enum zk_state state);

// By the clock, now. Asked before each call that changes anything.
bool election_leads(const struct election *election);

// loop_now_ns() from which it doesn't, unless ZooKeeper answers meanwhile.
uint64_t election_lease_ends_ns(const struct election *election);

// The path that a write of the leader checks.
const char *election_node(const struct election *election);

// Who leads, as last seen: false when nobody is known to. Each of the sizes above.
bool election_leader(const struct election *election, char *ret_name, char *ret_address);
