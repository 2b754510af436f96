// SPDX-License-Identifier: BSD-3-Clause
#include "sinks/feed.h"

#include "common/clock.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "wal/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS 1000000ull
#define IDLE_NS (5 * MS)     // between two looks for a batch: the lcores wake nobody
#define STOP_NS (20 * MS)    // in which a wait notices that it is to end
#define AGAIN_MIN (100 * MS) // after a delivery that failed, doubled up to
#define AGAIN_MAX (5000 * MS)

static const struct counter_def defs[SINK_COUNTER_COUNT] = {
#define X(name, kind, help) {#name, help, COUNTER_##kind, ROLE_NONE},
	SINK_COUNTERS(X)
#undef X
};

bool sink_wait(const struct sink_target *target, uint64_t ns)
{
	while (ns > 0 && !atomic_load(target->stop)) {
		uint64_t part = ns < STOP_NS ? ns : STOP_NS;
		struct timespec wait = {.tv_nsec = (long)part};

		nanosleep(&wait, NULL);
		ns -= part;
	}
	return !atomic_load(target->stop);
}

struct wal_cursor sink_cursor_behind(const struct wal_batch *batch)
{
	return (struct wal_cursor){
		.log_id = batch->log_id,
		.batch = batch->number + 1,
		.seq = batch->end_seq,
		.crc = batch->crc,
	};
}

static void set_state(struct feed *feed, enum sink_state state)
{
	pthread_mutex_lock(&feed->lock);
	if (feed->state != state)
		feed->since = clock_system_ns();
	feed->state = state;
	snprintf(
		feed->why, sizeof(feed->why), "%s", state >= SINK_RETRYING ? feed->target.why : "");
	pthread_mutex_unlock(&feed->lock);
	counter_set(&feed->values[SINK_stopped], state == SINK_STOPPED);
}

static void publish_reads(struct feed *feed)
{
	struct wal_batches_reads reads = wal_batches_reads(feed->batches);

	counter_set(&feed->values[SINK_memory_blocks], reads.memory);
	counter_set(&feed->values[SINK_disk_blocks], reads.disk);
	counter_set(&feed->values[SINK_gave_way], reads.gave_way);
}

// Events that were to be delivered and aren't in the log any more: counted and told once.
static void tell_gap(struct feed *feed, const struct wal_batch *batch)
{
	if (batch->first_seq <= feed->known)
		return;
	counter_add(&feed->values[SINK_given_up], batch->first_seq - feed->known);
	log_err("sink %s, partition %u: events %" PRIu64 " to %" PRIu64 " were not delivered, and "
		"are not in the log any more; mend: a larger hold_size, or a sink that keeps up",
		feed->target.config->name, feed->target.partition, feed->known,
		batch->first_seq - 1);
	feed->known = batch->first_seq;
}

static int store(struct feed *feed)
{
	int err = feed_store_cursor(feed, &feed->behind);

	feed->unstored = err != 0;
	return err;
}

static int deliver(struct feed *feed, const struct wal_batch *batch)
{
	uint64_t events = 0;
	int64_t now;
	int err;

	feed->target.why[0] = '\0';
	tell_gap(feed, batch);
	err = feed->driver->deliver(feed->open, feed->batches, batch, &feed->behind, &events);
	publish_reads(feed);
	if (err != 0)
		return err;
	counter_add(&feed->values[SINK_batches], feed->behind.batch - batch->number);
	counter_add(&feed->values[SINK_events], events);
	now = clock_system_ns();
	feed->told[0] = '\0';
	if (now > batch->received_max)
		hist_add(&feed->latency, (uint64_t)(now - batch->received_max));
	feed->unstored = true;
	return store(feed);
}

