// SPDX-License-Identifier: BSD-3-Clause
// librdkafka's statistics as counters, and the sink's own beside them.

#include "sinks/kafka_internal.h"

#include <jansson.h>

#include <stdio.h>
#include <string.h>

static const struct counter_def defs[] = {
#define X(name, kind, help) {#name, help, COUNTER_##kind, ROLE_NONE},
	KAFKA_COUNTERS(X)
#undef X
};

// Where they stand in the JSON (librdkafka's STATISTICS.md): of the client, or summed over brokers.
static const struct from {
	const char *name;
	enum kafka_counter counter;
} of_client[] =
	{
		{"msg_cnt", KAFKA_queued_messages},
		{"msg_size", KAFKA_queued_bytes},
		{"tx", KAFKA_sent_requests},
		{"tx_bytes", KAFKA_sent_bytes},
		{"rx_bytes", KAFKA_received_bytes},
		{"txmsgs", KAFKA_sent_messages},
},
  of_brokers[] = {
	  {"txerrs", KAFKA_send_errors},
	  {"txretries", KAFKA_send_retries},
	  {"req_timeouts", KAFKA_request_timeouts},
	  {"connects", KAFKA_connects},
	  {"disconnects", KAFKA_disconnects},
	  {"outbuf_cnt", KAFKA_outbuf_requests},
	  {"waitresp_cnt", KAFKA_outbuf_requests},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

void kafka_count(struct kafka_sink *k, enum kafka_counter counter)
{
	counter_add(&k->stats.values[counter], 1);
}

static uint64_t number(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value > 0 ? (uint64_t)value : 0;
}

static void add_broker(const json_t *broker, uint64_t now[KAFKA_COUNTER_COUNT])
{
	const json_t *rtt = json_object_get(broker, "rtt");
	uint64_t mean = number(rtt, "avg"), p99 = number(rtt, "p99");

	for (unsigned i = 0; i < COUNT(of_brokers); i++)
		now[of_brokers[i].counter] += number(broker, of_brokers[i].name);
	if (mean > now[KAFKA_round_trip_mean_us])
		now[KAFKA_round_trip_mean_us] = mean;
	if (p99 > now[KAFKA_round_trip_p99_us])
		now[KAFKA_round_trip_p99_us] = p99;
}

// Those of librdkafka; its own totals begin at 0 with each producer.
static void put(struct kafka_stats *s, const uint64_t now[KAFKA_COUNTER_COUNT])
{
	for (unsigned i = 0; i < KAFKA_transactions; i++)
		counter_set(&s->values[i],
			defs[i].kind == COUNTER_TOTAL ? s->before[i] + now[i] : now[i]);
}

int kafka_stats_cb(rd_kafka_t *rk, char *json, size_t len, void *opaque)
{
	struct kafka_sink *k = opaque;
	uint64_t now[KAFKA_COUNTER_COUNT] = {0};
	json_t *root = json_loadb(json, len, 0, NULL), *broker;
	const char *name;

	(void)rk;
	if (root == NULL)
		return 0;
	for (unsigned i = 0; i < COUNT(of_client); i++)
		now[of_client[i].counter] = number(root, of_client[i].name);
	json_object_foreach(json_object_get(root, "brokers"), name, broker) add_broker(broker, now);
	json_decref(root);
	put(&k->stats, now);
	return 0; // librdkafka frees 'json'
}

void kafka_stats_producer_ends(struct kafka_sink *k)
{
	struct kafka_stats *s = &k->stats;

	for (unsigned i = 0; i < KAFKA_transactions; i++) {
		if (defs[i].kind == COUNTER_TOTAL)
			s->before[i] = s->values[i];
		else
			counter_set(&s->values[i], 0);
	}
}

void kafka_stats_register(struct kafka_sink *k)
{
	struct kafka_stats *s = &k->stats;

	s->set = (struct counter_set){.subsystem = "sink_kafka",
		.defs = defs,
		.values = s->values,
		.count = KAFKA_COUNTER_COUNT};
	snprintf(s->set.labels, sizeof(s->set.labels), "sink=\"%s\",partition=\"%u\"",
		k->config->name, k->target->partition);
	s->commit_entry = (struct hist_entry){.subsystem = "sink_kafka",
		.name = "commit_latency_ns",
		.help = "time from a transaction's begin to its confirmed end",
		.hist = &s->commit_ns};
	snprintf(s->commit_entry.labels, sizeof(s->commit_entry.labels), "%s", s->set.labels);
	counters_register(&s->set);
	hist_register(&s->commit_entry);
}

void kafka_stats_unregister(struct kafka_sink *k)
{
	if (k->stats.set.defs == NULL)
		return;
	hist_unregister(&k->stats.commit_entry);
	counters_unregister(&k->stats.set);
}
