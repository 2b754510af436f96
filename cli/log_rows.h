// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What `millrace log cat` prints of a block.

#include "wal/reader.h"

#include <stdio.h>

// The payload and a newline.
void log_row_text(const struct wal_row *row, FILE *out);

// One JSON object with every column, ids and seqs as strings; a payload that is no UTF-8 as
// payload_base64.
void log_row_json(const struct wal_row *row, FILE *out);
