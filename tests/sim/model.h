// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a log must hold: every row that was ever submitted, and what was reported of it.

#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_ROWS 65536u
#define MODEL_BATCHES 16384u
#define MODEL_PAYLOAD_MAX 400u

void model_reset(void);

// A life is a run of the writer: rows that are submitted anew under a seq after a crash differ from
// those before it.
void model_new_life(void);

bool model_has_room(uint32_t rows);
// Fills 'rows' rows from 'seq' on into a block; returns what is to be submitted.
void model_fill(
	struct wal_block *block, uint64_t seq, uint32_t rows, bool spread, struct wal_fill *ret);
// Before and after the call that submits them, or (no rows) seals the batch.
void model_submitting(uint64_t seq, uint32_t rows, uint64_t batch);
void model_submitted(const struct wal *wal, uint64_t batch);

// After each call of the owner: what is reported now, and whether it may be.
void model_observe(const struct wal *wal);
uint64_t model_durable(void);
uint64_t model_next(void);         // behind the last row submitted
uint32_t model_life(uint64_t seq); // that it was submitted in; 0: not at all

// After recovery: what it says, and what the directory holds.
void model_recovered(const struct wal *wal, const struct wal_recovery *report);
// At any time: what was reported durable can be read, up to the durable position.
void model_check_durable(void);
// The same of what is sealed, batch by batch, as those read who follow the log.
void model_check_batches(const struct wal *wal);
