// SPDX-License-Identifier: BSD-3-Clause
// /api/v1/partitions, /api/v1/batches, /api/v1/log

#include "common/json.h"
#include "dataplane/receiver.h"

#include <errno.h>
#include <string.h>

#define BATCHES_MAX 1000
#define BATCHES_DEFAULT 100

static json_t *recovery_json(const struct wal_recovery *found)
{
	return json_pack("{s:b, s:I, s:I, s:i, s:I, s:s?}", "created", (int)found->created,
		"verified_bytes", (json_int_t)found->verified_bytes, "cut_bytes",
		(json_int_t)found->cut_bytes, "cut_intact_blocks", (int)found->cut_intact_blocks,
		"cut_intact_rows", (json_int_t)found->cut_intact_rows, "cut_file",
		found->cut_file[0] != '\0' ? found->cut_file : NULL);
}

// The pair that says how far the log may be read, and the seqs. durable_seq is read first: what it
// covers lies below the position read after it.
static void add_position(const struct partition *partition, json_t *data)
{
	const struct wal_state *state = wal_state(partition->wal);
	uint64_t durable = atomic_load(&state->durable_seq), segment, offset;
	char id[33];

	wal_durable_position(partition->wal, &segment, &offset);
	wal_id_text(&partition->recovery.log_id, id);
	json_object_set_new(data, "log_id", json_string(id));
	json_object_set_new(data, "generation", json_integer(partition->recovery.generation));
	json_object_set_new(data, "durable_seq", json_id(durable));
	json_object_set_new(data, "next_seq", json_id(atomic_load(&state->next_seq)));
	json_object_set_new(data, "segment_first_seq", json_id(segment));
	json_object_set_new(data, "durable_offset_bytes", json_integer((json_int_t)offset));
}

static const char *state_text(const struct wal_state *state)
{
	if (atomic_load(&state->failed) != 0)
		return "failed";
	return atomic_load(&state->full) ? "full" : "ok";
}

static json_t *partition_json(const struct partition *partition)
{
	const struct wal_state *state = wal_state(partition->wal);
	unsigned number = partition->number;
	int failed = atomic_load(&state->failed);
	json_t *data = json_pack("{s:i, s:s, s:s?, s:i, s:s, s:o, s:i, s:I, s:I, s:o}", "partition",
		(int)number, "state", state_text(state), "error",
		failed != 0 ? strerror(-failed) : NULL, "lcore", (int)partition->lcore, "io",
		wal_io_name(partition->wal), "durable_batch",
		json_id(atomic_load(&state->durable_batch)), "in_flight_blocks",
		(int)atomic_load(&state->in_flight), "log_bytes",
		(json_int_t)api_partition_counter(number, "log_bytes"), "log_segments",
		(json_int_t)api_partition_counter(number, "log_segments"), "recovery",
		recovery_json(&partition->recovery));

	if (data == NULL)
		return json_null();
	add_position(partition, data);
	return data;
}

void api_partitions(const struct http_request *req, struct http_reply *reply, void *arg)
{
	const struct receiver *r = arg;

	(void)req;
	reply->schema = "millrace.partitions/1";
	reply->data = json_array();
	for (unsigned i = 0; i < r->dp.partition_count; i++)
		json_array_append_new(reply->data, partition_json(&r->dp.partitions[i]));
}

void api_log(const struct http_request *req, struct http_reply *reply, void *arg)
{
	const struct receiver *r = arg;

	(void)req;
	reply->schema = "millrace.log/1";
	reply->data = json_array();
	for (unsigned i = 0; i < r->dp.partition_count; i++) {
		json_t *data = json_object();
		json_object_set_new(data, "partition", json_integer(i));
		json_object_set_new(data, "path", json_sprintf("%s/%u", r->config.data, i));
		add_position(&r->dp.partitions[i], data);
		json_array_append_new(reply->data, data);
	}
}

static json_t *batch_json(const struct wal_batch_info *info)
{
	char min[40], max[40], durable[40];
	bool any = info->rows > 0;

	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:s?, s:s?, s:s}", "batch",
		json_id(info->number), "first_seq", json_id(info->first_seq), "rows",
		(json_int_t)info->rows, "blocks", (json_int_t)info->blocks, "log_bytes",
		(json_int_t)info->bytes, "received_min",
		any ? time_text(info->received_min, min) : NULL, "received_max",
		any ? time_text(info->received_max, max) : NULL, "durable_at",
		time_text(info->durable_at, durable));
}

// The first batch at or above 'from' that is still in memory; 'next' when none is. Those known are
// a run up to next.
static uint64_t first_known(const struct wal *wal, uint64_t from, uint64_t next)
{
	struct wal_batch_info info;

	while (from < next) {
		uint64_t middle = from + (next - from) / 2;
		if (wal_batch_info(wal, middle, &info) == 0)
			next = middle;
		else
			from = middle + 1;
	}
	return next;
}

static json_t *list_batches(const struct wal *wal, uint64_t from, uint64_t limit, uint64_t next)
{
	json_t *list = json_array();
	struct wal_batch_info info;

	for (; from < next && json_array_size(list) < limit; from++)
		if (wal_batch_info(wal, from, &info) == 0)
			json_array_append_new(list, batch_json(&info));
	return list;
}

static void warn_forgotten(struct http_reply *reply, uint64_t known)
{
	char text[128];

	snprintf(text, sizeof(text), "batches before %llu are no longer kept in memory",
		(unsigned long long)known);
	reply->warnings = json_array();
	json_array_append_new(reply->warnings,
		json_warning("batches_forgotten", text, "millrace log cat reads them from disk"));
}

void api_batches(const struct http_request *req, struct http_reply *reply, void *arg)
{
	const struct receiver *r = arg;
	uint64_t number = 0, limit = BATCHES_DEFAULT, from = UINT64_MAX, next, known;
	const struct wal *wal;

	if (!http_query_u64(req, "partition", r->dp.partition_count - 1, &number, reply) ||
		!http_query_u64(req, "limit", BATCHES_MAX, &limit, reply) ||
		!http_query_u64(req, "from", UINT64_MAX - 1, &from, reply))
		return;
	wal = r->dp.partitions[number].wal;
	next = atomic_load(&wal_state(wal)->durable_batch);
	if (from == UINT64_MAX)
		from = next > limit ? next - limit : 0;
	known = first_known(wal, from, next);
	reply->schema = "millrace.batches/1";
	reply->data = json_pack("{s:i, s:o, s:o}", "partition", (int)number, "next_batch",
		json_id(next), "batches", list_batches(wal, known, limit, next));
	if (known > from && req->query(req, "from") != NULL)
		warn_forgotten(reply, known);
}
