// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The process of millraced. It never outlives the supervisor for long: the kernel sends it SIGTERM
// when the thread that started it ends.

#include "control/supervisor/restarts.h"

#include <signal.h>
#include <sys/types.h>

// Starts PATH -c CONFIG. To be called in the main thread, with 'blocked' the signals that it has
// blocked; the child has none. Negative errno, also of the exec.
int child_start(const char *path, const char *config, pid_t *ret);

// False: it runs.
bool child_ended(pid_t pid, struct ending *ret);
