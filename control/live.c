// SPDX-License-Identifier: BSD-3-Clause
#include "control/live.h"

#include "common/clock.h"
#include "common/json.h"
#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const health_words[] = {"starting", "ok", "degraded", "failed"};
static const char *const kind_words[] = {"plain", "reliable"};

const char *live_health_text(enum live_health health)
{
	return health_words[health];
}

uint64_t live_worst_lag_batches(const struct live *live)
{
	uint64_t worst = 0;

	for (unsigned i = 0; i < live->sink_count; i++)
		if (live->sinks[i].lag_known && live->sinks[i].lag_batches > worst)
			worst = live->sinks[i].lag_batches;
	return worst;
}

static json_t *listeners_json(const struct live *live)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < live->listener_count; i++) {
		const struct live_listener *listener = &live->listeners[i];
		json_t *addresses = json_array();

		for (unsigned a = 0; a < listener->address_count; a++)
			json_array_append_new(addresses, json_string(listener->addresses[a]));
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:i, s:o}", "name", listener->name, "kind",
				      kind_words[listener->kind], "udp_port",
				      (int)listener->udp_port, "addresses", addresses));
	}
	return list;
}

static json_t *partitions_json(const struct live *live)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < live->partition_count; i++) {
		const struct live_partition *partition = &live->partitions[i];

		json_array_append_new(
			list, json_pack("{s:i, s:s, s:o, s:I}", "partition", (int)partition->number,
				      "log_id", partition->log_id, "durable_seq",
				      json_id(partition->durable_seq), "log_bytes",
				      (json_int_t)partition->log_bytes));
	}
	return list;
}

static json_t *lag_json(const struct live_sink *sink, uint64_t lag)
{
	return sink->lag_known ? json_integer((json_int_t)lag) : json_null();
}

static json_t *sinks_json(const struct live *live)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < live->sink_count; i++) {
		const struct live_sink *sink = &live->sinks[i];

		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o}", "sink", sink->name, "lag_batches",
				      lag_json(sink, sink->lag_batches), "lag_events",
				      lag_json(sink, sink->lag_events)));
	}
	return list;
}

static json_t *load_json(const struct live *live)
{
	return json_pack("{s:I, s:I, s:I}", "packets_per_second",
		(json_int_t)live->packets_per_second, "events_per_second",
		(json_int_t)live->events_per_second, "bytes_per_second",
		(json_int_t)live->bytes_per_second);
}

json_t *live_write(const struct live *live)
{
	char now[LIVE_TIME_BYTES];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:s, s:s?, s:o, s:o, s:o, "
			 "s:o, s:I}",
		"schema", LIVE_SCHEMA, "time", time_text(clock_system_ns(), now), "receiver",
		live->receiver, "task_id", live->task_id, "hostname", live->hostname, "socket",
		live->socket, "pid", live->pid, "started_at", live->started_at, "restarts",
		(json_int_t)live->restarts, "health", live_health_text(live->health), "why",
		live->why[0] != '\0' ? live->why : NULL, "listeners", listeners_json(live),
		"partitions", partitions_json(live), "load", load_json(live), "sinks",
		sinks_json(live), "worst_lag_batches", (json_int_t)live_worst_lag_batches(live));
}

// The readers: false when the field is missing or is none.

static bool read_text(const json_t *from, const char *name, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(from, name));

	if (text == NULL || strlen(text) >= size)
		return false;
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

static bool read_name(const json_t *from, const char *name, char *ret, size_t size)
{
	return read_text(from, name, ret, size) && ret[0] != '\0';
}

static bool read_count(const json_t *from, const char *name, uint64_t max, uint64_t *ret)
{
	const json_t *value = json_object_get(from, name);
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number > max)
		return false;
	*ret = (uint64_t)number;
	return true;
}

static bool read_word(const json_t *from, const char *name, const char *const *words,
	unsigned count, unsigned *ret)
{
	const char *text = json_string_value(json_object_get(from, name));

	for (*ret = 0; text != NULL && *ret < count; ++*ret)
		if (strcmp(text, words[*ret]) == 0)
			return true;
	return false;
}

static bool read_id(const json_t *from, const char *name, uint64_t *ret)
{
	const char *text = json_string_value(json_object_get(from, name));

	return text != NULL && units_parse_uint(text, ret);
}

