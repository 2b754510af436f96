// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Builds the segments of a log in a directory of its own, block by block, and breaks them: test
// support, so every failure ends the test.

#include "wal/format.h"

#include <stdbool.h>
#include <stdint.h>

#define LB_SEGMENT (4u << 20) // size of a segment file unless said otherwise

struct logbuilder {
	char dir[200];
	// What the next segment and block get. Tests may change them.
	struct wal_id log_id;
	uint32_t generation;
	uint32_t partition;
	uint64_t seq;
	uint64_t batch;
	uint64_t durable_seq;
	uint64_t gap_from; // of the next segment; UINT64_MAX: none
	// The segment being built.
	int fd;
	char name[40];
	struct wal_segment_header header;
	uint64_t offset;
	uint64_t last; // offset of the last block
	uint32_t prev_crc;
	bool sealed;
};

void lb_init(struct logbuilder *lb);
void lb_done(struct logbuilder *lb);

// The same as a test's setup and teardown: *state is a struct logbuilder.
int lb_setup(void **state);
int lb_teardown(void **state);

// Begins a segment of LB_SEGMENT zero bytes with its schema page; the one before stays as it is.
void lb_segment(struct logbuilder *lb);

// Adds a block of 'rows' rows with payloads of 100 bytes; returns its offset.
uint64_t lb_block(struct logbuilder *lb, uint32_t rows, uint32_t flags);
// One row with this payload, so placed that it begins on a page of the file; returns that offset.
uint64_t lb_block_with(struct logbuilder *lb, const void *payload, uint32_t len);
uint64_t lb_payload_at(const struct logbuilder *lb); // what it would return
void lb_seal(struct logbuilder *lb);
void lb_eos(struct logbuilder *lb); // unsigned, as rotation writes it
void lb_end(struct logbuilder *lb); // signed, and the file cut behind it, as a stop does

// Leaves room for a block of that many rows without writing it: it was in flight.
void lb_skip(struct logbuilder *lb, uint32_t rows);

// Composes the block that lb_block() would write at 'offset', into 'block'; returns its length.
uint32_t lb_compose(const struct logbuilder *lb, uint8_t *block, uint64_t offset, uint32_t rows,
	uint32_t flags);

// Breaks a file of the directory.
void lb_flip(const struct logbuilder *lb, const char *name, uint64_t offset);
void lb_zero(const struct logbuilder *lb, const char *name, uint64_t offset, uint64_t len);
void lb_noise(const struct logbuilder *lb, const char *name, uint64_t offset, uint64_t len);
void lb_truncate(const struct logbuilder *lb, const char *name, uint64_t size);
void lb_remove(const struct logbuilder *lb, const char *name);
uint64_t lb_size(const struct logbuilder *lb, const char *name); // UINT64_MAX: no such file
void lb_copy(const struct logbuilder *lb, const char *name, const char *to);

// A checksum over names, sizes and bytes of everything in the directory.
uint64_t lb_digest(const struct logbuilder *lb);
