// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Reads batches and holds them against what they said of themselves: test support, so every
// failure ends the test.

#include "wal/batches.h"

struct wal_batches *batches_opened(const char *dir, const struct wal *wal, uint64_t number);

// All blocks of the batch that was just handed out. 1, or the error that wal_batches_block() ended
// with. 'payload': bytes of each row, as log_fixture_submit() makes them; 0: not looked at.
int batches_read(struct wal_batches *batches, const struct wal_batch *batch, uint32_t payload);

// The next batch, and all of it: it must be there, of that number.
struct wal_batch batches_expect(struct wal_batches *batches, uint64_t number, uint32_t payload);

// What wal_batches_next() returns, which is no batch.
int batches_ended(struct wal_batches *batches);
