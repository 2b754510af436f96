// SPDX-License-Identifier: BSD-3-Clause
// The configuration of librdkafka: the user's properties under their own names, and what exactly
// once needs.

#include "common/file.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (256u << 10) // a PEM chain

// The first line; of PEM text all of it.
static int value_of_file(struct kafka_sink *k, const struct config_property *p, char **ret)
{
	size_t len;
	int r = file_read(p->value, VALUE_MAX, ret, &len);

	if (r < 0) {
		kafka_why(k, "the value of %s can't be read from %s: %s", p->name, p->value,
			strerror(-r));
		return r;
	}
	if (strncmp(*ret, "-----BEGIN", 10) != 0)
		(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return 0;
}

static int value_of(struct kafka_sink *k, const struct config_property *p, char **ret)
{
	const char *text = p->value;

	if (p->source == PROPERTY_FILE)
		return value_of_file(k, p, ret);
	if (p->source == PROPERTY_ENVIRONMENT) {
		text = getenv(p->value);
		if (text == NULL) {
			kafka_why(k,
				"the value of %s is to be in the environment's %s, which is not "
				"set",
				p->name, p->value);
			return -ENOENT;
		}
	}
	*ret = strdup(text);
	return *ret != NULL ? 0 : -ENOMEM;
}

int kafka_conf_values(struct kafka_sink *k)
{
	for (unsigned i = 0; i < k->config->property_count; i++) {
		const struct config_property *p = &k->config->properties[i];
		int r;

		if (sink_kafka_property_reserved(p->name)) {
			kafka_why(k,
				"the property %s is set by the sink itself, since delivery depends "
				"on it: "
				"leave it out",
				p->name);
			return -EINVAL;
		}
		r = value_of(k, p, &k->values[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

void kafka_conf_forget(struct kafka_sink *k)
{
	for (unsigned i = 0; i < k->config->property_count; i++) {
		if (k->values[i] != NULL)
			explicit_bzero(k->values[i], strlen(k->values[i]));
		free(k->values[i]);
		k->values[i] = NULL;
	}
}

static bool set(struct kafka_sink *k, rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[SINK_WHY_BYTES / 2];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
		return true;
	kafka_why(k, "librdkafka does not take the property %s: %s", name, text);
	return false;
}

static bool set_ms(struct kafka_sink *k, rd_kafka_conf_t *conf, const char *name, uint64_t ns)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, ns / 1000000u);
	return set(k, conf, name, text);
}

static bool set_all(
	struct kafka_sink *k, rd_kafka_conf_t *conf, const char *const (*pairs)[2], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!set(k, conf, pairs[i][0], pairs[i][1]))
			return false;
	return true;
}

static bool set_users(struct kafka_sink *k, rd_kafka_conf_t *conf)
{
	char id[CONFIG_NAME_MAX + 32];

	snprintf(id, sizeof(id), "millrace-%s-%u", k->config->name, k->target->partition);
	if (!set(k, conf, "client.id", id))
		return false;
	for (unsigned i = 0; i < k->config->property_count; i++)
		if (!set(k, conf, k->config->properties[i].name, k->values[i]))
			return false;
	return true;
}

#define SET_ALL(k, conf, pairs) set_all(k, conf, pairs, sizeof(pairs) / sizeof((pairs)[0]))

static rd_kafka_conf_t *begin(struct kafka_sink *k)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_opaque(conf, k);
	rd_kafka_conf_set_log_cb(conf, kafka_log_cb);
	if (set_users(k, conf))
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

rd_kafka_conf_t *kafka_conf_producer(struct kafka_sink *k)
{
	// Its look-ups of offsets must see what open transactions wrote, too.
	static const char *const pairs[][2] = {{"enable.idempotence", "true"},
		{"delivery.report.only.error", "true"}, {"isolation.level", "read_uncommitted"},
		{"statistics.interval.ms", "1000"}};
	rd_kafka_conf_t *conf = begin(k);
	uint64_t timeout = kafka_timeout_ns(k);
	bool good;

	if (conf == NULL)
		return NULL;
	rd_kafka_conf_set_stats_cb(conf, kafka_stats_cb);
	good = SET_ALL(k, conf, pairs);
	// A message that is not confirmed by then can't be in a transaction that still ends well.
	good = good && set_ms(k, conf, "message.timeout.ms", timeout / 4 * 3);
	if (k->config->transactions)
		good = good && set(k, conf, "transactional.id", k->transactional_id) &&
		       set_ms(k, conf, "transaction.timeout.ms", timeout);
	if (k->single)
		good = good && set(k, conf, "batch.num.messages", "1");
	if (good)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

rd_kafka_conf_t *kafka_conf_reader(struct kafka_sink *k, const char *isolation)
{
	static const char *const pairs[][2] = {{"enable.auto.commit", "false"},
		{"enable.partition.eof", "true"}, {"auto.offset.reset", "earliest"},
		{"fetch.wait.max.ms", "100"}};
	rd_kafka_conf_t *conf = begin(k);

	if (conf == NULL)
		return NULL;
	if (SET_ALL(k, conf, pairs) && set(k, conf, "isolation.level", isolation) &&
		set(k, conf, "group.id", k->group))
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}
