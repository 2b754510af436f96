// SPDX-License-Identifier: BSD-3-Clause
// What a handle promises its caller: bounds, reports, its descriptor, its end.

#include "giving.h"

#include <errno.h>
#include <poll.h>

static void what_has_no_room_is_refused_and_nothing_that_was_taken_is_lost(void **state)
{
	const uint64_t most = 100000;
	struct receiver r, *receivers[] = {&r};
	struct millrace_stats stats;
	struct millrace *m;
	uint8_t event[256];
	uint64_t source, seq;
	uint32_t taken = 0, len;
	int err;

	(void)state;
	receiver_init(&r, &plain);
	m = open_handle(r.name, most, 0);
	source = millrace_source(m);
	while (millrace_send(m, event, make_event(event, 0, taken), &seq) == 0)
		assert_int_equal(seq, taken++);
	// An event takes a little less once the library's thread has it.
	while ((err = millrace_send_wait(m, event, make_event(event, 0, taken), 30, &seq)) == 0)
		assert_int_equal(seq, taken++);
	assert_int_equal(err, -EAGAIN);
	assert_true(taken > 500 && taken < 1000);
	millrace_get_stats(m, &stats, sizeof(stats));
	assert_true(stats.bytes_kept <= most && stats.bytes_kept > most / 2);
	assert_int_equal(millrace_send(m, event, (uint32_t)most, NULL), -EMSGSIZE);
	receiver_start(&r);
	for (; taken < 2000; taken++) {
		len = make_event(event, 0, taken);
		assert_int_equal(millrace_send_wait(m, event, len, WAIT_MS, &seq), 0);
		assert_int_equal(seq, taken);
	}
	for (uint32_t i = 0; i < 2000; i++) {
		len = make_event(event, 1, i);
		assert_int_equal(millrace_send_wait(m, event, len, WAIT_MS, NULL), 0);
	}
	assert_int_equal(millrace_close(m, WAIT_MS), 0);
	receiver_kill(&r);
	check_logs(receivers, 1, source, 2000);
	receiver_free(&r);
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void the_descriptor_is_readable_while_there_are_reports(void **state)
{
	struct millrace_report reports[7];
	struct receiver r;
	struct millrace *m;
	uint64_t next = 0;
	unsigned n;

	(void)state;
	receiver_init(&r, &plain);
	receiver_start(&r);
	m = open_handle(r.name, 0, MILLRACE_REPORTS);
	assert_false(is_readable(millrace_fd(m)));
	give_all(m, 0, 500);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_true(is_readable(millrace_fd(m)));
	while ((n = millrace_reports(m, reports, 7)) > 0)
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(reports[i].seq, next++);
			assert_int_equal(reports[i].fate, MILLRACE_DURABLE);
		}
	assert_int_equal(next, 1000);
	assert_false(is_readable(millrace_fd(m)));
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_free(&r);
}

static void without_reports_it_is_readable_while_the_watermark_is_news(void **state)
{
	struct millrace_report report;
	struct receiver r;
	struct millrace *m;

	(void)state;
	receiver_init(&r, &plain);
	receiver_start(&r);
	m = open_handle(r.name, 0, 0);
	for (uint64_t i = 1; i <= 3; i++) {
		struct pollfd p = {.fd = millrace_fd(m), .events = POLLIN};

		assert_int_equal(millrace_send(m, "x", 1, NULL), 0);
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(millrace_durable(m), i);
		assert_false(is_readable(millrace_fd(m)));
	}
	assert_int_equal(millrace_reports(m, &report, 1), 0);
	assert_int_equal(millrace_close(m, 1000), 0);
	receiver_free(&r);
}

// What the stopped handle calls failed is in no block of the receiver, not even an open one.
static void check_fates(
	struct millrace *m, const struct receiver *r, uint64_t durable, uint64_t all, uint64_t left)
{
	struct millrace_report report;
	uint64_t counts[MILLRACE_UNCERTAIN + 1] = {0}, next = 0, heard = 0;

