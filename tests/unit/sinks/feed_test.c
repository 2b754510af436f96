// SPDX-License-Identifier: BSD-3-Clause
// The engine with a log on the disk and a driver that does what a test tells it.

#include "common/clock.h"
#include "common/counters.h"
#include "sinks/sinks.h"
#include "tests/unit/wal/logbuilder.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BATCHES 6
#define ROWS 10
#define KEPT 64

// What the driver does, and what it has seen. Under the lock: the feed's thread is another.
static struct script {
	pthread_mutex_t lock;
	int open_fails, deliver_fails; // so many times, with 'error'
	int error;
	int recall; // what it returns
	struct wal_cursor remote;
	bool remembers; // the remote cursor follows what is delivered
	uint64_t seen[KEPT];
	unsigned count;
	unsigned opened, closed;
} script;

static struct config config;
static struct wal *wal;
static struct sinks *sinks;
static struct wal_id log_id;
static struct wal_batch batches[BATCHES];

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
static void make_log(struct logbuilder *lb)
{
	for (unsigned i = 0; i < BATCHES; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		lb_block(lb, ROWS, WAL_FLAG_SEALED);
		i + 1 < BATCHES ? lb_eos(lb) : lb_end(lb);
	}
}

static void open_log(const struct logbuilder *lb, uint64_t retain)
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

static void make_sinks(const struct logbuilder *lb, enum config_sink_kind kind, int wanted)
{
	struct sinks_partition log = {.wal = wal, .dir = lb->dir, .log_id = log_id};

	config.sink_count = 1;
	config.sinks[0].kind = kind;
	config.sinks[0].required = true;
	snprintf(config.sinks[0].name, sizeof(config.sinks[0].name), "out");
	assert_int_equal(sinks_new(&sinks, &config, &log, 1), wanted);
}

static void start(const struct logbuilder *lb, enum config_sink_kind kind)
{
	make_sinks(lb, kind, 0);
	assert_int_equal(sinks_start(sinks), 0);
}

static void stop(void)
{
	sinks_free(sinks);
	sinks = NULL;
	wal_close(wal);
	wal = NULL;
}

static struct sink_status wait_for(enum sink_state state, uint64_t batch)
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

