// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A session with ZooKeeper, for the loop's thread: requests don't block, and answers, watches and
// changes of the session's state arrive in the loop. When a session has expired a new one is begun
// by itself; what was of the old one (ephemeral nodes, watches) its owner makes anew.

#include "control/loop.h"

#include <stddef.h>
#include <stdint.h>

#define ZK_PATH_BYTES 512
#define ZK_OPS_MAX 128

struct zk;

enum zk_state {
	ZK_CONNECTING, // or connecting again: the session may still live
	ZK_CONNECTED,
	ZK_EXPIRED, // a new session is being begun
	ZK_DENIED,  // the servers don't take the credentials; tried again
};

struct zk_options {
	struct loop *loop;
	const char *servers; // "host:port,…"
	const char *auth;    // "user:password" for digest; NULL: none, nodes are open to all
	uint64_t session_timeout_ns;
	void (*state)(void *arg, enum zk_state state); // NULL is fine
	void *arg;
};

int zk_open(struct zk **ret, const struct zk_options *options);

// Ends the session: its ephemeral nodes go at once, when the ensemble can be reached. No callback
// comes any more, nor of requests under way.
void zk_close(struct zk *zk); // NULL is fine
void zk_free(struct zk *zk);  // after that, and after the loop's last turn; NULL is fine

enum zk_state zk_state(const struct zk *zk);
uint64_t zk_session_timeout_ns(const struct zk *zk); // as negotiated

// loop_now_ns() of the moment in which the latest request that a server has answered was sent: the
// session lived then, by this process's own clock. 0: none yet.
uint64_t zk_last_reply_ns(const struct zk *zk);

struct zk_answer {
	int err; // 0; -ENOENT, -EEXIST, -ENOTEMPTY, -ESTALE (version), -EACCES; -ECONNRESET: lost,
		 // may have been done; -ESHUTDOWN: session over; -EIO: all else
	const char *value; // get: the content; create: the path. A zero byte behind it
	size_t len;
	const char *const *names; // children, in no order
	unsigned count;
	unsigned failed; // multi: the operation that 'err' is of
};

// Borrowed, for the call. May free whatever it likes.
typedef void (*zk_done)(void *arg, const struct zk_answer *answer);

// Embedded in its owner, which outlives the session. fn: once for each time that it was set and
// what is watched has changed.
struct zk_watch {
	struct zk *zk; // set by the request
	void (*fn)(void *arg);
	void *arg;
};

// Each: 0, or negative errno, and then 'done' isn't called. 'watch' NULL: none.
int zk_get(struct zk *zk, const char *path, struct zk_watch *watch, zk_done done, void *arg);
int zk_children(struct zk *zk, const char *path, struct zk_watch *watch, zk_done done, void *arg);
int zk_exists(struct zk *zk, const char *path, struct zk_watch *watch, zk_done done, void *arg);

enum zk_kind { ZK_CREATE, ZK_SET, ZK_DELETE, ZK_CHECK };
#define ZK_EPHEMERAL 1u
#define ZK_SEQUENCE 2u

int zk_create(struct zk *zk, const char *path, const char *value, size_t len, unsigned flags,
	zk_done done, void *arg);

// Any version is fine: writers are told apart by the election.
struct zk_op {
	enum zk_kind kind;
	const char *path, *value;
	size_t len;
	bool everybody; // CREATE: may be read by those who haven't the credentials, too
};

// All or nothing. Borrowed for the call.
int zk_multi(struct zk *zk, const struct zk_op *ops, unsigned count, zk_done done, void *arg);

// Makes the node and those above it, empty, where they are missing.
int zk_make_path(struct zk *zk, const char *path, zk_done done, void *arg);
