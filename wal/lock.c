// SPDX-License-Identifier: BSD-3-Clause
#include "wal/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

// Whoever only asks whether a receiver runs holds the lock shared for a moment (cli/log_dirs.c);
// that must not look like a second receiver.
#define LOCK_TRIES 10
#define LOCK_PAUSE_US 20000

int wal_lock_dir(const char *data, int *ret_fd)
{
	char path[PATH_MAX];
	int r = 0;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/lock", data) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;

	for (int i = 0; i < LOCK_TRIES; i++) {
		r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (r != -EWOULDBLOCK)
			break;
		usleep(LOCK_PAUSE_US);
	}
	if (r < 0) {
		close(fd);
		return r;
	}

	*ret_fd = fd;
	return 0;
}
