// SPDX-License-Identifier: BSD-3-Clause
// Consumers over HTTP.

#include "common/clock.h"
#include "common/json.h"
#include "common/units.h"
#include "http/pull_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TTL_MIN_NS 1000000000u

// A number as JSON has it, or as a text of digits.
static bool number(const json_t *value, uint64_t *ret)
{
	if (json_is_string(value))
		return units_parse_uint(json_string_value(value), ret);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static json_t *consumer_json(const struct pull_log *log, const struct consumer *consumer)
{
	const struct consumer_record *r = &consumer->record;
	uint64_t sealed = pull_sealed(log);
	uint64_t durable = atomic_load(&wal_state(log->wal)->durable_seq);
	bool known = atomic_load(&log->alarm) == 0;
	char id[33], seen[40];

	wal_id_text(&log->file_log_id, id);
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:s}",
		"partition", (int)log->partition, "name", r->name, "state",
		consumer_state(log, consumer), "log_id", id, "next_batch", json_id(r->next_batch),
		"next_seq", json_id(r->next_seq), "ttl_ns", (json_int_t)r->ttl_ns, "max_bytes",
		r->max_bytes > 0 ? json_integer((json_int_t)r->max_bytes) : json_null(),
		"lag_batches",
		known ? json_integer((json_int_t)(sealed - r->next_batch)) : json_null(),
		"lag_events",
		known && durable >= r->next_seq ? json_integer((json_int_t)(durable - r->next_seq))
						: json_null(),
		"given_up_batches", (json_int_t)r->given_up_batches, "given_up_events",
		(json_int_t)r->given_up_events, "seen_at", time_text(r->seen_at, seen));
}

static void warn(struct http_reply *reply, const char *code, json_t *text, const char *mend)
{
	if (reply->warnings == NULL)
		reply->warnings = json_array();
	json_array_append_new(reply->warnings, json_warning(code, json_string_value(text), mend));
	json_decref(text);
}

static void warn_gone(struct http_reply *reply, const struct consumer_record *r)
{
	warn(reply, "consumer_overrun",
		json_sprintf("consumer %s: retention took batches before %" PRIu64
			     ", which it had not committed; in all it lost %" PRIu64
			     " batches with %" PRIu64 " rows",
			r->name, r->gone_batch, r->given_up_batches, r->given_up_events),
		"go on with /batches/oldest and commit that place; a larger max_bytes holds more");
}

static void warn_alarm(struct http_reply *reply, const struct pull_log *log)
{
	int alarm = atomic_load(&log->alarm);

	if (alarm == 0)
		return;
	warn(reply, alarm == -ESTALE ? "consumers_of_other_log" : "consumers_file_damaged",
		json_sprintf("partition %u: %s/" CONSUMERS_FILE
			     " is %s: its consumers hold nothing",
			log->partition, log->dir,
			alarm == -ESTALE ? "of another log" : "damaged or can't be read"),
		alarm == -ESTALE ? "put back that log, or DELETE its consumers"
				 : "put back a good one, or move it away");
}

static void list(struct pull_log *log, json_t *to, struct http_reply *reply)
{
	for (unsigned i = 0; i < log->consumer_room; i++)
		if (log->consumers[i].used)
			json_array_append_new(to, consumer_json(log, &log->consumers[i]));
	warn_alarm(reply, log);
}

void consumers_list_all(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct pull *pull = arg;

	(void)req;
	reply->schema = "millrace.consumers/1";
	reply->data = json_array();
	for (unsigned i = 0; i < pull->count; i++)
		list(&pull->logs[i], reply->data, reply);
}

void consumers_list(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct pull_log *log = pull_log_of(arg, req->params[0], reply);

	if (log == NULL)
		return;
	reply->schema = "millrace.consumers/1";
	reply->data = json_array();
	list(log, reply->data, reply);
}

