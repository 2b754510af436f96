// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What must be right before EAL starts, each row with the command that mends it. Shared by
// millraced (refuses to start on a failed row) and `millrace doctor`.

#include "common/config.h"

#include <stdio.h>

enum check_result { CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_SKIP };

struct check_row {
	char name[80]; // "hugepages node 0"
	enum check_result result;
	char found[160]; // what is
	char mend[256];  // the exact command or change, "" when there is nothing to mend
};

#define PREFLIGHT_ROWS_MAX 64

struct preflight {
	unsigned count;
	struct check_row rows[PREFLIGHT_ROWS_MAX];
};

// Runs all checks. 'measure_disk': also time write+flush and O_DSYNC (about a second; doctor only,
// millraced tests what works but not how fast). 'running': leave out what a running millraced
// holds.
void preflight_run(
	struct preflight *ret, const struct config *config, bool measure_disk, bool running);

// True when somebody serves the configured socket: then 'running' is what preflight_run() wants.
bool preflight_receiver_runs(const struct config *config);

enum check_result preflight_worst(const struct preflight *preflight);
