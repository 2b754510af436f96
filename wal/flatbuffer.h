// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A flatbuffer written forward: whoever refers to something puts down an empty reference first, and
// the thing itself, written later, fills it in. What does not fit any more is counted only, so that
// a writer without room tells how much it takes.

#include <stdint.h>

#define FLAT_OVERFLOW (UINT32_MAX / 2) // a length that says: more than can be counted

struct flat {
	uint8_t *at;
	uint32_t len, cap; // good when len <= cap
};

void flat_put(struct flat *w, const void *data, uint32_t len);
void flat_put16(struct flat *w, unsigned v);
void flat_put32(struct flat *w, uint32_t v);
void flat_put64(struct flat *w, uint64_t v);

// Zeros until the next byte is 'less' bytes before a multiple of 'to'.
void flat_align(struct flat *w, uint32_t to, uint32_t less);

uint32_t flat_put_ref(struct flat *w);
// The reference at 'ref' points to what is written next.
void flat_resolve(struct flat *w, uint32_t ref);

// 'fields': the place of each in its table of 'size' bytes, 0: absent. Returns the vtable's place.
uint32_t flat_put_vtable(struct flat *w, const uint16_t *fields, unsigned count, unsigned size);
// Begins a table whose size is a multiple of 4: the distance back to its vtable.
void flat_put_table(struct flat *w, uint32_t vtable);

void flat_put_string(struct flat *w, uint32_t ref, const char *text);
// Begins a vector of so many elements; where the first will be.
uint32_t flat_put_vector(struct flat *w, uint32_t ref, uint32_t count);
