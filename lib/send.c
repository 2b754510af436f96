// SPDX-License-Identifier: BSD-3-Clause
// The callers' side: events into the queue.

#include "lib/client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

// With a spool, what waits for the receiver waits on the disk; half of the memory is for what waits
// for the disk.
static bool has_room(const struct millrace *m, uint32_t len)
{
	uint64_t queued = m->queued + queued_cost(len);

	if (m->spool == NULL)
		return queued + m->kept <= m->bytes_max;
	return (queued <= m->bytes_max / 2 || m->queued == 0) &&
	       m->spool_bytes + queued <= m->spool_bytes_max;
}

static int may_queue(const struct millrace *m, uint32_t len)
{
	if (m->stopping)
		return -ESHUTDOWN;
	if (m->spool_error != 0)
		return m->spool_error;
	if (len > MILLRACE_EVENT_MAX || len > m->event_max || queued_cost(len) > m->bytes_max)
		return -EMSGSIZE;
	return has_room(m, len) ? 0 : -EAGAIN;
}

static int add(struct millrace *m, const void *event, uint32_t len, uint64_t *seq)
{
	int err = queue_add(&m->queue, &m->spare, event, len);

	if (err != 0)
		return err;
	m->queued += queued_cost(len);
	if (seq != NULL)
		*seq = m->next_seq;
	m->next_seq++;
	return 0;
}

// 'until' 0: doesn't wait.
static int queue_event(
	struct millrace *m, const void *event, uint32_t len, uint64_t until, uint64_t *seq)
{
	bool wake = false;
	int err;

	pthread_mutex_lock(&m->lock);
	err = may_queue(m, len);
	while (err == -EAGAIN && until > 0 && wait_changed(m, until))
		err = may_queue(m, len);
	if (err == 0)
		err = add(m, event, len, seq);
	if (err == 0 && m->spool != NULL) {
		if (m->spool_state != SPOOL_WORKS)
			pthread_cond_signal(&m->to_spool);
	} else if (err == 0) {
		wake = m->asleep;
		m->asleep = false;
	}
	pthread_mutex_unlock(&m->lock);
	if (wake)
		eventfd_write(m->wake, 1);
	return err;
}

int millrace_send(struct millrace *m, const void *event, uint32_t len, uint64_t *seq)
{
	return queue_event(m, event, len, 0, seq);
}

int millrace_send_wait(
	struct millrace *m, const void *event, uint32_t len, int timeout_ms, uint64_t *seq)
{
	return queue_event(m, event, len, wait_end(timeout_ms), seq);
}