// 'before': as it was when it was asked for; what it had lost is told a last time.
static void show(struct pull_log *log, const struct consumer *consumer, bool token,
	const struct consumer_record *before, struct http_reply *reply)
{
	const struct consumer_record *r = &consumer->record;

	reply->schema = "millrace.consumer/1";
	reply->data = consumer_json(log, consumer);
	json_object_set_new(reply->data, "token", token ? json_id(r->token) : json_null());
	json_object_set_new(reply->data, "durable_batch", json_id(pull_sealed(log)));
	if (r->gone_seq > r->next_seq)
		warn_gone(reply, r);
	else if (before != NULL && before->gone_seq > before->next_seq)
		warn_gone(reply, before);
	warn_alarm(reply, log);
}

// The partition and the name of a path, and the consumer if there is one.
static struct pull_log *find(struct pull *pull, const struct http_request *req,
	struct consumer **ret, struct http_reply *reply)
{
	struct pull_log *log = pull_log_of(pull, req->params[0], reply);

	if (log == NULL)
		return NULL;
	if (!consumer_name_ok(req->params[1])) {
		http_reply_error(reply, 400,
			"a consumer's name is 1 to 63 letters, digits, '.', '_' and '-'");
		return NULL;
	}
	*ret = consumer_find(log, req->params[1]);
	return log;
}

static struct pull_log *find_known(struct pull *pull, const struct http_request *req,
	struct consumer **ret, struct http_reply *reply)
{
	struct pull_log *log = find(pull, req, ret, reply);

	if (log == NULL || *ret != NULL)
		return log;
	http_reply_error(reply, 404, "partition %u has no consumer %s: PUT makes it",
		log->partition, req->params[1]);
	return NULL;
}

void consumers_get(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct consumer *consumer;
	struct pull_log *log = find_known(arg, req, &consumer, reply);

	if (log != NULL)
		show(log, consumer, false, NULL, reply);
}

// A body as an object of none but these keys. An empty one is {}.
static json_t *parse_body(
	const struct http_request *req, const char *const *keys, struct http_reply *reply)
{
	json_error_t error;
	json_t *ret = req->body_len == 0 ? json_object()
					 : json_loadb(req->body, req->body_len,
						   JSON_REJECT_DUPLICATES, &error);
	const char *key;
	json_t *value;

	if (!json_is_object(ret)) {
		http_reply_error(reply, 400, "the body is no JSON object");
		json_decref(ret);
		return NULL;
	}
	json_object_foreach(ret, key, value)
	{
		unsigned i = 0;

		while (keys[i] != NULL && strcmp(keys[i], key) != 0)
			i++;
		if (keys[i] != NULL)
			continue;
		http_reply_error(reply, 400, "the body has a key that is not known: %.64s", key);
		json_decref(ret);
		return NULL;
	}
	return ret;
}

static bool parse_ttl(const struct pull *pull, const json_t *value, struct consumer_wish *wish,
	struct http_reply *reply)
{
	const char *text = json_string_value(value);
	char longest[UNITS_TEXT_BYTES];

	if (value == NULL)
		return true;
	wish->has_ttl = true;
	if (text != NULL && units_parse_duration(text, &wish->ttl_ns) &&
		wish->ttl_ns >= TTL_MIN_NS && wish->ttl_ns <= pull->api.consumer_ttl_ns)
		return true;
	http_reply_error(reply, 400,
		"ttl wants a duration from \"1s\" to \"%s\" (api.consumer_ttl)",
		units_duration_text(pull->api.consumer_ttl_ns, longest));
	return false;
}

static bool parse_max_bytes(const struct pull *pull, const json_t *value,
	struct consumer_wish *wish, struct http_reply *reply)
{
	uint64_t most = pull->api.consumer_hold_bytes;

	if (value == NULL)
		return true;
	wish->has_max_bytes = true;
	if (number(value, &wish->max_bytes) && wish->max_bytes <= INT64_MAX &&
		(most == 0 || (wish->max_bytes > 0 && wish->max_bytes <= most)))
		return true;
	http_reply_error(reply, 400,
		"max_bytes wants a number of bytes, at most %" PRIu64
		" (api.consumer_hold_size; 0: any)",
		most);
	return false;
}

