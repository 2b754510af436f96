// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Which logs a `millrace log` command means, and how far each may be read.

#include "cli/cli.h"
#include "common/config.h"
#include "wal/reader.h"

#define LOG_DIR_BYTES (CONFIG_PATH_MAX + 16)

struct log_part {
	char dir[LOG_DIR_BYTES];
	long partition;         // -1: the directory's name is no number
	struct wal_limit limit; // segment_first UINT64_MAX: to the end
};

struct log_dirs {
	char data[LOG_DIR_BYTES]; // the data directory, which holds the lock
	struct log_part *parts;   // by partition
	unsigned count;
	bool live; // a receiver holds the lock
};

// 'dir': a data directory or that of one partition; NULL: the running receiver's, else the default.
// An exit code, its reason told.
int log_dirs_find(const struct cli *cli, const char *dir, struct log_dirs *ret);

// The same, with the durable positions of the receiver that writes there, if one does. One that
// can't be asked is told, and its newest segments are left out.
int log_dirs_open(const struct cli *cli, const char *dir, struct log_dirs *ret);

// Takes the positions anew.
int log_dirs_refresh(const struct cli *cli, struct log_dirs *dirs);

// Whether a receiver has started since; the positions are then known. What it was writing looked
// like a torn tail, or like damage.
bool log_dirs_came_alive(const struct cli *cli, struct log_dirs *dirs);

void log_dirs_free(struct log_dirs *dirs);

// Prints rows in their envelope, for --json.
void log_print_json(const char *schema, json_t *rows);
