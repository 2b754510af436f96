// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Events on their way from callers to the library's thread, one after another in chunks. No lock:
// the owner has one.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk {
	struct chunk *next;
	uint32_t used, room; // of bytes
	uint8_t bytes[];
};

struct queue {
	struct chunk *first, *last;
	uint32_t at; // of the first chunk: the first event that is in the queue
};

static inline bool queue_is_empty(const struct queue *q)
{
	return q->first == NULL;
}

// Copies the event. 'spare' (may be NULL inside) is used first where it is large enough. -ENOMEM.
int queue_add(struct queue *q, struct chunk **spare, const void *event, uint32_t len);

// The first event, borrowed until queue_remove(); NULL: none.
const uint8_t *queue_first(const struct queue *q, uint32_t *len);
// Removes it. A chunk that has become empty is in *empty then, the caller's, to reuse or free; one
// that was there (NULL: none) is freed.
void queue_remove(struct queue *q, struct chunk **empty);

// All of 'more' behind what is in 'q'; 'more' is empty then.
void queue_append(struct queue *q, struct queue *more);
void queue_free(struct queue *q);
