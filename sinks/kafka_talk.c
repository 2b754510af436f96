// SPDX-License-Identifier: BSD-3-Clause
// What the Kafka sink and librdkafka say, without secrets and without end.

#include "common/clock.h"
#include "common/logmsg.h"
#include "sinks/kafka_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUIET_NS 60000000000u // the same is not said again within
#define TEXT_BYTES 1024
#define FRESH_NS 30000000000u // that a connection failed is why another call doesn't end

static bool is_secret(const struct config_property *p)
{
	return p->source != PROPERTY_PLAIN || sink_kafka_property_secret(p->name);
}

static void mask_one(char *text, const char *secret)
{
	size_t len = strlen(secret);

	if (len == 0)
		return;
	for (char *at = strstr(text, secret); at != NULL; at = strstr(at + len, secret))
		memset(at, '*', len);
}

void kafka_mask(const struct kafka_sink *k, char *text)
{
	for (unsigned i = 0; i < k->config->property_count; i++)
		if (k->values[i] != NULL && is_secret(&k->config->properties[i]))
			mask_one(text, k->values[i]);
}

void kafka_why(struct kafka_sink *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->target->why, sizeof(k->target->why), fmt, ap);
	va_end(ap);
	kafka_mask(k, k->target->why);
}

void kafka_why_broker(struct kafka_sink *k, const char *doing, const char *error)
{
	struct kafka_talk *talk = &k->talk;

	pthread_mutex_lock(&talk->lock);
	if (talk->failed_at > 0 && clock_monotonic_ns() - talk->failed_at < FRESH_NS)
		kafka_why(k, "%s: %s (%s)", doing, error, talk->failure);
	else
		kafka_why(k, "%s: %s", doing, error);
	pthread_mutex_unlock(&talk->lock);
}

// Without the thread before it, and behind it how often and after how long.
static void remember_failure(struct kafka_talk *talk, const char *line)
{
	const char *begin = strstr(line, "]: "), *end;

	begin = begin != NULL ? begin + strlen("]: ") : line;
	end = strstr(begin, " (after ");
	pthread_mutex_lock(&talk->lock);
	snprintf(talk->failure, sizeof(talk->failure), "%.*s",
		(int)(end != NULL ? end - begin : (ptrdiff_t)strlen(begin)), begin);
	talk->failed_at = clock_monotonic_ns();
	pthread_mutex_unlock(&talk->lock);
}

// Of its letters alone: times and counts in it differ from one to the next.
static uint64_t hash_of(const char *facility, const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *facility != '\0'; facility++)
		hash = (hash ^ (uint8_t)*facility) * 0x100000001b3u;
	for (; *text != '\0'; text++)
		if (!isdigit((unsigned char)*text))
			hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
	return hash;
}

// Whether it may be said now; *ret_left_out: how often it was not since it was.
static bool may_say(struct kafka_talk *talk, uint64_t hash, uint64_t *ret_left_out)
{
	uint64_t now = clock_monotonic_ns();
	unsigned oldest = 0, i;
	bool may = true;

	*ret_left_out = 0;
	pthread_mutex_lock(&talk->lock);
	for (i = 0; i < KAFKA_SAID && talk->said[i].hash != hash; i++)
		if (talk->said[i].at < talk->said[oldest].at)
			oldest = i;
	if (i == KAFKA_SAID) {
		i = oldest;
		talk->said[i].hash = hash;
		talk->said[i].left_out = 0;
	} else if (now - talk->said[i].at < QUIET_NS) {
		talk->said[i].left_out++;
		may = false;
	}
	if (may) {
		*ret_left_out = talk->said[i].left_out;
		talk->said[i].left_out = 0;
		talk->said[i].at = now;
	}
	pthread_mutex_unlock(&talk->lock);
	return may;
}

// That a producer ignores what is the reader's, and the reader what is the producer's.
static bool is_expected(const rd_kafka_t *rk, const char *facility, const char *text)
{
	return strcmp(facility, "CONFWARN") == 0 &&
	       (rd_kafka_type(rk) == RD_KAFKA_CONSUMER || strstr(text, "isolation.level") != NULL);
}

void kafka_log_cb(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	static const enum log_level levels[] = {LOG_LEVEL_ERR, LOG_LEVEL_ERR, LOG_LEVEL_ERR,
		LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};
	struct kafka_sink *k = rd_kafka_opaque(rk);
	char line[TEXT_BYTES];
	uint64_t left_out;

	if (k == NULL || is_expected(rk, facility, text))
		return;
	snprintf(line, sizeof(line), "%s", text);
	kafka_mask(k, line);
	if (strcmp(facility, "FAIL") == 0)
		remember_failure(&k->talk, line);
	// What is asked for by the property 'debug' is wanted whole.
	if (level < 7 && !may_say(&k->talk, hash_of(facility, text), &left_out))
		return;
	if (level < 7 && left_out > 0)
		log_write(levels[level],
			"sink %s of partition %u: librdkafka: %s: %s (%" PRIu64 " more)",
			k->config->name, k->target->partition, facility, line, left_out);
	else
		log_write(levels[level & 7], "sink %s of partition %u: librdkafka: %s: %s",
			k->config->name, k->target->partition, facility, line);
}
