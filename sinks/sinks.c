// SPDX-License-Identifier: BSD-3-Clause
#include "sinks/sinks.h"

#include "common/logmsg.h"
#include "sinks/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sinks {
	pthread_mutex_t lock; // of writing 'confirmed'
	unsigned feed_count;
	_Atomic uint64_t confirmed[CONFIG_PARTITIONS_MAX]; // by partition
	struct feed *feeds;                                // those of partition 0 first
};

// The least of all required sinks of a partition.
static void confirm(struct sinks *sinks, unsigned partition)
{
	uint64_t least = UINT64_MAX;

	pthread_mutex_lock(&sinks->lock);
	for (unsigned i = 0; i < sinks->feed_count; i++) {
		const struct feed *feed = &sinks->feeds[i];
		uint64_t seq = atomic_load(&feed->seq);

		if (feed->target.partition == partition && feed->target.config->required &&
			seq < least)
			least = seq;
	}
	atomic_store(&sinks->confirmed[partition], least);
	pthread_mutex_unlock(&sinks->lock);
}

static void feed_moved(struct feed *feed)
{
	confirm(feed->owner, feed->target.partition);
}

static int make_feeds(struct sinks *sinks, const struct config *config,
	const struct wal_live *partitions, unsigned count)
{
	sinks->feeds = calloc((size_t)count * config->sink_count + 1, sizeof(*sinks->feeds));
	if (sinks->feeds == NULL)
		return -ENOMEM;
	for (unsigned p = 0; p < count; p++) {
		for (unsigned s = 0; s < config->sink_count; s++) {
			struct feed *feed = &sinks->feeds[sinks->feed_count++];
			int err;

			feed->owner = sinks;
			feed->moved = feed_moved;
			err = feed_init(feed, config, &config->sinks[s], p, &partitions[p]);
			if (err != 0)
				return err;
		}
		confirm(sinks, p);
	}
	return 0;
}

int sinks_new(struct sinks **ret, const struct config *config, const struct wal_live *partitions,
	unsigned count)
{
	struct sinks *sinks = calloc(1, sizeof(*sinks));
	int err;

	if (sinks == NULL)
		return -ENOMEM;
	pthread_mutex_init(&sinks->lock, NULL);
	err = make_feeds(sinks, config, partitions, count);
	if (err == 0)
		*ret = sinks;
	else
		sinks_free(sinks);
	return err;
}

int sinks_start(struct sinks *sinks)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < sinks->feed_count; i++)
		err = feed_start(&sinks->feeds[i]);
	if (err != 0)
		log_err("can't start the sinks: %s", strerror(-err));
	return err;
}

void sinks_free(struct sinks *sinks)
{
	if (sinks == NULL)
		return;
	// All at once, or each would wait for what the one before waits for.
	for (unsigned i = 0; i < sinks->feed_count; i++)
		atomic_store(&sinks->feeds[i].stop, true);
	for (unsigned i = 0; i < sinks->feed_count; i++)
		feed_end(&sinks->feeds[i]);
	pthread_mutex_destroy(&sinks->lock);
	free(sinks->feeds);
	free(sinks);
}

const _Atomic uint64_t *sinks_confirmed(const struct sinks *sinks, unsigned partition)
{
	return &sinks->confirmed[partition];
}

const char *sink_state_text(enum sink_state state)
{
	static const char *const text[] = {"starting", "delivering", "retrying", "stopped"};

	return text[state];
}

unsigned sinks_count(const struct sinks *sinks)
{
	return sinks != NULL ? sinks->feed_count : 0;
}

void sinks_status(const struct sinks *sinks, unsigned index, struct sink_status *ret)
{
	struct feed *feed = &sinks->feeds[index];

	pthread_mutex_lock(&feed->lock);
	*ret = (struct sink_status){.config = feed->target.config,
		.partition = feed->target.partition,
		.state = feed->state,
		.since = feed->since,
		.has_cursor = feed->has_cursor,
		.cursor = feed->cursor};
	memcpy(ret->why, feed->why, sizeof(ret->why));
	pthread_mutex_unlock(&feed->lock);
	feed_lag(feed, &ret->lag_batches, &ret->lag_events);
	for (unsigned i = 0; i < SINK_COUNTER_COUNT; i++)
		ret->counters[i] = counter_get(&feed->values[i]);
}
