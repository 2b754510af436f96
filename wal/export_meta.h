// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What stands around the record batches of an export: the schema's message and a file's footer.
// Both are allocated and the caller's to free; -E2BIG: too long to be counted.

#include "wal/schema.h"

#include <stddef.h>
#include <stdint.h>

// Where a record batch lies in a file.
struct export_place {
	uint64_t offset;
	uint32_t metadata_len; // its message's, with the 8 bytes before
	uint64_t body_len;
};

// An encapsulated message: a multiple of 8 bytes.
int export_schema(
	const struct schema_pair *pairs, unsigned count, uint8_t **ret, uint32_t *ret_len);

// All behind the end-of-stream marker of a file.
int export_footer(const struct schema_pair *pairs, unsigned count,
	const struct export_place *places, size_t place_count, uint8_t **ret, uint32_t *ret_len);