static bool read_time(const json_t *from, const char *name, char *ret)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";

	if (!read_text(from, name, ret, LIVE_TIME_BYTES) || strlen(ret) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i] != '\0'; i++) {
		bool is_digit = ret[i] >= '0' && ret[i] <= '9';

		if (form[i] == 'd' ? !is_digit : ret[i] != form[i])
			return false;
	}
	return true;
}

static bool read_addresses(const json_t *list, struct live_listener *ret)
{
	json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > LIVE_ADDRESSES_MAX)
		return false;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);

		if (text == NULL || text[0] == '\0')
			return false;
#ifndef MUTANT_LIVE_UNBOUNDED
		if (strlen(text) >= INET6_ADDRSTRLEN)
			return false;
#endif
		memcpy(ret->addresses[i], text, strlen(text) + 1);
	}
	ret->address_count = (unsigned)json_array_size(list);
	return true;
}

static bool read_listener(const json_t *from, struct live_listener *ret)
{
	unsigned kind = 0;
	uint64_t port = 0;
	bool good = read_name(from, "name", ret->name, sizeof(ret->name)) &&
		    read_word(from, "kind", kind_words, 2, &kind) &&
		    read_count(from, "udp_port", UINT16_MAX, &port) && port > 0 &&
		    read_addresses(json_object_get(from, "addresses"), ret);

	ret->kind = (enum config_kind)kind;
	ret->udp_port = (uint16_t)port;
	return good;
}

static bool read_partition(const json_t *from, struct live_partition *ret)
{
	uint64_t number = 0;
	bool good = read_count(from, "partition", CONFIG_PARTITIONS_MAX - 1, &number) &&
		    read_text(from, "log_id", ret->log_id, sizeof(ret->log_id)) &&
		    strspn(ret->log_id, "0123456789abcdef") == LIVE_LOG_ID_BYTES - 1 &&
		    read_id(from, "durable_seq", &ret->durable_seq) &&
		    read_count(from, "log_bytes", INT64_MAX, &ret->log_bytes);

	ret->number = (unsigned)number;
	return good;
}

static bool read_sink(const json_t *from, struct live_sink *ret)
{
	ret->lag_known = !json_is_null(json_object_get(from, "lag_batches")) ||
			 !json_is_null(json_object_get(from, "lag_events"));
	return read_name(from, "sink", ret->name, sizeof(ret->name)) &&
	       json_object_get(from, "lag_batches") != NULL &&
	       json_object_get(from, "lag_events") != NULL &&
	       (!ret->lag_known ||
		       (read_count(from, "lag_batches", INT64_MAX, &ret->lag_batches) &&
			       read_count(from, "lag_events", INT64_MAX, &ret->lag_events)));
}

static int read_listeners(const json_t *list, struct live *ret)
{
	json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > CONFIG_LISTENERS_MAX)
		return -EINVAL;
	ret->listeners = calloc(json_array_size(list) + 1, sizeof(*ret->listeners));
	if (ret->listeners == NULL)
		return -ENOMEM;
	json_array_foreach(
		list, i, item) if (!read_listener(item, &ret->listeners[i])) return -EINVAL;
	ret->listener_count = (unsigned)json_array_size(list);
	return 0;
}

static bool read_lists(const json_t *json, struct live *ret)
{
	const json_t *partitions = json_object_get(json, "partitions");
	const json_t *sinks = json_object_get(json, "sinks");
	json_t *item;
	size_t i;

	if (!json_is_array(partitions) || json_array_size(partitions) > CONFIG_PARTITIONS_MAX ||
		!json_is_array(sinks) || json_array_size(sinks) > CONFIG_SINKS_MAX)
		return false;
	json_array_foreach(partitions, i, item)
	{
		if (!read_partition(item, &ret->partitions[i]))
			return false;
	}
	json_array_foreach(sinks, i, item)
	{
		if (!read_sink(item, &ret->sinks[i]))
			return false;
	}
	ret->partition_count = (unsigned)json_array_size(partitions);
	ret->sink_count = (unsigned)json_array_size(sinks);
	return true;
}

static bool read_health(const json_t *json, struct live *ret)
{
	const json_t *why = json_object_get(json, "why");
	unsigned health = 0;
	bool good = read_word(json, "health", health_words, 4, &health) &&
		    (json_is_null(why) || read_text(json, "why", ret->why, sizeof(ret->why)));

	ret->health = (enum live_health)health;
	return good;
}

