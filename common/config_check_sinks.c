// SPDX-License-Identifier: BSD-3-Clause
// What no single key of sinks, acknowledgements and the API can say.

#include "common/config_check.h"
#include "common/sink_files.h"
#include "common/sink_kafka.h"
#include "common/units.h"

#include <inttypes.h>
#include <string.h>

static const struct config_property *property(const struct config_sink *sink, const char *name)
{
	for (unsigned i = 0; i < sink->property_count; i++)
		if (strcmp(sink->properties[i].name, name) == 0)
			return &sink->properties[i];
	return NULL;
}

#define KAFKA_MESSAGE_BYTES 1000000u // librdkafka's default of message.max.bytes

// A batch is one message, and one that is too large would be set aside. It is sealed when it has
// seal_size, so it may have a block more.
static void check_arrow(const struct checking *c, unsigned i, unsigned line)
{
	const struct config_sink *sink = &c->config->sinks[i];
	const struct config_log *log = &c->config->log;
	const struct config_property *p = property(sink, "message.max.bytes");
	uint64_t most = KAFKA_MESSAGE_BYTES;

	if (strstr(sink->topic, "{port}") != NULL || strstr(sink->topic, "{listener}") != NULL)
		ERROR(c, line,
			"sinks[%u].topic: with 'format: arrow' a batch has events of every "
			"listener: neither {port} nor {listener} can be in it",
			i);
	if (p != NULL && !units_parse_uint(p->value, &most))
		return; // librdkafka says so
	if (log->seal_bytes + log->block_bytes > most)
		ERROR(c, line,
			"sinks[%u].properties.message.max.bytes: %" PRIu64 " is less than a batch "
			"may have, log.seal_size and a block: %" PRIu64 "; the broker must take "
			"that, too",
			i, most, log->seal_bytes + log->block_bytes);
}

static void check_kafka(const struct checking *c, unsigned i, unsigned line)
{
	const struct config_sink *sink = &c->config->sinks[i];

	if (property(sink, "bootstrap.servers") == NULL)
		ERROR(c, line,
			"sinks[%u].properties: there is no bootstrap.servers: a list HOST:PORT,… "
			"of Kafka brokers",
			i);
	if (sink->format == SINK_FORMAT_ARROW)
		check_arrow(c, i, line);
	if (sink_topic_check(sink->topic) != NULL)
		ERROR(c, line, "sinks[%u].topic: %s", i, sink_topic_check(sink->topic));
	for (unsigned j = 0; j < sink->property_count; j++) {
		const struct config_property *p = &sink->properties[j];

		if (sink_kafka_property_reserved(p->name))
			ERROR(c, line,
				"sinks[%u].properties.%s: is set by millraced, for exactly once "
				"depends on it; leave it out",
				i, p->name);
		else if (p->source == PROPERTY_PLAIN && sink_kafka_property_secret(p->name))
			ERROR(c, line,
				"sinks[%u].properties.%s: is a secret, and this file is shown to "
				"many; write file:PATH or env:NAME",
				i, p->name);
	}
}

static void check_files(const struct checking *c, unsigned i, unsigned line)
{
	const struct config_sink *sink = &c->config->sinks[i];
	const char *wrong = sink_files_check(sink->file);

	if (sink->path[0] == '\0')
		ERROR(c, line, "sinks[%u].path: is missing: files need a directory", i);
	if (wrong != NULL)
		ERROR(c, line, "sinks[%u].file: %s", i, wrong);
	// Their temporary files would have the same names.
	for (unsigned j = 0; j < i; j++)
		if (c->config->sinks[j].kind == SINK_FILES && sink->path[0] != '\0' &&
			strcmp(sink->path, c->config->sinks[j].path) == 0)
			ERROR(c, line, "sinks[%u].path: '%.60s' is also sinks[%u]", i, sink->path,
				j);
}

static void check_sink(const struct checking *c, unsigned i)
{
	const struct config_sink *sink = &c->config->sinks[i];
	unsigned line = item_line(c, "sinks", i);

	for (unsigned j = 0; j < i; j++)
		if (strcmp(sink->name, c->config->sinks[j].name) == 0)
			ERROR(c, line, "sinks[%u].name: '%s' is also sinks[%u]", i, sink->name, j);
	if (sink->kind == SINK_KAFKA)
		check_kafka(c, i, line);
	else
		check_files(c, i, line);
}

static bool waits_for_sinks(const struct config *config)
{
	for (unsigned i = 0; i < config->sink_count; i++)
		if (config->sinks[i].required)
			return true;
	return false;
}

// One place in the log covers what all reliable listeners of a partition acknowledge.
static void check_acks(const struct checking *c)
{
	const struct config_listener *first = NULL;

	for (unsigned i = 0; i < c->config->listener_count; i++) {
		const struct config_listener *listener = &c->config->listeners[i];
		unsigned line = item_line(c, "listeners", i);

		if (listener->ack == ACK_SINK && listener->kind != KIND_RELIABLE)
			ERROR(c, line, "listeners[%u].ack: a plain listener acknowledges nothing",
				i);
		else if (listener->ack == ACK_SINK && !waits_for_sinks(c->config))
			ERROR(c, line,
				"listeners[%u].ack: sink: there is no sink that is 'required'", i);
		if (listener->kind != KIND_RELIABLE)
			continue;
		if (first == NULL)
			first = listener;
		else if (first->ack != listener->ack)
			ERROR(c, line,
				"listeners[%u].ack: must be the same for all reliable listeners, "
				"and '%s' has another",
				i, first->name);
	}
}

void config_api_check(const struct config_api *api, const struct config_node *root,
	struct config_problems *problems)
{
	const struct {
		const char *name, *value;
	} needed[] = {
		{"certificate", api->certificate}, {"key", api->key}, {"tokens", api->tokens}};
	bool tcp = api->listen[0] != '\0';

	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		bool given = needed[i].value[0] != '\0';
		unsigned line = config_key_line(root, "api", tcp ? "listen" : needed[i].name);

		if (tcp && !given)
			problem_add(problems, line, false,
				"api.%s: is missing: over TCP there are only TLS and tokens",
				needed[i].name);
		else if (!tcp && given)
			problem_add(problems, line, true,
				"api.%s: means nothing without api.listen", needed[i].name);
	}
}

void check_sinks(const struct checking *c)
{
	for (unsigned i = 0; i < c->config->sink_count; i++)
		check_sink(c, i);
	check_acks(c);
	config_api_check(&c->config->api, c->root, c->problems);
}
