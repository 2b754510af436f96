// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The open connections. A client that connects and says nothing, or says it byte by byte, must not
// keep others out: when more than HTTP_POOL_KEEP are open, the one that has been waiting longest
// without a complete request is shut down. All of it in the server's one thread.

#include <stdbool.h>
#include <stdint.h>

#define HTTP_POOL_KEEP 128u
#define HTTP_POOL_SLOTS 192u // connections shut down are still open until the server sees it

struct http_slot {
	int fd;
	bool used;
	bool answering; // a complete request is being answered
	bool evicted;
	uint64_t since; // order in which connections began to wait
};

struct http_pool {
	unsigned count;
	uint64_t clock;
	uint64_t evicted;
	struct http_slot slots[HTTP_POOL_SLOTS];
};

// NULL when every slot is used, which the server's connection limit rules out.
struct http_slot *http_pool_add(struct http_pool *pool, int fd);
void http_pool_remove(struct http_pool *pool, struct http_slot *slot);
void http_pool_answering(struct http_slot *slot);
void http_pool_waiting(struct http_pool *pool, struct http_slot *slot);
