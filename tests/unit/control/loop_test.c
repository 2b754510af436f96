// SPDX-License-Identifier: BSD-3-Clause
// The loop: posts from many threads, timers, and transfers against a server of this process.

#include "control/loop.h"
#include "web.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull
#define THREADS 4
#define POSTS 5000

static struct loop *loop;

static int setup(void **state)
{
	(void)state;
	alarm(100); // a loop that never stops is a failure, too
	return loop_new(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

// --- posts

static unsigned seen[THREADS], out_of_order, seen_in_all;

static void count_post(void *arg)
{
	unsigned who = (unsigned)(uintptr_t)arg % THREADS, n = (unsigned)((uintptr_t)arg / THREADS);

	if (seen[who]++ != n)
		out_of_order++;
	if (++seen_in_all == THREADS * POSTS)
		loop_stop(loop);
}

static void *post_many(void *arg)
{
	for (uintptr_t n = 0; n < POSTS; n++)
		assert_int_equal(
			loop_post(loop, count_post, (void *)(n * THREADS + (uintptr_t)arg)), 0);
	return NULL;
}

static void test_posts_keep_their_order(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)i), 0);
	loop_run(loop);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(out_of_order, 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(seen[i], POSTS);
}

static unsigned again_count;

static void post_again(void *arg)
{
	again_count++;
	assert_int_equal(loop_post(loop, post_again, arg), 0);
}

// A post that posts itself for ever: timers come all the same, and what is left is freed.
static void test_posts_leave_room_for_timers(void **state)
{
	struct loop_timer timer = {.fn = stop};

	(void)state;
	again_count = 0;
	assert_int_equal(loop_post(loop, post_again, NULL), 0);
	loop_timer_set(loop, &timer, 20 * MS);
	loop_run(loop);
	assert_true(again_count > 10);
}

static void *stop_later(void *arg)
{
	usleep(20000);
	loop_stop(arg);
	return NULL;
}

static void test_stop_from_another_thread(void **state)
{
	uint64_t before = loop_now_ns();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, stop_later, loop), 0);
	loop_run(loop);
	pthread_join(thread, NULL);
	assert_true(loop_now_ns() - before < 900 * MS); // woken, not found at the next look
}

static void on_signal(int number)
{
	(void)number;
	loop_stop(loop); // NOLINT(bugprone-signal-handler): so it is promised
}

static void *signal_later(void *arg)
{
	(void)arg;
	usleep(20000);
	kill(getpid(), SIGUSR1);
	return NULL;
}

static void test_stop_from_a_signal(void **state)
{
	uint64_t before = loop_now_ns();
	pthread_t thread;

	(void)state;
	signal(SIGUSR1, on_signal);
	assert_int_equal(pthread_create(&thread, NULL, signal_later, NULL), 0);
	loop_run(loop);
	pthread_join(thread, NULL);
	assert_true(loop_now_ns() - before < 900 * MS);
}

static void test_stop_comes_first(void **state)
{
	(void)state;
	seen_in_all = 0;
	assert_int_equal(loop_post(loop, count_post, NULL), 0);
	loop_stop(loop);
	loop_run(loop); // returns at once, and runs nothing
	assert_int_equal(seen_in_all, 0);
	assert_int_equal(loop_post(loop, stop, NULL), 0);
	loop_run(loop);
	assert_int_equal(seen_in_all, 1);
}

// --- timers

static char order[32];

struct named_timer {
	struct loop_timer timer;
	const char *name;
};

static void note(void *arg)
{
	const struct named_timer *t = arg;

	strncat(order, t->name, sizeof(order) - strlen(order) - 1);
}

static struct named_timer named(const char *name)
{
	return (struct named_timer){.timer = {.fn = note}, .name = name};
}

static void test_timers_by_time(void **state)
{
	struct named_timer a = named("a"), b = named("b"), c = named("c"), d = named("d");
	struct loop_timer end = {.fn = stop};
	uint64_t before = loop_now_ns();

	(void)state;
	order[0] = '\0';
	a.timer.arg = &a, b.timer.arg = &b, c.timer.arg = &c, d.timer.arg = &d;
	loop_timer_set(loop, &end, 60 * MS);
	loop_timer_set(loop, &c.timer, 30 * MS);
	loop_timer_set(loop, &a.timer, 50 * MS);
	loop_timer_set(loop, &b.timer, 20 * MS);
	loop_timer_set(loop, &d.timer, 25 * MS);
	loop_timer_set(loop, &a.timer, 10 * MS); // moved
	loop_timer_cancel(loop, &d.timer);
	loop_timer_cancel(loop, &d.timer);
	loop_run(loop);
	assert_string_equal(order, "abc");
	assert_true(loop_now_ns() - before >= 60 * MS);
	assert_true(loop_now_ns() - before < 900 * MS);
	assert_int_equal(a.timer.due_ns, 0);
}

