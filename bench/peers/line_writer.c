// SPDX-License-Identifier: BSD-3-Clause
// The events of `millrace send` as lines into a Unix socket, as fast as they are taken or at a
// rate: what feeds a sender that has no generator of its own.
//
//   line_writer [--rate N] [--size BYTES] [--id HEX8] SOCKET SECONDS     prints one JSON object

#include "bench/options.h"
#include "common/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_BYTES (64u << 10)

static volatile bool stop;

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

static int connect_to(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path));
	return connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ? fd : -errno;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

// How many events go with the next write: as many as are due and fit. 0: there are no more.
static uint64_t next_batch(const struct send_plan *plan, uint64_t sent, uint64_t start)
{
	uint64_t most = BUFFER_BYTES / (plan->size_max + 1), now, due;

	if (stop || sent == plan->count)
		return 0;
	if (plan->rate == 0)
		return clock_monotonic_ns() - start < plan->duration_ns ? most : 0;
	now = send_wait_until(start + send_due_ns(plan, sent), &stop);
	due = send_due_count(plan, now - start) - sent;
	return due < most ? due : most;
}

static int feed(int fd, const struct send_plan *plan, uint64_t start, uint64_t *ret_sent)
{
	static uint8_t buffer[BUFFER_BYTES];
	uint64_t sent = 0, n;
	int r = 0;

	while (r == 0 && (n = next_batch(plan, sent, start)) > 0) {
		size_t len = 0;

		for (uint64_t i = 0; i < n; i++) {
			uint32_t bytes;

			len += send_datagram_write(plan, sent + i, buffer + len, &bytes);
			buffer[len++] = '\n';
		}
		r = write_all(fd, buffer, len);
		sent += n;
	}
	*ret_sent = sent;
	return r;
}

int main(int argc, char **argv)
{
	struct bench_options options;
	uint64_t start, sent = 0;
	int fd, r;

	if (!bench_options_read(&options, 1, BUFFER_BYTES - 1, argc, argv)) {
		fprintf(stderr, "usage: line_writer [--rate N] [--size BYTES] [--id HEX8] SOCKET "
				"SECONDS\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	fd = connect_to(options.words[0]);
	if (fd < 0) {
		fprintf(stderr, "line_writer: %s: %s\n", options.words[0], strerror(-fd));
		return 1;
	}
	start = clock_monotonic_ns();
	r = feed(fd, &options.plan, start, &sent);
	close(fd);
	printf("{\"sent\": %" PRIu64 ", \"elapsed_ns\": %" PRIu64 "}\n", sent,
		clock_monotonic_ns() - start);
	if (r != 0)
		fprintf(stderr, "line_writer: %s\n", strerror(-r));
	return r == 0 ? 0 : 1;
}
