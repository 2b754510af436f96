// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The names of the simulated disk: one table for what is seen, one for what is on the disk.

#include "fs.h"

#define FS_NAMES 64

struct names {
	unsigned count;
	struct name {
		int dir, inode;
		char text[FS_NAME];
	} list[FS_NAMES];
};

struct name *name_find(struct names *names, int dir, const char *text);
void name_apply(struct names *names, const struct fs_op *op);
void names_drop_lost(struct names *names); // those in a directory that has none itself
