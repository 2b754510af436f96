// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A listening Unix socket with a name in the file system.

#include <sys/types.h>

struct http_socket {
	int fd; // the taker closes it
	dev_t dev;
	ino_t ino;
};

// Binds and listens, mode 0660, parent directories made. A socket file on which nobody answers is
// replaced. -EADDRINUSE: somebody listens there; -ENOTSOCK: the name is taken by something else;
// -ENAMETOOLONG.
int http_socket_listen(struct http_socket *ret, const char *path, int backlog);

// Removes the name if it is still this socket's; another process may have taken it over.
void http_socket_unlink(const struct http_socket *sock, const char *path);
