// SPDX-License-Identifier: BSD-3-Clause
// A handle's spool: the thread that writes it.

#include "lib/spooling.h"

#include "common/clock.h"
#include "common/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MS_NS 1000000ull
#define SEGMENT_BYTES (64u << 20)
#define FRAME_BYTES (1u << 20)
#define BYTES_MAX (1ull << 30)
#define BYTES_MIN (4ull << 20)
#define AGAIN_NS (1000 * MS_NS) // a full disk is tried again
#define SAYS "the spool: %s"
#define FORGET_NS (250 * MS_NS)

int spooling_open(struct millrace *m, const struct millrace_options *options,
	struct spool_found *found, char *why)
{
	struct spool_config config = {.dir = options->spool, .frame_bytes = FRAME_BYTES};
	uint64_t segment_bytes;
	int err;

	m->spool_bytes_max = options->spool_bytes_max != 0 ? options->spool_bytes_max : BYTES_MAX;
	if (m->spool_bytes_max < BYTES_MIN) {
		snprintf(why, MILLRACE_TEXT, "spool_bytes_max: %llu is below %llu",
			(unsigned long long)m->spool_bytes_max, BYTES_MIN);
		return -EINVAL;
	}
	// Room comes back by the file, and the one that is written stays.
	segment_bytes = m->spool_bytes_max / 8;
	config.segment_bytes =
		segment_bytes < SEGMENT_BYTES ? (uint32_t)segment_bytes : SEGMENT_BYTES;
	m->spool_lock = spool_lock(options->spool);
	if (m->spool_lock < 0) {
		err = m->spool_lock;
		snprintf(why, MILLRACE_TEXT, "%.200s: %s", options->spool,
			err == -EBUSY ? "another process has this spool" : strerrordesc_np(-err));
		return err;
	}
	err = spool_open(&m->spool, &config, found, why);
	if (err != 0)
		return err;
	m->source = found->source;
	m->spool_bytes = spool_bytes(m->spool);
	m->next_seq = m->spooled = found->next_seq;
	m->durable = m->told = m->reported = found->durable;
	m->first_seq = found->durable;
	return 0;
}

void spooling_fail(struct millrace *m, int err, const char *why)
{
	pthread_mutex_lock(&m->lock);
	if (m->spool_error == 0) {
		m->spool_error = err;
		snprintf(m->error, sizeof(m->error), "%s", why);
	}
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void say_full(struct millrace *m, int err)
{
	pthread_mutex_lock(&m->lock);
	snprintf(m->error, sizeof(m->error), SAYS, strerrordesc_np(-err));
	pthread_mutex_unlock(&m->lock);
}

// What the thread has taken and not written yet.
struct work {
	struct queue queue;
	struct chunk *empty;
	uint64_t bytes; // as queued_cost() counts them, written and not yet told
	uint64_t durable, forgotten_at;
	uint64_t due; // a full disk; 0: there is room
	bool ending;
};

static bool has_work(const struct millrace *m, const struct work *w, uint64_t now)
{
	bool waits = !queue_is_empty(&m->queue) || !queue_is_empty(&w->queue);

	return (waits && now >= w->due) ||
	       (m->durable > w->durable && now >= w->forgotten_at + FORGET_NS);
}

static uint64_t next_look(const struct millrace *m, const struct work *w)
{
	uint64_t until = UINT64_MAX;

	if (w->due != 0)
		until = w->due;
	if (m->durable > w->durable && w->forgotten_at + FORGET_NS < until)
		until = w->forgotten_at + FORGET_NS;
	return until;
}

static void take_work(struct millrace *m, struct work *w)
{
	pthread_mutex_lock(&m->lock);
	while (!m->spool_ending && !has_work(m, w, clock_monotonic_ns())) {
		uint64_t until = next_look(m, w);

		m->spool_state = until == UINT64_MAX ? SPOOL_WAITS : SPOOL_WAITS_FOR_EVENTS;
		wait_for(m, &m->to_spool, until);
	}
	m->spool_state = SPOOL_WORKS;
	take_queue(m, &w->queue, &w->empty);
	w->ending = m->spool_ending;
	w->durable = m->durable;
	pthread_mutex_unlock(&m->lock);
}

// One frame. False: there is nothing more, or no room on the disk.
static bool write_frame(struct millrace *m, struct work *w)
{
	const uint8_t *event;
	uint32_t len;
	int err;

	while ((event = queue_first(&w->queue, &len)) != NULL && spool_add(m->spool, event, len)) {
		queue_remove(&w->queue, &w->empty);
		w->bytes += queued_cost(len);
	}
	err = spool_write(m->spool);
	w->due = 0;
	if (err == -ENOSPC || err == -EDQUOT) {
		w->due = clock_monotonic_ns() + AGAIN_NS;
		say_full(m, err);
	}
	return err == 0 && event != NULL;
}

static void tell_spooled(struct millrace *m, struct work *w)
{
	bool wake;

	pthread_mutex_lock(&m->lock);
	m->spooled = spool_synced(m->spool);
	m->spool_bytes = spool_bytes(m->spool);
	// What waits in a frame that has no room on the disk is told with it.
	if (w->due == 0) {
		m->queued -= w->bytes;
		w->bytes = 0;
	}
	if (m->waiters > 0)
		pthread_cond_broadcast(&m->changed);
	wake = m->asleep;
	m->asleep = false;
	pthread_mutex_unlock(&m->lock);
	if (wake)
		eventfd_write(m->wake, 1);
}

static void forget_some(struct millrace *m, struct work *w)
{
	uint64_t now = clock_monotonic_ns();

	if (now < w->forgotten_at + FORGET_NS)
		return;
	w->forgotten_at = now;
	spool_forget(m->spool, w->durable);
}

static void *spool_main(void *arg)
{
	struct millrace *m = arg;
	struct work w = {0};
	char why[MILLRACE_TEXT];
	int err = 0;

	while (err == 0 && !w.ending) {
		take_work(m, &w);
		while (write_frame(m, &w))
			;
		forget_some(m, &w);
		err = spool_sync(m->spool);
		tell_spooled(m, &w);
	}
	if (err != 0) {
		snprintf(why, sizeof(why), SAYS, strerrordesc_np(-err));
		spooling_fail(m, err, why);
	}
	queue_free(&w.queue);
	free(w.empty);
	return NULL;
}

int spooling_start(struct millrace *m)
{
	int err;

	if (m->spool == NULL)
		return 0;
	err = thread_start(&m->spool_thread, "millrace-spool", spool_main, m);
	m->spool_runs = err == 0;
	return err;
}

void spooling_end(struct millrace *m)
{
	if (!m->spool_runs)
		return;
	pthread_mutex_lock(&m->lock);
	m->spool_ending = true;
	pthread_cond_signal(&m->to_spool);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->spool_thread, NULL);
	m->spool_runs = false;
}

void spooling_close(struct millrace *m)
{
	spool_close(m->spool, m->durable);
	m->spool = NULL;
	if (m->spool_lock >= 0)
		close(m->spool_lock);
	m->spool_lock = -1;
}

uint64_t millrace_spooled(struct millrace *m)
{
	uint64_t spooled;

	pthread_mutex_lock(&m->lock);
	spooled = m->spooled;
	pthread_mutex_unlock(&m->lock);
	return spooled;
}
