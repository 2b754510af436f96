// SPDX-License-Identifier: BSD-3-Clause
// Moves that are planned, moves that are not, and what is told of them.

#include "common/clock.h"
#include "giving.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#define RECEIVERS 3u
#define FAILOVER_MS 700u // below the time between two PROBEs, which are heard as well
#define PLANNED_MS 2500u // above it
#define MS_NS 1000000ull

// Receivers by number, in an order of its own.
struct fleet {
	struct receiver r[RECEIVERS];
	struct millrace *m;
	atomic_uint address_of[RECEIVERS]; // whose address the n-th has
	atomic_bool away[RECEIVERS];
	unsigned order[RECEIVERS];
	atomic_uint asked;
	uint64_t source;
};

static int resolve(void *arg, unsigned n, struct sockaddr_storage *address, socklen_t *len,
	char name[MILLRACE_TEXT])
{
	struct fleet *f = arg;

	snprintf(name, MILLRACE_TEXT, "r%u", n);
	if (n >= RECEIVERS)
		return -ENOENT;
	f->asked++;
	if (f->away[n])
		return -EHOSTDOWN;
	*len = sizeof(struct sockaddr_in);
	return getsockname(f->r[f->address_of[n]].fd, (struct sockaddr *)address, len) == 0
		       ? 0
		       : -errno;
}

static unsigned next(void *arg, unsigned n)
{
	const struct fleet *f = arg;

	if (n == MILLRACE_NONE)
		return f->order[0];
	for (unsigned i = 0; i + 1 < RECEIVERS; i++)
		if (f->order[i] == n)
			return f->order[i + 1];
	return MILLRACE_NONE;
}

static struct fleet *fleet_new(unsigned first, unsigned second, unsigned third)
{
	struct fleet *f = calloc(1, sizeof(*f));
	const struct millrace_options options = {.size = sizeof(options),
		.resolve = resolve,
		.next = next,
		.resolve_arg = f,
		.failover_after_ms = FAILOVER_MS};

	assert_non_null(f);
	f->order[0] = first;
	f->order[1] = second;
	f->order[2] = third;
	for (unsigned i = 0; i < RECEIVERS; i++) {
		const struct receiver_options of = {.log = (uint8_t)(i + 1)};

		receiver_init(&f->r[i], &of);
		receiver_start(&f->r[i]);
		f->address_of[i] = i;
	}
	assert_int_equal(millrace_open(&f->m, &options, NULL), 0);
	f->source = millrace_source(f->m);
	return f;
}

static void fleet_free(struct fleet *f)
{
	for (unsigned i = 0; i < RECEIVERS; i++)
		receiver_free(&f->r[i]);
	free(f);
}

// How many events are in two logs. Each of those lies in a range that was told, and no event is
// missing.
static unsigned close_and_count(struct fleet *f, unsigned count)
{
	struct millrace_log logs[8];
	uint8_t *times = calloc(count, 1);
	unsigned n, doubled = 0;

	assert_int_equal(millrace_stop(f->m, WAIT_MS), 0);
	n = millrace_logs(f->m, logs, 8);
	assert_int_equal(millrace_close(f->m, 0), 0);
	for (unsigned i = 0; i < RECEIVERS; i++) {
		receiver_kill(&f->r[i]);
		for (unsigned row = 0; row < f->r[i].row_count; row++)
			if (!f->r[i].rows[row].is_opening)
				times[f->r[i].rows[row].seq]++;
	}
	for (unsigned seq = 0; seq < count; seq++) {
		bool told = false;

		assert_true(times[seq] > 0);
		for (unsigned i = 0; i < n; i++)
			told |= seq >= logs[i].prev_seq && seq < logs[i].prev_end;
		if (times[seq] > 1 && !told)
			fail_msg("seq %u is in two logs, and that was not told", seq);
		doubled += times[seq] > 1;
	}
	free(times);
	fleet_free(f);
	return doubled;
}

