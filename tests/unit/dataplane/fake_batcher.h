// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A batcher that remembers what was appended, in the place of the real one.

#include "batching/batcher.h"

#include <errno.h>
#include <string.h>

#define FAKE_EVENTS_MAX 65536

struct batcher {
	struct open_block open; // no room: each append comes to batcher_append_slow()
	unsigned count;
	unsigned refuse; // so many appends find no block
	unsigned polls;
	bool attached, finished;
	int64_t time;
	struct event last;
	uint8_t last_payload[65536];
	uint32_t lens[FAKE_EVENTS_MAX];
	uint16_t src_ports[FAKE_EVENTS_MAX];
};

int batcher_attach(struct batcher *b)
{
	b->attached = true;
	return 0;
}

void batcher_set_time(struct batcher *b, int64_t real_ns)
{
	b->time = real_ns;
}

void copy_pieces(uint8_t *to, const struct event_piece *pieces, uint32_t len)
{
	for (; len > 0; len -= pieces++->len, to += pieces[-1].len)
		memcpy(to, pieces->data, pieces->len);
}

int batcher_append_slow(
	struct batcher *b, const struct event *event, const struct event_piece *pieces)
{
	if (b->refuse > 0) {
		b->refuse--;
		return -EAGAIN;
	}
	b->last = *event;
	if (pieces == NULL)
		memcpy(b->last_payload, event->payload, event->payload_len);
	else
		copy_pieces(b->last_payload, pieces, event->payload_len);
	b->lens[b->count % FAKE_EVENTS_MAX] = event->payload_len;
	b->src_ports[b->count % FAKE_EVENTS_MAX] = event->src_port;
	b->count++;
	return 0;
}

bool batcher_poll(struct batcher *b, uint64_t ticks)
{
	(void)ticks;
	b->polls++;
	return false;
}

uint64_t batcher_deadline(const struct batcher *b)
{
	(void)b;
	return UINT64_MAX;
}

uint32_t batcher_rows_open(const struct batcher *b)
{
	(void)b;
	return 0;
}

bool batcher_in_flight(const struct batcher *b)
{
	(void)b;
	return false;
}

int batcher_finish(struct batcher *b)
{
	b->finished = true;
	return 0;
}
