// SPDX-License-Identifier: BSD-3-Clause
#include "lib/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((64u << 10) - (uint32_t)sizeof(struct chunk))

static struct chunk *chunk_of(struct chunk **spare, uint32_t bytes)
{
	uint32_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
	struct chunk *chunk = *spare;

	if (chunk != NULL && chunk->room >= bytes) {
		*spare = NULL;
	} else {
		chunk = malloc(sizeof(*chunk) + room);
		if (chunk == NULL)
			return NULL;
		chunk->room = room;
	}
	chunk->next = NULL;
	chunk->used = 0;
	return chunk;
}

int queue_add(struct queue *q, struct chunk **spare, const void *event, uint32_t len)
{
	uint32_t bytes = (uint32_t)sizeof(len) + len;
	struct chunk *chunk = q->last;

	if (chunk == NULL || chunk->room - chunk->used < bytes) {
		chunk = chunk_of(spare, bytes);
		if (chunk == NULL)
			return -ENOMEM;
		if (q->last != NULL) {
			q->last->next = chunk;
		} else {
			q->first = chunk;
			q->at = 0;
		}
		q->last = chunk;
	}
	memcpy(chunk->bytes + chunk->used, &len, sizeof(len));
	if (len > 0)
		memcpy(chunk->bytes + chunk->used + sizeof(len), event, len);
	chunk->used += bytes;
	return 0;
}

const uint8_t *queue_first(const struct queue *q, uint32_t *len)
{
	if (q->first == NULL)
		return NULL;
	memcpy(len, q->first->bytes + q->at, sizeof(*len));
	return q->first->bytes + q->at + sizeof(*len);
}

void queue_remove(struct queue *q, struct chunk **empty)
{
	struct chunk *chunk = q->first;
	uint32_t len = 0;

	queue_first(q, &len);
	q->at += (uint32_t)sizeof(len) + len;
	if (q->at < chunk->used)
		return;
	q->first = chunk->next;
	q->at = 0;
	if (q->first == NULL)
		q->last = NULL;
	free(*empty);
	*empty = chunk;
}

void queue_append(struct queue *q, struct queue *more)
{
	if (q->last == NULL)
		*q = *more;
	else
		q->last->next = more->first;
	if (more->last != NULL)
		q->last = more->last;
	*more = (struct queue){0};
}

void queue_free(struct queue *q)
{
	while (q->first != NULL) {
		struct chunk *next = q->first->next;

		free(q->first);
		q->first = next;
	}
	q->last = NULL;
}
