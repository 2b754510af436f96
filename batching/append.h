// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The hot path of a partition, inline in whoever owns it. Included by batcher.h only.

#include <string.h>

// The open block. Room for no rows while no block is open, so that one comparison finds both "full"
// and "none".
struct open_block {
	uint32_t rows, rows_max;
	uint32_t payload_bytes, payload_max;
	int64_t received_at; // of the burst that is being appended
	int64_t *received;
	uint8_t *src_addr;
	uint16_t *src_port;
	uint16_t *listener;
	int32_t *offsets;
	uint8_t *payload;
	uint64_t *source_id; // these three are filled only while reliable events are in the block
	uint32_t *source_epoch;
	uint64_t *source_seq;
	bool reliable;
	uint64_t events_in; // published by batcher_poll()
};

// The begin of struct batcher.
static inline struct open_block *batcher_open_block(struct batcher *batcher)
{
	return (struct open_block *)batcher;
}

// Everything but the common case: opens or submits a block, a reliable event, a drop; and a payload
// of event->payload_len bytes in pieces instead of at event->payload, where 'pieces' isn't NULL.
int batcher_append_slow(
	struct batcher *batcher, const struct event *event, const struct event_piece *pieces);

void copy_pieces(uint8_t *to, const struct event_piece *pieces, uint32_t len);

// Copies without reading or writing a byte outside; short payloads by two overlapping moves.
static inline void copy_payload(uint8_t *to, const uint8_t *from, uint32_t len)
{
	if (len > 64 || len < 8) {
		memcpy(to, from, len);
		return;
	}
	if (len < 16) {
		uint64_t head, tail;

		memcpy(&head, from, 8);
		memcpy(&tail, from + len - 8, 8);
		memcpy(to, &head, 8);
		memcpy(to + len - 8, &tail, 8);
		return;
	}
	if (len > 32) {
		memcpy(to + 16, from + 16, 16);
		memcpy(to + len - 32, from + len - 32, 16);
	}
	memcpy(to, from, 16);
	memcpy(to + len - 16, from + len - 16, 16);
}

// All but the payload itself.
static inline void append_columns(struct open_block *o, const struct event *event)
{
	uint32_t row = o->rows++;

	o->payload_bytes += event->payload_len;
	o->offsets[row + 1] = (int32_t)o->payload_bytes;
	o->received[row] = o->received_at;
	memcpy(o->src_addr + 16 * (size_t)row, event->src_addr, 16);
	o->src_port[row] = event->src_port;
	o->listener[row] = event->listener;
	o->events_in++;
}

static inline void append_row(struct open_block *o, const struct event *event)
{
	copy_payload(o->payload + o->payload_bytes, event->payload, event->payload_len);
	append_columns(o, event);
}

// Appends one event. 0: it is in the open block, or was dropped under a counter of its own (log
// full, partition failed, too large). -EAGAIN: every block is in flight; poll and offer it again.
// A reliable event is never dropped, for its sender has it still: -ENOSPC, -EIO, -EMSGSIZE instead.
static inline int batcher_append(struct batcher *batcher, const struct event *event)
{
	struct open_block *o = batcher_open_block(batcher);

	if (__builtin_expect(o->rows == o->rows_max || o->reliable || event->source_id != 0 ||
				     event->payload_len > o->payload_max - o->payload_bytes,
		    0)) {
		// Of a copy, so that the caller's event may stay in registers: written to the stack
		// and read back at once it would cost more than the append.
		struct event copy = *event;

		return batcher_append_slow(batcher, &copy, NULL);
	}
	append_row(o, event);

	return 0;
}
