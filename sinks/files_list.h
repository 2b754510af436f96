// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The files below a sink's directory that hold batches of one log.

#include "sinks/sink.h"

struct files_found {
	uint64_t first, last; // batches, as the file says
	char *name;           // below the sink's directory
	char receiver[CONFIG_NAME_MAX];
};

struct files_list {
	struct files_found *files; // by first
	size_t count, room;
	int top; // the sink's directory, when it was opened
	bool is_open;
};

// All whose names have the log's id in them, in whatever folder; those that don't say what they
// hold are put into 'verify'. -EAGAIN: the directory can't be read; 'why' says it.
int files_list_make(struct files_list *ret, struct sink_target *target, struct sink_verify *verify);
// A descriptor that is the caller's, or negative errno.
int files_list_open(const struct files_list *list, const char *name);
void files_list_free(struct files_list *list);
