// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The pull API from within.

#include "common/counters.h"
#include "http/pull.h"
#include "wal/batches.h"

#include <stdatomic.h>

#define PULL_STREAMS_MAX 64u // at once; each has a block in memory
#define PULL_IDLE_MAX 16u    // readers that wait for who goes on where they are
#define PULL_PLACES 64u      // batches served last, of each partition
#define CONSUMERS_FILE "consumers.json"
#define CONSUMER_NAME_BYTES 64

#define PULL_COUNTERS(X) \
	X(batches, TOTAL, "batches streamed whole") \
	X(events, TOTAL, "events in batches streamed whole") \
	X(sent_bytes, TOTAL, "bytes of Arrow streams sent") \
	X(waits, TOTAL, "requests that waited for a batch") \
	X(cut_streams, TOTAL, "streams cut because the log could not be read on") \
	X(streams, GAUGE, "streams open") \
	X(consumers, GAUGE, "named consumers") \
	X(commits, TOTAL, "commits of consumers stored") \
	X(refused_commits, TOTAL, "commits refused: older token, other log, or no place to go to") \
	X(expired, TOTAL, "consumers that hold nothing any more because their time was over") \
	X(overruns, TOTAL, "consumers whose next rows were given up at their bound of bytes") \
	X(given_up_batches, TOTAL, "batches that retention took before a consumer came to them") \
	X(given_up_events, TOTAL, "rows that retention took before a consumer came to them")

enum pull_counter {
#define X(name, kind, help) PULL_##name,
	PULL_COUNTERS(X)
#undef X
		PULL_COUNTER_COUNT
};

// What is kept of a consumer in the file.
struct consumer_record {
	char name[CONSUMER_NAME_BYTES];
	uint64_t token;
	uint64_t next_batch, next_seq; // everything before was handed on
	uint64_t ttl_ns;
	uint64_t max_bytes; // 0: whatever the log takes
	bool expired;
	uint64_t gone_batch, gone_seq; // what is before is gone, wanted or not; 0: nothing was
	uint64_t given_up_batches, given_up_events;
	int64_t seen_at; // real time, ns
};

struct consumer {
	bool used;
	struct consumer_record record;
	uint64_t seen_ns; // CLOCK_MONOTONIC
	struct wal_holder holder;
};

struct pull_place {
	uint64_t batch, seq; // the rows of this batch, or of what comes there, begin with it
};

// Of one partition.
struct pull_log {
	struct pull *pull;
	unsigned partition;
	struct wal *wal;
	char *dir;
	struct wal_id log_id;
	struct counter_set set;
	uint64_t values[PULL_COUNTER_COUNT];
	struct pull_place places[PULL_PLACES];
	unsigned next_place;
	uint64_t told_cut; // batch + 1 of which it was logged last
	// Consumers.
	_Atomic int alarm; // 0, or why their file can't be taken: -ESTALE: of another log
	struct wal_id file_log_id;
	uint64_t last_token;
	struct consumer *consumers;
	unsigned consumer_room;
};

struct pull_idle {
	struct wal_batches *reader; // NULL: free
	struct pull_log *log;
	uint64_t since_ns;
};

struct pull {
	struct config_api api;
	char receiver[CONFIG_NAME_MAX];
	unsigned count;
	struct pull_log *logs;
	struct pull_idle idle[PULL_IDLE_MAX];
	unsigned streams;
	struct http_route routes[9];
};

// Batches that are streamed as one, decided on before their headers go out.
struct pull_plan {
	uint64_t first, last; // batch numbers
	uint64_t first_seq, end_seq;
	uint32_t crc; // of the last
	unsigned count;
	bool entered; // the reader has gone on to the first; else it is in front of it
	uint64_t bytes, blocks;
	char *listeners; // JSON
};

// The partition of a path. NULL: the reply says that there is none.
struct pull_log *pull_log_of(struct pull *pull, const char *text, struct http_reply *reply);

// pull_readers.c

// A reader in front of that batch, one that has come there or a new one.
int pull_reader_get(struct pull_log *log, uint64_t number, struct wal_batches **ret);
// Keeps it for who goes on there.
void pull_reader_put(struct pull_log *log, struct wal_batches *reader);
// Closes those that nobody came back to, for they keep files open that retention took; 'all': all.
void pull_readers_close(struct pull *pull, bool all);

uint64_t pull_sealed(const struct pull_log *log); // batches below are sealed and durable

// The oldest batch there is. 1; 0: none; below 0: as wal_batches_next().
int pull_oldest(struct pull_log *log, struct wal_batch *ret);
void pull_remember(struct pull_log *log, uint64_t batch, uint64_t seq);
// Where the rows of a batch begin that is there, or will be the next. -ESTALE: retention took it.
int pull_seq_of(struct pull_log *log, uint64_t batch, uint64_t *ret);

// pull_batches.c, pull_stream.c

void pull_get_batches(const struct http_request *req, struct http_reply *reply, void *pull);

// Takes over reader and plan->listeners, whatever comes of it.
int pull_stream_new(struct http_stream *ret, struct pull_log *log, struct wal_batches *reader,
	const struct pull_plan *plan);

// consumers.c

int consumers_start(struct pull_log *log);
void consumers_stop(struct pull_log *log);
void consumers_tick(struct pull_log *log);
struct consumer *consumer_find(struct pull_log *log, const char *name);
bool consumer_name_ok(const char *name);
const char *consumer_state(const struct pull_log *log, const struct consumer *consumer);

// All of these return 0 when what they did is durable, else nothing has changed.
struct consumer_wish {
	bool has_ttl, has_max_bytes, from_next;
	uint64_t ttl_ns, max_bytes;
};
// -EMFILE: there are as many as there may be.
int consumer_take(struct pull_log *log, const char *name, const struct consumer_wish *wish,
	struct consumer **ret);
int consumer_commit(
	struct pull_log *log, struct consumer *consumer, uint64_t next_batch, uint64_t next_seq);
int consumer_remove(struct pull_log *log, struct consumer *consumer);

// consumers_file.c

int consumers_save(const struct pull_log *log);
// Fills consumers, last_token and file_log_id. 0, also when there is no file; -EBADMSG,
// -EPROTONOSUPPORT, -ESTALE: of another log, whose consumers are filled in.
int consumers_load(struct pull_log *log);

// consumers_routes.c

void consumers_list_all(const struct http_request *req, struct http_reply *reply, void *pull);
void consumers_list(const struct http_request *req, struct http_reply *reply, void *pull);
void consumers_get(const struct http_request *req, struct http_reply *reply, void *pull);
void consumers_put(const struct http_request *req, struct http_reply *reply, void *pull);
void consumers_commit(const struct http_request *req, struct http_reply *reply, void *pull);
void consumers_delete(const struct http_request *req, struct http_reply *reply, void *pull);
