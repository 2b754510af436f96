// SPDX-License-Identifier: BSD-3-Clause

#include "http/pull.h"

#include "common/units.h"
#include "http/pull_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct counter_def pull_counters[] = {
#define X(name, kind, help) {#name, help, COUNTER_##kind, ROLE_NONE},
	PULL_COUNTERS(X)
#undef X
};

#define PARTITION "/api/v1/partitions/{n}"

static const struct http_route routes[] = {
	{PARTITION "/batches/{m}", pull_get_batches, NULL, HTTP_GET, HTTP_CONSUME, false},
	{"/api/v1/consumers", consumers_list_all, NULL, HTTP_GET, HTTP_READ, false},
	{PARTITION "/consumers", consumers_list, NULL, HTTP_GET, HTTP_READ, false},
	{PARTITION "/consumers/{name}", consumers_get, NULL, HTTP_GET, HTTP_READ, false},
	{PARTITION "/consumers/{name}", consumers_put, NULL, HTTP_PUT, HTTP_CONSUME, true},
	{PARTITION "/consumers/{name}", consumers_delete, NULL, HTTP_DELETE, HTTP_CONSUME, false},
	{PARTITION "/consumers/{name}/commit", consumers_commit, NULL, HTTP_POST, HTTP_CONSUME,
		true},
	{NULL, NULL, NULL},
};

_Static_assert(sizeof(routes) <= sizeof(((struct pull *)NULL)->routes), "routes find room");

struct pull_log *pull_log_of(struct pull *pull, const char *text, struct http_reply *reply)
{
	uint64_t number;

	if (units_parse_uint(text, &number) && number < pull->count)
		return &pull->logs[number];
	http_reply_error(
		reply, 404, "partition %.32s: there are %u, counted from 0", text, pull->count);
	return NULL;
}

static int start_log(struct pull *pull, unsigned number, const struct wal_live *partition)
{
	struct pull_log *log = &pull->logs[number];

	log->pull = pull;
	log->partition = number;
	log->wal = partition->wal;
	log->log_id = partition->log_id;
	log->dir = strdup(partition->dir);
	if (log->dir == NULL)
		return -ENOMEM;
	log->set = (struct counter_set){.subsystem = "pull",
		.defs = pull_counters,
		.values = log->values,
		.count = PULL_COUNTER_COUNT};
	snprintf(log->set.labels, sizeof(log->set.labels), "partition=\"%u\"", number);
	return consumers_start(log);
}

static void stop_log(struct pull_log *log)
{
	if (log->set.defs != NULL)
		counters_unregister(&log->set);
	consumers_stop(log);
	free(log->dir);
}

int pull_new(struct pull **ret, const struct config_api *api, const char *receiver,
	const struct wal_live *partitions, unsigned count)
{
	struct pull *pull = calloc(1, sizeof(*pull));
	int err = -ENOMEM;

	if (pull != NULL)
		pull->logs = calloc(count, sizeof(*pull->logs));
	if (pull == NULL || pull->logs == NULL)
		goto fail;
	pull->api = *api;
	snprintf(pull->receiver, sizeof(pull->receiver), "%s", receiver);
	memcpy(pull->routes, routes, sizeof(routes));
	for (struct http_route *r = pull->routes; r->path != NULL; r++)
		r->arg = pull;
	while (pull->count < count) {
		err = start_log(pull, pull->count, &partitions[pull->count]);
		if (err < 0)
			goto fail;
		counters_register(&pull->logs[pull->count++].set);
	}
	*ret = pull;
	return 0;
fail:
	pull_free(pull);
	return err;
}

void pull_free(struct pull *pull)
{
	if (pull == NULL)
		return;
	pull_readers_close(pull, true);
	for (unsigned i = 0; i < pull->count; i++)
		stop_log(&pull->logs[i]);
	free(pull->logs);
	free(pull);
}

const struct http_route *pull_routes(struct pull *pull)
{
	return pull->routes;
}

void pull_tick(void *arg)
{
	struct pull *pull = arg;

	pull_readers_close(pull, false);
	for (unsigned i = 0; i < pull->count; i++)
		consumers_tick(&pull->logs[i]);
}

unsigned pull_alarms(const struct pull *pull, json_t *reasons)
{
	unsigned count = 0;

	for (unsigned i = 0; pull != NULL && i < pull->count; i++) {
		const struct pull_log *log = &pull->logs[i];
		int alarm = atomic_load(&log->alarm);

		if (alarm == 0)
			continue;
		count++;
		json_array_append_new(
			reasons, json_sprintf("partition %u: %s/%s: %s: its consumers hold nothing",
					 i, log->dir, CONSUMERS_FILE,
					 alarm == -ESTALE ? "of another log" : strerror(-alarm)));
	}
	return count;
}
