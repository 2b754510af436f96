// SPDX-License-Identifier: BSD-3-Clause
// The loop.

#include "cli/relay/framing.h"
#include "cli/relay/relay.h"
#include "common/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS_NS 1000000ull
#define STEP_MS 100 // how late an interrupt may be seen
#define TELL_NS (1000 * MS_NS)
#define DRAIN_NS (1000 * MS_NS) // at the end, for what the kernel has already
#define DATAGRAMS 256u          // of a socket, before others have their turn
#define SPARE_FILES 64u         // descriptors for all but connections

struct connection {
	int fd; // below 0: to be forgotten
	struct framing framing;
};

struct run {
	const struct relay_options *options;
	const volatile bool *stop;
	relay_progress *progress;
	void *arg;
	uint64_t tell_due;
	struct send_handle handle;
	struct millrace *m; // of it
	struct relay_tally *tally;
	bool full; // the library had no room: connections wait
	unsigned listener_count, connection_count, connection_max;
	unsigned turn; // the connection that is read first
	uint8_t *datagram;
	struct relay_listener listeners[RELAY_LISTENERS_MAX];
	struct connection connections[RELAY_CONNECTIONS_MAX];
	// The library's, the listeners', the connections'.
	struct pollfd polled[1 + RELAY_LISTENERS_MAX + RELAY_CONNECTIONS_MAX];
};

// False: there is no room for it now.
static bool hand_over(struct run *run, const uint8_t *message, uint32_t len, uint64_t *count)
{
	int err = millrace_send(run->m, message, len, NULL);

	if (err == -EMSGSIZE) {
		run->tally->dropped.too_large++;
	} else if (err != 0 && err != -EAGAIN && err != -ENOMEM) {
		run->tally->failed = -err;
	} else if (err == 0) {
		++*count;
		run->tally->bytes += len;
	}
	return err == 0 || err == -EMSGSIZE;
}

static void take_datagrams(struct run *run, int fd)
{
	for (unsigned i = 0; i < DATAGRAMS; i++) {
		ssize_t len = recv(fd, run->datagram, RELAY_MESSAGE_MAX, 0);

		if (len < 0)
			return;
		if (len > 0 && !hand_over(run, run->datagram, (uint32_t)len, &run->tally->udp))
			run->tally->dropped.no_room++;
	}
}

static void close_connection(struct connection *c)
{
	close(c->fd);
	framing_free(&c->framing);
	c->fd = -1;
}

// Hands over the messages that are there, as far as there is room.
static void serve(struct run *run, struct connection *c)
{
	const uint8_t *message;
	uint32_t len;
	int r;

	while ((r = framing_next(&c->framing, &message, &len)) == 1) {
		if (!hand_over(run, message, len, &run->tally->tcp)) {
			run->full = true;
			return;
		}
		framing_take(&c->framing);
	}
	if (r == 0 && !c->framing.ended)
		return;
	if (r != 0)
		run->tally->dropped.too_long++;
	else if (framing_rest(&c->framing) > 0)
		run->tally->dropped.cut_off++;
	close_connection(c);
}

static void read_connection(struct run *run, struct connection *c)
{
	uint32_t room;
	uint8_t *bytes = framing_room(&c->framing, &room);
	ssize_t len = recv(c->fd, bytes, room, 0);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0)
		framing_end(&c->framing);
	else
		framing_filled(&c->framing, (uint32_t)len);
	serve(run, c);
}

static void accept_connections(struct run *run, int listener)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *c = &run->connections[run->connection_count];

		if (run->connection_count == run->connection_max ||
			framing_init(&c->framing, RELAY_MESSAGE_MAX) != 0) {
			run->tally->connections_refused++;
			close(fd);
			continue;
		}
		// A client whose machine is gone doesn't keep its place for ever.
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		c->fd = fd;
		run->connection_count++;
		run->tally->connections++;
	}
}