static void wait_receiver(struct fleet *f, uint32_t n)
{
	uint64_t end = clock_monotonic_ns() + WAIT_MS * MS_NS;
	struct millrace_stats stats;

	do {
		pause_ms(1);
		millrace_get_stats(f->m, &stats, sizeof(stats));
		assert_true(clock_monotonic_ns() < end);
	} while (stats.receiver != n || stats.open == 0);
}

static void *go_round(void *arg)
{
	struct fleet *f = arg;

	for (unsigned i = 1; i <= 6; i++) {
		pause_ms(20);
		millrace_go_to(f->m, i % RECEIVERS);
		wait_receiver(f, i % RECEIVERS);
	}
	return NULL;
}

static void a_planned_move_leaves_no_event_in_two_logs(void **state)
{
	struct fleet *f = fleet_new(0, 1, 2);
	struct millrace_stats stats;
	struct millrace_log logs[8];
	pthread_t thread;
	uint32_t given = 0;

	(void)state;
	give_all(f->m, 0, 50);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	given += 50;
	assert_int_equal(pthread_create(&thread, NULL, go_round, f), 0);
	do {
		give_all(f->m, given, 500);
		given += 500;
		millrace_get_stats(f->m, &stats, sizeof(stats));
	} while (stats.moves < 6);
	pthread_join(thread, NULL);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	assert_int_equal(millrace_logs(f->m, logs, 8), 7);
	assert_int_equal(logs[0].prev_epoch, 0);
	assert_int_equal(logs[0].planned, 0);
	for (unsigned i = 1; i < 7; i++) {
		assert_int_equal(logs[i].epoch, i + 1);
		assert_int_equal(logs[i].prev_epoch, i);
		assert_int_equal(logs[i].log_id[0], i % RECEIVERS + 1);
		assert_memory_equal(logs[i].prev_log_id, logs[i - 1].log_id, 16);
		assert_int_equal(logs[i].planned, 1);
		assert_int_equal(logs[i].prev_seq, logs[i].prev_end);
		assert_int_equal(logs[i].first_seq, logs[i].prev_seq);
	}
	assert_true(logs[6].first_seq > logs[1].first_seq);
	assert_string_equal(logs[1].receiver, "r1");
	millrace_get_stats(f->m, &stats, sizeof(stats));
	assert_int_equal(stats.overlap, 0);
	assert_int_equal(close_and_count(f, given * THREADS), 0);
}

static void a_planned_move_waits_no_longer_than_for_a_failover(void **state)
{
	struct fleet *f = fleet_new(0, 1, 2);
	struct millrace_stats stats;
	uint64_t began;

	(void)state;
	give_all(f->m, 0, 100);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	f->r[0].hold = true;
	give_all(f->m, 100, 100);
	// What waits here yet would be sent to the other one alone.
	do {
		pause_ms(1);
		millrace_get_stats(f->m, &stats, sizeof(stats));
	} while (stats.sent < 200 * THREADS);
	// It answers PROBEs, so it would never be left by itself.
	millrace_failover_after(f->m, PLANNED_MS);
	began = clock_monotonic_ns();
	millrace_go_to(f->m, 2);
	wait_receiver(f, 2);
	assert_true(clock_monotonic_ns() - began > PLANNED_MS / 2 * MS_NS);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	f->r[0].hold = false;
	pause_ms(50);
	millrace_get_stats(f->m, &stats, sizeof(stats));
	assert_int_equal(stats.moves, 1);
	assert_int_equal(stats.overlap, 200);
	assert_int_equal(close_and_count(f, 200 * THREADS), 200);
}

