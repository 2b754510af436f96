// SPDX-License-Identifier: BSD-3-Clause
// consumers.json in a log's directory: JSON with a CRC, replaced in one step.

#include "common/json_file.h"
#include "http/pull_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "millrace.consumers-file/1"
#define FILE_MAX (4u << 20)
#define FILE_CONSUMERS_MAX 4096u

static json_t *record_json(const struct consumer_record *r)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I}", "name",
		r->name, "token", (json_int_t)r->token, "next_batch", (json_int_t)r->next_batch,
		"next_seq", (json_int_t)r->next_seq, "ttl_ns", (json_int_t)r->ttl_ns, "max_bytes",
		(json_int_t)r->max_bytes, "expired", (int)r->expired, "gone_batch",
		(json_int_t)r->gone_batch, "gone_seq", (json_int_t)r->gone_seq, "given_up_batches",
		(json_int_t)r->given_up_batches, "given_up_events", (json_int_t)r->given_up_events,
		"seen_at", (json_int_t)r->seen_at);
}

static json_t *all_json(const struct pull_log *log)
{
	json_t *list = json_array();
	char id[33];

	for (unsigned i = 0; i < log->consumer_room; i++)
		if (log->consumers[i].used)
			json_array_append_new(list, record_json(&log->consumers[i].record));
	wal_id_text(&log->file_log_id, id);
	return json_pack("{s:s, s:I, s:o}", "log_id", id, "last_token", (json_int_t)log->last_token,
		"consumers", list);
}

int consumers_save(const struct pull_log *log)
{
	json_t *all = all_json(log);
	int r = json_file_save(log->dir, CONSUMERS_FILE, SCHEMA, "all", all);

	json_decref(all);
	return r;
}

static bool record_parse(json_t *from, struct consumer_record *ret)
{
	json_int_t token, batch, seq, ttl, bytes, gone_batch, gone_seq, batches, events, seen_at;
	const char *name;
	int expired;

	if (json_unpack(from, "{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I}",
		    "name", &name, "token", &token, "next_batch", &batch, "next_seq", &seq,
		    "ttl_ns", &ttl, "max_bytes", &bytes, "expired", &expired, "gone_batch",
		    &gone_batch, "gone_seq", &gone_seq, "given_up_batches", &batches,
		    "given_up_events", &events, "seen_at", &seen_at) < 0 ||
		!consumer_name_ok(name))
		return false;
	*ret = (struct consumer_record){
		.token = (uint64_t)token,
		.next_batch = (uint64_t)batch,
		.next_seq = (uint64_t)seq,
		.ttl_ns = (uint64_t)ttl,
		.max_bytes = (uint64_t)bytes,
		.expired = expired,
		.gone_batch = (uint64_t)gone_batch,
		.gone_seq = (uint64_t)gone_seq,
		.given_up_batches = (uint64_t)batches,
		.given_up_events = (uint64_t)events,
		.seen_at = seen_at,
	};
	memcpy(ret->name, name, strlen(name) + 1);
	return true;
}

static int all_parse(struct pull_log *log, json_t *all)
{
	json_int_t last_token;
	json_t *list, *one;
	const char *id;
	size_t i;

	if (json_unpack(all, "{s:s, s:I, s:o}", "log_id", &id, "last_token", &last_token,
		    "consumers", &list) < 0 ||
		!json_is_array(list) || !wal_id_parse(id, &log->file_log_id) ||
		json_array_size(list) > log->consumer_room)
		return -EBADMSG;
	log->last_token = (uint64_t)last_token;
	json_array_foreach(list, i, one)
	{
		if (!record_parse(one, &log->consumers[i].record))
			return -EBADMSG;
		log->consumers[i].used = true;
	}
	return wal_id_equal(&log->file_log_id, &log->log_id) ? 0 : -ESTALE;
}

// Room for those of a file whose bound was larger, too.
static int make_room(struct pull_log *log, json_t *all)
{
	size_t found = json_array_size(json_object_get(all, "consumers"));
	size_t room = found > log->pull->api.consumers ? found : log->pull->api.consumers;

	if (room > FILE_CONSUMERS_MAX)
		room = FILE_CONSUMERS_MAX;
	free(log->consumers);
	log->consumers = calloc(room > 0 ? room : 1, sizeof(*log->consumers));
	log->consumer_room = log->consumers != NULL ? (unsigned)room : 0;
	return log->consumers != NULL ? 0 : -ENOMEM;
}

int consumers_load(struct pull_log *log)
{
	json_t *all = NULL;
	int r, known;

	log->file_log_id = log->log_id;
	r = json_file_load(log->dir, CONSUMERS_FILE, FILE_MAX, SCHEMA, "all", &all);
	known = make_room(log, all);
	if (known < 0)
		r = known;
	else if (r == 0)
		r = all_parse(log, all);
	if (r < 0 && r != -ESTALE)
		for (unsigned i = 0; i < log->consumer_room; i++)
			log->consumers[i].used = false;
	json_decref(all);
	return r == -ENOENT ? 0 : r;
}
