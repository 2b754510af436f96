// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of the Kafka sink share. All of it is the feed's thread, but for what librdkafka's
// own threads log (kafka_talk).

#include "common/counters.h"
#include "common/hist.h"
#include "common/sink_kafka.h"
#include "sinks/sink.h"
#include "wal/export.h"
#include "wal/reader.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// How long one call of librdkafka waits, so that a stop is noticed in time.
#define KAFKA_SLICE_MS 500
// A transaction takes no further batch behind so many bytes.
#define KAFKA_TRANSACTION_BYTES (64u << 20)

#define KAFKA_COUNTERS(X) \
	X(queued_messages, GAUGE, "messages in the producer's queues") \
	X(queued_bytes, GAUGE, "bytes of these messages") \
	X(sent_requests, TOTAL, "requests sent to brokers") \
	X(sent_bytes, TOTAL, "bytes sent to brokers") \
	X(received_bytes, TOTAL, "bytes received from brokers") \
	X(sent_messages, TOTAL, "messages sent to brokers, repetitions and aborted ones included") \
	X(send_errors, TOTAL, "requests that failed to be sent") \
	X(send_retries, TOTAL, "requests that were sent again") \
	X(request_timeouts, TOTAL, "requests that no broker answered in time") \
	X(connects, TOTAL, "connections tried to brokers") \
	X(disconnects, TOTAL, "connections to brokers that ended") \
	X(outbuf_requests, GAUGE, "requests that wait to be sent or answered") \
	X(round_trip_mean_us, GAUGE, "mean time to a broker's answer, of the slowest broker") \
	X(round_trip_p99_us, GAUGE, "99th percentile of that, of the slowest broker") \
	X(transactions, TOTAL, "transactions committed") \
	X(aborts, TOTAL, "transactions aborted") \
	X(in_doubt, TOTAL, "transactions whose end is not known") \
	X(producers, TOTAL, "producers made, each of which takes a new epoch") \
	X(read_backs, TOTAL, "times that batches were read back") \
	X(queue_full, TOTAL, "times that the producer's queue was full")

enum kafka_counter {
#define X(name, kind, help) KAFKA_##name,
	KAFKA_COUNTERS(X)
#undef X
		KAFKA_COUNTER_COUNT
};

struct kafka_stats {
	uint64_t values[KAFKA_COUNTER_COUNT];
	uint64_t before[KAFKA_COUNTER_COUNT]; // of the producers that were destroyed
	struct counter_set set;
	struct hist commit_ns;
	struct hist_entry commit_entry;
};

// Limits what librdkafka says again and again; its threads call, hence the lock.
#define KAFKA_SAID 16
struct kafka_talk {
	pthread_mutex_t lock;
	struct {
		uint64_t hash, at; // at: ns, monotonic
		uint64_t left_out;
	} said[KAFKA_SAID];
	char failure[SINK_WHY_BYTES - 128]; // of the connection that failed last
	uint64_t failed_at;                 // ns, monotonic
};

struct kafka_topic {
	char name[SINK_TOPIC_MAX + 1];
	rd_kafka_topic_t *handle; // of the producer at hand; NULL: to be made
};

struct kafka_topics {
	struct kafka_topic *list; // every one met since the sink was opened
	unsigned count;
	char *listeners;                   // JSON that the numbers below were made from
	unsigned of[CONFIG_LISTENERS_MAX]; // listener's number: index in 'list'
	unsigned unknown;                  // of a listener that the segment does not name
};

// A batch of the transaction under way.
struct kafka_part {
	struct wal_batch batch;
	uint8_t *seen;    // a bit for each message that was read back; NULL: none was looked for
	uint64_t found;   // of them
	uint64_t doubled; // messages read back more than once
	uint64_t events, sent, quarantined;
	uint64_t payload_bytes;
};

// What the delivery reports said that no other call says.
struct kafka_reports {
	uint64_t failed;
	bool timed_out;
	bool too_large;
	rd_kafka_resp_err_t error; // the first
};

struct kafka_seqs {
	uint64_t *list;
	size_t count, room;
};

struct kafka_sink {
	struct sink_target *target;
	const struct config_sink *config;
	char log_id[33];
	char transactional_id[128 + CONFIG_NAME_MAX];
	char group[64 + CONFIG_NAME_MAX];
	char *values[CONFIG_PROPERTIES_MAX]; // of the properties, secrets read from where they are