static bool parse_from(const json_t *value, struct consumer_wish *wish, struct http_reply *reply)
{
	const char *text = json_string_value(value);

	wish->from_next = text != NULL && strcmp(text, "next") == 0;
	if (value == NULL || wish->from_next || (text != NULL && strcmp(text, "oldest") == 0))
		return true;
	http_reply_error(reply, 400, "from is \"oldest\" or \"next\"");
	return false;
}

// A file that can't be taken may have been put right meanwhile.
static bool usable(struct pull_log *log, struct http_reply *reply)
{
	int alarm = atomic_load(&log->alarm);

	if (alarm != 0 && alarm != -ESTALE) {
		alarm = consumers_load(log);
		if (alarm == 0)
			consumers_start(log);
	}
	if (alarm == 0)
		return true;
	http_reply_error(reply, alarm == -ESTALE ? 409 : 503,
		"partition %u: its " CONSUMERS_FILE " is %s: %s", log->partition,
		alarm == -ESTALE ? "of another log" : "damaged or can't be read",
		alarm == -ESTALE ? "put back that log, or DELETE its consumers"
				 : "put back a good one, or move it away");
	return false;
}

static void failed(const struct pull_log *log, int err, struct http_reply *reply)
{
	if (err == -EMFILE)
		http_reply_error(reply, 409,
			"partition %u has %u consumers, as many as api.consumers allows: DELETE "
			"one",
			log->partition, log->pull->api.consumers);
	else
		http_reply_error(reply, 503, "partition %u: it could not be stored: %s",
			log->partition, strerror(-err));
}

static void put(struct pull_log *log, const char *name, json_t *body, struct consumer *known,
	struct http_reply *reply)
{
	struct consumer_record before = known != NULL ? known->record : (struct consumer_record){0};
	struct consumer_wish wish = {0};
	struct consumer *consumer;
	int r;

	if (!parse_ttl(log->pull, json_object_get(body, "ttl"), &wish, reply) ||
		!parse_max_bytes(log->pull, json_object_get(body, "max_bytes"), &wish, reply) ||
		!parse_from(json_object_get(body, "from"), &wish, reply))
		return;
	r = consumer_take(log, name, &wish, &consumer);
	if (r < 0)
		failed(log, r, reply);
	else
		show(log, consumer, true, &before, reply);
}

void consumers_put(const struct http_request *req, struct http_reply *reply, void *arg)
{
	static const char *const keys[] = {"ttl", "max_bytes", "from", NULL};
	struct consumer *known;
	struct pull_log *log = find(arg, req, &known, reply);
	json_t *body;

	if (log == NULL || !usable(log, reply))
		return;
	body = parse_body(req, keys, reply);
	if (body != NULL)
		put(log, req->params[1], body, known, reply);
	json_decref(body);
}

struct commit {
	uint64_t token, next_batch, next_seq;
	const char *log_id;
	bool rewind;
};

static bool parse_commit(const json_t *body, struct commit *ret, struct http_reply *reply)
{
	const json_t *rewind = json_object_get(body, "rewind");

	ret->log_id = json_string_value(json_object_get(body, "log_id"));
	ret->rewind = json_is_true(rewind);
	if (number(json_object_get(body, "token"), &ret->token) && ret->log_id != NULL &&
		number(json_object_get(body, "next_batch"), &ret->next_batch) &&
		(rewind == NULL || json_is_boolean(rewind)))
		return true;
	http_reply_error(reply, 400,
		"a commit is {\"token\":\"…\",\"log_id\":\"…\",\"next_batch\":\"…\"}, with "
		"\"rewind\":true to go back");
	return false;
}

