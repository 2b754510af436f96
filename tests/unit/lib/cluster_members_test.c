// SPDX-License-Identifier: BSD-3-Clause
// Where a source goes, and when it moves: by readings that are made up, and a clock.

#include "lib/cluster/members.h"
#include "lib/cluster/weight.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define MOVE_AFTER (5 * SECOND)
#define SETTLE (MEMBERS_SETTLE * MOVE_AFTER)
#define SOURCE 77u
#define NEVER UINT64_MAX

static struct members m;
static uint64_t now;

static json_t *live_of(const char *name, const char *health, const char *address, int port)
{
	return json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:i, s:[s]}, {s:s, s:s, s:i, s:[s, s]}]}",
		"schema", "millrace.live/1", "receiver", name, "health", health, "listeners",
		"name", "logs", "kind", "plain", "udp_port", 514, "addresses", "192.0.2.9", "name",
		"sure", "kind", "reliable", "udp_port", port, "addresses", "nonsense", address);
}

static int take(const char *name, const char *health, const char *address)
{
	json_t *live = live_of(name, health, address, 5140);
	int err = members_take(&m, live);

	json_decref(live);
	return err;
}

// "r1", "r2 starting", "r3 failed": all that is registered.
static void read_all(const char *const *list, unsigned count)
{
	members_begin(&m);
	for (unsigned i = 0; i < count; i++) {
		char name[32], health[32] = "ok";

		sscanf(list[i], "%31s %31s", name, health);
		assert_int_equal(take(name, health, "192.0.2.1"), 0);
	}
	members_end(&m, now);
}

#define READ(...) \
	do { \
		const char *const list_[] = {__VA_ARGS__}; \
		read_all(list_, sizeof(list_) / sizeof(list_[0])); \
	} while (0)

static int tell(int move_after_ms, const char *leave)
{
	json_t *names = json_array();
	json_t *senders;
	int err;

	if (leave != NULL)
		json_array_append_new(names, json_string(leave));
	senders = json_pack("{s:s, s:i, s:o}", "schema", "millrace.senders/1", "move_after_ms",
		move_after_ms, "leave", names);
	err = members_told(&m, senders, now);
	json_decref(senders);
	return err;
}

static unsigned wish(uint64_t *due)
{
	bool wanted;
	unsigned n = members_wish(&m, now, due, &wanted);

	// As its owner does.
	if (wanted) {
		m.read_at = now;
		n = members_wish(&m, now, due, &wanted);
	}
	assert_false(wanted);
	return n;
}

static void expect_wish(unsigned n)
{
	uint64_t due;

	assert_int_equal(wish(&due), n);
}

// Not before then.
static void expect_wish_at(unsigned n, uint64_t at)
{
	uint64_t due;

	assert_int_equal(wish(&due), MEMBERS_NONE);
	assert_true(due == at);
	now = at - 1;
	expect_wish(MEMBERS_NONE);
	now = at;
	expect_wish(n);
}

static void expect_no_wish(void)
{
	uint64_t due;

	assert_int_equal(wish(&due), MEMBERS_NONE);
	assert_true(due == NEVER);
}

static void come(unsigned n)
{
	members_came(&m, n, now);
}

// The order of the source in which it has three receivers, as numbers of r1 to r3 from 0.
static unsigned first, second, third;

static int set_up(void **state)
{
	(void)state;
	now = 1000 * SECOND;
	members_init(&m, SOURCE, NULL);
	READ("r1", "r2", "r3");
	first = members_next(&m, MEMBERS_NONE);
	second = members_next(&m, first);
	third = members_next(&m, second);
	assert_int_equal(members_next(&m, third), MEMBERS_NONE);
	assert_int_equal(first + second + third, 3);
	expect_wish(first);
	come(first);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	members_free(&m);
	return 0;
}

static const char *name_of(unsigned n)
{
	return m.list[n].name;
}

static void the_order_is_that_of_the_weights(void **state)
{
	(void)state;
	assert_true(
		cluster_weight(SOURCE, name_of(first)) > cluster_weight(SOURCE, name_of(second)));
	assert_true(
		cluster_weight(SOURCE, name_of(second)) > cluster_weight(SOURCE, name_of(third)));
	expect_no_wish();
}

