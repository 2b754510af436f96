// SPDX-License-Identifier: BSD-3-Clause
#include "common/counters.h"

#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct counter_set *sets;

void counters_register(struct counter_set *set)
{
	struct counter_set **at;

	pthread_mutex_lock(&lock);
	for (at = &sets; *at; at = &(*at)->next)
		;
	set->next = NULL;
	*at = set;
	pthread_mutex_unlock(&lock);
}

void counters_unregister(struct counter_set *set)
{
	struct counter_set **at;

	pthread_mutex_lock(&lock);
	for (at = &sets; *at && *at != set; at = &(*at)->next)
		;
	if (*at)
		*at = set->next;
	pthread_mutex_unlock(&lock);
}

void counters_walk(void (*fn)(const struct counter_set *set, void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	for (const struct counter_set *s = sets; s; s = s->next) {
		if (s->refresh)
			s->refresh(s->arg);
		fn(s, arg);
	}
	pthread_mutex_unlock(&lock);
}

struct role_sum {
	enum counter_role role;
	uint64_t sum;
};

static void add_role(const struct counter_set *set, void *arg)
{
	struct role_sum *s = arg;

	for (unsigned i = 0; i < set->count; i++) {
		if (set->defs[i].role == s->role)
			s->sum += counter_get(&set->values[i]);
	}
}

uint64_t counters_sum(enum counter_role role)
{
	struct role_sum s = {.role = role};

	counters_walk(add_role, &s);
	return s.sum;
}