	rd_kafka_t *producer; // NULL: to be made
	bool initialised;     // its transactions are
	bool in_transaction;
	uint64_t begun_at; // ns, monotonic
	bool single;       // each message in a record batch of its own, to find the one too large
	bool has_cursor_topic;
	rd_kafka_t *reader; // NULL when nothing is to be read back

	bool recalled; // cursor and has_cursor are what the group says
	bool has_cursor;
	struct wal_cursor cursor;
	bool first;           // nothing was delivered since the sink was opened
	uint64_t doubt_until; // batches below it are read back before they are sent
	uint64_t own_from;    // batches from here on no older self can have sent
	uint64_t back_until;  // the same, when an operator has put the sink back
	unsigned failures;    // in a row
	bool resend;          // without the events refused; no other side has to be waited for
	unsigned most;        // batches in one transaction now

	struct kafka_topics topics;
	struct kafka_part *parts;
	unsigned part_count, part_room;
	struct kafka_reports reports;
	struct kafka_seqs refused; // by the broker, each alone
	struct wal_export *export;
	uint8_t *arrow; // what 'export' wrote
	size_t arrow_len, arrow_room;

	struct kafka_talk talk;
	struct kafka_stats stats;
};

// kafka.c

// Without a connection to anywhere. Negative errno with 'why'.
int kafka_sink_new(struct kafka_sink **ret, struct sink_target *target);
void kafka_sink_free(struct kafka_sink *k); // NULL is fine

// kafka_conf.c

// Reads the values of the properties. Negative errno with 'why'.
int kafka_conf_values(struct kafka_sink *k);
void kafka_conf_forget(struct kafka_sink *k);
// NULL with 'why' when librdkafka does not take a property.
rd_kafka_conf_t *kafka_conf_producer(struct kafka_sink *k);
rd_kafka_conf_t *kafka_conf_reader(struct kafka_sink *k, const char *isolation);

// kafka_talk.c