static void a_receiver_keeps_its_number(void **state)
{
	char name[MEMBER_NAME];

	(void)state;
	snprintf(name, sizeof(name), "%s", name_of(second));
	READ("r4", "r9", "r8", "r7", "r6", "r5", "r0", "r10", "r11");
	assert_false(members_may_go_to(&m, second));
	READ("r3", "r2", "r1");
	assert_string_equal(name_of(second), name);
	assert_true(members_may_go_to(&m, second));
	assert_int_equal(m.count, 12);
}

static void who_is_gone_failed_or_to_be_left_is_passed_over(void **state)
{
	char failed[96];

	(void)state;
	snprintf(failed, sizeof(failed), "%s failed", name_of(second));
	READ(name_of(first), failed, name_of(third));
	assert_int_equal(members_next(&m, first), third);
	READ(name_of(first), name_of(third));
	assert_int_equal(members_next(&m, first), third);
	READ(name_of(first), name_of(second), name_of(third));
	assert_int_equal(members_next(&m, first), second);
	assert_int_equal(tell(5000, name_of(second)), 0);
	assert_int_equal(members_next(&m, first), third);
	expect_no_wish();
}

static void one_that_retires_is_left_soon(void **state)
{
	uint64_t at = now + cluster_spread(SOURCE, MOVE_AFTER);

	(void)state;
	assert_int_equal(tell(5000, name_of(first)), 0);
	expect_wish_at(second, at);
	// Told once.
	expect_wish(MEMBERS_NONE);
	come(second);
	expect_no_wish();
	// It may stay after all: then it is the own one again.
	now += SECOND;
	assert_int_equal(tell(5000, NULL), 0);
	expect_wish_at(first, now + SETTLE + cluster_spread(SOURCE, SETTLE));
}

static void a_wish_that_leads_to_nothing_is_told_again(void **state)
{
	(void)state;
	assert_int_equal(tell(5000, name_of(first)), 0);
	now += MOVE_AFTER;
	expect_wish(second);
	now += MOVE_AFTER;
	expect_wish(MEMBERS_NONE);
	now += MOVE_AFTER;
	expect_wish(second);
}

static void nobody_else_is_there_so_it_stays(void **state)
{
	(void)state;
	READ(name_of(first));
	assert_int_equal(tell(5000, name_of(first)), 0);
	now += 100 * SECOND;
	expect_no_wish();
}

static void it_comes_back_when_its_own_has_been_well_for_long(void **state)
{
	char starting[96];

	(void)state;
	snprintf(starting, sizeof(starting), "%s starting", name_of(first));
	now += 1000 * SECOND;
	come(second);
	// As far as is known it was never ill.
	now += SECOND;
	READ("r1", "r2", "r3");
	expect_wish_at(first, now - SECOND + SETTLE + cluster_spread(SOURCE, SETTLE));
	m.wish = MEMBERS_NONE;
	READ(starting, name_of(second));
	expect_no_wish();
	now += 1000 * SECOND;
	READ("r1", "r2", "r3");
	expect_wish_at(first, now + SETTLE + cluster_spread(SOURCE, SETTLE));
	come(first);
	expect_no_wish();
}

static void one_that_fails_again_and_again_is_avoided_longer(void **state)
{
	uint64_t spread = cluster_spread(SOURCE, SETTLE);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		now += MOVE_AFTER;
		come(second);
		expect_wish_at(first, now + (SETTLE << i) + spread);
		come(first);
	}
	now += 1000 * SECOND;
	come(second);
	expect_wish_at(first, now + SETTLE + spread);
}

static void a_planned_move_is_no_failure(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(tell(5000, name_of(first)), 0);
		now += MOVE_AFTER;
		expect_wish(second);
		come(second);
		assert_int_equal(tell(5000, NULL), 0);
		expect_wish_at(first, now + SETTLE + cluster_spread(SOURCE, SETTLE));
		come(first);
	}
}

static void a_return_wants_a_fresh_reading(void **state)
{
	uint64_t due;
	bool wanted;

	(void)state;
	come(second);
	now += 10 * SETTLE;
	assert_int_equal(members_wish(&m, now, &due, &wanted), MEMBERS_NONE);
	assert_true(wanted);
	READ(name_of(second), name_of(third));
	expect_no_wish();
}

static void one_that_says_that_it_failed_is_left(void **state)
{
	char failed[96], starting[96];

	(void)state;
	snprintf(failed, sizeof(failed), "%s failed", name_of(first));
	snprintf(starting, sizeof(starting), "%s starting", name_of(first));
	// Started again in time.
	READ(failed, name_of(second));
	now += MOVE_AFTER - SECOND;
	READ(starting, name_of(second));
	now += MOVE_AFTER;
	expect_no_wish();
	READ(failed, name_of(second));
	expect_wish_at(second, now + MOVE_AFTER);
}