// One step: 0 when something was delivered, or there was nothing.
static int step(struct feed *feed)
{
	struct wal_batch batch;
	int r;

	if (feed->unstored)
		return store(feed);
	if (wal_batches_wanted(feed->batches) != feed->cursor.batch)
		wal_batches_seek(feed->batches, feed->cursor.batch);
	r = wal_batches_next(feed->batches, &batch);
	if (r == -ESTALE) // it goes on with the oldest there is
		r = wal_batches_next(feed->batches, &batch);
	if (r < 0)
		snprintf(feed->target.why, SINK_WHY_BYTES, "%s", wal_batches_why(feed->batches));
	if (r == -ENOENT)
		return feed_wiped(feed);
	if (r > 0)
		return deliver(feed, &batch);
	if (r == 0 && feed->driver->idle != NULL)
		feed->driver->idle(feed->open);
	if (r == 0)
		sink_wait(&feed->target, IDLE_NS);
	return r;
}

static int open_driver(struct feed *feed)
{
	int err;

	feed->target.why[0] = '\0';
	feed->target.cursor = feed->cursor;
	feed->target.has_cursor = feed->has_cursor;
	err = feed->driver->open(&feed->open, &feed->target);
	if (err == 0)
		err = feed_find_cursor(feed);
	feed->ready = err == 0;
	// Where the three don't fit, time doesn't mend it.
	return err == -ESTALE ? -EPERM : err;
}

static void close_driver(struct feed *feed)
{
	feed->driver->close(feed->open);
	feed->open = NULL;
	feed->ready = false;
}

// Once for each thing that is the matter.
static void tell_again(struct feed *feed)
{
	if (strcmp(feed->told, feed->target.why) == 0)
		return;
	snprintf(feed->told, sizeof(feed->told), "%s", feed->target.why);
	log_warn("sink %s, partition %u: %s; it is tried again", feed->target.config->name,
		feed->target.partition, feed->target.why);
}

static bool may_mend_itself(int err)
{
	return err == -EAGAIN || err == -ESTALE || err == -ENOMEM || err == -EIO;
}

// Until the feed is stopped, or an error that time doesn't mend.
static int run_feed(struct feed *feed)
{
	uint64_t wait = AGAIN_MIN;
	int err;

	while (!atomic_load(&feed->stop)) {
		err = feed->ready ? step(feed) : open_driver(feed);
		if (err == 0) {
			wait = AGAIN_MIN;
			set_state(feed, SINK_DELIVERING);
			continue;
		}
		if (!may_mend_itself(err))
			return err;
		tell_again(feed);
		set_state(feed, SINK_RETRYING);
		counter_add(&feed->values[SINK_retries], 1);
		if (!feed->ready)
			close_driver(feed);
		sink_wait(&feed->target, wait);
		wait = 2 * wait < AGAIN_MAX ? 2 * wait : AGAIN_MAX;
	}
	return -ECANCELED;
}

static void *feed_thread(void *arg)
{
	struct feed *feed = arg;
	int err =
		wal_batches_open(&feed->batches, feed->log.dir, feed->log.wal, feed->cursor.batch);

	if (err == 0) {
		wal_batches_give_way(feed->batches);
		err = run_feed(feed);
	}
	if (err != -ECANCELED && feed->target.why[0] == '\0')
		snprintf(feed->target.why, SINK_WHY_BYTES, "%s", strerror(-err));
	if (err != -ECANCELED) {
		set_state(feed, SINK_STOPPED);
		log_err("sink %s, partition %u: stopped: %s", feed->target.config->name,
			feed->target.partition, feed->target.why);
	}
	close_driver(feed);
	wal_batches_close(feed->batches);
	feed->batches = NULL;
	return NULL;
}

int feed_start(struct feed *feed)
{
	int err = thread_start(&feed->thread, "sink", feed_thread, feed);

	feed->runs = err == 0;
	return err;
}

static uint64_t behind(uint64_t have, uint64_t delivered)
{
	return have > delivered ? have - delivered : 0;
}

void feed_lag(struct feed *feed, uint64_t *batches, uint64_t *events)
{
	const struct wal_state *state = wal_state(feed->log.wal);
	uint64_t batch = atomic_load(&state->durable_batch), seq = atomic_load(&state->durable_seq);

	pthread_mutex_lock(&feed->lock);
	*batches = behind(batch, feed->cursor.batch);
	*events = behind(seq, feed->cursor.seq);
	pthread_mutex_unlock(&feed->lock);
}

