// SPDX-License-Identifier: BSD-3-Clause
// The events of `millrace send` to partition 0 of a topic by librdkafka: idempotent, acks=all, and
// its defaults otherwise. Another thread takes the delivery reports, so that an event's latency
// ends when the library tells of it.
//
//   kafka_producer [--rate N] [--size BYTES] [--id HEX8] BROKERS TOPIC SECONDS
//
// Prints one JSON object. in_log: how many messages the partition holds then, by the broker.

#include "bench/options.h"
#include "common/clock.h"
#include "common/hist.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENT_MAX 65536u
#define POLL_MS 10
#define READY_S 60u
#define FLUSH_MS 60000
#define ANSWER_MS 5000

struct producer {
	const char *brokers, *topic;
	struct send_plan plan;
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;
	uint64_t start, given;
	atomic_bool ending;
	// The watcher's, until it has ended.
	uint64_t acknowledged, failed, last_ack;
	struct hist latency;
};

static volatile bool stop;

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct producer *p = opaque;

	(void)rk;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		p->failed++;
		return;
	}
	p->last_ack = clock_monotonic_ns();
	p->acknowledged++;
	hist_add(&p->latency, p->last_ack - (uint64_t)(uintptr_t)message->_private);
}

static void *watch(void *arg)
{
	struct producer *p = arg;

	while (!p->ending)
		rd_kafka_poll(p->rk, POLL_MS);
	return NULL;
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, char *why)
{
	return rd_kafka_conf_set(conf, name, value, why, SEND_WHY_BYTES) == RD_KAFKA_CONF_OK;
}

static bool make(struct producer *p, char *why)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_opaque(conf, p);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	if (!set(conf, "bootstrap.servers", p->brokers, why) || !set(conf, "acks", "all", why) ||
		!set(conf, "enable.idempotence", "true", why)) {
		rd_kafka_conf_destroy(conf);
		return false;
	}
	p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, SEND_WHY_BYTES);
	if (p->rk == NULL)
		return false;
	p->rkt = rd_kafka_topic_new(p->rk, p->topic, NULL);
	return p->rkt != NULL;
}

// The broker makes the topic when it is first asked for it.
static bool wait_ready(struct producer *p)
{
	for (unsigned tries = 0; tries < READY_S * 4 && !stop; tries++) {
		const struct rd_kafka_metadata *metadata;
		bool ready = false;

		if (rd_kafka_metadata(p->rk, 0, p->rkt, &metadata, ANSWER_MS) ==
			RD_KAFKA_RESP_ERR_NO_ERROR) {
			ready = metadata->topic_cnt == 1 && metadata->topics[0].partition_cnt > 0 &&
				metadata->topics[0].partitions[0].leader >= 0;
			rd_kafka_metadata_destroy(metadata);
		}
		if (ready)
			return true;
		usleep(250000);
	}
	return false;
}

// False: it can't be given.
static bool give(struct producer *p, uint8_t *event, uint32_t len)
{
	while (!stop) {
		uint64_t now = clock_monotonic_ns();

		if (rd_kafka_produce(p->rkt, 0, RD_KAFKA_MSG_F_COPY, event, len, NULL, 0,
			    (void *)(uintptr_t)now) == 0)
			return true;
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return false;
		usleep(100);
	}
	return false;
}

static void give_all(struct producer *p)
{
	static uint8_t event[EVENT_MAX];
	const struct send_plan *plan = &p->plan;

	for (; p->given < plan->count && !stop; p->given++) {
		uint32_t bytes, len = send_datagram_write(plan, p->given, event, &bytes);

		if (plan->rate != 0)
			send_wait_until(p->start + send_due_ns(plan, p->given), &stop);
		else if (clock_monotonic_ns() - p->start >= plan->duration_ns)
			return;
		if (!give(p, event, len))
			return;
	}
}

static bool run(struct producer *p)
{
	pthread_t watcher;

	p->start = p->last_ack = clock_monotonic_ns();
	if (pthread_create(&watcher, NULL, watch, p) != 0)
		return false;
	give_all(p);
	rd_kafka_flush(p->rk, FLUSH_MS);
	p->ending = true;
	pthread_join(watcher, NULL);
	return true;
}

static void print(struct producer *p)
{
	double seconds = (double)(p->last_ack - p->start) / 1e9;
	int64_t low = 0, high = 0;

	rd_kafka_query_watermark_offsets(p->rk, p->topic, 0, &low, &high, ANSWER_MS);
	printf("{\"sent\": %" PRIu64 ", \"acknowledged\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"in_log\": %" PRId64 ", \"events_per_second\": %.1f, \"ack_latency_ns\": "
	       "{\"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"max\": %" PRIu64 "}}\n",
		p->given, p->acknowledged, p->failed, high - low,
		seconds > 0 ? (double)p->acknowledged / seconds : 0,
		hist_quantile(&p->latency, 0.5), hist_quantile(&p->latency, 0.99), p->latency.max);
}

int main(int argc, char **argv)
{
	static struct producer producer;
	char why[SEND_WHY_BYTES] = "the broker doesn't answer";
	struct bench_options options;
	bool good;

	if (!bench_options_read(&options, 2, EVENT_MAX, argc, argv)) {
		fprintf(stderr, "usage: kafka_producer [--rate N] [--size BYTES] [--id HEX8] "
				"BROKERS TOPIC SECONDS\n");
		return 2;
	}
	producer.brokers = options.words[0];
	producer.topic = options.words[1];
	producer.plan = options.plan;
	signal(SIGTERM, on_signal);
	good = make(&producer, why) && wait_ready(&producer) && run(&producer);
	if (good)
		print(&producer);
	else
		fprintf(stderr, "kafka_producer: %s\n", why);
	if (producer.rkt != NULL)
		rd_kafka_topic_destroy(producer.rkt);
	if (producer.rk != NULL)
		rd_kafka_destroy(producer.rk);
	return good && producer.acknowledged == producer.given ? 0 : 1;
}
