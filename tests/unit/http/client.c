// SPDX-License-Identifier: BSD-3-Clause

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int client_dial(const char *socket_path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 30};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", socket_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror(socket_path);
		abort();
	}
	return fd;
}

ssize_t client_read(int fd, void *buf, size_t len)
{
	ssize_t n;

	do
		n = read(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n;
}

void client_send(int fd, const char *method, const char *target, const char *body)
{
	char request[2048];

	snprintf(request, sizeof(request),
		"%s %s HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		method, target, strlen(body), body);
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL); // it may answer and close before
}

int client_ask(const char *socket_path, const char *method, const char *target, const char *body,
	char *answer, size_t room, size_t *ret_len)
{
	int fd = client_dial(socket_path), status = 0;
	size_t len = 0;
	ssize_t n;

	client_send(fd, method, target, body);
	while (len < room - 1 && (n = client_read(fd, answer + len, room - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	answer[len] = '\0';
	if (ret_len != NULL)
		*ret_len = len;
	return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}
