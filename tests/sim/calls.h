// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What calls.c (open files) and paths.c (names) share.

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define FD_FIRST 1000000

enum fd_kind { FD_FREE, FD_FILE, FD_EVENT };

struct open_file {
	enum fd_kind kind;
	int inode;
	uint64_t at;
};

#define REAL(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

struct open_file *calls_file(int fd); // NULL: not simulated
int calls_fd(enum fd_kind kind, int inode);

void paths_reset(void);
bool paths_disk_full(void);
bool path_simulated(const char *path);
// The directory's inode and the last part of the path; NULL: there is no such directory.
const char *path_split(const char *path, int *ret_dir);
int path_find_at(int dir, const char *name); // an inode, or -ENOENT

static inline int failed(int error)
{
	errno = error;
	return -1;
}
