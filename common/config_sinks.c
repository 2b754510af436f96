// SPDX-License-Identifier: BSD-3-Clause
// The keys of sinks, and of the API over TCP.

#include "common/config_table.h"

#define SINK(member) \
	.offset = offsetof(struct config_sink, member), \
	.size = sizeof(((struct config_sink *)0)->member)
#define API(member) \
	.offset = offsetof(struct config_api, member), \
	.size = sizeof(((struct config_api *)0)->member)

const struct config_key config_sink_keys[] = {
	{
		.name = "name",
		.type = TYPE_NAME,
		SINK(name),
		.required = true,
		.example = "out",
		.help = "Name of the sink in cursors, metrics and tables; another name is another "
			"sink, which begins with the oldest batch there is",
	},
	{
		.name = "kind",
		.type = TYPE_CHOICE,
		SINK(kind),
		.required = true,
		.choices = "kafka|files",
		.example = "files",
		.help = "Kafka topics, or Arrow IPC files",
	},
	{
		.name = "required",
		.type = TYPE_BOOL,
		SINK(required),
		.standard = "true",
		.help = "Retention waits for this sink, and so do the acknowledgements of "
			"listeners with 'ack: sink'",
	},
	{
		.name = "hold_size",
		.type = TYPE_SIZE,
		SINK(hold_bytes),
		.standard = "0",
		.max = 1024 * TIB,
		.help = "Retention waits while a partition's log takes no more than this; beyond, "
			"the oldest batches are given up, counted and told; 0 waits until the disk "
			"is full",
	},
	{
		.name = "topic",
		.type = TYPE_TEXT,
		SINK(topic),
		.standard = "events-{port}",
		.help = "Kafka: topic of an event; {port} and {listener} are those it came to, "
			"{receiver} and {partition} ours",
	},
	{
		.name = "format",
		.type = TYPE_CHOICE,
		SINK(format),
		.standard = "events",
		.choices = "events|arrow",
		.help = "Kafka: each event a message, or each batch one message, an Arrow IPC "
			"stream",
	},
	{
		.name = "transactions",
		.type = TYPE_BOOL,
		SINK(transactions),
		.standard = "true",
		.help = "Kafka: batches and the cursor in one transaction, for exactly once; false "
			"delivers at least once",
	},
	{
		.name = "cursor_topic",
		.type = TYPE_NAME,
		SINK(cursor_topic),
		.standard = "millrace-cursors",
		.help = "Kafka: topic for whose partition 0 cursors are committed; it is made when "
			"it is missing, and stays empty",
	},
	{
		.name = "transaction_batches",
		.type = TYPE_UINT,
		SINK(transaction_batches),
		.standard = "16",
		.min = 1,
		.max = 1024,
		.unit = "batches",
		.help = "Kafka: most in one transaction, when there are more than one to deliver",
	},
	{
		.name = "transaction_timeout",
		.type = TYPE_DURATION,
		SINK(transaction_timeout_ns),
		.standard = "10s",
		.min = SECOND,
		.max = 900 * SECOND,
		.help = "Kafka: the broker aborts a transaction that takes longer",
	},
	{
		.name = "properties",
		.type = TYPE_PROPERTIES,
		SINK(properties),
		.count_offset = offsetof(struct config_sink, property_count),
		.standard = "{}",
		.max = CONFIG_PROPERTIES_MAX,
		.example = "{bootstrap.servers: \"kafka1:9092\", sasl.password: "
			   "\"file:/etc/millrace/kafka\"}",
		.help = "Kafka: what librdkafka takes, by its own names; file:PATH takes the first "
			"line of a file, env:NAME a variable, and secrets are written no other way",
	},
	{
		.name = "path",
		.type = TYPE_PATH,
		SINK(path),
		.standard_help = "required with 'kind: files'",
		.example = "/srv/events",
		.help = "Files: directory that they are written below",
	},
	{
		.name = "file",
		.type = TYPE_TEXT,
		SINK(file),
		.standard = "{date}/{hour}/{receiver}-{partition}-{first}-{last}-{log_id}.arrow",
		.help = "Files: name; {date} and {hour} are those of the first event in UTC, "
			"{first} and {last} the numbers of the batches in it",
	},
	{
		.name = "roll_size",
		.type = TYPE_SIZE,
		SINK(roll_bytes),
		.standard = "128MiB",
		.min = MIB,
		.max = 64 * GIB,
		.help = "Files: a file takes no further batch that would make it larger",
	},
	{
		.name = "roll_interval",
		.type = TYPE_DURATION,
		SINK(roll_interval_ns),
		.standard = "60s",
		.max = DAY,
		.help = "Files: a file is written at latest so long after its first batch; 0 gives "
			"each batch a file",
	},
	{.name = NULL},
};

#define TCP_KEYS \
	{ \
		.name = "listen", \
		.type = TYPE_TEXT, \
		API(listen), \
		.standard_help = "none", \
		.example = "10.0.0.1:8443", \
		.help = "Address and TCP port, as 10.0.0.1:8443 or [::]:8443, always with TLS " \
			"and " \
			"tokens; none: only the Unix socket", \
	}, \
		{ \
			.name = "certificate", \
			.type = TYPE_PATH, \
			API(certificate), \
			.standard_help = "required with 'listen'", \
			.example = "/etc/millrace/api.crt", \
			.help = "PEM file of the certificate and its chain", \
		}, \
		{ \
			.name = "key", \
			.type = TYPE_PATH, \
			API(key), \
			.standard_help = "required with 'listen'", \
			.example = "/etc/millrace/api.key", \
			.help = "PEM file of its private key", \
		}, \
	{ \
		.name = "tokens", .type = TYPE_PATH, API(tokens), \
		.standard_help = "required with 'listen'", .example = "/etc/millrace/tokens", \
		.help = "File of bearer tokens, a line 'ROLE[,ROLE] NAME SECRET' each; roles are " \
			"read, consume, admin; read again when it changes", \
	}

const struct config_key config_api_tcp_keys[] = {
	TCP_KEYS,
	{.name = NULL},
};

const struct config_key config_api_keys[] = {
	TCP_KEYS,
	{
		.name = "consumers",
		.type = TYPE_UINT,
		API(consumers),
		.standard = "64",
		.max = 1024,
		.unit = "consumers",
		.help = "Named consumers of each partition at most",
	},
	{
		.name = "consumer_ttl",
		.type = TYPE_DURATION,
		API(consumer_ttl_ns),
		.standard = "7d",
		.min = SECOND,
		.max = 365 * DAY,
		.help = "Longest time that a consumer may ask to hold retention without a commit",
	},
	{
		.name = "consumer_hold_size",
		.type = TYPE_SIZE,
		API(consumer_hold_bytes),
		.standard = "0",
		.max = 1024 * TIB,
		.help = "Consumers hold retention while a partition's log takes no more than this; "
			"0 holds until the disk is full",
	},
	{.name = NULL},
};
