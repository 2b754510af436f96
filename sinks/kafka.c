// SPDX-License-Identifier: BSD-3-Clause
// The Kafka sink: its driver's table, and how it begins and ends.

#include "common/logmsg.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void kafka_sink_free(struct kafka_sink *k)
{
	if (k == NULL)
		return;
	kafka_reader_destroy(k);
	kafka_producer_destroy(k);
	kafka_stats_unregister(k);
	kafka_topics_free(k);
	kafka_parts_clear(k);
	kafka_conf_forget(k);
	wal_export_free(k->export);
	free(k->parts);
	free(k->refused.list);
	free(k->arrow);
	pthread_mutex_destroy(&k->talk.lock);
	free(k);
}

// These never change: a new name would be a new sink that delivers everything again.
static void name_self(struct kafka_sink *k)
{
	wal_id_text(&k->target->log_id, k->log_id);
	snprintf(k->transactional_id, sizeof(k->transactional_id), "millrace-%s-%u-%s", k->log_id,
		k->target->partition, k->config->name);
	snprintf(k->group, sizeof(k->group), "millrace-%s-%s", k->config->name, k->log_id);
}

int kafka_sink_new(struct kafka_sink **ret, struct sink_target *target)
{
	struct kafka_sink *k = calloc(1, sizeof(*k));
	int r;

	if (k == NULL)
		return -ENOMEM;
	k->target = target;
	k->config = target->config;
	k->first = true;
	k->doubt_until = k->own_from = UINT64_MAX;
	k->most = k->config->transaction_batches > 0 ? k->config->transaction_batches : 1;
	pthread_mutex_init(&k->talk.lock, NULL);
	name_self(k);
	r = kafka_conf_values(k);
	if (r == 0)
		*ret = k;
	else
		kafka_sink_free(k);
	return r;
}

static void kafka_close(void *driver)
{
	kafka_sink_free(driver);
}

static int kafka_open(void **ret, struct sink_target *target)
{
	struct kafka_sink *k;
	int r = kafka_sink_new(&k, target);

	if (r != 0)
		return r;
	r = kafka_producer_make(k);
	if (r < 0) {
		kafka_close(k);
		return r;
	}
	kafka_stats_register(k);
	*ret = k;
	return 0;
}

static int get_ready(struct kafka_sink *k)
{
	int r = kafka_producer_ready(k);

	if (r < 0 || !k->config->transactions || k->recalled)
		return r;
	r = kafka_cursor_topic(k);
	if (r == 0)
		r = kafka_cursor_recall(k);
	kafka_reader_destroy(k);
	return r;
}

static int kafka_recall(void *driver, struct wal_cursor *ret)
{
	struct kafka_sink *k = driver;
	int r = get_ready(k);

	if (r < 0)
		return r;
	// Without transactions the feed's own file is what counts.
	*ret = k->config->transactions ? k->cursor : k->target->cursor;
	return k->config->transactions ? k->has_cursor : k->target->has_cursor;
}

static int deliver_once(struct kafka_sink *k, struct wal_batches *log,
	const struct wal_batch *batch, struct wal_cursor *ret, uint64_t *events)
{
	int r = get_ready(k);

	k->resend = false;
	if (r == 0)
		r = kafka_deliver_batches(k, log, batch, ret, events);
	kafka_parts_clear(k);
	kafka_reader_destroy(k);
	return r;
}

static int kafka_deliver(void *driver, struct wal_batches *log, const struct wal_batch *batch,
	struct wal_cursor *ret, uint64_t *events)
{
	struct kafka_sink *k = driver;
	struct wal_batch again = *batch;
	int r = deliver_once(k, log, &again, ret, events);

	while (r == -EAGAIN && k->resend && !kafka_stopped(k)) {
		wal_batches_seek(log, batch->number);
		if (wal_batches_next(log, &again) != 1 || again.number != batch->number)
			break;
		r = deliver_once(k, log, &again, ret, events);
	}
	return r;
}

// librdkafka puts its statistics and errors into a queue that grows until somebody looks.
static void kafka_idle(void *driver)
{
	struct kafka_sink *k = driver;

	if (k->producer != NULL)
		rd_kafka_poll(k->producer, 0);
}

const struct sink_driver sink_kafka = {
	.kind = "kafka",
	.open = kafka_open,
	.recall = kafka_recall,
	.deliver = kafka_deliver,
	.idle = kafka_idle,
	.close = kafka_close,
	.verify = kafka_verify,
};