static void forget_closed(struct run *run)
{
	for (unsigned i = 0; i < run->connection_count;) {
		if (run->connections[i].fd >= 0)
			i++;
		else
			run->connections[i] = run->connections[--run->connection_count];
	}
}

static struct connection *in_turn(struct run *run, unsigned i)
{
	return &run->connections[(run->turn + i) % run->connection_count];
}

// What was had before the library had no room.
static void try_again(struct run *run)
{
	millrace_durable(run->m); // or its descriptor stays readable
	run->full = false;
	for (unsigned i = 0; i < run->connection_count && !run->full; i++)
		serve(run, in_turn(run, i));
	forget_closed(run);
}

static int wait_for_news(struct run *run, int timeout_ms)
{
	struct pollfd *p = run->polled;
	unsigned count = 1 + run->listener_count;

	p[0] = (struct pollfd){.fd = run->full ? millrace_fd(run->m) : -1, .events = POLLIN};
	for (unsigned i = 0; i < run->listener_count; i++)
		p[1 + i] = (struct pollfd){.fd = run->listeners[i].fd, .events = POLLIN};
	for (unsigned i = 0; !run->full && i < run->connection_count; i++)
		p[count++] = (struct pollfd){.fd = run->connections[i].fd, .events = POLLIN};
	return poll(p, count, timeout_ms);
}

static void read_listeners(struct run *run)
{
	for (unsigned i = 0; i < run->listener_count; i++) {
		if (run->polled[1 + i].revents == 0)
			continue;
		if (run->listeners[i].stream)
			accept_connections(run, run->listeners[i].fd);
		else
			take_datagrams(run, run->listeners[i].fd);
	}
}

// False: nothing came in the time.
static bool step(struct run *run, int timeout_ms)
{
	bool waited = run->full;
	unsigned count = run->connection_count;
	int ready = wait_for_news(run, timeout_ms);

	if (waited && (ready == 0 || run->polled[0].revents != 0))
		try_again(run);
	if (ready <= 0)
		return false;
	// Before new ones are accepted: they were not asked for.
	for (unsigned i = 0; !waited && i < count && !run->full; i++) {
		unsigned at = (run->turn + i) % count;

		if (run->polled[1 + run->listener_count + at].revents != 0)
			read_connection(run, &run->connections[at]);
	}
	run->turn++;
	forget_closed(run);
	read_listeners(run);
	return true;
}

