// SPDX-License-Identifier: BSD-3-Clause
// The Kafka driver alone, as a feed drives it: all batches of a log go to a real broker.
//
//   kafka_drive [options] BROKERS TOPIC BATCHES     batches made up as they are read
//
//   --rows N         of a batch (10000)
//   --size BYTES     of an event (600)
//   --large SEQ     an event of 2 MiB
//   --most N         batches in a transaction (16)
//   --timeout MS     of a transaction (10000)
//   --plain          without transactions
//   --arrow          a batch is a message
//   --name NAME      the sink's (out): it has a cursor and a transactional.id of its own
//   --id N           the log's id, 16 times this byte (1)
//   --cursor FILE    the feed's own cursor: read at the start, written after each delivery
//   --set NAME=VALUE a property of librdkafka
//
// Prints one JSON object: what was delivered, how often again, and the CPU it took.

#include "common/clock.h"
#include "common/file.h"
#include "common/logmsg.h"
#include "tests/unit/sinks/made_log.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define DAY_NS 86400000000000
#define LARGE_BYTES (2u << 20)
#define LONG_MS 1000u // of one delivery

struct drive {
	struct made_target made;
	const char *cursor_file;
	struct wal_batches *log;
	void *driver;
	struct wal_cursor cursor;
	bool has_cursor;
	uint64_t batches, events, tries;
};

static struct drive drive;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&drive.made.stop, true);
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: kafka_drive [--rows N] [--size BYTES] [--large SEQ] [--most N] "
			"[--timeout MS] "
			"[--plain] [--arrow] [--id N] [--cursor FILE] [--name NAME] [--set "
			"NAME=VALUE] BROKERS "
			"TOPIC BATCHES\n");
	exit(2);
}

static void set_property(struct drive *d, char *text)
{
	char *value = strchr(text, '=');

	if (value == NULL)
		usage();
	*value = '\0';
	made_target_set(&d->made, text, value + 1);
}

static uint64_t number(void)
{
	return strtoull(optarg, NULL, 10);
}

static void read_options(struct drive *d, int argc, char **argv)
{
	static const struct option options[] = {{"rows", required_argument, NULL, 'r'},
		{"size", required_argument, NULL, 's'}, {"large", required_argument, NULL, 'l'},
		{"most", required_argument, NULL, 'm'}, {"timeout", required_argument, NULL, 't'},
		{"plain", no_argument, NULL, 'p'}, {"arrow", no_argument, NULL, 'a'},
		{"id", required_argument, NULL, 'i'}, {"cursor", required_argument, NULL, 'c'},
		{"name", required_argument, NULL, 'n'}, {"set", required_argument, NULL, 'S'},
		{NULL, 0, NULL, 0}};
	struct config_sink *config = &d->made.config;
	int c;

	made_log_reset(1);
	made_log.rows = 10000;
	made_log.payload_bytes = 600;
	made_log.received_at -= made_log.received_at % DAY_NS; // the same in each life of a log
	made_target_init(&d->made, "");
	d->made.config.property_count = 0;
	config->transaction_batches = 16;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			made_log.rows = (uint32_t)number();
			break;
		case 's':
			made_log.payload_bytes = number() < 16 ? 16 : (uint32_t)number();
			break;
		case 'l':
			made_log.large_seq = number();
			made_log.large_bytes = LARGE_BYTES;
			break;
		case 'm':
			config->transaction_batches = (unsigned)number();
			break;
		case 't':
			config->transaction_timeout_ns = number() * 1000000u;
			break;
		case 'p':
			config->transactions = false;
			break;
		case 'a':
			config->format = SINK_FORMAT_ARROW;
			break;
		case 'i':
			memset(made_log.log_id.bytes, (int)number(), sizeof(made_log.log_id.bytes));
			break;
		case 'n':
			snprintf(config->name, sizeof(config->name), "%s", optarg);
			break;
		case 'c':
			d->cursor_file = optarg;
			break;
		case 'S':
			set_property(d, optarg);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 3)
		usage();
	made_target_set(&d->made, "bootstrap.servers", argv[optind]);
	snprintf(config->topic, sizeof(config->topic), "%s", argv[optind + 1]);
	made_log.batches = strtoull(argv[optind + 2], NULL, 10);
	d->made.target.log_id = made_log.log_id;
}

