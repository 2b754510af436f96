// SPDX-License-Identifier: BSD-3-Clause
#include "wal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_AHEAD (2u << 20)
#define PIECE (1u << 20) // asked of the disk at once

int wal_open_direct(const char *dir, const char *name)
{
	int flags = O_RDONLY | O_CLOEXEC | O_DIRECT, fd;
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
#ifdef MUTANT_READ_BY_CACHE
	flags &= ~O_DIRECT;
#endif
	fd = open(path, flags);
	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags & ~O_DIRECT);
	return fd < 0 ? -errno : fd;
}

void wal_window_init(struct wal_window *window, int fd, uint64_t limit)
{
	*window = (struct wal_window){.fd = fd, .limit = limit};
}

void wal_window_free(struct wal_window *window)
{
	free(window->buf);
	window->buf = NULL;
	window->len = window->room = 0;
}

// No more than what may be read from the window's begin on.
static int make_room(struct wal_window *window, size_t want)
{
	size_t room = want;
	uint64_t left = window->limit > window->at ? window->limit - window->at : 0;
	uint8_t *buf;

	if (left < room)
		room = (left / WAL_PAGE + 1) * WAL_PAGE;

	if (room <= window->room)
		return 0;

	buf = aligned_alloc(WAL_PAGE, room);
	if (buf == NULL)
		return -ENOMEM;
	if (window->len > 0)
		memcpy(buf, window->buf, window->len);
	free(window->buf);
	window->buf = buf;
	window->room = room;
	return 0;
}

// Leaves in the buffer what it holds from 'offset' on, at its begin.
static void slide(struct wal_window *window, uint64_t offset)
{
	uint64_t skip = offset - window->at; // huge when offset lies before

	if (skip < window->len) {
		window->len -= skip;
		memmove(window->buf, window->buf + skip, window->len);
	} else {
		window->len = 0;
	}
	window->at = offset;
}

// Goes on through the page cache. False: did so already.
static bool indirect(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_DIRECT) && fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

// Reads on until there are so many bytes, the limit is reached or the file at its end.
static int fill(struct wal_window *window, size_t goal)
{
	while (window->len < goal && window->at + window->len < window->limit) {
		uint64_t left = window->limit - (window->at + window->len);
		size_t space = goal - window->len, part = space < PIECE ? space : PIECE;
		ssize_t n = pread(window->fd, window->buf + window->len,
			left < part ? (size_t)left : part, (off_t)(window->at + window->len));

		if (n < 0 && errno == EINTR)
			continue;
		// Not for O_DIRECT: the end of a file cut at no page, or a file system's own rules.
		if (n < 0 && errno == EINVAL && indirect(window->fd))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		window->len += (size_t)n;
	}
	return 0;
}

int wal_window_get(struct wal_window *window, uint64_t offset, size_t want, const uint8_t **ret,
	size_t *ret_len)
{
	size_t goal = wal_align_up(want, window->step ? window->step : READ_AHEAD);
	uint64_t skip = offset - window->at;
	int r;

	if (offset < window->at || skip > window->len || window->len - skip < want) {
		slide(window, offset);
		r = make_room(window, goal);
		if (r == 0)
			r = fill(window, window->step ? goal : window->room);
		// What cannot be read behind the bytes asked for is told when it is asked for.
		if (r < 0 && window->len < want)
			return r;
		skip = 0;
	}
	*ret = window->buf + skip;
	*ret_len = window->len - skip < want ? window->len - skip : want;
	return 0;
}
