// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The configuration of this receiver: that of all receivers, with what Mesos gave to this one.

#include "control/supervisor/task.h"

#define EFFECTIVE_SOCKET_DIR "/run/millrace"

// 'receiver', 'data', 'cpus', the ports' devices and addresses are the task's, 'socket' is
// /run/millrace/CLUSTER.RECEIVER.sock: a sandbox's own path is too long for one. -EINVAL:
// *problems, whose lines are of *ret_of ("MILLRACE_CONFIG"); *ret is unspecified then. -ENOMEM.
int effective_make(const struct task *task, struct config *ret, struct config_problems *problems,
	const char **ret_of);

// The device that replaces that of a port. 'file': as the configuration has it; 'nic': a network
// device or a PCI address, as the slave's resource 'nics' names it. False, with the reason in why.
bool effective_device(const char *file, const char *nic, char *ret, size_t size, char *why);

// Writes it to a file that its owner alone may read: a sink's properties may hold what is a secret.
// Negative errno.
int effective_store(const struct config *config, const char *path);
