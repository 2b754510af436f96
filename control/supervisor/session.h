// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A session with ZooKeeper, by the blocking calls of its multi-threaded client. Only for a thread
// that may wait.

#include "control/supervisor/task.h"

#include <pthread.h>
#include <zookeeper/zookeeper.h>

enum session_state {
	SESSION_CONNECTING,
	SESSION_CONNECTED,
	SESSION_OVER, // expired, or refused: to be closed
};

struct session {
	zhandle_t *handle; // NULL: none
	const struct ACL_vector *acl;
	const struct ACL_vector *shown_acl; // of what everybody may read
	// Both the owner's; 'changed' is broadcast when the state changes or a watch fires.
	pthread_mutex_t *lock;
	pthread_cond_t *changed;
	enum session_state state; // under 'lock'
	bool refused;             // under 'lock': it is over because its credentials are
	bool watch_fired;         // under 'lock'
};

// 0: it connects by itself. -EINVAL: 'servers' can't be resolved or are none; -EACCES and the like:
// the file of credentials is missing or is none. why: TASK_WHY_BYTES.
int session_open(struct session *session, const struct task *task, char *why);
void session_close(struct session *session); // ends it in ZooKeeper too, where that answers

enum session_state session_state(struct session *session);

// Makes the nodes above 'path'; everybody may read the last of them. ZooKeeper's code.
int session_make_parents(struct session *session, const char *path);

// To be given to the client's calls: fires session->watch_fired.
void session_watch(zhandle_t *handle, int type, int state, const char *path, void *arg);
