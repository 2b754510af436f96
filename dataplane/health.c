// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "dataplane/receiver.h"
#include "wal/scrub.h"

#include <string.h>

static void add_failed(const struct receiver *r, json_t *reasons)
{
	for (unsigned i = 0; i < r->dp.partition_count; i++) {
		int failed = atomic_load(&wal_state(r->dp.partitions[i].wal)->failed);
		if (failed != 0)
			json_array_append_new(reasons,
				json_sprintf(
					"partition %u failed: %s; its events are dropped until "
					"millraced is restarted and recovers it",
					i, strerror(-failed)));
	}
}

static void add_full(const struct receiver *r, json_t *reasons)
{
	for (unsigned i = 0; i < r->dp.partition_count; i++)
		if (atomic_load(&wal_state(r->dp.partitions[i].wal)->full))
			json_array_append_new(reasons,
				json_sprintf("partition %u has no room for its log: events are "
					     "dropped until there is",
					i));
}

static void add_damaged(const struct receiver *r, json_t *reasons)
{
	for (unsigned i = 0; i < r->dp.partition_count; i++) {
		char text[WAL_SCRUB_TEXT_BYTES];
		unsigned places = wal_scrub_damage(r->dp.scrub, i, text);

		if (places == 1)
			json_array_append_new(reasons, json_sprintf("partition %u: %s", i, text));
		else if (places > 1)
			json_array_append_new(reasons,
				json_sprintf("partition %u: %u segments are damaged, the first: %s",
					i, places, text));
	}
}

static void add_sinks(const struct receiver *r, json_t *reasons)
{
	if (r->undelivered_partitions > 0)
		json_array_append_new(reasons,
			json_sprintf("%u partitions more than configured have batches that a sink "
				     "has not delivered; the log names them",
				r->undelivered_partitions));
	for (unsigned i = 0; i < sinks_count(r->sinks); i++) {
		struct sink_status status;
		uint64_t given_up;

		sinks_status(r->sinks, i, &status);
		given_up = status.counters[SINK_given_up];
		if (status.why[0] != '\0')
			json_array_append_new(
				reasons, json_sprintf("sink %s, partition %u: %s: %s",
						 status.config->name, status.partition,
						 sink_state_text(status.state), status.why));
		if (given_up > 0)
			json_array_append_new(
				reasons, json_sprintf("sink %s, partition %u: %llu events were not "
						      "delivered and are gone by retention",
						 status.config->name, status.partition,
						 (unsigned long long)given_up));
	}
}

static void add_ports(const struct receiver *r, json_t *reasons)
{
	for (unsigned i = 0; i < r->dp.port_count; i++) {
		const struct port *port = &r->dp.ports[i];
		if (atomic_load(&port->gone))
			json_array_append_new(
				reasons, json_sprintf("port %s: device %s was removed; restart "
						      "millraced when it is back",
						 port->config->name, port->device.name));
		else if (!atomic_load(&port->link_up))
			json_array_append_new(
				reasons, json_sprintf("port %s: link down", port->config->name));
		if (atomic_load(&port->conflict_until) > clock_monotonic_ns())
			json_array_append_new(reasons,
				json_sprintf("port %s: another host uses one of its addresses; "
					     "the log names it",
					port->config->name));
	}
}

enum health receiver_health(const struct receiver *r, json_t *reasons)
{
	size_t failed;

	add_failed(r, reasons);
	failed = json_array_size(reasons);
	add_full(r, reasons);
	add_damaged(r, reasons);
	add_sinks(r, reasons);
	pull_alarms(r->pull, reasons);
	add_ports(r, reasons);
	if (failed > 0)
		return HEALTH_FAILED;
	return json_array_size(reasons) > 0 ? HEALTH_DEGRADED : HEALTH_OK;
}

const char *health_text(enum health health)
{
	static const char *const text[] = {"ok", "degraded", "failed"};

	return text[health];
}
