// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// From the events that are durable to the place behind them, over the files that they came from.
// The one who gives events tells what it gives; anybody may ask.

#include "cli/send/position.h"

#include <pthread.h>
#include <stdint.h>

struct marked_file;

struct marks {
	pthread_mutex_t lock;
	uint64_t *offsets; // behind an event, by seq modulo SEND_IN_FLIGHT
	uint64_t next;     // seq
	uint64_t done;     // of the newest file: behind what was given or passed over
	struct marked_file *oldest, *newest;
};

int marks_init(struct marks *m); // -ENOMEM
void marks_free(struct marks *m);

// What comes from now on is of this file, from place->offset on. -ENOMEM.
int marks_file(struct marks *m, const struct place *place);
// More is known of how the newest file begins.
void marks_head(struct marks *m, const struct place *place);
// The event 'seq', the next one, ends there in the newest file.
void marks_given(struct marks *m, uint64_t seq, uint64_t offset);
// All before this offset of the newest file was given or is not to be given.
void marks_done(struct marks *m, uint64_t offset);

// The place behind all events below 'durable'. False: there was no file yet.
bool marks_place(struct marks *m, uint64_t durable, struct place *ret);