static void load_cursor(struct drive *d)
{
	char *text;
	size_t len;

	if (d->cursor_file == NULL || file_read(d->cursor_file, 4096, &text, &len) < 0)
		return;
	d->has_cursor = wal_cursor_parse(text, len, &d->cursor) == 0;
	free(text);
}

static void save_cursor(struct drive *d)
{
	char text[WAL_CURSOR_TEXT_BYTES];

	wal_cursor_text(&d->cursor, text);
	if (d->cursor_file != NULL && file_replace(".", d->cursor_file, text, strlen(text)) < 0)
		log_err("%s can't be written", d->cursor_file);
}

static int start(struct drive *d)
{
	struct wal_cursor cursor;
	int r;

	d->made.target.cursor = d->cursor;
	d->made.target.has_cursor = d->has_cursor;
	r = sink_kafka.open(&d->driver, &d->made.target);
	while (r == 0) {
		r = sink_kafka.recall(d->driver, &cursor);
		if (r == 1)
			d->cursor = cursor;
		if (r >= 0)
			return 0;
		if (r != -EAGAIN)
			break;
		log_warn("recall: %s", d->made.target.why);
		r = 0;
	}
	return r;
}

static int deliver(struct drive *d, const struct wal_batch *batch)
{
	struct wal_cursor behind;
	uint64_t events;
	uint64_t begin = clock_monotonic_ns(), took;
	int r = sink_kafka.deliver(d->driver, d->log, batch, &behind, &events);

	took = (clock_monotonic_ns() - begin) / 1000000u;
	if (took > LONG_MS)
		log_info("batch %" PRIu64 " took %" PRIu64 " ms: %d", batch->number, took, r);
	if (r < 0)
		return r;
	d->batches += behind.batch - batch->number;
	d->events += events;
	d->cursor = behind;
	d->has_cursor = true;
	save_cursor(d);
	return 0;
}

static int run(struct drive *d)
{
	struct wal_batch batch;
	int r = start(d);

	while (r == 0 && d->cursor.batch < made_log.batches) {
		wal_batches_seek(d->log, d->cursor.batch);
		r = wal_batches_next(d->log, &batch);
		if (r == 1)
			r = deliver(d, &batch);
		if (r != -EAGAIN)
			continue;
		d->tries++;
		log_warn("again: %s", d->made.target.why);
		r = sink_wait(&d->made.target, 200000000u) ? 0 : -ECANCELED;
	}
	return r;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print(struct drive *d, int r, double seconds, double cpu)
{
	const uint64_t *counters = d->made.counters;

	printf("{\"result\": %d, \"batches\": %" PRIu64 ", \"events\": %" PRIu64
	       ", \"tries\": %" PRIu64 ", \"repaired\": %" PRIu64 ", \"doubled\": %" PRIu64
	       ", \"quarantined\": %" PRIu64 ", \"seconds\": %.3f, \"events_per_second\": %.0f, "
	       "\"cpu_seconds_per_million\": %.3f}\n",
		r, d->batches, d->events, d->tries, counters[SINK_repaired], counters[SINK_doubled],
		counters[SINK_quarantined], seconds, seconds > 0 ? (double)d->events / seconds : 0,
		d->events > 0 ? cpu * 1e6 / (double)d->events : 0);
}

int main(int argc, char **argv)
{
	struct drive *d = &drive;
	uint64_t begin, stopped;
	double cpu;
	int r;

	log_setup("kafka_drive", LOG_LEVEL_INFO);
	read_options(d, argc, argv);
	signal(SIGTERM, on_signal);
	load_cursor(d);
	d->log = made_log_open(0);
	begin = clock_monotonic_ns();
	cpu = cpu_seconds();
	r = run(d);
	print(d, r, (double)(clock_monotonic_ns() - begin) / 1e9, cpu_seconds() - cpu);
	if (r < 0)
		log_err("ended with %d: %s", r, d->made.target.why);
	stopped = clock_monotonic_ns();
	sink_kafka.close(d->driver);
	log_info("closed within %" PRIu64 " ms", (clock_monotonic_ns() - stopped) / 1000000u);
	wal_batches_close(d->log);
	made_target_done(&d->made);
	return r == 0 ? 0 : 1;
}