static void a_new_receiver_gets_its_sources(void **state)
{
	unsigned fourth;

	(void)state;
	// One that is above the first for this source.
	for (unsigned i = 4;; i++) {
		char name[16];

		snprintf(name, sizeof(name), "r%u", i);
		if (cluster_weight(SOURCE, name) <= m.list[first].weight)
			continue;
		READ("r1", "r2", "r3", name);
		break;
	}
	fourth = members_next(&m, MEMBERS_NONE);
	assert_int_equal(fourth, 3);
	expect_wish_at(fourth, now + SETTLE + cluster_spread(SOURCE, SETTLE));
}

static void another_address_is_told_at_once(void **state)
{
	(void)state;
	members_begin(&m);
	assert_int_equal(take(name_of(second), "ok", "192.0.2.7"), 0);
	assert_int_equal(take(name_of(first), "ok", "192.0.2.1"), 0);
	members_end(&m, now);
	expect_no_wish();
	members_begin(&m);
	assert_int_equal(take(name_of(first), "ok", "2001:db8::1"), 0);
	members_end(&m, now);
	expect_wish(first);
	come(first);
	expect_no_wish();
}

static void the_listener_is_the_one_that_was_named(void **state)
{
	const struct sockaddr_in *v4;
	json_t *live = live_of("r4", "ok", "192.0.2.4", 5555);

	(void)state;
	assert_int_equal(members_take(&m, live), 0);
	assert_int_equal(m.list[3].address_count, 1);
	v4 = (const struct sockaddr_in *)&m.list[3].addresses[0];
	assert_int_equal(ntohs(v4->sin_port), 5555);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0xc0000204);
	m.listener = "sure";
	assert_int_equal(members_take(&m, live), 0);
	assert_int_equal(m.list[3].address_count, 1);
	// Of the kind plain.
	m.listener = "logs";
	assert_int_equal(members_take(&m, live), 0);
	assert_int_equal(m.list[3].address_count, 0);
	assert_false(members_may_go_to(&m, 3));
	json_decref(live);
}

static void what_is_no_receiver_is_not_taken(void **state)
{
	static const char *const wrong[] = {"{}", "[]", "null", "{\"schema\": \"millrace.live/1\"}",
		"{\"schema\": \"millrace.live/2\", \"receiver\": \"r9\"}",
		"{\"schema\": \"millrace.live/1\", \"receiver\": \"\"}",
		"{\"schema\": \"millrace.live/1\", \"receiver\": 7}"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *json = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

		assert_non_null(json);
		assert_int_equal(members_take(&m, json), -EINVAL);
		assert_int_equal(members_told(&m, json, now), -EINVAL);
		json_decref(json);
	}
	assert_int_equal(members_take(&m, NULL), -EINVAL);
	assert_int_equal(m.count, 3);
}

static void move_after_is_what_the_leader_says(void **state)
{
	(void)state;
	assert_int_equal(tell(700, NULL), 0);
	assert_true(m.move_after_ns == 700000000);
	assert_int_equal(tell(0, NULL), -EINVAL);
	assert_int_equal(tell(-1, NULL), -EINVAL);
	assert_true(m.move_after_ns == 700000000);
	assert_int_equal(members_told(&m, NULL, now), 0);
	assert_true(m.move_after_ns == MOVE_AFTER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_order_is_that_of_the_weights),
		TEST(a_receiver_keeps_its_number),
		TEST(who_is_gone_failed_or_to_be_left_is_passed_over),
		TEST(one_that_retires_is_left_soon),
		TEST(a_wish_that_leads_to_nothing_is_told_again),
		TEST(nobody_else_is_there_so_it_stays),
		TEST(it_comes_back_when_its_own_has_been_well_for_long),
		TEST(one_that_fails_again_and_again_is_avoided_longer),
		TEST(a_planned_move_is_no_failure),
		TEST(a_return_wants_a_fresh_reading),
		TEST(one_that_says_that_it_failed_is_left),
		TEST(a_new_receiver_gets_its_sources),
		TEST(another_address_is_told_at_once),
		TEST(the_listener_is_the_one_that_was_named),
		TEST(what_is_no_receiver_is_not_taken),
		TEST(move_after_is_what_the_leader_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
