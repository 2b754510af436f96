// SPDX-License-Identifier: BSD-3-Clause
#include "common/sink_kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_LONGEST 63 // of a listener, of a receiver

static const struct field {
	const char *text;
	size_t longest; // of what takes its place
} fields[] = {
	{"{port}", 5},
	{"{listener}", NAME_LONGEST},
	{"{receiver}", NAME_LONGEST},
	{"{partition}", 10},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static bool is_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

// The field that 'at' begins with; FIELDS: none.
static size_t field_at(const char *at)
{
	size_t i;

	for (i = 0; i < FIELDS && strncmp(at, fields[i].text, strlen(fields[i].text)) != 0; i++)
		;
	return i;
}

const char *sink_topic_check(const char *template)
{
	size_t longest = 0;

	if (template[0] == '\0')
		return "a topic needs a name";
	if (strcmp(template, ".") == 0 || strcmp(template, "..") == 0)
		return "no topic may be named . or ..";
	while (*template != '\0') {
		size_t field = field_at(template);

		if (field < FIELDS) {
			template += strlen(fields[field].text);
			longest += fields[field].longest;
			continue;
		}
		if (*template == '{' || *template == '}')
			return "what a topic may have in braces is {port}, {listener}, {receiver} "
			       "and {partition}";
		if (!is_safe(*template))
			return "Kafka takes letters, digits, '.', '_' and '-' in a topic's name";
		template ++;
		longest++;
	}
	if (longest > SINK_TOPIC_MAX)
		return "with the longest names this would be longer than the 249 characters of a "
		       "topic's name";
	return NULL;
}

static size_t put_safe(char *ret, size_t len, const char *text)
{
	for (; *text != '\0' && len < SINK_TOPIC_MAX; text++)
		ret[len++] = is_safe(*text) ? *text : '_';
	return len;
}

void sink_topic_name(
	const char *template, const struct sink_topic_values *values, char ret[SINK_TOPIC_MAX + 1])
{
	char port[8], partition[16];
	const char *texts[FIELDS] = {port, values->listener, values->receiver, partition};
	size_t len = 0;

	snprintf(port, sizeof(port), "%" PRIu16, values->port);
	snprintf(partition, sizeof(partition), "%u", values->partition);
	while (*template != '\0' && len < SINK_TOPIC_MAX) {
		size_t field = field_at(template);

		if (field < FIELDS) {
			len = put_safe(ret, len, texts[field]);
			template += strlen(fields[field].text);
		} else {
			ret[len++] = *template ++;
		}
	}
	ret[len] = '\0';
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

bool sink_kafka_property_reserved(const char *name)
{
	static const char *const names[] = {"auto.offset.reset", "background_event_cb",
		"closesocket_cb", "connect_cb", "consume_cb", "default_topic_conf",
		"delivery.report.only.error",
		"delivery.timeout.ms", // another name of message.timeout.ms
		"dr_cb", "dr_msg_cb", "enable.auto.commit", "enable.auto.offset.store",
		"enable.gapless.guarantee", "enable.idempotence", "enable.partition.eof",
		"enabled_events", "error_cb", "group.id", "group.instance.id", "interceptors",
		"isolation.level", "log.queue", "log_cb", "message.timeout.ms",
		"oauthbearer_token_refresh_cb", "offset_commit_cb", "opaque", "open_cb",
		"rebalance_cb", "resolve_cb", "socket_cb", "statistics.interval.ms", "stats_cb",
		"throttle_cb", "transaction.timeout.ms", "transactional.id", NULL};

	return is_one_of(name, names);
}

bool sink_kafka_property_secret(const char *name)
{
	static const char *const names[] = {"sasl.jaas.config", "sasl.oauthbearer.client.secret",
		"sasl.oauthbearer.config", "sasl.password", "ssl.key.password", "ssl.key.pem",
		"ssl.keystore.password", NULL};

	return is_one_of(name, names);
}
