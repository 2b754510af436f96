// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The node in ZooKeeper: made, kept current, made anew in a new session, in a thread of its own.
// Nothing else ever waits for it.

#include "control/supervisor/task.h"

struct registration;

// The node is made when there is something to be said in it. 'task' must stay. Negative errno.
int register_start(struct registration **ret, const struct task *task);

// What the node is to hold, from now on; copied. Any thread; never waits. -ENOMEM.
int register_publish(struct registration *registration, const char *text);

// Removes the node, by ending the session. Waits for it at most so long; then ZooKeeper does it
// when the session times out, and the registration is leaked to the process's end.
void register_stop(struct registration *registration, uint64_t patience_ns);
