// SPDX-License-Identifier: BSD-3-Clause
// A handle with a spool: what was given is sent, by this process or the next.

#include "giving.h"
#include "tests/lib/remove_tree.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/millrace-spooling-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int teardown(void **state)
{
	(void)state;
	return remove_tree(dir);
}

static int open_spool(struct millrace **ret, const char *receivers, char *why)
{
	const struct millrace_options options = {.size = sizeof(options),
		.receivers = receivers,
		.bytes_max = 256 << 10,
		.failover_after_ms = 1000,
		.flags = MILLRACE_REPORTS,
		.spool = dir,
		.spool_bytes_max = 64 << 20};

	return millrace_open(ret, &options, why);
}

static struct millrace *must_open(const char *receivers)
{
	struct millrace *m = NULL;
	char why[MILLRACE_TEXT];

	if (open_spool(&m, receivers, why) != 0)
		fail_msg("open: %s", why);
	return m;
}

static void wait_spooled(struct millrace *m, uint64_t seq)
{
	for (unsigned i = 0; millrace_spooled(m) < seq; i++) {
		assert_true(i < WAIT_MS);
		pause_ms(1);
	}
}

// Reports of all, from 'first' on; how many are of that fate.
static uint64_t count_fates(struct millrace *m, uint64_t first, enum millrace_fate fate)
{
	struct millrace_report reports[64];
	uint64_t count = 0;
	unsigned n;

	while ((n = millrace_reports(m, reports, 64)) > 0)
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(reports[i].seq, first++);
			count += reports[i].fate == fate;
		}
	return count;
}

// Without a receiver, and more than the memory holds.
static void the_next_handle_sends_what_this_one_could_not(void **state)
{
	struct receiver r, *receivers[] = {&r};
	struct millrace_stats stats;
	struct millrace *m;
	uint64_t source;

	(void)state;
	receiver_init(&r, &plain);
	m = must_open(r.name);
	source = millrace_source(m);
	give_all(m, 0, 10000);
	wait_spooled(m, 20000);
	assert_int_equal(millrace_stop(m, 0), 20000);
	assert_int_equal(count_fates(m, 0, MILLRACE_SPOOLED), 20000);
	millrace_close(m, 0);
	receiver_start(&r);
	m = must_open(r.name);
	assert_int_equal(millrace_source(m), source);
	give_all(m, 10000, 1000);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_durable(m), 22000);
	assert_int_equal(count_fates(m, 0, MILLRACE_DURABLE), 22000);
	millrace_get_stats(m, &stats, sizeof(stats));
	assert_int_equal(stats.events, 22000);
	assert_int_equal(stats.acknowledged, 22000);
	assert_int_equal(stats.epochs, 1); // of the first nobody knows whether it was opened
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_kill(&r);
	check_logs(receivers, 1, source, 11000);
	receiver_free(&r);
	// All of it is done: the next one begins behind it.
	m = must_open(r.name);
	assert_int_equal(millrace_durable(m), 22000);
	assert_int_equal(millrace_close(m, 0), 0);
}

// In a child: handles and fork() don't mix.
static pid_t give_and_die(const char *receivers, uint32_t first, uint32_t count, bool wait)
{
	pid_t child = fork();
	struct millrace *m;

	if (child != 0)
		return child;
	m = must_open(receivers);
	give_all(m, first, count);
	if (wait)
		millrace_flush(m, 20);
	while (millrace_spooled(m) < (uint64_t)THREADS * (first + count))
		pause_ms(1);
	kill(getpid(), SIGKILL);
	_exit(1);
}

static void a_kill_loses_nothing(void **state)
{
	struct receiver r, *receivers[] = {&r};
	struct millrace *m;
	uint64_t source;
	int status;

	(void)state;
	receiver_init(&r, &plain);
	for (uint32_t round = 0; round < 6; round++) {
		pid_t child = give_and_die(r.name, round * 300, 300, round % 2 == 0);

		receiver_start(&r);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		receiver_kill(&r);
	}
	receiver_start(&r);
	m = must_open(r.name);
	source = millrace_source(m);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_durable(m), THREADS * 1800);
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_kill(&r);
	check_logs(receivers, 1, source, 1800);
	receiver_free(&r);
}

