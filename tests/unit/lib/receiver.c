// SPDX-License-Identifier: BSD-3-Clause
#include "receiver.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MS_NS 1000000ull
#define DURABLE_NS (3 * MS_NS)
#define BLOCKS 64u
#define BLOCKS_UNDER_WAY 16u

void receiver_init(struct receiver *r, const struct receiver_options *options)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int size = 4 << 20;

	memset(r, 0, sizeof(*r));
	r->options = *options;
	r->random = 88172645463325252ull;
	r->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(r->fd >= 0);
	setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	assert_int_equal(bind(r->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(r->fd, (struct sockaddr *)&address, &len), 0);
	r->port = ntohs(address.sin_port);
	snprintf(r->name, sizeof(r->name), "127.0.0.1:%u", r->port);
}

static bool is_lost(struct receiver *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random % 100 < r->options.loss;
}

static void append(struct receiver *r, const struct received *event)
{
	uint8_t *payload = malloc(event->len + 1);

	assert_non_null(payload);
	if (r->row_count == r->row_room) {
		r->row_room = r->row_room * 2 + 64;
		r->rows = realloc(r->rows, r->row_room * sizeof(*r->rows));
		assert_non_null(r->rows);
	}
	if (event->len > 0)
		memcpy(payload, event->payload, event->len);
	r->rows[r->row_count++] = (struct receiver_row){
		event->source, event->seq, event->epoch, event->len, event->is_opening, payload};
}

static void take(struct receiver *r, uint64_t now)
{
	static _Thread_local struct received events[RECEIVE_EVENTS];
	static _Thread_local uint8_t data[65536];
	struct sockaddr_in from = {0};
	socklen_t from_len = sizeof(from);
	ssize_t len;

	while ((len = recvfrom(r->fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_len)) >
		0) {
		struct peer peer = {.port = ntohs(from.sin_port), .own_port = r->port};
		unsigned n;

		memcpy(peer.address, &from.sin_addr, 4);
		if (is_lost(r))
			continue;
		n = receive_take(r->receive, data, (uint32_t)len, &peer, now, events);
		for (unsigned i = 0; i < n; i++)
			append(r, &events[i]);
		if (n > 0)
			receive_appended(r->receive, n);
	}
}

static void submit(struct receiver *r, uint64_t now)
{
	if (r->row_count == r->submitted_rows || r->blocks_to - r->blocks_from == BLOCKS_UNDER_WAY)
		return;
	receive_submitted(r->receive);
	r->blocks[r->blocks_to % BLOCKS].due = now + DURABLE_NS;
	r->blocks[r->blocks_to % BLOCKS].rows = r->row_count;
	r->submitted_rows = r->row_count;
	r->blocks_to++;
}

static void settle(struct receiver *r, uint64_t now)
{
	while (!r->hold && r->blocks_from < r->blocks_to &&
		r->blocks[r->blocks_from % BLOCKS].due <= now) {
		r->durable_rows = r->blocks[r->blocks_from % BLOCKS].rows;
		receive_durable(r->receive);
		r->blocks_from++;
	}
}

static void answer(struct receiver *r, uint64_t now)
{
	uint8_t data[WIRE_QUESTION_MIN];
	struct peer to;
	uint32_t len;

	while ((len = receive_next(r->receive, now, data, &to)) > 0) {
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(to.port)};

		memcpy(&address.sin_addr, to.address, 4);
		if (!is_lost(r))
			sendto(r->fd, data, len, 0, (struct sockaddr *)&address, sizeof(address));
	}
}

static void *run(void *arg)
{
	struct receiver *r = arg;
	struct pollfd fd = {.fd = r->fd, .events = POLLIN};

	while (!r->stop) {
		uint64_t now;

		poll(&fd, 1, 1);
		now = clock_monotonic_ns();
		take(r, now);
		submit(r, now);
		settle(r, now);
		answer(r, now);
	}
	return NULL;
}

static void restore(struct receiver *r, uint32_t now_s)
{
	for (unsigned i = 0; i < r->row_count; i++) {
		const struct receiver_row *row = &r->rows[i];
		const struct received event = {
			row->source, row->seq, row->epoch, row->len, row->payload, row->is_opening};

		assert_int_equal(receive_restore(r->receive, &event, now_s), 0);
	}
}

void receiver_start(struct receiver *r)
{
	struct receive_config config = {.sources = 64,
		.windows = 64,
		.sessions = 64,
		.snapshots = 64 * 64,
		.credit = r->options.credit != 0 ? r->options.credit : 8 << 20,
		.event_max = r->options.event_max != 0 ? r->options.event_max : WIRE_EVENT_MAX,
		.large_events = 8,
		.source_expiry_s = 3600,
		.log_id = {r->options.log, 1},
		.key_count = r->options.key.id != 0,
		.keys = {r->options.key}};

	assert_int_equal(receive_make(&r->receive, &config), 0);
	restore(r, (uint32_t)(clock_monotonic_ns() / 1000000000u));
	r->stop = false;
	r->running = true;
	r->blocks_from = r->blocks_to = 0;
	r->submitted_rows = r->row_count;
	assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
}

void receiver_pause(struct receiver *r)
{
	if (!r->running)
		return;
	r->stop = true;
	pthread_join(r->thread, NULL);
	r->running = false;
}

void receiver_kill(struct receiver *r)
{
	receiver_pause(r);
	receive_free(r->receive);
	r->receive = NULL;
	while (r->row_count > r->durable_rows)
		free(r->rows[--r->row_count].payload);
}

void receiver_free(struct receiver *r)
{
	receiver_kill(r);
	for (unsigned i = 0; i < r->row_count; i++)
		free(r->rows[i].payload);
	free(r->rows);
	close(r->fd);
}

unsigned receiver_durable_events(const struct receiver *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->durable_rows; i++)
		n += !r->rows[i].is_opening;
	return n;
}
