// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Two places in ZooKeeper that the leader follows: where Mesos' masters are, and which receivers
// are registered.

#include "control/zk.h"

#include <jansson.h>

// The children of a node and, of each that begins with 'prefix', its content, for as long as it is
// followed. Of a session that expired all is asked again.
struct watching;

struct watching_options {
	struct loop *loop;
	struct zk *zk;
	const char *path, *prefix;
	// A child has appeared or has other content, JSON NULL when it is none; or has gone.
	void (*changed)(void *arg, const char *name, const json_t *json);
	void (*gone)(void *arg, const char *name);
	void *arg;
};

int watching_new(struct watching **ret, const struct watching_options *options);
// After zk_close() and the loop's last turn: the session may hold its watches until then. NULL is
// fine.
void watching_free(struct watching *watching);

// The owner passes the session's states on: what was known stays known until it is read anew.
void watching_session(struct watching *watching, enum zk_state state);

// Calls for each child, by name.
void watching_each(const struct watching *watching,
	void (*fn)(void *arg, const char *name, const json_t *json), void *arg);
