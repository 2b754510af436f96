// SPDX-License-Identifier: BSD-3-Clause
// A batch as one message: an Arrow IPC stream.

#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM (1u << 20)

static int write_arrow(void *arg, const void *data, size_t len)
{
	struct kafka_sink *k = arg;

	if (k->arrow_len + len > k->arrow_room) {
		size_t room = k->arrow_room == 0 ? FIRST_ROOM : k->arrow_room;
		uint8_t *arrow;

		while (room < k->arrow_len + len)
			room *= 2;
		arrow = realloc(k->arrow, room);
		if (arrow == NULL)
			return -ENOMEM;
		k->arrow = arrow;
		k->arrow_room = room;
	}
	memcpy(k->arrow + k->arrow_len, data, len);
	k->arrow_len += len;
	return 0;
}

static int compose(struct kafka_sink *k, struct wal_batches *log, struct kafka_part *part)
{
	struct wal_export_info info = {
		.receiver = k->target->receiver,
		.partition = k->target->partition,
		.log_id = k->target->log_id,
		.listeners = wal_batches_listeners(log),
		.first_batch = part->batch.number,
		.last_batch = part->batch.number,
	};
	struct wal_block_view view;
	uint32_t events;
	int r = 0;

	k->arrow_len = 0;
	if (k->export == NULL)
		r = wal_export_new(&k->export, WAL_EXPORT_STREAM, write_arrow, k);
	if (r == 0)
		r = wal_export_begin(k->export, &info);
	while (r == 0) {
		r = wal_batches_block(log, &view);
		if (r == 0)
			return wal_export_end(k->export);
		if (r < 0) {
			kafka_why(k, "%s", wal_batches_why(log));
			break;
		}
		r = wal_export_block(k->export, &view, &events);
		part->events += r == 0 ? events : 0;
	}
	return r;
}

int kafka_arrow_compose(struct kafka_sink *k, struct wal_batches *log, struct kafka_part *part)
{
	int r = compose(k, log, part);

	if (r < 0) {
		wal_export_free(k->export); // it is within a stream
		k->export = NULL;
	}
	return r;
}

static void add_text(rd_kafka_headers_t *headers, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	rd_kafka_header_add(headers, name, -1, text, -1);
}

static rd_kafka_headers_t *headers_of(const struct kafka_sink *k, const struct wal_batch *batch)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(4);

	rd_kafka_header_add(headers, "log_id", -1, k->log_id, -1);
	add_text(headers, "batch", batch->number);
	add_text(headers, "first_seq", batch->first_seq);
	add_text(headers, "end_seq", batch->end_seq);
	return headers;
}

int kafka_arrow_send(struct kafka_sink *k, struct wal_batches *log, struct kafka_part *part)
{
	const struct wal_batch *batch = &part->batch;
	char key[CONFIG_NAME_MAX + 16];
	int r = kafka_arrow_compose(k, log, part), len;

	if (r < 0 || part->events == 0 || kafka_part_seen(k, part, batch->first_seq))
		return r;
	part->payload_bytes = k->arrow_len;
	len = snprintf(key, sizeof(key), "%s/%u", k->target->receiver, k->target->partition);
	r = 0;
	if (!kafka_refused(k, batch->first_seq))
		r = kafka_produce(k, k->topics.unknown, key, (size_t)len, k->arrow, k->arrow_len,
			batch->received_min, batch->first_seq, headers_of(k, batch));
	if (r == 1)
		part->sent++;
	if (r != 0)
		return r < 0 ? r : 0;
	part->quarantined++;
	return kafka_quarantine(
		k, part, NULL, k->arrow, k->arrow_len, k->topics.list[k->topics.unknown].name);
}