// Its epoch names the log that the process before it had.
static void another_receiver_is_told_of_the_first(void **state)
{
	const struct receiver_options other = {.log = 2};
	struct receiver a, b;
	const struct receiver_row *opening = NULL;
	struct receive_opening says;
	struct millrace *m;

	(void)state;
	receiver_init(&a, &plain);
	receiver_init(&b, &other);
	receiver_start(&a);
	m = must_open(a.name);
	give_all(m, 0, 50);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	a.hold = true;
	give_all(m, 50, 50);
	pause_ms(50);
	assert_int_equal(millrace_close(m, 0), 100);
	receiver_kill(&a);
	receiver_start(&b);
	m = must_open(b.name);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_kill(&b);
	for (unsigned i = 0; i < b.durable_rows; i++)
		if (b.rows[i].is_opening)
			opening = &b.rows[i];
	if (opening == NULL) {
		fail_msg("no epoch was opened");
		return;
	}
	assert_true(receive_read_opening(opening->payload, opening->len, &says));
	assert_int_equal(says.prev_epoch, 1);
	assert_int_equal(says.prev_seq, 100);
	assert_int_equal(says.prev_log[0], 1);
	assert_int_equal(receiver_durable_events(&b), 100);
	receiver_free(&a);
	receiver_free(&b);
}

static void a_spool_has_one_handle(void **state)
{
	struct millrace *m = must_open("127.0.0.1:9"), *other = NULL;
	char why[MILLRACE_TEXT];

	(void)state;
	assert_int_equal(open_spool(&other, "127.0.0.1:9", why), -EBUSY);
	assert_non_null(strstr(why, dir));
	millrace_close(m, 0);
	millrace_close(must_open("127.0.0.1:9"), 0);
}

static void a_full_spool_takes_no_more(void **state)
{
	struct millrace_options options = {.size = sizeof(options),
		.receivers = "127.0.0.1:9",
		.spool = dir,
		.spool_bytes_max = 1000};
	static uint8_t event[100000];
	struct millrace *m = NULL;
	struct receiver r;
	unsigned taken = 0;
	int err;

	(void)state;
	assert_int_equal(millrace_open(&m, &options, NULL), -EINVAL);
	options.spool_bytes_max = 4 << 20;
	receiver_init(&r, &plain);
	options.receivers = r.name;
	assert_int_equal(millrace_open(&m, &options, NULL), 0);
	while ((err = millrace_send_wait(m, event, sizeof(event), 200, NULL)) == 0)
		taken++;
	assert_int_equal(err, -EAGAIN);
	assert_true(taken > 35 && taken < 43);
	// What is durable makes room for as much again, and again.
	receiver_start(&r);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(millrace_send_wait(m, event, sizeof(event), WAIT_MS, NULL), 0);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_free(&r);
}

// Its seqs are at the receiver already, as other events.
static void a_spool_put_back_from_a_copy_is_found_out(void **state)
{
	char copy[sizeof(dir) + 8], command[4 * sizeof(dir)], text[MILLRACE_TEXT];
	struct millrace *m;
	struct receiver r;
	int err = 0;

	(void)state;
	receiver_init(&r, &plain);
	receiver_start(&r);
	m = must_open(r.name);
	give_all(m, 0, 50);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	millrace_close(m, 1000);
	snprintf(copy, sizeof(copy), "%s.copy", dir);
	snprintf(command, sizeof(command), "cp -r %s %s", dir, copy);
	assert_int_equal(system(command), 0);
	m = must_open(r.name);
	give_all(m, 50, 50);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	millrace_close(m, 1000);
	snprintf(command, sizeof(command), "rm -r %s && mv %s %s", dir, copy, dir);
	assert_int_equal(system(command), 0);
	m = must_open(r.name);
	for (unsigned i = 0; i < 2000 && err == 0; i++) {
		err = millrace_send(m, "another", 7, NULL);
		pause_ms(1);
	}
	assert_int_equal(err, -ESTALE);
	assert_int_equal(millrace_flush(m, WAIT_MS), -ESTALE);
	millrace_error_text(m, text);
	assert_non_null(strstr(text, "earlier state"));
	assert_int_equal(millrace_durable(m), 100);
	millrace_close(m, 0);
	receiver_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(the_next_handle_sends_what_this_one_could_not),
		TEST(a_kill_loses_nothing),
		TEST(another_receiver_is_told_of_the_first),
		TEST(a_spool_has_one_handle),
		TEST(a_full_spool_takes_no_more),
		TEST(a_spool_put_back_from_a_copy_is_found_out),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
