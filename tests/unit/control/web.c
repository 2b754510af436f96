// SPDX-License-Identifier: BSD-3-Clause
#include "web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 16
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// Requests of curl's come in one piece here.
static int serve(int fd)
{
	char request[1024];
	ssize_t n = recv(fd, request, sizeof(request) - 1, 0);

	if (n <= 0)
		return -1;
	request[n] = '\0';
	if (strncmp(request, "GET /hang", 9) != 0 &&
		send(fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL) < 0)
		return -1;
	return 0;
}

static void *run(void *arg)
{
	struct web *web = arg;
	struct pollfd fds[2 + CLIENTS] = {{web->wake[0], POLLIN, 0}, {web->fd, POLLIN, 0}};
	unsigned count = 2;

	for (;;) {
		if (poll(fds, count, -1) < 0 || fds[0].revents != 0)
			break;
		for (unsigned i = count - 1; i >= 2; i--)
			if (fds[i].revents != 0 && serve(fds[i].fd) < 0) {
				close(fds[i].fd);
				fds[i] = fds[--count];
			}
		if (fds[1].revents != 0 && count < 2 + CLIENTS)
			fds[count++] = (struct pollfd){accept(web->fd, NULL, NULL), POLLIN, 0};
	}
	while (count > 2)
		close(fds[--count].fd);
	return NULL;
}

void web_start(struct web *web)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);

	web->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(web->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(web->fd, CLIENTS), 0);
	assert_int_equal(getsockname(web->fd, (struct sockaddr *)&address, &len), 0);
	web->port = ntohs(address.sin_port);
	assert_int_equal(pipe(web->wake), 0);
	assert_int_equal(pthread_create(&web->thread, NULL, run, web), 0);
}

void web_stop(struct web *web)
{
	assert_int_equal(write(web->wake[1], "x", 1), 1);
	pthread_join(web->thread, NULL);
	close(web->wake[0]);
	close(web->wake[1]);
	close(web->fd);
}
