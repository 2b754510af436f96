// SPDX-License-Identifier: BSD-3-Clause

#include "http/socket.h"

#include "common/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_MODE 0660

static int address_of(struct sockaddr_un *ret, const char *path)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (path[0] == '\0')
		return -EINVAL;
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

static int make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct stat st;

	if (slash == NULL || slash == path)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	if (stat(dir, &st) == 0)
		return 0; // also where the parents may not be written by us
	return file_make_dirs(dir);
}

// 0: the name is free now. A file that is no socket is refused here, because connect() says
// ECONNREFUSED of it as it does of a socket that nobody serves.
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, err = 0;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
#ifndef MUTANT_SOCKET_STEAL
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		err = -EADDRINUSE; // EAGAIN: somebody does listen, but the backlog is full
	else if (errno != ECONNREFUSED)
		err = -errno;
	close(fd);
	if (err < 0)
		return err;
#else
	(void)fd;
#endif
	return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : err;
}

int http_socket_listen(struct http_socket *ret, const char *path, int backlog)
{
	struct sockaddr_un addr;
	struct stat st;
	int fd, err = address_of(&addr, path);

	if (err < 0)
		return err;
	err = make_parent(path);
	if (err < 0)
		return err;
	err = remove_stale(&addr);
	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	// The inode's mode before bind() bounds the file's: at no moment can others connect.
	if (fchmod(fd, SOCKET_MODE) < 0 ||
		bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	if (chmod(path, SOCKET_MODE) < 0 || lstat(path, &st) < 0 || listen(fd, backlog) < 0) {
		err = -errno;
		unlink(path);
		close(fd);
		return err;
	}
	*ret = (struct http_socket){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

void http_socket_unlink(const struct http_socket *sock, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == sock->dev && st.st_ino == sock->ino)
		unlink(path);
}