	for (unsigned i = 0; i < r->row_count; i++)
		if (!r->rows[i].is_opening && r->rows[i].seq + 1 > heard)
			heard = r->rows[i].seq + 1;
	while (millrace_reports(m, &report, 1) == 1) {
		assert_int_equal(report.seq, next++);
		counts[report.fate]++;
		if (report.seq < durable)
			assert_int_equal(report.fate, MILLRACE_DURABLE);
		else if (report.seq < heard)
			assert_int_equal(report.fate, MILLRACE_UNCERTAIN);
	}
	assert_int_equal(next, all);
	assert_int_equal(counts[MILLRACE_DURABLE], durable);
	assert_true(counts[MILLRACE_UNCERTAIN] > 0);
	assert_true(counts[MILLRACE_FAILED] > 0);
	assert_int_equal(counts[MILLRACE_UNCERTAIN] + counts[MILLRACE_FAILED], left);
}

static void a_stop_tells_what_is_uncertain_and_what_surely_failed(void **state)
{
	const struct receiver_options options = {.credit = 20000, .log = 1};
	static uint8_t event[1000];
	struct receiver r;
	struct millrace *m;
	uint64_t left;

	(void)state;
	receiver_init(&r, &options);
	receiver_start(&r);
	m = open_handle(r.name, 0, MILLRACE_REPORTS);
	for (int i = 0; i < 5; i++)
		assert_int_equal(millrace_send(m, event, sizeof(event), NULL), 0);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	r.hold = true;
	for (int i = 0; i < 100; i++)
		assert_int_equal(millrace_send(m, event, sizeof(event), NULL), 0);
	pause_ms(50);
	left = millrace_stop(m, 300);
	assert_int_equal(left, 100);
	assert_true(is_readable(millrace_fd(m)));
	receiver_pause(&r);
	check_fates(m, &r, 5, 105, left);
	assert_false(is_readable(millrace_fd(m)));
	assert_int_equal(millrace_send(m, "x", 1, NULL), -ESHUTDOWN);
	assert_int_equal(millrace_flush(m, 10), -ESHUTDOWN);
	assert_int_equal(millrace_stop(m, 10), left);
	assert_int_equal(millrace_close(m, 10), left);
	receiver_free(&r);
}

