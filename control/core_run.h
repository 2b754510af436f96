// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// For main(): one process of the control.

#include "control/conf.h"

struct core;

// What is wrong was logged; core_free() in each case but that *ret is NULL.
int core_new(struct core **ret, const struct conf *conf);
void core_run(struct core *core);  // until core_stop()
void core_stop(struct core *core); // any thread, signal handlers
// Ends the session and the stream; receivers go on.
void core_free(struct core *core);
