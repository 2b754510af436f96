// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/rotated.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A name with a pipe behind it is not to be waited for.
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

struct search {
	const struct place *place;
	int fd;        // what comes after this one
	int64_t after; // when that was made
	int64_t best;  // when the one found so far was
};

// True: rather this file than one found before.
typedef bool judge(struct search *search, int fd);

static int open_regular(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, OPEN_FLAGS);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

int rotated_open(const char *dir, const char *name)
{
	// A directory that can't be listed can be passed through.
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (dir_fd < 0)
		return -errno;
	fd = open_regular(dir_fd, name);
	close(dir_fd);
	return fd;
}

// As those who rotate name files: a number, or a date. Not an editor's copy, nor a packed one.
static bool is_rotated_name(const char *suffix)
{
	return strpbrk(suffix, "0123456789") != NULL &&
	       suffix[strspn(suffix, "0123456789.-_:T")] == '\0';
}

static int best_of(
	DIR *listing, const char *name, bool all, judge *is_better, struct search *search)
{
	size_t len = strlen(name);
	int found = -ENOENT;
	struct dirent *entry;

	while ((entry = readdir(listing)) != NULL) {
		int fd;

		if (strncmp(entry->d_name, name, len) != 0 ||
			(!all && !is_rotated_name(entry->d_name + len)))
			continue;
		fd = open_regular(dirfd(listing), entry->d_name);
		if (fd < 0)
			continue;
		if (is_better(search, fd)) {
			if (found >= 0)
				close(found);
			found = fd;
		} else {
			close(fd);
		}
	}
	return found;
}

// 'all': of any name that begins so.
static int look(
	const char *dir, const char *name, bool all, judge *is_better, struct search *search)
{
	DIR *listing = opendir(dir);
	int fd;

	if (listing == NULL)
		return -errno;
	fd = best_of(listing, name, all, is_better, search);
	closedir(listing);
	return fd;
}

// When a file was made, which no late writer changes; where that isn't known, last written.
static int64_t made_at(int fd)
{
	struct statx st;
	const struct statx_timestamp *t = &st.stx_mtime;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_MTIME, &st) != 0)
		return 0;
	if ((st.stx_mask & STATX_BTIME) != 0)
		t = &st.stx_btime;
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

static bool is_same(struct search *search, int fd)
{
	const struct place *place = search->place;
	struct stat st;

	// The number of a device may be another one after a boot.
	return fstat(fd, &st) == 0 && st.st_ino == place->inode &&
	       (st.st_dev == place->device || place->head_bytes > 0) && place_begins(fd, place);
}

static bool is_copy(struct search *search, int fd)
{
	const struct place *place = search->place;
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_ino == place->inode || place->head_bytes == 0 ||
		made_at(fd) < search->best || !place_begins(fd, place))
		return false;
	search->best = made_at(fd);
	return true;
}

int rotated_find(const char *dir, const char *name, const struct place *place)
{
	struct search search = {.place = place};

	return look(dir, name, true, is_same, &search);
}

int rotated_copy(const char *dir, const char *name, const struct place *place)
{
	struct search search = {.place = place, .best = INT64_MIN};

	return look(dir, name, false, is_copy, &search);
}

static bool is_same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

static bool is_next(struct search *search, int fd)
{
	int64_t made = made_at(fd);

	if (made < search->after || made >= search->best || is_same_file(fd, search->fd))
		return false;
	search->best = made;
	return true;
}

int rotated_next(const char *dir, const char *name, int fd)
{
	struct search search = {.fd = fd, .after = made_at(fd), .best = INT64_MAX};
	int now = rotated_open(dir, name), next;

	if (now >= 0 && is_same_file(now, fd)) {
		close(now);
		return -ENOENT;
	}
	next = look(dir, name, false, is_next, &search);
	if (next < 0)
		return now;
	if (now >= 0)
		close(now);
	return next;
}
