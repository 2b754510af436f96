// SPDX-License-Identifier: BSD-3-Clause

#include "http/pool.h"

#include <stddef.h>
#include <sys/socket.h>

static bool worse(const struct http_slot *a, const struct http_slot *b)
{
	if (b == NULL)
		return true;
	if (a->answering != b->answering)
		return b->answering;
	return a->since < b->since;
}

static void evict(struct http_pool *pool, const struct http_slot *newest)
{
	struct http_slot *worst = NULL;
	unsigned live = 0;

	for (unsigned i = 0; i < HTTP_POOL_SLOTS; i++) {
		struct http_slot *s = &pool->slots[i];

		if (!s->used || s->evicted)
			continue;
		live++;
		if (s != newest && worse(s, worst))
			worst = s;
	}
	if (live <= HTTP_POOL_KEEP || worst == NULL)
		return;
	worst->evicted = true;
	pool->evicted++;
	shutdown(worst->fd, SHUT_RDWR); // the server sees the end and closes it
}

struct http_slot *http_pool_add(struct http_pool *pool, int fd)
{
	for (unsigned i = 0; i < HTTP_POOL_SLOTS; i++) {
		struct http_slot *s = &pool->slots[i];

		if (s->used)
			continue;
		*s = (struct http_slot){.fd = fd, .used = true, .since = pool->clock++};
		pool->count++;
#ifndef MUTANT_HTTP_HOARD
		evict(pool, s);
#endif
		return s;
	}
	return NULL;
}

void http_pool_remove(struct http_pool *pool, struct http_slot *slot)
{
	slot->used = false;
	pool->count--;
}

void http_pool_answering(struct http_slot *slot)
{
	if (slot != NULL)
		slot->answering = true;
}

void http_pool_waiting(struct http_pool *pool, struct http_slot *slot)
{
	if (slot == NULL)
		return;
	slot->answering = false;
	slot->since = pool->clock++;
}
