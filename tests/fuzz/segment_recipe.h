// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Up to three segment files out of a few bytes: the input is a list of steps that build blocks and
// break them again, so that what a fuzzer changes in it lies behind the CRCs, too. Everything
// follows from the input alone.

#include "wal/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECIPE_FILES 3
#define RECIPE_ITEMS 48
#define RECIPE_FILE_MAX (96u << 10)

struct recipe_file {
	uint64_t first_seq; // by its name
	size_t len;
	uint8_t bytes[RECIPE_FILE_MAX];
};

// A schema page, a block or an end page: its last four bytes are the CRC of those before.
struct recipe_item {
	unsigned file;
	uint32_t offset, len;
};

struct recipe {
	struct recipe_file files[RECIPE_FILES];
	unsigned file_count;
	struct recipe_item items[RECIPE_ITEMS];
	unsigned item_count;
	bool honest; // no byte was changed with its CRC put right: every row read must be true
	uint64_t from;
	struct wal_limit limit;
};

void recipe_cook(struct recipe *ret, const uint8_t *data, size_t size);

// Whether that is what a recipe puts into the row with its seq.
bool recipe_row_true(const struct wal_row *row);