static void close_listener(struct run *run, struct relay_listener *listener)
{
	run->tally->dropped.socket += relay_listener_lost(listener);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

// Nobody can connect any more, and what is in the kernel's buffers is read, as far as there is
// room.
static void drain(struct run *run)
{
	uint64_t end = clock_monotonic_ns() + DRAIN_NS;

	for (unsigned i = 0; i < run->listener_count; i++) {
		if (!run->listeners[i].stream)
			continue;
		accept_connections(run, run->listeners[i].fd);
		close_listener(run, &run->listeners[i]);
	}
	while (clock_monotonic_ns() < end && (step(run, run->full ? STEP_MS : 0) || run->full))
		;
	for (unsigned i = 0; i < run->listener_count; i++)
		close_listener(run, &run->listeners[i]);
}

static int ms_until(uint64_t end)
{
	uint64_t now = clock_monotonic_ns(), ms = now < end ? (end - now) / MS_NS : 0;

	return ms < INT_MAX ? (int)ms : INT_MAX;
}

// What came in part is a message now. One for which no room comes in time is counted as left.
static void end_connection(struct run *run, struct connection *c, uint64_t end)
{
	const uint8_t *message;
	uint32_t len;

	framing_end(&c->framing);
	do {
		int left_ms = ms_until(end);

		run->full = false;
		serve(run, c);
		if (run->full && left_ms == 0) {
			run->tally->dropped.left++;
			framing_next(&c->framing, &message, &len);
			framing_take(&c->framing);
		} else if (run->full) {
			millrace_durable(run->m);
			poll(&(struct pollfd){.fd = millrace_fd(run->m), .events = POLLIN}, 1,
				left_ms < STEP_MS ? left_ms : STEP_MS);
		}
	} while (c->fd >= 0);
}

static void count_acknowledged(struct run *run)
{
	struct relay_tally *tally = run->tally;

	millrace_get_stats(run->m, &tally->stats, sizeof(tally->stats));
	tally->acknowledged = tally->stats.acknowledged;
	tally->unacknowledged = tally->stats.events - tally->stats.acknowledged;
	if (tally->unacknowledged > 0)
		millrace_error_text(run->m, tally->reason);
	else
		tally->reason[0] = '\0';
}

static uint64_t count_spooled(struct run *run)
{
	uint64_t spooled = millrace_spooled(run->m), durable = millrace_durable(run->m);

	return spooled > durable ? spooled - durable : 0;
}

static void finish(struct run *run)
{
	uint64_t end = clock_monotonic_ns() + run->options->wait_ns;

	drain(run);
	if (run->tally->failed != 0)
		end = 0;
	for (unsigned i = 0; i < run->connection_count; i++)
		end_connection(run, &run->connections[i], end);
	run->connection_count = 0;
	millrace_stop(run->m, ms_until(end));
	count_acknowledged(run);
	run->tally->spooled = count_spooled(run);
}

static void tell(struct run *run)
{
	if (run->progress == NULL || clock_monotonic_ns() < run->tell_due)
		return;
	run->tell_due = clock_monotonic_ns() + TELL_NS;
	count_acknowledged(run);
	run->progress(run->tally, run->arg);
}

// As many connections as there are descriptors: accept() would fail again and again otherwise.
static unsigned most_connections(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return RELAY_CONNECTIONS_MAX;
	if (files.rlim_cur < RELAY_CONNECTIONS_MAX + SPARE_FILES) {
		files.rlim_cur = RELAY_CONNECTIONS_MAX + SPARE_FILES;
		if (files.rlim_cur > files.rlim_max)
			files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur >= RELAY_CONNECTIONS_MAX + SPARE_FILES)
		return RELAY_CONNECTIONS_MAX;
	return files.rlim_cur > SPARE_FILES ? (unsigned)files.rlim_cur - SPARE_FILES : 1;
}

static int run_opened(struct run *run, char *why)
{
	struct millrace_stats stats;
	int err = send_target_open(&run->handle, &run->options->to, 0, why);

	run->m = run->handle.m;
	if (err == 0)
		err = relay_listen(run->options->listen, run->listeners, &run->listener_count, why);
	if (err != 0)
		return err;
	run->tally->source = millrace_source(run->m);
	millrace_get_stats(run->m, &stats, sizeof(stats));
	run->tally->found = stats.events;
	while (!*run->stop && run->tally->failed == 0) {
		tell(run);
		step(run, STEP_MS);
	}
	finish(run);
	return 0;
}

int relay_run(const struct relay_options *options, const volatile bool *stop,
	relay_progress *progress, void *arg, struct relay_tally *ret, char *why)
{
	struct run *run = calloc(1, sizeof(*run));
	int err = -ENOMEM;

	memset(ret, 0, sizeof(*ret));
	why[0] = '\0';
	if (run != NULL) {
		run->options = options;
		run->stop = stop;
		run->progress = progress;
		run->arg = arg;
		run->tally = ret;
		run->connection_max = most_connections();
		run->datagram = malloc(RELAY_MESSAGE_MAX);
	}
	if (run != NULL && run->datagram != NULL)
		err = run_opened(run, why);
	if (err != 0 && why[0] == '\0')
		snprintf(why, RELAY_WHY_BYTES, "%s", strerror(-err));
	if (run != NULL) {
		send_target_close(&run->handle);
		free(run->datagram);
	}
	free(run);
	return err;
}
