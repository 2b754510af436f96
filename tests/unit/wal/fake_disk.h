// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A disk whose every operation waits until the test completes it, in the order and with the result
// that the test chooses.

#include "wal/io.h"

#include <stdint.h>

#define FAKE_OPS 256

struct fake_op {
	enum { FAKE_WRITE, FAKE_FLUSH } kind;
	int fd;
	const void *buf;
	uint32_t len;
	uint64_t offset;
	int dsync;
	uint64_t tag;
	int completed;
};

struct fake_disk {
	struct wal_io io;
	struct fake_op ops[FAKE_OPS]; // all that was ever submitted, in order
	unsigned count;
	struct wal_io_done done[FAKE_OPS];
	unsigned head, tail;
	int instant;      // complete writes and flushes as they come (in full)
	int flush_result; // of instant flushes
};

struct fake_disk *fake_disk_new(void);

// Completes operation n; a write also reaches the file as far as 'result' bytes.
void fake_complete(struct fake_disk *disk, unsigned n, int32_t result);

// The n-th operation of a kind among those not completed; FAKE_OPS: there is none.
unsigned fake_find(const struct fake_disk *disk, int kind, unsigned n);
unsigned fake_open_count(const struct fake_disk *disk, int kind);
