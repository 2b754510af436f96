// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Names that the configuration's check and the Kafka sink judge alike: topics, and librdkafka's
// properties.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_TOPIC_MAX 249 // Kafka's longest name of a topic

// What is wrong with a template of topics, and what would be right; NULL: nothing.
const char *sink_topic_check(const char *template);

struct sink_topic_values {
	uint16_t port;
	const char *listener, *receiver;
	unsigned partition;
};

// The topic's name: names in it made safe, each character that Kafka forbids as '_'. The template
// has been checked; what would be longer than SINK_TOPIC_MAX is cut.
void sink_topic_name(
	const char *template, const struct sink_topic_values *values, char ret[SINK_TOPIC_MAX + 1]);

// Ours alone: exactly-once delivery or the statistics depend on its value.
bool sink_kafka_property_reserved(const char *name);

// Its value is a secret: it must come from a file or the environment.
bool sink_kafka_property_secret(const char *name);
