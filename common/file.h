// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Files that must survive a crash whole. All calls return 0 or a negative errno and log nothing.

#include <stddef.h>
#include <stdint.h>

// Replaces dir/name by data in one step: written to a temporary name, synced, renamed, directory
// synced. After a crash the file has its old or its new content, never a mixture.
int file_replace(const char *dir, const char *name, const void *data, size_t len);

// Writes all of the bytes at that offset of the file.
int file_write_at(int fd, const void *data, size_t len, uint64_t offset);

// Reads a whole file of at most max bytes; *ret is allocated (one zero byte behind the data) and
// the caller's to free. -EFBIG when it is larger.
int file_read(const char *path, size_t max, char **ret, size_t *ret_len);

// fsync of a directory, so that names created, renamed or unlinked in it survive.
int file_sync_dir(const char *dir);

// mkdir -p with mode 0750; each new name is synced in its parent.
int file_make_dirs(const char *dir);
