// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Asks millraced about once a second how it is, and publishes that when it matters, in a thread of
// its own.

#include "control/supervisor/register.h"

#include <sys/types.h>

struct observer;

// All three must stay until observer_stop(). Negative errno.
int observer_start(struct observer **ret, const struct task *task, const struct config *config,
	struct registration *registration);

// It was started, for the so manieth time again. Any thread, never waits.
void observer_launched(struct observer *observer, pid_t pid, uint64_t restarts);

// It is being ended; nothing is asked any more.
void observer_ending(struct observer *observer);

void observer_stop(struct observer *observer);
