// SPDX-License-Identifier: BSD-3-Clause
#include "common/file.h"
#include "lib/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

int spool_lock(const char *dir)
{
	char path[PATH_MAX];
	int err, fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/lock", dir) >= sizeof(path) - SPOOL_TEXT)
		return -ENAMETOOLONG;
	err = file_make_dirs(dir);
	if (err != 0)
		return err;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return err;
}
