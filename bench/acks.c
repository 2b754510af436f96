// SPDX-License-Identifier: BSD-3-Clause
// Reliable events by libmillrace at a steady rate, and when each acknowledgement came.
//
//   acks --rate N [--size BYTES] [--id HEX8] HOST:PORT SECONDS
//
// Prints "TIME DURABLE GIVEN" for every advance of what is durable, and every TICK without one: the
// time of the monotonic clock in ns, and how many events are durable and were given by then. It
// ends early by SIGTERM, and waits for what is not durable yet.

#include "bench/options.h"
#include "common/clock.h"
#include "include/millrace.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS 10000000u
#define FLUSH_NS 100000000u // who reads along is told so often
#define PAUSE_NS 500000
#define KEPT_BYTES (1ull << 30) // of a pause of seconds
#define PATIENCE_MS 60000
#define EVENT_MAX 65536u

struct acks {
	struct millrace *millrace;
	const struct send_plan *plan;
	uint64_t start, given, durable, told_ns, flushed_ns;
	uint8_t event[EVENT_MAX];
};

static volatile bool stop;

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

// Those that are due, as long as there is room.
static int give(struct acks *a, uint64_t now)
{
	uint64_t due = send_due_count(a->plan, now - a->start);
	int r = 0;

	for (; r == 0 && a->given < due; a->given += r == 0) {
		uint32_t bytes, len = send_datagram_write(a->plan, a->given, a->event, &bytes);

		r = millrace_send(a->millrace, a->event, len, NULL);
	}
	return r == -EAGAIN ? 0 : r;
}

static void look(struct acks *a)
{
	uint64_t now, durable = millrace_durable(a->millrace);

	now = clock_monotonic_ns();
	if (durable == a->durable && now - a->told_ns < TICK_NS)
		return;
	a->durable = durable;
	a->told_ns = now;
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", now, durable, a->given);
	if (now - a->flushed_ns < FLUSH_NS)
		return;
	a->flushed_ns = now;
	fflush(stdout);
}

static int run(struct acks *a)
{
	struct pollfd fd = {.fd = millrace_fd(a->millrace), .events = POLLIN};
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t until = a->start + a->plan->duration_ns;
	int r = 0;

	while (r == 0 && !stop && clock_monotonic_ns() < until) {
		r = give(a, clock_monotonic_ns());
		look(a);
		ppoll(&fd, 1, &pause, NULL);
	}
	if (r == 0)
		r = millrace_flush(a->millrace, PATIENCE_MS);
	look(a);
	return r;
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct millrace_options to = {.size = sizeof(to), .bytes_max = KEPT_BYTES};
	struct acks *a = calloc(1, sizeof(*a));
	char why[MILLRACE_TEXT];
	int r;

	if (a == NULL || !bench_options_read(&options, 1, EVENT_MAX, argc, argv) ||
		options.plan.rate == 0) {
		fprintf(stderr, "usage: acks --rate N [--size BYTES] [--id HEX8] HOST:PORT "
				"SECONDS\n");
		free(a);
		return 2;
	}
	signal(SIGTERM, on_signal);
	a->plan = &options.plan;
	to.receivers = options.words[0];
	r = millrace_open(&a->millrace, &to, why);
	if (r == 0) {
		a->start = clock_monotonic_ns();
		r = run(a);
		if (r != 0)
			millrace_error_text(a->millrace, why);
		millrace_close(a->millrace, 0);
	}
	if (r != 0)
		fprintf(stderr, "acks: %s: %s\n", strerror(-r), why);
	free(a);
	return r == 0 ? 0 : 1;
}
