// SPDX-License-Identifier: BSD-3-Clause
#include "wal/reader.h"
#include "wal/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEQ_DIGITS 20

// The first seq out of "00000000000000000000.arrows"; false for every other name.
static bool name_parse(const char *name, uint64_t *ret)
{
	uint64_t seq = 0;

	for (unsigned i = 0; i < SEQ_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		if (__builtin_mul_overflow(seq, 10, &seq) ||
			__builtin_add_overflow(seq, (uint64_t)(name[i] - '0'), &seq))
			return false;
	}
	if (strcmp(name + SEQ_DIGITS, ".arrows") != 0)
		return false;

	*ret = seq;
	return true;
}

static int by_first_seq(const void *a, const void *b)
{
	uint64_t x = ((const struct wal_segment_file *)a)->first_seq;
	uint64_t y = ((const struct wal_segment_file *)b)->first_seq;

	return x < y ? -1 : x > y;
}

// 1: *ret filled, 0: not a segment or gone in the meantime.
static int entry_read(int dir_fd, const char *name, struct wal_segment_file *ret)
{
	struct stat st;

	if (!name_parse(name, &ret->first_seq))
		return 0;
	if (fstatat(dir_fd, name, &st, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode))
		return 0;

	memcpy(ret->name, name, SEQ_DIGITS + sizeof(".arrows"));
	ret->size = (uint64_t)st.st_size;
	ret->modified_at = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
	return 1;
}

static int entry_add(struct wal_segment_file **list, unsigned *count, unsigned *room,
	const struct wal_segment_file *file)
{
	if (*count == *room) {
		unsigned more = *room ? 2 * *room : 16;
		struct wal_segment_file *grown = reallocarray(*list, more, sizeof(**list));

		if (grown == NULL)
			return -ENOMEM;
		*list = grown;
		*room = more;
	}
	(*list)[(*count)++] = *file;
	return 0;
}

int wal_list_segments(const char *path, struct wal_segment_file **ret, unsigned *ret_count)
{
	struct wal_segment_file *list = NULL, file;
	unsigned count = 0, room = 0;
	struct dirent *entry;
	int r = 0;
	DIR *dir;

	dir = opendir(path);
	if (dir == NULL)
		return -errno;

	while (errno = 0, (entry = readdir(dir)) != NULL) {
		r = entry_read(dirfd(dir), entry->d_name, &file);
		if (r > 0)
			r = entry_add(&list, &count, &room, &file);
		if (r < 0)
			goto out;
	}
	r = -errno;
	if (r < 0)
		goto out;

	if (count > 1)
		qsort(list, count, sizeof(*list), by_first_seq);
	*ret = list;
	*ret_count = count;
	list = NULL;
out:
	free(list);
	closedir(dir);
	return r;
}

bool wal_renamed(const char *dir, const char *name, int fd)
{
	char path[PATH_MAX];
	struct stat mine, named;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (stat(path, &named) < 0)
		return errno == ENOENT;
	return fstat(fd, &mine) == 0 &&
	       (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev);
}
