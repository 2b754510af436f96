// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A core for the API that does what a test says.

#include "control/api.h"

#define CORE_TICKET 7

extern const struct api_core core_calls;

// What the core is and was told. Both threads', under a lock; a test may read and write it directly
// where no request is under way.
struct scripted_core {
	bool leads, healthy, done, no_memory;
	char address[512];
	unsigned status, submitted, asked, forgotten, shown;
	uint64_t events;
	char command[16], body[256];
	size_t body_bytes;
};

extern struct scripted_core core;

void core_begin(void);
void core_set(bool leads, const char *address, bool done, unsigned status);
void core_add_event(void);
unsigned core_count(const unsigned *count);
void core_wait(const unsigned *count, unsigned wanted); // until it is so much, 10 s at most
