// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A log in memory behind the functions of wal/batches.h, linked instead of them: every batch
// follows from its number. Test support, so every failure ends the test.

#include "wal/batches.h"

#define FAKE_ROWS 5u // of each block
#define FAKE_RECEIVED 1700000000000000000
#define FAKE_STEP 1000000000 // fake_log.step unless said otherwise

struct fake_log {
	uint64_t oldest, sealed; // batches there: [oldest, sealed)
	uint64_t listeners_from; // from this batch on they are others
	uint64_t damaged;        // a batch whose blocks can't be read; UINT64_MAX: none
	int64_t step;            // ns from a batch to the next
	struct wal_id log_id;
	int (*fails)(void); // NULL, or below 0: what a look or a read returns
};

extern struct fake_log fake_log;

void fake_log_reset(void); // no batch
uint64_t fake_batch_bytes(uint64_t number);
uint32_t fake_batch_events(uint64_t number);

// Exports batches as one file, as it must come; allocated.
uint8_t *fake_export(
	uint64_t first, uint64_t last, const char *receiver, unsigned partition, size_t *ret_len);
