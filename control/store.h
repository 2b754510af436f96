// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The leader's state in ZooKeeper, as JSON:
//
//   ROOT/desired           what was applied, the slaves that drain, the next receiver's number
//   ROOT/framework         the framework's id
//   ROOT/history           the latest decisions
//   ROOT/receivers/NAME    each receiver: its slave, its log, its task
//   ROOT/senders           which receivers to leave; senders, who have no credentials, may read it
//   ROOT/live/NAME         ephemeral, written by the receiver's supervisor
//
// Writes are transactions with a check on the election node: of a leader that is none any more,
// none is done. One is under way at a time, in order; one whose answer was lost is done again,
// which is harmless: it says what the nodes shall be, and nobody else writes them.

#include "control/zk.h"

#include <jansson.h>

#define STORE_SENDERS "senders"

struct store;

int store_new(struct store **ret, struct loop *loop, struct zk *zk, const char *root);
void store_free(struct store *store);

// The writes' check from now on; "" : not the leader, what waits is dropped, and answered with
// -ECANCELED when it was told of.
void store_lead(struct store *store, const char *election_node);

// ROOT/desired, ROOT/framework, ROOT/history by their names and each receiver by receivers/NAME.
// Calls 'node' for each that is there, then 'done'. What isn't JSON is -EBADMSG, and names the
// path.
struct store_reader {
	void (*node)(void *arg, const char *name, const json_t *json);
	void (*done)(void *arg, int err, const char *path);
	void *arg;
};
int store_read(struct store *store, const struct store_reader *reader);

// To be written together: gathered until store_commit(). json NULL: the node is removed. The json
// is borrowed. -ENOMEM; -ENOSPC when there are too many for one transaction: commit first.
int store_put(struct store *store, const char *name, const json_t *json);

// done(arg, 0) once the servers have it; else negative errno. With nothing gathered, after what is
// under way. 'done' NULL is fine.
int store_commit(struct store *store, void (*done)(void *arg, int err), void *arg);

unsigned store_pending(const struct store *store); // transactions not answered yet