// Whether the holder may say this; the log that it speaks of; where it goes.
static bool allowed(struct pull_log *log, const struct consumer *consumer,
	const struct commit *commit, struct http_reply *reply)
{
	const struct consumer_record *r = &consumer->record;
	char id[33];

	wal_id_text(&log->log_id, id);
#ifndef MUTANT_FENCE_IGNORED
	if (commit->token != r->token) {
		http_reply_error(reply, 409,
			"token %" PRIu64 " is not the one that was given out last: another holder "
			"has taken the consumer over",
			commit->token);
		return false;
	}
#endif
	if (strcmp(commit->log_id, id) != 0)
		http_reply_error(reply, 409, "this log's id is %s, not %.40s", id, commit->log_id);
	else if (commit->next_batch > pull_sealed(log))
		http_reply_error(reply, 409,
			"batch %" PRIu64 " is beyond what is sealed: the next to be is %" PRIu64,
			commit->next_batch, pull_sealed(log));
	else if (commit->next_batch < r->next_batch && !commit->rewind)
		http_reply_error(reply, 409,
			"batch %" PRIu64 " is before what is committed, %" PRIu64
			"; \"rewind\":true goes back",
			commit->next_batch, r->next_batch);
	return reply->status == 200;
}

// Where the rows of the place begin. One that retention took is a place all the same for who comes
// by there on the way forward; nobody can go back to it.
static int find_seq(struct pull_log *log, const struct consumer *consumer, struct commit *commit)
{
	const struct consumer_record *record = &consumer->record;
	bool back = commit->next_batch < record->next_batch;
	struct wal_batch oldest;
	int r;

	commit->next_seq = record->next_seq;
	if (commit->next_batch == record->next_batch)
		return 0;
	if (back && pull_oldest(log, &oldest) > 0 && oldest.number > commit->next_batch)
		return -ESTALE;
	r = pull_seq_of(log, commit->next_batch, &commit->next_seq);
	if (r != -ESTALE || back)
		return r;
	commit->next_seq = record->next_seq;
	return 0;
}

static bool find_place(struct pull_log *log, const struct consumer *consumer, struct commit *commit,
	struct http_reply *reply)
{
	int r = find_seq(log, consumer, commit);

	if (r == -ESTALE)
		http_reply_error(
			reply, 410, "batch %" PRIu64 " was taken by retention", commit->next_batch);
	else if (r < 0)
		http_reply_error(reply, 503, "partition %u: batch %" PRIu64 " is not found: %s",
			log->partition, commit->next_batch, strerror(-r));
	return r == 0;
}

static void commit(struct pull_log *log, struct consumer *consumer, struct commit *wanted,
	struct http_reply *reply)
{
	struct consumer_record before = consumer->record;
	int r;

	if (!allowed(log, consumer, wanted, reply) || !find_place(log, consumer, wanted, reply)) {
		counter_add(&log->values[PULL_refused_commits], 1);
		return;
	}
	r = consumer_commit(log, consumer, wanted->next_batch, wanted->next_seq);
	if (r < 0)
		failed(log, r, reply);
	else
		show(log, consumer, true, &before, reply);
}

void consumers_commit(const struct http_request *req, struct http_reply *reply, void *arg)
{
	static const char *const keys[] = {"token", "log_id", "next_batch", "rewind", NULL};
	struct consumer *consumer;
	struct pull_log *log = find_known(arg, req, &consumer, reply);
	struct commit wanted;
	json_t *body;

	if (log == NULL || !usable(log, reply))
		return;
	body = parse_body(req, keys, reply);
	if (body != NULL && parse_commit(body, &wanted, reply))
		commit(log, consumer, &wanted, reply);
	json_decref(body);
}

void consumers_delete(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct consumer *consumer;
	struct pull_log *log = find_known(arg, req, &consumer, reply);
	int r;

	if (log == NULL)
		return;
	show(log, consumer, false, NULL, reply);
	r = consumer_remove(log, consumer);
	if (r == 0)
		return;
	json_decref(reply->data);
	reply->data = NULL;
	failed(log, r, reply);
}