// Puts stars in place of every secret in the text.
void kafka_mask(const struct kafka_sink *k, char *text);
void kafka_why(struct kafka_sink *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Of a call that needs a broker: with the reason for which the last connection failed, if that was
// just now. The call itself often has none but that it took too long.
void kafka_why_broker(struct kafka_sink *k, const char *doing, const char *error);
void kafka_log_cb(const rd_kafka_t *rk, int level, const char *facility, const char *text);

// kafka_stats.c
void kafka_stats_register(struct kafka_sink *k);
void kafka_stats_unregister(struct kafka_sink *k);
int kafka_stats_cb(rd_kafka_t *rk, char *json, size_t len, void *opaque);
void kafka_stats_producer_ends(struct kafka_sink *k);
void kafka_count(struct kafka_sink *k, enum kafka_counter counter);

// kafka_topics.c

// The topics of the batch's listeners. Negative errno.
int kafka_topics_load(struct kafka_sink *k, const char *listeners);
// Index in topics.list.
unsigned kafka_topic_of(const struct kafka_sink *k, uint16_t listener);
rd_kafka_topic_t *kafka_topic_handle(struct kafka_sink *k, unsigned topic);
void kafka_topics_drop_handles(struct kafka_sink *k);
void kafka_topics_free(struct kafka_sink *k);

// kafka_producer.c: the producer and its transactions. Below 0 as struct sink_driver says; after
// that the transaction is ended or its producer destroyed.

int kafka_producer_make(struct kafka_sink *k);
void kafka_producer_destroy(struct kafka_sink *k);
// Makes it when there is none, and initialises its transactions, which ends those of older selves.
int kafka_producer_ready(struct kafka_sink *k);
int kafka_begin(struct kafka_sink *k);
// Confirms what was sent, and the cursor in the same step.
int kafka_commit(struct kafka_sink *k, const struct wal_cursor *cursor);
#ifdef MUTANT_KAFKA_CURSOR_FIRST
int kafka_commit_cursor_alone(struct kafka_sink *k, const struct wal_cursor *cursor);
#endif
// Gives the transaction up; returns what the caller is to return for r.
int kafka_give_up(struct kafka_sink *k, int r);
// Without transactions: every delivery report.
int kafka_flush(struct kafka_sink *k);
// What a call outside of the transactional ones failed for; -ECONNABORTED: kafka_give_up() it.
int kafka_failed(struct kafka_sink *k, const char *doing);
bool kafka_stopped(const struct kafka_sink *k);
uint64_t kafka_timeout_ns(const struct kafka_sink *k);

// kafka_cursor.c
int kafka_cursor_topic(struct kafka_sink *k);
int kafka_cursor_recall(struct kafka_sink *k);
rd_kafka_topic_partition_list_t *kafka_cursor_offsets(
	const struct kafka_sink *k, const struct wal_cursor *cursor);
// A consumer that is in no group's assignment; 'isolation' is its isolation.level.
int kafka_consumer_make(struct kafka_sink *k, const char *isolation, rd_kafka_t **ret);
int kafka_reader_make(struct kafka_sink *k); // read_committed
void kafka_reader_destroy(struct kafka_sink *k);

// kafka_deliver.c
int kafka_deliver_batches(struct kafka_sink *k, struct wal_batches *log,
	const struct wal_batch *batch, struct wal_cursor *ret, uint64_t *events);

// kafka_send.c

// Sends the batch that the log is at, but for what was found when it was read back.
int kafka_send(struct kafka_sink *k, struct wal_batches *log, struct kafka_part *part);
struct kafka_part *kafka_part_add(struct kafka_sink *k, const struct wal_batch *batch);
void kafka_parts_clear(struct kafka_sink *k);
bool kafka_part_seen(const struct kafka_sink *k, const struct kafka_part *part, uint64_t seq);

// kafka_produce.c

// Produces one message; takes 'headers' over. 1: sent; 0: too large.
int kafka_produce(struct kafka_sink *k, unsigned topic, const void *key, size_t key_len,
	const void *value, size_t value_len, int64_t received_at, uint64_t seq,
	rd_kafka_headers_t *headers);

// kafka_arrow.c

// The batch that the log is at, into 'arrow'; its events are counted in 'part'.
int kafka_arrow_compose(struct kafka_sink *k, struct wal_batches *log, struct kafka_part *part);
int kafka_arrow_send(struct kafka_sink *k, struct wal_batches *log, struct kafka_part *part);

// kafka_quarantine.c
void kafka_refuse(struct kafka_sink *k, uint64_t seq);
bool kafka_refused(const struct kafka_sink *k, uint64_t seq);
// Sets it aside, durable. row NULL: the batch as a whole, in 'value'.
int kafka_quarantine(struct kafka_sink *k, const struct kafka_part *part, const struct wal_row *row,
	const void *value, size_t len, const char *topic);

// kafka_set_aside.c: what lies in quarantine, when a sink is verified.

struct kafka_set_aside {
	char dir[CONFIG_PATH_MAX + CONFIG_NAME_MAX + 32];
	struct kafka_aside {
		uint64_t batch, seq;
	} * list; // sorted
	size_t count, room;
};
int kafka_set_aside_list(struct kafka_sink *k, struct kafka_set_aside *ret);
// 0: it is not there; 1: it is, with these bytes; -EBADMSG: with others.
int kafka_set_aside_judge(const struct kafka_set_aside *aside, uint64_t batch, uint64_t seq,
	const void *value, size_t len);
void kafka_set_aside_free(struct kafka_set_aside *aside);

// kafka_read.c

// A reading of all partitions of the topics met.
struct kafka_read {
	rd_kafka_t *looker; // looks for offsets; its isolation.level is read_uncommitted
	int64_t since_ms;   // ms since 1970 UTC of the messages that are wanted
	int64_t window;     // offsets that are read first, from each end; 0: all of that time
	// Whether it is older than what is wanted: with a window nothing before it is read.
	bool (*take)(void *arg, const rd_kafka_message_t *message);
	void (*tell)(void *arg, uint64_t done, uint64_t all); // of messages, often; NULL is fine
	void *arg;
	bool cut;       // ret: the topics no longer reach back to that time
	uint64_t done;  // ret: messages taken
	int partitions; // ret
};
int kafka_read(struct kafka_sink *k, struct kafka_read *what);
bool kafka_header_is(const rd_kafka_headers_t *headers, const char *name, const char *text);
// Its value is a number in decimal digits.
bool kafka_header_number(const rd_kafka_headers_t *headers, const char *name, uint64_t *ret);

// kafka_read_back.c

extern int64_t kafka_window; // offsets that are read first; for tests to make small

// Looks for the messages of the transaction's batches in their topics; fills seen, found, doubled.
// *ret_cut: the topics no longer reach back to these batches, so that what is missing may have been
// there.
int kafka_read_back(struct kafka_sink *k, bool *ret_cut);

// kafka_verify.c
int kafka_verify(struct sink_target *target, struct wal_batches *log,
	const struct wal_cursor *limit, struct sink_verify *ret);
