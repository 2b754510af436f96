// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of what was seen share.

#include "transport/seen.h"

#include <sodium.h>

#define SEEN_WORDS (SEEN_WINDOW / 64)

struct window {
	uint32_t marked;           // bits
	uint32_t next;             // free list
	uint64_t bits[SEEN_WORDS]; // of seq modulo SEEN_WINDOW
};

struct seen {
	// Ids are the senders' choice: without a secret some could be made to meet in one place.
	uint8_t secret[crypto_shorthash_KEYBYTES];
	uint32_t capacity, count, slots;
	uint32_t *table; // 1 + index; 0: free. Linear probing, at most half full
	struct seen_source *sources;
	uint32_t free_source;
	uint32_t oldest, newest;
	uint32_t window_count, free_window;
	struct window *windows;
};
