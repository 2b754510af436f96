// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The schema of a log's columns as Arrow writes it, for segments and for what is exported of them.

#include "wal/flatbuffer.h"

struct schema_pair {
	const char *key, *value;
};

// A Schema table with this metadata; 'ref' refers to it.
void schema_put(struct flat *w, uint32_t ref, const struct schema_pair *pairs, unsigned count);

// A Message that holds it: a flatbuffer of its own.
void schema_put_message(struct flat *w, const struct schema_pair *pairs, unsigned count);
