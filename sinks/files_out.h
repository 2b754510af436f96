// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One file that appears whole under its name or not at all: written under a temporary name beside
// it, synced, renamed, the directory synced. What is there already is compared instead, and never
// written over by other bytes.

#include "common/config.h"
#include "common/sink_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILES_PATH_MAX (CONFIG_PATH_MAX + SINK_FILES_NAME_MAX)

// Of one thread. files_out_init() before all else.
struct files_out {
	const char *top;           // the sink's directory; the caller's
	char made[FILES_PATH_MAX]; // the directory that was made last, and is synced
	// of the file
	char dir[FILES_PATH_MAX];
	char base[SINK_FILES_PART_MAX + 1], temp[SINK_FILES_PART_MAX + 8];
	int dir_fd, fd; // -1: closed
	bool compares;
	uint64_t at; // bytes written or compared
	uint8_t *buffer, *found;
	size_t len;        // of the buffer
	bool flush_failed; // of what is seen under the file's name: files_plan.distrusted
};

int files_out_init(struct files_out *out, const char *top);
void files_out_free(struct files_out *out);

// Makes the folders of 'name' below the top, which must be there. 1: such a file is there, and
// what is written is compared with it; 0: it is written. 'anew': it is written although it is
// there.
int files_out_begin(struct files_out *out, const char *name, bool anew);

// -EEXIST: the file that is there is another.
int files_out_write(struct files_out *out, const void *data, size_t len);

// The file is under its name, all of it durable.
int files_out_commit(struct files_out *out);

// 1: a file of that name is there, and stays there; 0: none.
int files_out_keep(struct files_out *out, const char *name);

// After any error, and when begun in vain: nothing of it is left.
void files_out_abort(struct files_out *out);

// What a process that was killed has left of it.
void files_out_clean(const char *top, const char *name);
