// SPDX-License-Identifier: BSD-3-Clause
// What leads out of the logs: sinks, and consumers that pull.

#include "common/logmsg.h"
#include "dataplane/receiver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool acks_wait(const struct config *config)
{
	for (unsigned i = 0; i < config->listener_count; i++)
		if (config->listeners[i].ack == ACK_SINK)
			return true;
	return false;
}

// Whether a sink has something to deliver of a log that nobody writes any more.
static bool is_behind(const struct config_sink *sink, const char *dir)
{
	struct wal_cursor cursor = {0};
	struct wal_batches *batches;
	struct wal_batch batch;
	bool behind;

	if (wal_cursor_load(dir, sink->name, &cursor) != 0)
		cursor.batch = 0;
	if (wal_batches_open(&batches, dir, NULL, cursor.batch) != 0)
		return true;
	behind = wal_batches_next(batches, &batch) != 0;
	wal_batches_close(batches);
	return behind;
}

// Partitions that are more than 'partitions' says now: nobody delivers from them. An
// acknowledgement that waits for sinks would never be true for a source that was theirs.
static int check_gone(struct receiver *r, unsigned number)
{
	char dir[CONFIG_PATH_MAX + 16];

	snprintf(dir, sizeof(dir), "%s/%u", r->config.data, number);
	if (access(dir, F_OK) != 0)
		return 0;
	for (unsigned s = 0; s < r->config.sink_count; s++) {
		const struct config_sink *sink = &r->config.sinks[s];

		if (!sink->required || !is_behind(sink, dir))
			continue;
		r->undelivered_partitions++;
		log_write(acks_wait(&r->config) ? LOG_LEVEL_ERR : LOG_LEVEL_WARN,
			"partition %u, one more than 'partitions' says now, has batches that sink "
			"%s has not delivered; mend: 'partitions: %u' until 'millrace sinks list' "
			"shows that it is not behind",
			number, sink->name, number + 1);
		return acks_wait(&r->config) ? -EEXIST : 0;
	}
	return 0;
}

static int make_outlets(struct receiver *r)
{
	char dirs[CONFIG_PARTITIONS_MAX][CONFIG_PATH_MAX + 16];
	struct wal_live logs[CONFIG_PARTITIONS_MAX];
	int err;

	for (unsigned p = 0; p < r->dp.partition_count; p++) {
		const struct partition *partition = &r->dp.partitions[p];

		snprintf(dirs[p], sizeof(dirs[p]), "%s/%u", r->config.data, p);
		logs[p] = (struct wal_live){partition->wal, dirs[p], partition->recovery.log_id};
	}
	err = sinks_new(&r->sinks, &r->config, logs, r->dp.partition_count);
	if (err == 0)
		err = pull_new(
			&r->pull, &r->config.api, r->config.receiver, logs, r->dp.partition_count);
	return err;
}

int delivery_make(struct receiver *r)
{
	int err = 0;

	for (unsigned p = r->dp.partition_count; err == 0 && p < CONFIG_PARTITIONS_MAX; p++)
		err = check_gone(r, p);
	if (err != 0)
		return err;
	err = make_outlets(r);
	if (err != 0) {
		log_err("can't make sinks and consumers: %s", strerror(-err));
		return err;
	}
	for (unsigned p = 0; p < r->dp.partition_count; p++) {
		if (acks_wait(&r->config))
			r->dp.partitions[p].confirmed = sinks_confirmed(r->sinks, p);
		// Reliable listeners let go themselves, when they have read what they need.
		if (!plan_has_reliable(&r->config))
			wal_hold(r->dp.partitions[p].wal, UINT64_MAX);
	}
	return 0;
}

int delivery_start(struct receiver *r)
{
	return sinks_start(r->sinks);
}

void delivery_free(struct receiver *r)
{
	pull_free(r->pull);
	sinks_free(r->sinks);
	r->pull = NULL;
	r->sinks = NULL;
}
