// SPDX-License-Identifier: BSD-3-Clause
// Moves that somebody has planned, and what is told of moves.

#include "lib/io.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define MS_NS 1000000ull

static void unlock_and_wake(struct millrace *m)
{
	bool asleep = m->asleep;

	m->asleep = false;
	pthread_mutex_unlock(&m->lock);
	if (asleep)
		eventfd_write(m->wake, 1);
}

void millrace_go_to(struct millrace *m, unsigned n)
{
	pthread_mutex_lock(&m->lock);
	m->wish = n;
	unlock_and_wake(m);
}

void millrace_failover_after(struct millrace *m, uint32_t ms)
{
	pthread_mutex_lock(&m->lock);
	if (ms != 0)
		m->failover_ns = ms * MS_NS;
	unlock_and_wake(m);
}

unsigned millrace_logs(struct millrace *m, struct millrace_log *ret, unsigned room)
{
	unsigned n = 0;

	pthread_mutex_lock(&m->lock);
	if (m->log_count - m->logs_told > LOGS_KEPT)
		m->logs_told = m->log_count - LOGS_KEPT;
	for (; n < room && m->logs_told < m->log_count; n++, m->logs_told++)
		ret[n] = m->logs[m->logs_told % LOGS_KEPT];
	pthread_mutex_unlock(&m->lock);
	return n;
}

void take_wish(struct io *io)
{
	struct millrace *m = io->m;

	io->failover_ns = m->failover_ns;
	if (m->wish == MILLRACE_NONE)
		return;
	// A wait that has begun goes on, whoever it is for.
	if (io->wish == MILLRACE_NONE)
		io->wish_until = io->now + io->failover_ns;
	io->wish = m->wish;
	m->wish = MILLRACE_NONE;
	io->hold_end = send_hold(io->half);
}

uint64_t wish_due(const struct io *io)
{
	if (io->wish == MILLRACE_NONE)
		return UINT64_MAX;
	if (!io->had_receiver || io->wish == io->receiver || send_durable(io->half) >= io->hold_end)
		return 0;
	return io->wish_until;
}

// Before anything is sent to it.
void tell_log(struct io *io)
{
	const struct send_epoch *epoch = send_epoch_now(io->half);
	struct millrace *m = io->m;
	struct millrace_log *log;

	if (send_state(io->half) != SEND_OPEN || epoch->number == io->told_epoch)
		return;
	pthread_mutex_lock(&m->lock);
	log = &m->logs[m->log_count++ % LOGS_KEPT];
	*log = (struct millrace_log){.epoch = epoch->number,
		.prev_epoch = epoch->prev_number,
		.first_seq = epoch->first_seq,
		.prev_seq = epoch->prev_seq,
		.prev_end = epoch->prev_seq,
		.planned = io->planned};
	memcpy(log->log_id, epoch->log_id, sizeof(log->log_id));
	memcpy(log->prev_log_id, epoch->prev_log, sizeof(log->prev_log_id));
	snprintf(log->receiver, sizeof(log->receiver), "%.*s", (int)sizeof(log->receiver) - 1,
		io->target.name);
	if (epoch->prev_number != 0 && epoch->number != io->first_epoch &&
		send_sent_end(io->half) > epoch->prev_seq) {
		log->prev_end = send_sent_end(io->half);
		io->overlap += log->prev_end - log->prev_seq;
	}
	pthread_mutex_unlock(&m->lock);
	io->told_epoch = epoch->number;
	io->planned = false;
}