static void assert_seen(uint64_t from, unsigned count)
{
	pthread_mutex_lock(&script.lock);
	assert_int_equal(script.count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(script.seen[i], from + i);
	pthread_mutex_unlock(&script.lock);
}

static struct wal_cursor behind(unsigned batch)
{
	return sink_cursor_behind(&batches[batch]);
}

static int setup(void **state)
{
	script = (struct script){.lock = PTHREAD_MUTEX_INITIALIZER, .error = -EAGAIN};
	memset(&config, 0, sizeof(config));
	return lb_setup(state);
}

static void all_is_delivered_once_over_restarts(void **state)
{
	struct logbuilder *lb = *state;

	script.remembers = true;
	make_log(lb);
	for (unsigned i = 0; i < 3; i++) {
		open_log(lb, 0);
		start(lb, SINK_KAFKA);
		wait_for(SINK_DELIVERING, BATCHES);
		assert_int_equal(atomic_load(sinks_confirmed(sinks, 0)), BATCHES * ROWS);
		stop();
		assert_seen(0, BATCHES);
	}
	assert_int_equal(script.opened, script.closed);
}

static void a_side_that_is_away_is_tried_again(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;

	make_log(lb);
	script.open_fails = 2;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	status = wait_for(SINK_DELIVERING, BATCHES);
	assert_int_equal(status.counters[SINK_retries], 2);
	stop();
	assert_seen(0, BATCHES);

	script.count = 0;
	script.deliver_fails = 3;
	wal_cursor_remove(lb->dir, "out");
	open_log(lb, 0);
	start(lb, SINK_FILES);
	status = wait_for(SINK_DELIVERING, BATCHES);
	assert_int_equal(status.counters[SINK_retries], 3);
	stop();
	assert_seen(0, BATCHES);
}

static void what_time_does_not_mend_stops_it(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;

	make_log(lb);
	script.deliver_fails = 1;
	script.error = -EPERM;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	status = wait_for(SINK_STOPPED, UINT64_MAX);
	assert_string_equal(status.why, "not that one");
	assert_int_equal(status.counters[SINK_stopped], 1);
	stop();
	assert_seen(0, 0);
}

static void a_stop_ends_a_wait(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t begun;

	make_log(lb);
	script.deliver_fails = 1 << 20;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	wait_for(SINK_RETRYING, UINT64_MAX);
	sleep(2); // into the longer waits
	begun = clock_monotonic_ns();
	stop();
	assert_true(clock_monotonic_ns() - begun < 1000000000);
}

// The three that must fit together: the file, the other side, the log.
static void assert_stops(struct logbuilder *lb, const struct wal_cursor *ours,
	const struct wal_cursor *theirs, const char *part)
{
	struct sink_status status;

	script.count = 0;
	script.recall = theirs != NULL;
	if (theirs != NULL)
		script.remote = *theirs;
	if (ours != NULL)
		assert_int_equal(wal_cursor_save(lb->dir, "out", ours), 0);
	else
		wal_cursor_remove(lb->dir, "out");
	open_log(lb, 0);
	start(lb, SINK_KAFKA);
	status = wait_for(SINK_STOPPED, UINT64_MAX);
	if (strstr(status.why, part) == NULL)
		fail_msg("'%s' is not in: %s", part, status.why);
	stop();
	assert_seen(0, 0);
}

static void what_does_not_fit_together_stops_it(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_cursor two, three, wrong;

	make_log(lb);
	open_log(lb, 0);
	two = behind(1);
	three = behind(2);
	stop();
	assert_stops(lb, &two, NULL, "the other side has no cursor");
	assert_stops(lb, &three, &two, "it was set back there");
	wrong = three;
	wrong.crc ^= 1;
	assert_stops(lb, &three, &wrong, "names another batch");
	assert_stops(lb, &wrong, &wrong, "isn't the one that was delivered");
	wrong = three;
	wrong.log_id.bytes[0] ^= 1;
	assert_stops(lb, NULL, &wrong, "speaks of log");
	assert_stops(lb, &wrong, NULL, "speaks of log");
	wrong = behind(BATCHES - 1);
	wrong.batch++;
	assert_stops(lb, NULL, &wrong, "ahead of the log");
	wrong = behind(BATCHES - 1);
	wrong.seq++;
	assert_stops(lb, &wrong, &wrong, "ahead of the log");
}

static void assert_goes_on(struct logbuilder *lb, const struct wal_cursor *ours,
	const struct wal_cursor *theirs, uint64_t from)
{
	script.count = 0;
	script.recall = theirs != NULL;
	if (theirs != NULL)
		script.remote = *theirs;
	if (ours != NULL)
		assert_int_equal(wal_cursor_save(lb->dir, "out", ours), 0);
	else
		wal_cursor_remove(lb->dir, "out");
	open_log(lb, 0);
	start(lb, SINK_KAFKA);
	assert_int_equal(wait_for(SINK_DELIVERING, BATCHES).counters[SINK_given_up], 0);
	stop();
	assert_seen(from, BATCHES - (unsigned)from);
}

static void it_goes_on_where_the_other_side_is(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_cursor two, three;

	make_log(lb);
	open_log(lb, 0);
	two = behind(1);
	three = behind(2);
	stop();
	assert_goes_on(lb, NULL, NULL, 0);
	assert_goes_on(lb, NULL, &two, 2);
	assert_goes_on(lb, &two, &two, 2);
	assert_goes_on(lb, &two, &three, 3); // killed between its commit and the file
}

static void a_reset_wins_until_it_is_carried_out(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_cursor two, five;
	char name[CONFIG_NAME_MAX + 8];

	make_log(lb);
	open_log(lb, 0);
	two = behind(1);
	five = behind(4);
	stop();
	snprintf(name, sizeof(name), SINK_RESET_NAME, "out");
	assert_int_equal(wal_cursor_save(lb->dir, name, &two), 0);
	script.deliver_fails = 1 << 20;
	script.recall = 1;
	script.remote = five;
	assert_int_equal(wal_cursor_save(lb->dir, "out", &two), 0);
	for (unsigned i = 0; i < 2; i++) { // two starts in which nothing can be delivered
		open_log(lb, 0);
		start(lb, SINK_KAFKA);
		assert_int_equal(wait_for(SINK_RETRYING, 2).cursor.batch, 2);
		stop();
	}
	script.deliver_fails = 0;
	script.remembers = true;
	open_log(lb, 0);
	start(lb, SINK_KAFKA);
	wait_for(SINK_DELIVERING, BATCHES);
	stop();
	assert_seen(2, BATCHES - 2);
	// From now on as ever.
	open_log(lb, 0);
	start(lb, SINK_KAFKA);
	wait_for(SINK_DELIVERING, BATCHES);
	stop();
	assert_seen(2, BATCHES - 2);
	assert_int_equal(wal_cursor_load(lb->dir, name, &two), -ENOENT);
}

static void a_damaged_cursor_refuses_the_start(void **state)
{
	struct logbuilder *lb = *state;
	char path[300];
	FILE *f;

	make_log(lb);
	open_log(lb, 0);
	snprintf(path, sizeof(path), "%s/cursor.out.json", lb->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("{}", f);
	fclose(f);
	make_sinks(lb, SINK_FILES, -EBADMSG);
	stop();
}

// Retention waits for a sink that is required, up to its bound; then what is gone is counted.
static void retention_waits_up_to_the_bound(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;

	make_log(lb);
	script.open_fails = 1 << 20;
	open_log(lb, 1);
	start(lb, SINK_FILES);
	wal_hold(wal, UINT64_MAX);
	usleep(700000); // more than three looks of the keeper's
	sinks_status(sinks, 0, &status);
	assert_int_equal(status.counters[SINK_given_up], 0);
	assert_true(lb_size(lb, "00000000000000000000.arrows") != UINT64_MAX);
	stop();

	config.sinks[0].hold_bytes = 1;
	open_log(lb, 1);
	start(lb, SINK_FILES);
	wal_hold(wal, UINT64_MAX);
	for (unsigned i = 0; i < 1000; i++) {
		if (lb_size(lb, "00000000000000000000.arrows") == UINT64_MAX)
			break;
		usleep(10000);
	}
	usleep(500000);
	script.open_fails = 0;
	status = wait_for(SINK_DELIVERING, BATCHES);
	assert_int_equal(
		status.counters[SINK_given_up] + status.counters[SINK_events], BATCHES * ROWS);
	assert_true(status.counters[SINK_given_up] > 0);
	stop();
}

static void a_wiped_log_stops_it(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;
	char name[40];

	make_log(lb);
	script.deliver_fails = 1 << 20;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	wait_for(SINK_RETRYING, UINT64_MAX);
	for (unsigned i = 0; i < BATCHES; i++) {
		char path[300];

		snprintf(name, sizeof(name), "%020u.arrows", i * ROWS);
		snprintf(path, sizeof(path), "%s/%s", lb->dir, name);
		assert_int_equal(unlink(path), 0);
	}
	pthread_mutex_lock(&script.lock);
	script.deliver_fails = 0;
	pthread_mutex_unlock(&script.lock);
	status = wait_for(SINK_STOPPED, UINT64_MAX);
	assert_non_null(strstr(status.why, "was removed while it was in use"));
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			all_is_delivered_once_over_restarts, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			a_side_that_is_away_is_tried_again, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			what_time_does_not_mend_stops_it, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(a_stop_ends_a_wait, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			what_does_not_fit_together_stops_it, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			it_goes_on_where_the_other_side_is, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			a_reset_wins_until_it_is_carried_out, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			a_damaged_cursor_refuses_the_start, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			retention_waits_up_to_the_bound, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(a_wiped_log_stops_it, setup, lb_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
