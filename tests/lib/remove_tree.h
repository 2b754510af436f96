// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Removes a directory with all that is in it. 0, or -1 with errno.

#include <ftw.h>
#include <stdio.h>

static inline int remove_tree_entry(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int remove_tree(const char *top)
{
	return nftw(top, remove_tree_entry, 8, FTW_DEPTH | FTW_PHYS);
}
