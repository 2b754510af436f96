// SPDX-License-Identifier: BSD-3-Clause
// The routes of the API that know the receiver as a whole; docs/api.md describes what they send.

#include "common/clock.h"
#include "common/json.h"
#include "dataplane/receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct wanted {
	char labels[32];
	const char *name;
	uint64_t value;
};

static void look_for(const struct counter_set *set, void *arg)
{
	struct wanted *wanted = arg;

	if (strcmp(set->subsystem, "partition") != 0 || strcmp(set->labels, wanted->labels) != 0)
		return;
	for (unsigned i = 0; i < set->count; i++)
		if (strcmp(set->defs[i].name, wanted->name) == 0)
			wanted->value = counter_get(&set->values[i]);
}

uint64_t api_partition_counter(unsigned partition, const char *name)
{
	struct wanted wanted = {.name = name};

	snprintf(wanted.labels, sizeof(wanted.labels), "partition=\"%u\"", partition);
	counters_walk(look_for, &wanted);
	return wanted.value;
}

void api_health(const struct http_request *req, struct http_reply *reply, void *arg)
{
	json_t *reasons = json_array();
	enum health health = receiver_health(arg, reasons);

	(void)req;
	reply->schema = "millrace.health/1";
	reply->status = health == HEALTH_FAILED ? 503 : 200;
	reply->data = json_pack("{s:s, s:o}", "health", health_text(health), "reasons", reasons);
}

static json_t *optional(uint64_t value)
{
	return value != 0 ? json_integer((json_int_t)value) : json_null();
}

static void add_disk(const struct receiver *r, json_t *data)
{
	struct statvfs fs;
	bool known = statvfs(r->config.data, &fs) == 0;
	uint64_t log_bytes = 0;

	json_object_set_new(data, "disk_free_bytes",
		known ? json_integer((json_int_t)(fs.f_bavail * fs.f_frsize)) : json_null());
	json_object_set_new(data, "disk_size_bytes",
		known ? json_integer((json_int_t)(fs.f_blocks * fs.f_frsize)) : json_null());
	json_object_set_new(
		data, "retain_bytes", optional(r->config.log.retain_bytes * r->config.partitions));
	json_object_set_new(data, "retain_age_ns", optional(r->config.log.retain_age_ns));
	for (unsigned i = 0; i < r->dp.partition_count; i++)
		log_bytes += api_partition_counter(i, "log_bytes");
	json_object_set_new(data, "log_bytes", json_integer((json_int_t)log_bytes));
}

// The sink with most events still to deliver; null without sinks.
static json_t *slowest_sink(const struct receiver *r)
{
	struct sink_status worst = {0}, status;

	for (unsigned i = 0; i < sinks_count(r->sinks); i++) {
		sinks_status(r->sinks, i, &status);
		if (worst.config == NULL || status.lag_events > worst.lag_events)
			worst = status;
	}
	if (worst.config == NULL)
		return json_null();
	return json_pack("{s:s, s:i, s:s, s:I}", "sink", worst.config->name, "partition",
		(int)worst.partition, "state", sink_state_text(worst.state), "lag_events",
		(json_int_t)worst.lag_events);
}

void api_status(const struct http_request *req, struct http_reply *reply, void *arg)
{
	const struct receiver *r = arg;
	json_t *reasons = json_array();
	enum health health = receiver_health(r, reasons);
	bool pipeline = r->config.mode == MODE_PIPELINE;
	char started[40];

	(void)req;
	reply->schema = "millrace.status/1";
	reply->data = json_pack(
		"{s:s, s:o, s:s, s:i, s:s, s:I, s:s, s:s?, s:s, s:i, s:i, s:i, s:b}", "health",
		health_text(health), "reasons", reasons, "version", MILLRACE_VERSION, "pid",
		(int)getpid(), "started_at", time_text(r->started_at, started), "uptime_ns",
		(json_int_t)clock_ticks_to_ns(clock_ticks() - r->started_ticks), "mode",
		pipeline ? "pipeline" : "run_to_completion", "config_path", r->config_path,
		"data_path", r->config.data, "port_count", (int)r->dp.port_count, "partition_count",
		(int)r->dp.partition_count, "lcore_count", (int)r->dp.lcore_count, "hugepages",
		(int)r->config.hugepages);
	if (reply->data == NULL)
		return;
	add_disk(r, reply->data);
	json_object_set_new(reply->data, "slowest_sink", slowest_sink(r));
}

void api_config(const struct http_request *req, struct http_reply *reply, void *arg)
{
	const struct receiver *r = arg;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)req;
	reply->schema = "millrace.config/1";
	if (f != NULL) {
		config_print(&r->config, f);
		fclose(f);
	}
	reply->data = json_pack("{s:s?, s:s?}", "path", r->config_path, "yaml", text);
	free(text);
}

const struct http_route *api_routes(struct receiver *receiver)
{
	static struct http_route routes[] = {
		{"/healthz", api_health, NULL},
		{"/api/v1/status", api_status, NULL},
		{"/api/v1/ports", api_ports, NULL},
		{"/api/v1/partitions", api_partitions, NULL},
		{"/api/v1/batches", api_batches, NULL},
		{"/api/v1/log", api_log, NULL},
		{"/api/v1/sinks", api_sinks, NULL},
		{"/api/v1/config", api_config, NULL},
		{NULL, NULL, NULL},
	};

	for (struct http_route *route = routes; route->path != NULL; route++)
		route->arg = receiver;
	return routes;
}