static void a_failed_receiver_is_left_for_the_next_in_order(void **state)
{
	struct fleet *f = fleet_new(2, 0, 1);
	struct millrace_stats stats;
	struct millrace_log logs[8];
	unsigned doubled;

	(void)state;
	give_all(f->m, 0, 100);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	f->r[2].hold = true;
	give_all(f->m, 100, 100);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	f->r[2].hold = false;
	pause_ms(50);
	millrace_get_stats(f->m, &stats, sizeof(stats));
	assert_int_equal(stats.receiver, 0);
	assert_int_equal(millrace_logs(f->m, logs, 1), 1);
	assert_string_equal(logs[0].receiver, "r2");
	assert_int_equal(millrace_logs(f->m, logs, 8), 1);
	assert_int_equal(logs[0].planned, 0);
	assert_int_equal(logs[0].log_id[0], 1);
	assert_int_equal(logs[0].prev_log_id[0], 3);
	assert_int_equal(logs[0].prev_seq, 200);
	assert_int_equal(logs[0].prev_end, 400);
	assert_int_equal(stats.overlap, 200);
	// Told already.
	assert_int_equal(millrace_logs(f->m, logs, 8), 0);
	doubled = 0;
	assert_int_equal(millrace_stop(f->m, WAIT_MS), 0);
	assert_int_equal(millrace_close(f->m, 0), 0);
	for (unsigned i = 0; i < RECEIVERS; i++) {
		receiver_kill(&f->r[i]);
		doubled += receiver_durable_events(&f->r[i]);
	}
	assert_int_equal(doubled, 600);
	fleet_free(f);
}

static void an_address_that_changed_is_asked_for_again(void **state)
{
	struct fleet *f = fleet_new(0, 1, 2);
	struct millrace_stats stats;

	(void)state;
	give_all(f->m, 0, 100);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	receiver_pause(&f->r[0]);
	f->address_of[0] = 1;
	millrace_go_to(f->m, 0);
	give_all(f->m, 100, 100);
	assert_int_equal(millrace_flush(f->m, FAILOVER_MS / 2), 0);
	millrace_get_stats(f->m, &stats, sizeof(stats));
	assert_int_equal(stats.moves, 0);
	assert_int_equal(stats.receiver, 0);
	assert_int_equal(close_and_count(f, 200 * THREADS), 0);
}

static void who_has_no_address_is_not_gone_to(void **state)
{
	struct fleet *f = fleet_new(0, 1, 2);
	struct millrace_stats stats;
	unsigned asked;

	(void)state;
	give_all(f->m, 0, 100);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	f->away[1] = true;
	asked = f->asked;
	millrace_go_to(f->m, 1);
	while (f->asked == asked)
		pause_ms(1);
	give_all(f->m, 100, 100);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	millrace_get_stats(f->m, &stats, sizeof(stats));
	assert_int_equal(stats.moves, 0);
	assert_int_equal(receiver_durable_events(&f->r[0]), 200 * THREADS);
	assert_int_equal(close_and_count(f, 200 * THREADS), 0);
}

static void the_time_to_wait_can_be_changed(void **state)
{
	struct fleet *f = fleet_new(0, 1, 2);
	struct millrace_stats stats;

	(void)state;
	give_all(f->m, 0, 10);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	millrace_failover_after(f->m, 60000);
	millrace_failover_after(f->m, 0);
	receiver_pause(&f->r[0]);
	give_all(f->m, 10, 10);
	assert_int_equal(millrace_flush(f->m, 2 * FAILOVER_MS), -ETIMEDOUT);
	millrace_get_stats(f->m, &stats, sizeof(stats));
	assert_int_equal(stats.moves, 0);
	millrace_failover_after(f->m, 100);
	assert_int_equal(millrace_flush(f->m, WAIT_MS), 0);
	millrace_get_stats(f->m, &stats, sizeof(stats));
	assert_int_equal(stats.moves, 1);
	assert_int_equal(close_and_count(f, 20 * THREADS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_planned_move_leaves_no_event_in_two_logs),
		cmocka_unit_test(a_planned_move_waits_no_longer_than_for_a_failover),
		cmocka_unit_test(a_failed_receiver_is_left_for_the_next_in_order),
		cmocka_unit_test(an_address_that_changed_is_asked_for_again),
		cmocka_unit_test(who_has_no_address_is_not_gone_to),
		cmocka_unit_test(the_time_to_wait_can_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