static struct loop_timer turning;
static unsigned turns;

static void turn(void *arg)
{
	turns++;
	loop_timer_set(loop, &turning, 0);
	(void)arg;
}

// One of no delay that sets itself again is due at once each time, and blocks nobody.
static void test_timer_of_no_delay(void **state)
{
	struct loop_timer end = {.fn = stop};

	(void)state;
	turning = (struct loop_timer){.fn = turn};
	loop_timer_set(loop, &turning, 0);
	loop_timer_set(loop, &end, 20 * MS);
	loop_run(loop);
	loop_timer_cancel(loop, &turning);
	assert_true(turns > 10);
}

static void test_timer_for_ever(void **state)
{
	struct loop_timer never = {.fn = note}, end = {.fn = stop};

	(void)state;
	loop_timer_set(loop, &never, UINT64_MAX);
	loop_timer_set(loop, &end, MS);
	loop_run(loop);
	assert_int_equal(never.due_ns, UINT64_MAX);
}

// --- transfers

struct fetch {
	struct loop_transfer transfer;
	char body[64];
	CURLcode code;
	bool done;
	struct fetch *cancels; // when it is done
};

static struct web web;
static unsigned waiting;
static struct loop_timer last; // gives a done() that must not come the time to come

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;

	assert_true(strlen(f->body) + size * count < sizeof(f->body));
	strncat(f->body, data, size * count);
	return size * count;
}

static void fetched(struct loop_transfer *transfer, CURLcode code)
{
	struct fetch *f = (struct fetch *)transfer;

	f->code = code;
	f->done = true;
	if (f->cancels != NULL && !f->cancels->done) {
		loop_transfer_cancel(loop, &f->cancels->transfer);
		waiting--;
	}
	curl_easy_cleanup(transfer->easy);
	if (--waiting == 0)
		loop_timer_set(loop, &last, 10 * MS);
}

static void fetch(struct fetch *f, const char *path)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", web.port, path);
	f->transfer = (struct loop_transfer){.easy = curl_easy_init(), .done = fetched};
	assert_non_null(f->transfer.easy);
	curl_easy_setopt(f->transfer.easy, CURLOPT_URL, url);
	curl_easy_setopt(f->transfer.easy, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(f->transfer.easy, CURLOPT_WRITEDATA, f);
	assert_int_equal(loop_transfer_start(loop, &f->transfer), 0);
	waiting++;
}

static void test_transfers(void **state)
{
	struct fetch some[8] = {0};

	(void)state;
	web_start(&web);
	for (unsigned i = 0; i < 8; i++)
		fetch(&some[i], "/hello");
	assert_int_equal(loop_transfer_start(loop, &some[0].transfer), -EINVAL);
	loop_run(loop);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(some[i].code, CURLE_OK);
		assert_string_equal(some[i].body, "hello");
	}
	web_stop(&web);
}

static void test_transfer_refused(void **state)
{
	struct fetch f = {0};

	(void)state;
	web_start(&web);
	web_stop(&web);
	fetch(&f, "/hello");
	loop_run(loop);
	assert_int_equal(f.code, CURLE_COULDNT_CONNECT);
}

// Each of two that are done in one turn cancels the other: one done() is called.
static void test_cancel_within_done(void **state)
{
	struct fetch a = {0}, b = {0}, hangs = {0};

	(void)state;
	web_start(&web);
	web_stop(&web);
	a.cancels = &b;
	b.cancels = &a;
	fetch(&a, "/");
	fetch(&b, "/");
	loop_run(loop);
	assert_int_equal(a.done + b.done, 1);
	curl_easy_cleanup(a.done ? b.transfer.easy : a.transfer.easy);

	web_start(&web);
	a = (struct fetch){.cancels = &hangs};
	fetch(&hangs, "/hang");
	fetch(&a, "/hello");
	loop_run(loop);
	assert_true(a.done);
	assert_false(hangs.done);
	curl_easy_cleanup(hangs.transfer.easy);
	web_stop(&web);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_posts_keep_their_order),
		TEST(test_posts_leave_room_for_timers),
		TEST(test_stop_from_another_thread),
		TEST(test_stop_from_a_signal),
		TEST(test_stop_comes_first),
		TEST(test_timers_by_time),
		TEST(test_timer_of_no_delay),
		TEST(test_timer_for_ever),
		TEST(test_transfers),
		TEST(test_transfer_refused),
		TEST(test_cancel_within_done),
	};
	int r;

	last.fn = stop;
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return r;
}
