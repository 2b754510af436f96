// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A log of many batches of different shapes: test support.

#include "tests/unit/wal/logbuilder.h"

#define SEGMENTS 9u
#define EACH 5u // batches of a segment
#define ALL (SEGMENTS * EACH)

// One segment without its end. Batch i has i % 3 + 1 blocks of 10 rows, and every fourth is sealed
// by a block of no rows.
void batches_build_segment(struct logbuilder *lb);

// All of them, and what their files are called.
void batches_build(struct logbuilder *lb, char names[SEGMENTS][40]);
