// SPDX-License-Identifier: BSD-3-Clause
// The least that a transactional producer of librdkafka does: the same message again and again with
// the headers that the Kafka sink gives it, so many in a transaction, each copied by the library.
//
//   kafka_transactions [--size BYTES] [--batch N] [--set NAME=VALUE] BROKERS TOPIC EVENTS
//
// Prints one JSON object with the rate, and the CPU that the process took.

#include <getopt.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define WAIT_MS 60000
#define FULL_MS 5
#define SOURCES 10
#define SIZE_MAX_BYTES 65536u

static struct {
	rd_kafka_conf_t *conf;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	uint64_t size, batch, events;
	int64_t time_ms;
	unsigned failed;
} bare = {.size = 600, .batch = 10000};

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void)rk, (void)opaque;
	bare.failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: kafka_transactions [--size BYTES] [--batch N] [--set NAME=VALUE] "
			"BROKERS TOPIC EVENTS\n");
	exit(2);
}

static void set(const char *name, const char *value)
{
	char why[512];

	if (rd_kafka_conf_set(bare.conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return;
	fprintf(stderr, "kafka_transactions: %s\n", why);
	exit(1);
}

static void set_text(char *text)
{
	char *value = strchr(text, '=');

	if (value == NULL)
		usage();
	*value = '\0';
	set(text, value + 1);
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {{"size", required_argument, NULL, 's'},
		{"batch", required_argument, NULL, 'b'}, {"set", required_argument, NULL, 'S'},
		{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			bare.size = strtoull(optarg, NULL, 10);
		else if (c == 'b')
			bare.batch = strtoull(optarg, NULL, 10);
		else if (c == 'S')
			set_text(optarg);
		else
			usage();
	}
	if (argc - optind != 3 || bare.size > SIZE_MAX_BYTES || bare.batch == 0)
		usage();
}

static void good(rd_kafka_error_t *error, const char *doing)
{
	if (error == NULL)
		return;
	fprintf(stderr, "kafka_transactions: %s: %s\n", doing, rd_kafka_error_string(error));
	exit(1);
}

static void header(rd_kafka_headers_t *headers, const char *name, uint64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRIu64, value);

	rd_kafka_header_add(headers, name, -1, text, len);
}

static rd_kafka_headers_t *headers_of(uint64_t seq)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(6);

	rd_kafka_header_add(headers, "log_id", -1, "01010101010101010101010101010101", 32);
	header(headers, "batch", seq / bare.batch);
	header(headers, "seq", seq);
	header(headers, "source", seq % 2 == 1 ? 0xabc0 + seq % 5 : 0);
	header(headers, "epoch", seq % 2);
	header(headers, "source_seq", seq % 2 == 1 ? seq : 0);
	return headers;
}

static void produce(const void *event, uint64_t seq)
{
	rd_kafka_headers_t *headers = headers_of(seq);
	char key[] = "000000000000abc0"; // of a few sources, so that all partitions get some
	rd_kafka_resp_err_t err;

	key[15] = (char)('0' + seq % SOURCES);

	for (;;) {
		err = rd_kafka_producev(bare.rk, RD_KAFKA_V_RKT(bare.topic),
			RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
			RD_KAFKA_V_VALUE((void *)(uintptr_t)event, bare.size),
			RD_KAFKA_V_KEY(key, sizeof(key) - 1), RD_KAFKA_V_TIMESTAMP(bare.time_ms),
			RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
		if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			break;
		rd_kafka_poll(bare.rk, FULL_MS);
	}
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	fprintf(stderr, "kafka_transactions: %s\n", rd_kafka_err2str(err));
	exit(1);
}

static void run(void)
{
	static uint8_t event[SIZE_MAX_BYTES];

	memset(event, 'p', sizeof(event));
	good(rd_kafka_init_transactions(bare.rk, WAIT_MS), "beginning");
	for (uint64_t seq = 0; seq < bare.events;) {
		uint64_t end = seq + bare.batch < bare.events ? seq + bare.batch : bare.events;

		good(rd_kafka_begin_transaction(bare.rk), "beginning a transaction");
		for (; seq < end; seq++) {
			snprintf((char *)event, 17, "%015" PRIu64 " ", seq);
			produce(event, seq);
		}
		good(rd_kafka_commit_transaction(bare.rk, -1), "committing");
	}
}

static double seconds_of(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	struct rusage usage;
	char why[512];
	double seconds, cpu;

	bare.conf = rd_kafka_conf_new();
	read_options(argc, argv);
	bare.events = strtoull(argv[optind + 2], NULL, 10);
	bare.time_ms = (int64_t)time(NULL) * 1000;
	set("bootstrap.servers", argv[optind]);
	set("transactional.id", "bare");
	set("delivery.report.only.error", "true");
	rd_kafka_conf_set_dr_msg_cb(bare.conf, on_report);
	bare.rk = rd_kafka_new(RD_KAFKA_PRODUCER, bare.conf, why, sizeof(why));
	if (bare.rk == NULL) {
		fprintf(stderr, "kafka_transactions: %s\n", why);
		return 1;
	}
	bare.topic = rd_kafka_topic_new(bare.rk, argv[optind + 1], NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	run();
	clock_gettime(CLOCK_MONOTONIC, &end);
	getrusage(RUSAGE_SELF, &usage);
	seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	cpu = seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
	printf("{\"events\": %" PRIu64 ", \"failed\": %u, \"seconds\": %.3f, "
	       "\"events_per_second\": %.0f, \"cpu_seconds_per_million\": %.3f}\n",
		bare.events, bare.failed, seconds, (double)bare.events / seconds,
		cpu * 1e6 / (double)bare.events);
	rd_kafka_topic_destroy(bare.topic);
	rd_kafka_destroy(bare.rk);
	return bare.failed == 0 ? 0 : 1;
}