// Reader's thread: also while a delivery takes long.
static void refresh(void *arg)
{
	struct feed *feed = arg;
	uint64_t batches, events;

	feed_lag(feed, &batches, &events);
	counter_set(&feed->values[SINK_lag_batches], batches);
	counter_set(&feed->values[SINK_lag_events], events);
}

static void register_counters(struct feed *feed)
{
	feed->set = (struct counter_set){.subsystem = "sink",
		.defs = defs,
		.values = feed->values,
		.count = SINK_COUNTER_COUNT,
		.refresh = refresh,
		.arg = feed};
	feed->latency_entry = (struct hist_entry){.subsystem = "sink",
		.name = "delivery_latency_ns",
		.help = "time from a batch's last event until the other side has confirmed it",
		.hist = &feed->latency};
	snprintf(feed->set.labels, sizeof(feed->set.labels), "sink=\"%s\",partition=\"%u\"",
		feed->target.config->name, feed->target.partition);
	snprintf(feed->latency_entry.labels, sizeof(feed->latency_entry.labels), "%s",
		feed->set.labels);
	counters_register(&feed->set);
	hist_register(&feed->latency_entry);
}

// A sink that has delivered nothing begins with what the log has now.
static int find_begin(struct feed *feed)
{
	struct wal_segment_file *files;
	unsigned count;
	int err;

	feed->known = feed->has_cursor ? feed->cursor.seq : 0;
	if (feed->known > 0)
		return 0;
	err = wal_list_segments(feed->dir, &files, &count);
	if (err != 0)
		return err;
	if (count > 0)
		feed->known = files[0].first_seq;
	free(files);
	return 0;
}

static int load_cursor(struct feed *feed)
{
	int err = wal_cursor_load(feed->target.dir, feed->target.config->name, &feed->cursor);

	// A log that is killed while it is empty begins anew, with another log_id.
	if (err == 0 && feed->cursor.batch == 0 &&
		!wal_id_equal(&feed->cursor.log_id, &feed->log.log_id))
		err = -ENOENT;
	feed->has_cursor = err == 0;
	if (err == -ENOENT)
		feed->cursor = (struct wal_cursor){0};
	if (err != 0 && err != -ENOENT)
		log_err("sink %s: %s/cursor.%s.json is damaged or can't be read (%s); mend: "
			"'millrace sinks reset' says where to go on",
			feed->target.config->name, feed->target.dir, feed->target.config->name,
			strerror(-err));
	return err == 0 || err == -ENOENT ? find_begin(feed) : err;
}

int feed_init(struct feed *feed, const struct config *config, const struct config_sink *sink,
	unsigned partition, const struct wal_live *log)
{
	int err;

	feed->driver = sink_driver_of(sink->kind);
	feed->log = *log;
	snprintf(feed->dir, sizeof(feed->dir), "%s", log->dir);
	feed->log.dir = feed->dir;
	feed->target = (struct sink_target){.config = sink,
		.receiver = config->receiver,
		.dir = feed->dir,
		.partition = partition,
		.log_id = log->log_id,
		.stop = &feed->stop,
		.counters = feed->values};
	pthread_mutex_init(&feed->lock, NULL);
	feed->since = clock_system_ns();
	err = load_cursor(feed);
	if (err != 0)
		return err;
	if (feed->has_cursor && wal_id_equal(&feed->cursor.log_id, &log->log_id))
		atomic_store(&feed->seq, feed->cursor.seq);
	register_counters(feed);
	if (!sink->required)
		return 0;
	atomic_store(&feed->holder.seq, atomic_load(&feed->seq));
	atomic_store(&feed->holder.bytes, sink->hold_bytes);
	wal_holder_add(log->wal, &feed->holder);
	return 0;
}

void feed_end(struct feed *feed)
{
	if (feed->driver == NULL)
		return;
	atomic_store(&feed->stop, true);
	if (feed->runs)
		pthread_join(feed->thread, NULL);
	if (feed->set.defs != NULL) {
		counters_unregister(&feed->set);
		hist_unregister(&feed->latency_entry);
		if (feed->target.config->required)
			wal_holder_remove(feed->log.wal, &feed->holder);
	}
	pthread_mutex_destroy(&feed->lock);
	feed->driver = NULL;
}
