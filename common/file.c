// SPDX-License-Identifier: BSD-3-Clause

#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096

int file_write_at(int fd, const void *data, size_t len, uint64_t offset)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int write_synced(int dir_fd, const char *name, const void *data, size_t len)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	int rc;

	if (fd < 0)
		return -errno;
	rc = file_write_at(fd, data, len, 0);
#ifndef MUTANT_FILE_NOT_SYNCED
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
#endif
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

int file_replace(const char *dir, const char *name, const void *data, size_t len)
{
	char temp[NAME_MAX + 1];
	int dir_fd, rc, n;

	n = snprintf(temp, sizeof(temp), ".%s.new", name);
	if (n < 0 || (size_t)n >= sizeof(temp))
		return -ENAMETOOLONG;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	rc = write_synced(dir_fd, temp, data, len);
	if (rc == 0 && renameat(dir_fd, temp, dir_fd, name) != 0)
		rc = -errno;
	if (rc != 0)
		unlinkat(dir_fd, temp, 0);
#ifndef MUTANT_FILE_NO_DIRECTORY_SYNC
	else if (fsync(dir_fd) != 0)
		rc = -errno;
#endif
	close(dir_fd);
	return rc;
}

// Reads until the end of the file, which need not be regular: its size is known only then.
static int read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
	size_t len = 0, room = 0;
	char *data = NULL;

	for (;;) {
		ssize_t n;

		if (len == room) {
			size_t more = room == 0 ? 4096 : 2 * room;
			char *bigger;

			// One byte above the limit tells a file that is too large.
			if (more > max + 1)
				more = max + 1;
			bigger = realloc(data, more + 1);
			if (bigger == NULL) {
				free(data);
				return -ENOMEM;
			}
			data = bigger;
			room = more;
		}
		n = read(fd, data + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (n > 0 && len + (size_t)n > max)) {
			int rc = n < 0 ? -errno : -EFBIG;

			free(data);
			return rc;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	data[len] = '\0';
	*ret = data;
	*ret_len = len;
	return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	int fd, rc;

	if (max > SSIZE_MAX - 2)
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = read_all(fd, max, ret, ret_len);
	close(fd);
	return rc;
}

int file_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

// A directory that is there may have been made by a process that was killed before it synced the
// name. Where the parent can't be read, or synced, that process was not one of ours.
static int make_one(const char *dir, const char *parent)
{
	struct stat st;
	int rc;

	if (mkdir(dir, 0750) == 0)
		return file_sync_dir(parent);
	if (errno != EEXIST)
		return -errno;
	if (stat(dir, &st) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	rc = file_sync_dir(parent);
	return rc == -EACCES || rc == -EINVAL ? 0 : rc;
}

int file_make_dirs(const char *dir)
{
	char path[PATH_BYTES], parent[PATH_BYTES];
	size_t len = strlen(dir), at = 0;
	int rc;

	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(parent, dir[0] == '/' ? "/" : ".", 2);
	while (at < len) {
		at += strspn(dir + at, "/");
		if (at == len && at > 1)
			break;
		at += strcspn(dir + at, "/");
		memcpy(path, dir, at);
		path[at] = '\0';
		rc = make_one(path, parent);
		if (rc != 0)
			return rc;
		memcpy(parent, path, at + 1);
	}
	return 0;
}