static bool read_fields(const json_t *json, struct live *ret)
{
	const json_t *load = json_object_get(json, "load");
	uint64_t pid = 0;
	bool good = read_name(json, "receiver", ret->receiver, sizeof(ret->receiver)) &&
		    read_name(json, "task_id", ret->task_id, sizeof(ret->task_id)) &&
		    read_name(json, "hostname", ret->hostname, sizeof(ret->hostname)) &&
		    read_name(json, "socket", ret->socket, sizeof(ret->socket)) &&
		    read_count(json, "pid", INT32_MAX, &pid) &&
		    read_time(json, "started_at", ret->started_at) &&
		    read_count(json, "restarts", INT64_MAX, &ret->restarts) &&
		    read_health(json, ret) && read_lists(json, ret) &&
		    read_count(load, "packets_per_second", INT64_MAX, &ret->packets_per_second) &&
		    read_count(load, "events_per_second", INT64_MAX, &ret->events_per_second) &&
		    read_count(load, "bytes_per_second", INT64_MAX, &ret->bytes_per_second);

	ret->pid = (int)pid;
	return good;
}

int live_read(const json_t *json, struct live *ret)
{
	const char *schema = json_string_value(json_object_get(json, "schema"));
	int err;

	memset(ret, 0, sizeof(*ret));
	if (schema == NULL)
		return -EINVAL;
	if (strcmp(schema, LIVE_SCHEMA) != 0)
		return -EPROTONOSUPPORT;
	err = read_fields(json, ret) ? read_listeners(json_object_get(json, "listeners"), ret)
				     : -EINVAL;
	if (err != 0) {
		live_free(ret);
		memset(ret, 0, sizeof(*ret));
	}
	return err;
}

void live_free(struct live *live)
{
	free(live->listeners);
	live->listeners = NULL;
	live->listener_count = 0;
}

static bool same_listeners(const struct live *a, const struct live *b)
{
	if (a->listener_count != b->listener_count)
		return false;
	for (unsigned i = 0; i < a->listener_count; i++) {
		const struct live_listener *x = &a->listeners[i], *y = &b->listeners[i];

		if (strcmp(x->name, y->name) != 0 || x->kind != y->kind ||
			x->udp_port != y->udp_port || x->address_count != y->address_count)
			return false;
		for (unsigned n = 0; n < x->address_count; n++)
			if (strcmp(x->addresses[n], y->addresses[n]) != 0)
				return false;
	}
	return true;
}

static bool same_things(const struct live *a, const struct live *b)
{
	if (a->partition_count != b->partition_count || a->sink_count != b->sink_count)
		return false;
	for (unsigned i = 0; i < a->partition_count; i++)
		if (a->partitions[i].number != b->partitions[i].number ||
			strcmp(a->partitions[i].log_id, b->partitions[i].log_id) != 0)
			return false;
	for (unsigned i = 0; i < a->sink_count; i++)
		if (strcmp(a->sinks[i].name, b->sinks[i].name) != 0)
			return false;
	return same_listeners(a, b);
}

static bool same_state(const struct live *a, const struct live *b)
{
	return strcmp(a->receiver, b->receiver) == 0 && strcmp(a->task_id, b->task_id) == 0 &&
	       strcmp(a->hostname, b->hostname) == 0 && strcmp(a->socket, b->socket) == 0 &&
	       a->pid == b->pid && strcmp(a->started_at, b->started_at) == 0 &&
	       a->restarts == b->restarts && a->health == b->health && strcmp(a->why, b->why) == 0;
}

static bool same_counts(const struct live *a, const struct live *b)
{
	for (unsigned i = 0; i < a->partition_count; i++)
		if (a->partitions[i].durable_seq != b->partitions[i].durable_seq ||
			a->partitions[i].log_bytes != b->partitions[i].log_bytes)
			return false;
	for (unsigned i = 0; i < a->sink_count; i++)
		if (a->sinks[i].lag_known != b->sinks[i].lag_known ||
			a->sinks[i].lag_batches != b->sinks[i].lag_batches ||
			a->sinks[i].lag_events != b->sinks[i].lag_events)
			return false;
	return a->packets_per_second == b->packets_per_second &&
	       a->events_per_second == b->events_per_second &&
	       a->bytes_per_second == b->bytes_per_second;
}

enum live_change live_compare(const struct live *a, const struct live *b)
{
	if (!same_state(a, b) || !same_things(a, b))
		return LIVE_CHANGED;
	return same_counts(a, b) ? LIVE_SAME : LIVE_COUNTED;
}
