// SPDX-License-Identifier: BSD-3-Clause
#include "common/hist.h"

#include "common/counters.h"

#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hist_entry *entries;

#define STEP_BITS 4 // log2 of HIST_STEPS

// Values below HIST_STEPS have a bucket each; above, the four bits behind the highest one count.
static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < HIST_STEPS)
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - STEP_BITS;
	return (shift + 1) * HIST_STEPS + (unsigned)(value >> shift & (HIST_STEPS - 1));
}

void hist_add(struct hist *h, uint64_t value)
{
	counter_add(&h->bucket[bucket_of(value)], 1);
	counter_add(&h->count, 1);
	counter_add(&h->sum, value);
	if (value > h->max)
		counter_set(&h->max, value);
}

// By the buckets' own sum, not by count: a reader may see one a moment before the other.
static uint64_t hist_total(const struct hist *h)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		total += counter_get(&h->bucket[i]);
	return total;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t total = hist_total(h);
	uint64_t seen = 0;
	uint64_t rank;

	if (!total)
		return 0;
	rank = (uint64_t)(q * (double)total);
	if ((double)rank < q * (double)total)
		rank++;
	rank = rank < 1 ? 1 : rank > total ? total : rank;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += counter_get(&h->bucket[i]);
		if (seen >= rank)
			return hist_upper(i);
	}
	return counter_get(&h->max);
}

void hist_sub(struct hist *ret, const struct hist *now, const struct hist *before)
{
	ret->count = counter_get(&now->count) - counter_get(&before->count);
	ret->sum = counter_get(&now->sum) - counter_get(&before->sum);
	ret->max = counter_get(&now->max);
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		ret->bucket[i] = counter_get(&now->bucket[i]) - counter_get(&before->bucket[i]);
}

void hist_register(struct hist_entry *entry)
{
	struct hist_entry **at;

	pthread_mutex_lock(&lock);
	for (at = &entries; *at; at = &(*at)->next)
		;
	entry->next = NULL;
	*at = entry;
	pthread_mutex_unlock(&lock);
}

void hist_unregister(struct hist_entry *entry)
{
	struct hist_entry **at;

	pthread_mutex_lock(&lock);
	for (at = &entries; *at && *at != entry; at = &(*at)->next)
		;
	if (*at)
		*at = entry->next;
	pthread_mutex_unlock(&lock);
}

void hist_walk(void (*fn)(const struct hist_entry *entry, void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	for (const struct hist_entry *e = entries; e; e = e->next)
		fn(e, arg);
	pthread_mutex_unlock(&lock);
}
