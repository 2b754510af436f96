// SPDX-License-Identifier: BSD-3-Clause

// A process that is killed gives its memory back. So does the simulated one: every block that is
// allocated on a fiber is remembered, and what a boot leaves behind is freed, or is a leak.

#include "sim.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

#define ALIGN 4096u
#define BIG (1u << 20)
#define SPARES 8

struct head {
	struct head *prev, *next; // NULL, NULL: not remembered
	void *base;
	size_t lead, len;
} __attribute__((aligned(16)));

void *__real_malloc(size_t len);
void *__real_aligned_alloc(size_t align, size_t len);
void __real_free(void *p);
void *__real_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
void *__wrap_reallocarray(void *p, size_t n, size_t len);
void *__wrap_aligned_alloc(size_t align, size_t len);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);
void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);
int __wrap_madvise(void *at, size_t len, int advice);

// Big buffers go round and round instead of back to the kernel, which sanitizers do each time.
static struct head *spare[SPARES];
static struct head list = {&list, &list, NULL, 0, 0};
static size_t live;

static struct head *head_of(void *p)
{
	return (struct head *)p - 1;
}

static void *put(void *base, size_t lead, size_t len)
{
	struct head *h;

	if (!base)
		return NULL;
	h = (struct head *)((uint8_t *)base + lead) - 1;
	*h = (struct head){.base = base, .lead = lead, .len = len};
	if (sim_inside() && !sim_is_calm()) {
		h->prev = &list;
		h->next = list.next;
		list.next->prev = h;
		list.next = h;
		live++;
	}
	return h + 1;
}

void *__wrap_malloc(size_t len)
{
	return put(__real_malloc(len + sizeof(struct head)), sizeof(struct head), len);
}

static void *take_spare(size_t lead, size_t len)
{
	for (unsigned i = 0; i < SPARES; i++) {
		struct head *h = spare[i];

		if (!h || h->len != len || h->lead != lead)
			continue;
		spare[i] = NULL;
		return h->base;
	}
	return NULL;
}

static void give_back(struct head *h)
{
	for (unsigned i = 0; h->len >= BIG && i < SPARES; i++) {
		if (spare[i])
			continue;
		spare[i] = h;
		return;
	}
	__real_free(h->base);
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
	size_t lead = align < sizeof(struct head) ? sizeof(struct head) : align;
	void *base = take_spare(lead, len);

	if (base)
		return put(base, lead, len);
	return put(__real_aligned_alloc(align, len + lead), lead, len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	void *p = __wrap_malloc(n * len);

	if (p)
		memset(p, 0, n * len);
	return p;
}

void __wrap_free(void *p)
{
	struct head *h;

	if (!p)
		return;
	h = head_of(p);
	if (h->next) {
		h->next->prev = h->prev;
		h->prev->next = h->next;
		live--;
	}
	give_back(h);
}

void *__wrap_realloc(void *p, size_t len)
{
	void *grown = __wrap_malloc(len);

	if (grown && p)
		memcpy(grown, p, head_of(p)->len < len ? head_of(p)->len : len);
	if (grown)
		__wrap_free(p);
	return grown;
}

void *__wrap_reallocarray(void *p, size_t n, size_t len)
{
	return __wrap_realloc(p, n * len);
}

char *__wrap_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = __wrap_malloc(len);

	return copy ? memcpy(copy, text, len) : NULL;
}

// The writer's buffers: mapped at each attach, which here would mostly be page faults.
void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *p;

	if (!sim_inside())
		return __real_mmap64(at, len, prot, flags, fd, offset);
	p = __wrap_aligned_alloc(ALIGN, len);
	if (!p) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return memset(p, 0, len);
}

int __wrap_munmap(void *at, size_t len)
{
	if (!sim_inside())
		return __real_munmap(at, len);
	__wrap_free(at);
	return 0;
}

int __wrap_madvise(void *at, size_t len, int advice)
{
	(void)at;
	(void)len;
	(void)advice;
	return 0;
}

void sim_memory_drop(void)
{
	while (list.next != &list)
		__wrap_free(list.next + 1);
}

size_t sim_memory_live(void)
{
	return live;
}

void *sim_keep(size_t len)
{
	return __real_malloc(len);
}

void sim_keep_free(void *p)
{
	__real_free(p);
}
