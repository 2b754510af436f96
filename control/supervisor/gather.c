// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/gather.h"

#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add_address(struct live_listener *listener, const struct config_address *address)
{
	char text[INET6_ADDRSTRLEN];

	config_address_text(address, text, sizeof(text));
	if (listener->address_count == LIVE_ADDRESSES_MAX || IN6_IS_ADDR_LINKLOCAL(&address->ip))
		return;
	for (unsigned i = 0; i < listener->address_count; i++)
		if (strcmp(listener->addresses[i], text) == 0)
			return;
	memcpy(listener->addresses[listener->address_count++], text, sizeof(text));
}

static void fill_listener(
	struct live_listener *ret, const struct config_listener *from, const struct config *config)
{
	memcpy(ret->name, from->name, sizeof(ret->name));
	ret->kind = from->kind;
	ret->udp_port = from->udp_port;
	if (!from->any_address)
		add_address(ret, &from->address);
	for (unsigned p = 0; from->any_address && p < config->port_count; p++)
		for (unsigned i = 0; i < config->ports[p].address_count; i++)
			add_address(ret, &config->ports[p].addresses[i]);
}

int gather_listeners(struct live *live, const struct config *config)
{
	struct live_listener *list = calloc(config->listener_count + 1u, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < config->listener_count; i++)
		fill_listener(&list[i], &config->listeners[i], config);
	live_free(live);
	live->listeners = list;
	live->listener_count = config->listener_count;
	return 0;
}

static bool number_of(const json_t *from, const char *name, uint64_t *ret)
{
	const json_t *value = json_object_get(from, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

bool gather_status(struct live *live, const json_t *status)
{
	static const enum live_health known[] = {LIVE_OK, LIVE_DEGRADED, LIVE_FAILED};
	const char *text = json_string_value(json_object_get(status, "health"));
	const json_t *reasons = json_object_get(status, "reasons");
	const char *why = json_string_value(json_array_get(reasons, 0));

	for (unsigned i = 0; text != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(text, live_health_text(known[i])) != 0)
			continue;
		live->health = known[i];
		snprintf(live->why, sizeof(live->why), "%s", why != NULL ? why : "");
		return true;
	}
	return false;
}

static bool read_partition(const json_t *from, struct live_partition *ret)
{
	const char *log_id = json_string_value(json_object_get(from, "log_id"));
	const char *seq = json_string_value(json_object_get(from, "durable_seq"));
	uint64_t number;

	if (log_id == NULL || strlen(log_id) != LIVE_LOG_ID_BYTES - 1 || seq == NULL ||
		!units_parse_uint(seq, &ret->durable_seq) ||
		!number_of(from, "partition", &number) ||
		!number_of(from, "log_bytes", &ret->log_bytes))
		return false;
	ret->number = (unsigned)number;
	memcpy(ret->log_id, log_id, LIVE_LOG_ID_BYTES);
	return true;
}

bool gather_partitions(struct live *live, const json_t *partitions)
{
	struct live_partition found[CONFIG_PARTITIONS_MAX];
	size_t count = json_array_size(partitions);

	if (!json_is_array(partitions) || count > CONFIG_PARTITIONS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!read_partition(json_array_get(partitions, i), &found[i]))
			return false;
	memcpy(live->partitions, found, count * sizeof(found[0]));
	live->partition_count = (unsigned)count;
	return true;
}

static struct live_sink *sink_named(struct live_sink *sinks, unsigned *count, const char *name)
{
	struct live_sink *sink;

	for (unsigned i = 0; i < *count; i++)
		if (strcmp(sinks[i].name, name) == 0)
			return &sinks[i];
	if (*count == CONFIG_SINKS_MAX || strlen(name) >= sizeof(sink->name))
		return NULL;
	sink = &sinks[(*count)++];
	*sink = (struct live_sink){.lag_known = true};
	snprintf(sink->name, sizeof(sink->name), "%s", name);
	return sink;
}

bool gather_sinks(struct live *live, const json_t *sinks)
{
	struct live_sink found[CONFIG_SINKS_MAX];
	unsigned count = 0;
	json_t *item;
	size_t i;

	if (!json_is_array(sinks))
		return false;
	json_array_foreach(sinks, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "sink"));
		const char *state = json_string_value(json_object_get(item, "state"));
		struct live_sink *sink = name != NULL ? sink_named(found, &count, name) : NULL;
		uint64_t batches, events;

		if (sink == NULL || state == NULL || !number_of(item, "lag_batches", &batches) ||
			!number_of(item, "lag_events", &events))
			return false;
		sink->lag_known &= strcmp(state, "starting") != 0;
		sink->lag_batches += batches;
		sink->lag_events += events;
	}
	memcpy(live->sinks, found, count * sizeof(found[0]));
	live->sink_count = count;
	return true;
}

bool gather_totals(struct gather_totals *ret, const json_t *drops, const json_t *ports)
{
	json_t *port;
	size_t i;

	ret->bytes = 0;
	json_array_foreach(ports, i, port)
	{
		uint64_t bytes;

		if (!number_of(port, "rx_bytes_total", &bytes))
			return false;
		ret->bytes += bytes;
	}
	return json_is_array(ports) &&
	       number_of(json_object_get(drops, "packets"), "in", &ret->packets) &&
	       number_of(json_object_get(drops, "events"), "in", &ret->events);
}

static uint64_t rate(uint64_t before, uint64_t now, uint64_t ns)
{
	return now > before ? (uint64_t)((unsigned __int128)(now - before) * 1000000000u / ns) : 0;
}

void gather_load(
	struct live *live, const struct gather_totals *before, const struct gather_totals *now)
{
	uint64_t ns = now->at_ns - before->at_ns;
	bool both = before->at_ns != 0 && now->at_ns > before->at_ns;

	live->packets_per_second = both ? rate(before->packets, now->packets, ns) : 0;
	live->events_per_second = both ? rate(before->events, now->events, ns) : 0;
	live->bytes_per_second = both ? rate(before->bytes, now->bytes, ns) : 0;
}
