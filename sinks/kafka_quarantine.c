// SPDX-License-Identifier: BSD-3-Clause
// What Kafka does not take for its size, set aside in files of the partition's directory: the
// bytes, and beside them JSON that says whose they are. The same event gives the same files, so
// repeating it after a crash changes nothing.

#include "common/file.h"
#include "common/json.h"
#include "common/logmsg.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kafka_refuse(struct kafka_sink *k, uint64_t seq)
{
	struct kafka_seqs *refused = &k->refused;

	if (kafka_refused(k, seq))
		return;
	if (refused->count == refused->room) {
		size_t room = refused->room == 0 ? 16 : 2 * refused->room;
		uint64_t *list = realloc(refused->list, room * sizeof(*list));

		if (list == NULL)
			return; // it is met again
		refused->list = list;
		refused->room = room;
	}
	refused->list[refused->count++] = seq;
}

bool kafka_refused(const struct kafka_sink *k, uint64_t seq)
{
	for (size_t i = 0; i < k->refused.count; i++)
		if (k->refused.list[i] == seq)
			return true;
	return false;
}

static json_t *describe(const struct kafka_sink *k, const struct wal_batch *batch,
	const struct wal_row *row, size_t len, const char *topic)
{
	json_t *object = json_pack("{ss so so ss sI ss}", "log_id", k->log_id, "batch",
		json_id(batch->number), "seq", json_id(row != NULL ? row->seq : batch->first_seq),
		"topic", topic, "bytes", (json_int_t)len, "why",
		"larger than Kafka takes: message.max.bytes here, max.message.bytes of the topic");

	if (object == NULL || row == NULL)
		return object;
	json_object_set_new(object, "received_at_ns", json_id((uint64_t)row->received_at));
	json_object_set_new(object, "listener", json_integer(row->listener));
	json_object_set_new(object, "source", json_id(row->source_id));
	json_object_set_new(object, "epoch", json_integer(row->source_epoch));
	json_object_set_new(object, "source_seq", json_id(row->source_seq));
	return object;
}

static int write_both(const struct kafka_sink *k, const struct wal_batch *batch,
	const struct wal_row *row, const void *value, size_t len, const char *topic)
{
	uint64_t seq = row != NULL ? row->seq : batch->first_seq;
	json_t *object = describe(k, batch, row, len, topic);
	char *text = object != NULL ? json_dumps(object, JSON_INDENT(1)) : NULL;
	char dir[PATH_MAX], name[64];
	int r = text != NULL ? 0 : -ENOMEM;

	snprintf(dir, sizeof(dir), "%s/quarantine.%s", k->target->dir, k->config->name);
	if (r == 0)
		r = file_make_dirs(dir);
	if (r == 0) {
		snprintf(name, sizeof(name), "%" PRIu64 "-%" PRIu64 ".event", batch->number, seq);
		r = file_replace(dir, name, value, len);
	}
	if (r == 0) {
		snprintf(name, sizeof(name), "%" PRIu64 "-%" PRIu64 ".json", batch->number, seq);
		r = file_replace(dir, name, text, strlen(text));
	}
	free(text);
	json_decref(object);
	return r;
}

int kafka_quarantine(struct kafka_sink *k, const struct kafka_part *part, const struct wal_row *row,
	const void *value, size_t len, const char *topic)
{
	const struct wal_batch *batch = &part->batch;
	uint64_t seq = row != NULL ? row->seq : batch->first_seq;
	int r = write_both(k, batch, row, value, len, topic);

	if (r < 0) {
		kafka_why(k,
			"event %" PRIu64 " of batch %" PRIu64
			" is too large for Kafka and can't be set aside in %s/quarantine.%s: %s",
			seq, batch->number, k->target->dir, k->config->name, strerror(-r));
		return r == -ENOSPC || r == -EDQUOT ? -ECONNABORTED : r;
	}
	log_warn("sink %s of partition %u: event %" PRIu64 " of batch %" PRIu64
		 " of log %s, %zu bytes, is "
		 "too large for topic %s and is set aside in %s/quarantine.%s",
		k->config->name, k->target->partition, seq, batch->number, k->log_id, len, topic,
		k->target->dir, k->config->name);
	return 0;
}
