// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a sink of files is about to write, durable before the first byte of it: after a crash the
// same batches go into a file of the same name. Kept as SINK.plan.json in the partition's directory
// until the next plan replaces it.

#include "common/config.h"
#include "common/sink_files.h"

#include <stdbool.h>
#include <stdint.h>

struct files_plan {
	char log_id[33];
	uint64_t first, last;           // batches
	char receiver[CONFIG_NAME_MAX]; // as it was called then: it stands in the file
	char name[SINK_FILES_NAME_MAX]; // of the file, below the sink's directory
	// A flush of the file's name has failed: what is seen of it may not be on the disk, and
	// flushing again would not tell.
	bool distrusted;
};

int files_plan_save(const char *dir, const char *sink, const struct files_plan *plan);
// -ENOENT: none; -EBADMSG: by no hand of ours; -EPROTONOSUPPORT: a later version's.
int files_plan_load(const char *dir, const char *sink, struct files_plan *ret);
