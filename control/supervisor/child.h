// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The process of millraced. It never outlives the supervisor for long: the kernel sends it SIGTERM
// when the thread that started it ends.

#include "control/supervisor/restarts.h"

#include <sched.h>
#include <sys/types.h>

// Starts PATH -c CONFIG on those CPUs, with no signal blocked and none of the caller's files but
// the three. To be called in the main thread. Negative errno, also of the exec.
int child_start(const char *path, const char *config, const cpu_set_t *cpus, pid_t *ret);

// False: it runs.
bool child_ended(pid_t pid, struct ending *ret);
