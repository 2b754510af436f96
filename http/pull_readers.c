// SPDX-License-Identifier: BSD-3-Clause
// Readers of a log that wait for their consumer, and where batches begin.

#include "common/clock.h"
#include "http/pull_internal.h"

#include <errno.h>

#define IDLE_NS 10000000000u

uint64_t pull_sealed(const struct pull_log *log)
{
	return atomic_load(&wal_state(log->wal)->durable_batch);
}

int pull_reader_get(struct pull_log *log, uint64_t number, struct wal_batches **ret)
{
	for (unsigned i = 0; i < PULL_IDLE_MAX; i++) {
		struct pull_idle *idle = &log->pull->idle[i];

		if (idle->reader == NULL || idle->log != log ||
			wal_batches_wanted(idle->reader) != number)
			continue;
		*ret = idle->reader;
		idle->reader = NULL;
		return 0;
	}
	return wal_batches_open(ret, log->dir, log->wal, number);
}

void pull_reader_put(struct pull_log *log, struct wal_batches *reader)
{
	struct pull_idle *to = &log->pull->idle[0];

	for (unsigned i = 0; i < PULL_IDLE_MAX && to->reader != NULL; i++) {
		struct pull_idle *idle = &log->pull->idle[i];

		if (idle->reader == NULL || idle->since_ns < to->since_ns)
			to = idle;
	}
	wal_batches_close(to->reader);
	*to = (struct pull_idle){.reader = reader, .log = log, .since_ns = clock_monotonic_ns()};
}

void pull_readers_close(struct pull *pull, bool all)
{
	uint64_t now = clock_monotonic_ns();

	for (unsigned i = 0; i < PULL_IDLE_MAX; i++) {
		struct pull_idle *idle = &pull->idle[i];

		if (idle->reader == NULL || (!all && now - idle->since_ns < IDLE_NS))
			continue;
		wal_batches_close(idle->reader);
		idle->reader = NULL;
	}
}

// The first batch at or behind 'number', without a look at the readers that wait.
static int look_at(struct pull_log *log, uint64_t number, struct wal_batch *ret)
{
	struct wal_batches *reader;
	int r = wal_batches_open(&reader, log->dir, log->wal, number);

	if (r < 0)
		return r;
	r = wal_batches_next(reader, ret);
	if (r == -ESTALE) // taken at this moment: the next one is the oldest
		r = wal_batches_next(reader, ret);
	wal_batches_close(reader);
	return r;
}

int pull_oldest(struct pull_log *log, struct wal_batch *ret)
{
	return look_at(log, 0, ret);
}

void pull_remember(struct pull_log *log, uint64_t batch, uint64_t seq)
{
	log->places[log->next_place++ % PULL_PLACES] = (struct pull_place){batch, seq};
}

static bool remembered(const struct pull_log *log, uint64_t batch, uint64_t *ret)
{
	struct wal_batch_info info;

	for (unsigned i = 0; i < PULL_PLACES; i++)
		if (log->places[i].batch == batch && batch != 0) {
			*ret = log->places[i].seq;
			return true;
		}
	if (batch == 0 || wal_batch_info(log->wal, batch - 1, &info) < 0)
		return false;
	*ret = info.first_seq + info.rows;
	return true;
}

// Behind the batch before, so that rows that no seal covers yet are held, too. Where a repair took
// that one, what comes behind the gap.
int pull_seq_of(struct pull_log *log, uint64_t batch, uint64_t *ret)
{
	struct wal_batch found, oldest;
	int r;

	if (remembered(log, batch, ret))
		return 0;
	*ret = 0;
	r = look_at(log, batch > 0 ? batch - 1 : 0, &found);
	if (r <= 0)
		return r < 0 ? r : batch == 0 ? 0 : -EAGAIN;
	*ret = batch > 0 && found.number == batch - 1 ? found.end_seq : found.first_seq;
	if (found.number <= batch)
		return 0;
	r = pull_oldest(log, &oldest);
	if (r < 0)
		return r;
	return r > 0 && oldest.number > batch ? -ESTALE : 0;
}
