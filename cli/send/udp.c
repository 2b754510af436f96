// SPDX-License-Identifier: BSD-3-Clause
// The kernel's UDP: one connected socket per flow, sendmmsg, never waiting.

#include "cli/send/send.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER_BYTES (4 << 20)

struct udp_wire {
	struct send_wire wire;
	const struct send_plan *plan;
	uint8_t *buffer; // SEND_BURST_MAX datagrams
	size_t stride;
	uint64_t built; // slots whose datagrams need nothing but new digits, one bit each
	struct mmsghdr msg[SEND_BURST_MAX];
	struct iovec iov[SEND_BURST_MAX];
	uint32_t bytes[SEND_BURST_MAX]; // payload in each
	uint32_t events[SEND_BURST_MAX];
	unsigned flows;
	int fd[];
};

static void count_sent(struct udp_wire *w, unsigned from, unsigned n, struct send_tally *tally)
{
	for (unsigned i = from; i < from + n; i++) {
		tally->sent += w->events[i];
		tally->bytes += w->bytes[i];
	}
	tally->datagrams += n;
}

static void count_refused(struct udp_wire *w, unsigned i, int error, struct send_tally *tally)
{
	tally->refused += w->events[i];
	if (error == ECONNREFUSED)
		tally->no_listener++;
	if (error != 0)
		tally->last_error = error;
}

// The kernel stops at the first datagram that it refuses. That one is lost; the next goes on.
static void hand_over(struct udp_wire *w, int fd, unsigned n, struct send_tally *tally)
{
	unsigned at = 0;

	while (at < n) {
		int sent = sendmmsg(fd, w->msg + at, n - at, MSG_DONTWAIT);
		int error = sent < 0 ? errno : 0;

		if (error == EINTR)
			continue;
		if (sent > 0) {
			count_sent(w, at, (unsigned)sent, tally);
			at += (unsigned)sent;
		}
		if (at < n)
			count_refused(w, at++, error, tally);
	}
}

static void compose(struct udp_wire *w, unsigned slot, uint64_t datagram)
{
	const struct send_plan *plan = w->plan;
	uint8_t *buf = (uint8_t *)w->iov[slot].iov_base;
	uint32_t events = send_datagram_events(plan, datagram);

	if ((w->built >> slot & 1) != 0 && events == plan->lines) {
		for (uint32_t i = 0; i < events; i++)
			send_digits_set(buf + (size_t)i * (plan->size_min + 1) + 8,
				datagram * plan->lines + i);
		return;
	}
	w->events[slot] = events;
	w->iov[slot].iov_len = send_datagram_write(plan, datagram, buf, &w->bytes[slot]);
	if (plan->size_min == plan->size_max && events == plan->lines)
		w->built |= 1ull << slot;
	else
		w->built &= ~(1ull << slot);
}

static void udp_transmit(
	struct send_wire *wire, uint64_t first, unsigned n, struct send_tally *tally)
{
	struct udp_wire *w = (struct udp_wire *)wire;

	for (unsigned f = 0; f < w->flows && f < n; f++) {
		unsigned slots = 0;

		for (unsigned i = f; i < n; i += w->flows)
			compose(w, slots++, first + i);
		hand_over(w, w->fd[(first + f) % w->flows], slots, tally);
	}
}

static void udp_close(struct send_wire *wire)
{
	struct udp_wire *w = (struct udp_wire *)wire;

	if (w == NULL)
		return;
	for (unsigned i = 0; i < w->flows; i++) {
		if (w->fd[i] >= 0)
			close(w->fd[i]);
	}
	free(w->buffer);
	free(w);
}

static int connect_one(const struct addrinfo *to)
{
	int size = SOCKET_BUFFER_BYTES;
	int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

// "HOST:PORT" or "[IPv6]:PORT", cut into the two.
static bool split_target(const char *target, char host[256], const char **ret_port)
{
	const char *colon = strrchr(target, ':');
	size_t len;

	if (colon == NULL || colon[1] == '\0')
		return false;
	len = (size_t)(colon - target);
	if (len >= 2 && target[0] == '[' && colon[-1] == ']') {
		target++;
		len -= 2;
	} else if (memchr(target, ':', len) != NULL) {
		return false;
	}
	if (len == 0 || len >= 256)
		return false;
	memcpy(host, target, len);
	host[len] = '\0';
	*ret_port = colon + 1;
	return true;
}

static int resolve(const char *target, struct addrinfo **ret, char *why)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	char host[256];
	const char *port;
	int r;

	if (!split_target(target, host, &port)) {
		snprintf(why, SEND_WHY_BYTES, "'%s' is not HOST:PORT", target);
		return -EINVAL;
	}
	r = getaddrinfo(host, port, &hints, ret);
	if (r != 0) {
		snprintf(why, SEND_WHY_BYTES, "%s: %s", target, gai_strerror(r));
		return -EHOSTUNREACH;
	}
	return 0;
}

static struct udp_wire *wire_new(const struct send_plan *plan)
{
	struct udp_wire *w = (struct udp_wire *)calloc(1, sizeof(*w) + plan->flows * sizeof(int));

	if (w == NULL)
		return NULL;
	w->wire = (struct send_wire){.transmit = udp_transmit, .close = udp_close};
	w->plan = plan;
	w->flows = plan->flows;
	for (unsigned i = 0; i < w->flows; i++)
		w->fd[i] = -1;
	w->stride = send_datagram_max(plan);
	w->buffer = (uint8_t *)malloc(SEND_BURST_MAX * w->stride);
	for (unsigned i = 0; w->buffer != NULL && i < SEND_BURST_MAX; i++) {
		w->iov[i].iov_base = w->buffer + i * w->stride;
		w->msg[i].msg_hdr = (struct msghdr){.msg_iov = &w->iov[i], .msg_iovlen = 1};
	}
	return w;
}

int send_udp_open(
	struct send_wire **ret, const struct send_plan *plan, const char *target, char *why)
{
	struct addrinfo *to = NULL;
	struct udp_wire *w = NULL;
	int r = resolve(target, &to, why);

	if (r != 0)
		return r;
	w = wire_new(plan);
	if (w == NULL || w->buffer == NULL) {
		r = -ENOMEM;
		goto out;
	}
	for (unsigned i = 0; i < w->flows; i++) {
		r = w->fd[i] = connect_one(to);
		if (r < 0)
			goto out;
	}
	*ret = &w->wire;
	w = NULL;
	r = 0;
out:
	if (r != 0)
		snprintf(why, SEND_WHY_BYTES, "%s: %s", target, strerror(-r));
	freeaddrinfo(to);
	if (w != NULL)
		udp_close(&w->wire);
	return r;
}
