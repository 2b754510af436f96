// SPDX-License-Identifier: BSD-3-Clause
// What callers are told: what is durable, what became of the rest, how it goes.

#include "common/clock.h"
#include "lib/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define MS_NS 1000000ull
#define SECOND_NS 1000000000ull

uint64_t wait_end(int timeout_ms)
{
	if (timeout_ms < 0)
		return UINT64_MAX;
	return clock_monotonic_ns() + (uint64_t)timeout_ms * MS_NS;
}

bool wait_for(struct millrace *m, pthread_cond_t *condition, uint64_t until)
{
	const struct timespec end = {
		.tv_sec = (time_t)(until / SECOND_NS), .tv_nsec = (long)(until % SECOND_NS)};

	if (until == UINT64_MAX)
		return pthread_cond_wait(condition, &m->lock) == 0;
	return pthread_cond_timedwait(condition, &m->lock, &end) == 0;
}

bool wait_changed(struct millrace *m, uint64_t until)
{
	bool in_time;

	m->waiters++;
	in_time = wait_for(m, &m->changed, until);
	m->waiters--;
	return in_time;
}

void take_queue(struct millrace *m, struct queue *to, struct chunk **empty)
{
	queue_append(to, &m->queue);
	if (m->spare == NULL) {
		m->spare = *empty;
		*empty = NULL;
	}
}

// Behind the last event that has a report.
static uint64_t reports_end(const struct millrace *m)
{
	return m->ended ? m->next_seq : m->durable;
}

void tell_callers(struct millrace *m)
{
	bool readable = m->wants_reports ? m->reported < reports_end(m) : m->told < m->durable;
	eventfd_t value;

	if (readable == m->readable)
		return;
	m->readable = readable;
	if (readable)
		eventfd_write(m->fd, 1);
	else
		eventfd_read(m->fd, &value);
}

uint64_t millrace_durable(struct millrace *m)
{
	uint64_t durable;

	pthread_mutex_lock(&m->lock);
	durable = m->told = m->durable;
	tell_callers(m);
	pthread_mutex_unlock(&m->lock);
	return durable;
}

int millrace_fd(const struct millrace *m)
{
	return m->fd;
}

static enum millrace_fate fate_of(const struct millrace *m, uint64_t seq)
{
	if (seq < m->durable)
		return MILLRACE_DURABLE;
	if (m->fates == NULL)
		return MILLRACE_UNCERTAIN;
	return (enum millrace_fate)m->fates[seq - m->durable];
}

unsigned millrace_reports(struct millrace *m, struct millrace_report *ret, unsigned room)
{
	unsigned n = 0;

	if (!m->wants_reports)
		return 0;
	pthread_mutex_lock(&m->lock);
	for (; n < room && m->reported < reports_end(m); n++, m->reported++)
		ret[n] = (struct millrace_report){m->reported, fate_of(m, m->reported)};
	tell_callers(m);
	pthread_mutex_unlock(&m->lock);
	return n;
}

int millrace_flush(struct millrace *m, int timeout_ms)
{
	uint64_t until = wait_end(timeout_ms);
	uint64_t target;
	int err = 0;

	pthread_mutex_lock(&m->lock);
	target = m->next_seq;
	while (err == 0 && m->durable < target) {
		if (m->ended)
			err = -ESHUTDOWN;
		else if (m->spool_error != 0)
			err = m->spool_error;
		else if (!wait_changed(m, until) && m->durable < target)
			err = -ETIMEDOUT;
	}
	pthread_mutex_unlock(&m->lock);
	return err;
}

void millrace_get_stats(struct millrace *m, struct millrace_stats *ret, size_t size)
{
	struct millrace_stats stats;

	pthread_mutex_lock(&m->lock);
	stats = m->stats;
	stats.events = m->next_seq - m->first_seq;
	stats.acknowledged = (m->ended ? m->next_seq - m->unconfirmed : m->durable) - m->first_seq;
	stats.bytes_kept = m->queued + m->kept;
	stats.spool_bytes = m->spool_bytes;
	pthread_mutex_unlock(&m->lock);
	memset(ret, 0, size);
	memcpy(ret, &stats, size < sizeof(stats) ? size : sizeof(stats));
}

void millrace_error_text(struct millrace *m, char *text)
{
	pthread_mutex_lock(&m->lock);
	memcpy(text, m->error, sizeof(m->error));
	if (text[0] == '\0' && m->stats.open == 0 && m->durable < m->next_seq)
		snprintf(text, MILLRACE_TEXT, "no receiver has answered");
	pthread_mutex_unlock(&m->lock);
}

uint64_t millrace_source(const struct millrace *m)
{
	return m->source;
}

const char *millrace_version(void)
{
	return MILLRACE_VERSION;
}
