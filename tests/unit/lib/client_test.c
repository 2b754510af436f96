// SPDX-License-Identifier: BSD-3-Clause
// The library against real sockets, and receivers that fail: what it calls durable is in the log,
// once.

#include "giving.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#define EVENTS 10000u

static void run_all(const struct receiver_options *options)
{
	struct receiver r, *receivers[] = {&r};
	struct millrace_stats stats;
	struct millrace *m;
	uint64_t source;

	receiver_init(&r, options);
	receiver_start(&r);
	m = open_handle(r.name, 0, 0);
	source = millrace_source(m);
	give_all(m, 0, EVENTS / THREADS);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_durable(m), EVENTS);
	assert_int_equal(receiver_durable_events(&r), EVENTS);
	millrace_get_stats(m, &stats, sizeof(stats));
	assert_int_equal(stats.events, EVENTS);
	assert_int_equal(stats.acknowledged, EVENTS);
	assert_int_equal(stats.sent, EVENTS);
	assert_true(stats.again > 0 || options->loss == 0);
	assert_int_equal(stats.bytes_kept, 0);
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_kill(&r);
	check_logs(receivers, 1, source, EVENTS / THREADS);
	receiver_free(&r);
}

static void events_of_two_threads_are_in_the_log_once(void **state)
{
	(void)state;
	run_all(&plain);
}

static void loss_both_ways_changes_nothing(void **state)
{
	(void)state;
	run_all(&lossy);
}

static void a_restarted_receiver_has_each_event_once(void **state)
{
	struct receiver r, *receivers[] = {&r};
	struct millrace *m;
	uint64_t source;

	(void)state;
	receiver_init(&r, &plain);
	receiver_start(&r);
	m = open_handle(r.name, 0, 0);
	source = millrace_source(m);
	for (uint32_t round = 0; round < 5; round++) {
		give_all(m, round * 400, 400);
		pause_ms(round); // some are durable, some are heard, some are under way
		receiver_kill(&r);
		receiver_start(&r);
	}
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_kill(&r);
	check_logs(receivers, 1, source, 2000);
	receiver_free(&r);
}

static void a_receiver_that_falls_silent_is_left_for_the_next(void **state)
{
	const struct receiver_options other = {.log = 2};
	struct receiver a, b, *receivers[] = {&a, &b};
	struct millrace_stats stats;
	char names[128], text[MILLRACE_TEXT];
	struct millrace *m;
	uint64_t source;

	(void)state;
	receiver_init(&a, &plain);
	receiver_init(&b, &other);
	receiver_start(&a);
	receiver_start(&b);
	snprintf(names, sizeof(names), "%s,%s", a.name, b.name);
	m = open_handle(names, 0, 0);
	source = millrace_source(m);
	give_all(m, 0, 500);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	a.hold = true;
	give_all(m, 500, 500);
	pause_ms(20);
	receiver_kill(&a);
	assert_int_equal(millrace_flush(m, 100), -ETIMEDOUT);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	millrace_get_stats(m, &stats, sizeof(stats));
	assert_int_equal(stats.moves, 1);
	assert_int_equal(stats.receiver, 1);
	assert_int_equal(stats.epochs, 1);
	millrace_error_text(m, text);
	assert_string_equal(text, "");
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_kill(&b);
	assert_int_equal(receiver_durable_events(&a), 1000);
	check_logs(receivers, 2, source, 1000);
	receiver_free(&a);
	receiver_free(&b);
}

static void an_address_where_nobody_is_and_a_name_that_is_none_are_passed_over(void **state)
{
	struct receiver gone, r;
	char names[128], text[MILLRACE_TEXT];
	struct millrace *m;

	(void)state;
	receiver_init(&gone, &plain);
	receiver_init(&r, &plain);
	receiver_free(&gone);
	snprintf(names, sizeof(names), "no.such.name.invalid:7,%s,%s", gone.name, r.name);
	m = open_handle(names, 0, 0);
	assert_int_equal(millrace_send(m, "x", 1, NULL), 0);
	assert_int_equal(millrace_flush(m, 200), -ETIMEDOUT);
	millrace_error_text(m, text);
	assert_non_null(strstr(text, gone.name));
	receiver_start(&r);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_free(&r);
}

static void what_one_receiver_never_takes_goes_to_the_next(void **state)
{
	const struct receiver_options small = {.event_max = 1000, .log = 1};
	static uint8_t event[5000];
	struct receiver a, b;
	struct millrace *m;
	char names[128];
	const struct millrace_options options = {.size = sizeof(options), .receivers = names};

	(void)state;
	receiver_init(&a, &small);
	receiver_init(&b, &plain);
	snprintf(names, sizeof(names), "%s,%s", a.name, b.name);
	// Not after failover_after_ms, which is 10 s: it says that it doesn't.
	assert_int_equal(millrace_open(&m, &options, NULL), 0);
	assert_int_equal(millrace_send(m, event, sizeof(event), NULL), 0);
	receiver_start(&a);
	receiver_start(&b);
	assert_int_equal(millrace_close(m, 7000), 0);
	receiver_kill(&b);
	assert_int_equal(receiver_durable_events(&b), 1);
	receiver_free(&a);
	receiver_free(&b);
}

// Two receivers, the second of which appears only when it is asked for the third time.
struct own_list {
	struct receiver *r;
	unsigned asked;
};

static int resolve_own(void *arg, unsigned n, struct sockaddr_storage *address, socklen_t *len,
	char name[MILLRACE_TEXT])
{
	struct own_list *own = arg;

	snprintf(name, MILLRACE_TEXT, "number %u", n);
	if (n > 1)
		return -ENOENT;
	if (n == 0 || own->asked++ < 2)
		return -EHOSTDOWN;
	*len = sizeof(struct sockaddr_in);
	return getsockname(own->r->fd, (struct sockaddr *)address, len) == 0 ? 0 : -errno;
}

static void a_resolver_of_ones_own_is_asked_until_it_knows(void **state)
{
	struct receiver r;
	struct own_list own = {.r = &r};
	const struct millrace_options options = {
		.size = sizeof(options), .resolve = resolve_own, .resolve_arg = &own};
	char text[MILLRACE_TEXT];
	struct millrace *m;

	(void)state;
	receiver_init(&r, &plain);
	receiver_start(&r);
	assert_int_equal(millrace_open(&m, &options, NULL), 0);
	assert_int_equal(millrace_send(m, "x", 1, NULL), 0);
	assert_int_equal(millrace_flush(m, 100), -ETIMEDOUT);
	millrace_error_text(m, text);
	assert_string_equal(text, "number 1");
	assert_int_equal(millrace_close(m, WAIT_MS), 0);
	receiver_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_of_two_threads_are_in_the_log_once),
		cmocka_unit_test(loss_both_ways_changes_nothing),
		cmocka_unit_test(a_restarted_receiver_has_each_event_once),
		cmocka_unit_test(a_receiver_that_falls_silent_is_left_for_the_next),
		cmocka_unit_test(
			an_address_where_nobody_is_and_a_name_that_is_none_are_passed_over),
		cmocka_unit_test(what_one_receiver_never_takes_goes_to_the_next),
		cmocka_unit_test(a_resolver_of_ones_own_is_asked_until_it_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
