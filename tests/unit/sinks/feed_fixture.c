// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/sinks/feed_fixture.h"

#include "common/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct script script;
struct config config;
struct wal *wal;
struct sinks *sinks;
static struct wal_id log_id;
static struct wal_batch batches[BATCHES];

void script_succeeds(void)
{
	pthread_mutex_lock(&script.lock);
	script.open_fails = script.deliver_fails = 0;
	pthread_mutex_unlock(&script.lock);
}

unsigned script_count(void)
{
	unsigned n;

	pthread_mutex_lock(&script.lock);
	n = script.count;
	pthread_mutex_unlock(&script.lock);
	return n;
}

static int open_driver(void **ret, struct sink_target *target)
{
	int err = 0;

	pthread_mutex_lock(&script.lock);
	script.opened++;
	if (script.open_fails > 0) {
		script.open_fails--;
		err = script.error;
		snprintf(target->why, sizeof(target->why), "not now");
	}
	*ret = err == 0 ? target : NULL;
	pthread_mutex_unlock(&script.lock);
	return err;
}

static int recall(void *driver, struct wal_cursor *ret)
{
	int r;

	(void)driver;
	pthread_mutex_lock(&script.lock);
	*ret = script.remote;
	r = script.recall;
	pthread_mutex_unlock(&script.lock);
	return r;
}

static int deliver(void *driver, struct wal_batches *log, const struct wal_batch *batch,
	struct wal_cursor *ret, uint64_t *events)
{
	struct sink_target *target = driver;
	int err = 0;

	(void)log;
	pthread_mutex_lock(&script.lock);
	if (script.deliver_fails > 0) {
		script.deliver_fails--;
		err = script.error;
		snprintf(target->why, sizeof(target->why), "not that one");
	} else {
		if (script.count < KEPT)
			script.seen[script.count++] = batch->number;
		*ret = sink_cursor_behind(batch);
		*events = batch->end_seq - batch->first_seq;
		if (script.remembers) {
			script.remote = *ret;
			script.recall = 1;
		}
	}
	pthread_mutex_unlock(&script.lock);
	return err;
}

static void close_driver(void *driver)
{
	(void)driver;
	pthread_mutex_lock(&script.lock);
	script.closed++;
	pthread_mutex_unlock(&script.lock);
}

const struct sink_driver sink_kafka = {.kind = "kafka",
	.open = open_driver,
	.recall = recall,
	.deliver = deliver,
	.close = close_driver};
const struct sink_driver sink_files = {
	.kind = "files", .open = open_driver, .deliver = deliver, .close = close_driver};

// A log of one batch a segment.
void make_log(struct logbuilder *lb)
{
	for (unsigned i = 0; i < BATCHES; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		lb_block(lb, ROWS, WAL_FLAG_SEALED);
		i + 1 < BATCHES ? lb_eos(lb) : lb_end(lb);
	}
}

void open_log(const struct logbuilder *lb, uint64_t retain)
{
	struct wal_options options = {.dir = lb->dir,
		.receiver = "test",
		.listeners = "{}",
		.lock_fd = -1,
		.hold = true,
		.log = {.segment_bytes = 16 << 20,
			.block_bytes = 128 << 10,
			.queue_depth = 4,
			.retain_bytes = retain}};
	struct wal_recovery report;
	struct wal_batches *reader;
	char why[512];

	clock_init();
	assert_int_equal(wal_open(&wal, &options, &report, why), 0);
	log_id = report.log_id;
	assert_int_equal(wal_batches_open(&reader, lb->dir, wal, 0), 0);
	for (unsigned i = 0; i < BATCHES; i++)
		if (wal_batches_next(reader, &batches[i]) != 1)
			break;
	wal_batches_close(reader);
}

void make_sinks(const struct logbuilder *lb, enum config_sink_kind kind, int wanted)
{
	struct wal_live log = {.wal = wal, .dir = lb->dir, .log_id = log_id};

	config.sink_count = 1;
	config.sinks[0].kind = kind;
	config.sinks[0].required = true;
	snprintf(config.sinks[0].name, sizeof(config.sinks[0].name), "out");
	assert_int_equal(sinks_new(&sinks, &config, &log, 1), wanted);
}

void start(const struct logbuilder *lb, enum config_sink_kind kind)
{
	make_sinks(lb, kind, 0);
	assert_int_equal(sinks_start(sinks), 0);
}

void stop(void)
{
	sinks_free(sinks);
	sinks = NULL;
	wal_close(wal);
	wal = NULL;
}

struct sink_status wait_for(enum sink_state state, uint64_t batch)
{
	struct sink_status status;

	for (unsigned i = 0; i < 3000; i++) {
		sinks_status(sinks, 0, &status);
		if (status.state == state && (batch == UINT64_MAX || status.cursor.batch == batch))
			return status;
		usleep(10000);
	}
	fail_msg("state %s, batch %llu: %s", sink_state_text(status.state),
		(unsigned long long)status.cursor.batch, status.why);
	return status;
}

void assert_seen(uint64_t from, unsigned count)
{
	pthread_mutex_lock(&script.lock);
	assert_int_equal(script.count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(script.seen[i], from + i);
	pthread_mutex_unlock(&script.lock);
}

struct wal_cursor behind(unsigned batch)
{
	return sink_cursor_behind(&batches[batch]);
}

int setup(void **state)
{
	script = (struct script){.lock = PTHREAD_MUTEX_INITIALIZER, .error = -EAGAIN};
	memset(&config, 0, sizeof(config));
	return lb_setup(state);
}