static void what_nobody_was_asked_about_failed(void **state)
{
	struct millrace_report reports[4];
	struct receiver r;
	struct millrace *m;

	(void)state;
	receiver_init(&r, &plain);
	m = open_handle(r.name, 0, MILLRACE_REPORTS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(millrace_send(m, "x", 1, NULL), 0);
	assert_int_equal(millrace_stop(m, 30), 3);
	assert_int_equal(millrace_reports(m, reports, 4), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(reports[i].seq, i);
		assert_int_equal(reports[i].fate, MILLRACE_FAILED);
	}
	assert_int_equal(millrace_close(m, 0), 3);
	receiver_free(&r);
}

struct waiter {
	struct millrace *m;
	atomic_int err;
};

static void *wait_for_room(void *arg)
{
	struct waiter *waiter = arg;
	static uint8_t event[5000];

	waiter->err = millrace_send_wait(waiter->m, event, sizeof(event), -1, NULL);
	return NULL;
}

static void a_stop_ends_the_waiting_of_others_at_once(void **state)
{
	struct millrace *m = open_handle("127.0.0.1:9", 10000, 0);
	struct waiter waiter = {.m = m};
	static uint8_t event[5000];
	pthread_t thread;

	(void)state;
	assert_int_equal(millrace_send(m, event, sizeof(event), NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_room, &waiter), 0);
	pause_ms(20);
	assert_int_equal(millrace_stop(m, 300), 1);
	assert_int_equal(waiter.err, -ESHUTDOWN);
	pthread_join(thread, NULL);
	millrace_close(m, 0);
}

static void large_events_pass_and_too_large_ones_are_refused(void **state)
{
	const struct receiver_options options = {.event_max = 300000, .log = 1};
	static uint8_t event[MILLRACE_EVENT_MAX + 1];
	struct receiver r;
	struct millrace *m;

	(void)state;
	for (size_t i = 0; i < sizeof(event); i++)
		event[i] = (uint8_t)(i * 7 >> 3);
	receiver_init(&r, &options);
	receiver_start(&r);
	m = open_handle(r.name, 0, 0);
	assert_int_equal(millrace_send(m, event, MILLRACE_EVENT_MAX + 1, NULL), -EMSGSIZE);
	assert_int_equal(millrace_send(m, event, 300000, NULL), 0);
	assert_int_equal(millrace_send(m, NULL, 0, NULL), 0);
	assert_int_equal(millrace_flush(m, WAIT_MS), 0);
	assert_int_equal(millrace_send(m, event, 300001, NULL), -EMSGSIZE);
	assert_int_equal(millrace_close(m, WAIT_MS), 0);
	receiver_kill(&r);
	assert_int_equal(receiver_durable_events(&r), 2);
	for (unsigned i = 0; i < r.row_count; i++)
		if (r.rows[i].len == 300000)
			assert_memory_equal(r.rows[i].payload, event, 300000);
	receiver_free(&r);
}

static void only_the_same_key_gets_events_in(void **state)
{
	struct receiver_options options = {.log = 1, .key = {.id = 7}};
	struct millrace_options open = {.size = sizeof(open), .key_id = 7};
	uint8_t wrong[MILLRACE_KEY] = {1};
	struct receiver r;
	struct millrace *m;

	(void)state;
	memset(options.key.secret, 0x5a, sizeof(options.key.secret));
	receiver_init(&r, &options);
	receiver_start(&r);
	open.receivers = r.name;
	open.key = options.key.secret;
	assert_int_equal(millrace_open(&m, &open, NULL), 0);
	assert_int_equal(millrace_send(m, "secret", 6, NULL), 0);
	assert_int_equal(millrace_close(m, WAIT_MS), 0);
	open.key = wrong;
	assert_int_equal(millrace_open(&m, &open, NULL), 0);
	assert_int_equal(millrace_send(m, "secret", 6, NULL), 0);
	assert_int_equal(millrace_close(m, 200), 1);
	receiver_kill(&r);
	assert_int_equal(receiver_durable_events(&r), 1);
	receiver_free(&r);
}

static void wrong_options_are_refused_with_a_reason(void **state)
{
	static const uint8_t key[MILLRACE_KEY];
	static const struct {
		struct millrace_options options;
		const char *why;
	} wrong[] = {
		{{.size = 0, .receivers = "a:1"}, "size"},
		{{.size = sizeof(wrong[0].options)}, "receivers"},
		{{.size = sizeof(wrong[0].options), .receivers = ""}, "'' is not HOST:PORT"},
		{{.size = sizeof(wrong[0].options), .receivers = "a"}, "'a' is not HOST:PORT"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:0"}, "'a:0'"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:65536"}, "'a:65536'"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:1,"}, "'' is"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:1,::1:5"}, "'::1:5'"},
		{{.size = sizeof(wrong[0].options), .receivers = "[]:5"}, "'[]:5'"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:1", .key = key}, "key_id"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:1", .key_id = 1}, "key_id"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:1", .mtu = 1231}, "mtu"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:1", .mtu = 65488}, "mtu"},
		{{.size = sizeof(wrong[0].options), .receivers = "a:1", .flags = 2}, "flags"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char why[MILLRACE_TEXT];
		struct millrace *m;

		assert_int_equal(millrace_open(&m, &wrong[i].options, why), -EINVAL);
		assert_non_null(strstr(why, wrong[i].why));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_no_room_is_refused_and_nothing_that_was_taken_is_lost),
		cmocka_unit_test(the_descriptor_is_readable_while_there_are_reports),
		cmocka_unit_test(without_reports_it_is_readable_while_the_watermark_is_news),
		cmocka_unit_test(a_stop_tells_what_is_uncertain_and_what_surely_failed),
		cmocka_unit_test(what_nobody_was_asked_about_failed),
		cmocka_unit_test(a_stop_ends_the_waiting_of_others_at_once),
		cmocka_unit_test(large_events_pass_and_too_large_ones_are_refused),
		cmocka_unit_test(only_the_same_key_gets_events_in),
		cmocka_unit_test(wrong_options_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
