// SPDX-License-Identifier: BSD-3-Clause
// What a handle that asks for an address is told.

#include "lib/cluster/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct millrace_cluster c;
static char cluster_name[] = "test";
static struct sockaddr_storage address;
static socklen_t len;
static char name[MILLRACE_TEXT];

static void take(const char *receiver, const char *health, const char *first, const char *second)
{
	json_t *live = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:i, s:[s, s]}]}", "schema",
		"millrace.live/1", "receiver", receiver, "health", health, "listeners", "name",
		"sure", "kind", "reliable", "udp_port", 5140, "addresses", first, second);

	assert_int_equal(members_take(&c.members, live), 0);
	json_decref(live);
}

static int set_up(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.changed, NULL);
	c.name = cluster_name;
	members_init(&c.members, 77, NULL);
	members_begin(&c.members);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	members_free(&c.members);
	return 0;
}

static int ask(unsigned n)
{
	len = sizeof(address);
	return place_resolve(&c, n, &address, &len, name);
}

static void nothing_is_told_before_all_is_known(void **state)
{
	(void)state;
	snprintf(c.why, sizeof(c.why), "ZooKeeper doesn't answer");
	assert_int_equal(place_next(&c, MILLRACE_NONE), 0);
	assert_int_equal(ask(0), -EHOSTDOWN);
	assert_string_equal(name, "cluster test: ZooKeeper doesn't answer");
	// It may not be the source's own.
	take("r1", "ok", "127.0.0.1", "127.0.0.2");
	assert_int_equal(ask(0), -EHOSTDOWN);
	c.why[0] = '\0';
	members_end(&c.members, 1);
	assert_int_equal(place_next(&c, MILLRACE_NONE), 0);
	assert_int_equal(ask(0), 0);
	assert_string_equal(name, "r1");
	assert_int_equal(c.members.present, 0);
	assert_int_equal(place_next(&c, 0), MILLRACE_NONE);
}

static void an_address_without_a_route_is_passed_over(void **state)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;

	(void)state;
	// Nobody's.
	take("r1", "ok", "255.255.255.255", "127.0.0.2");
	members_end(&c.members, 1);
	assert_int_equal(ask(0), 0);
	assert_int_equal(len, sizeof(*v4));
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0x7f000002);
	assert_int_equal(ntohs(v4->sin_port), 5140);
}

static void who_has_no_address_says_why(void **state)
{
	(void)state;
	take("r1", "failed", "127.0.0.1", "127.0.0.2");
	members_end(&c.members, 1);
	assert_int_equal(place_next(&c, MILLRACE_NONE), 0);
	assert_int_equal(ask(0), -EHOSTDOWN);
	assert_string_equal(name, "r1: has failed");
	members_begin(&c.members);
	members_end(&c.members, 2);
	assert_int_equal(ask(0), -EHOSTDOWN);
	assert_string_equal(name, "r1: isn't registered");
	members_begin(&c.members);
	take("r1", "ok", "nonsense", "nonsense");
	members_end(&c.members, 3);
	assert_int_equal(ask(0), -EHOSTDOWN);
	assert_string_equal(name, "r1: has no reliable listener, or no address of it");
	c.members.list[0].leave = true;
	assert_int_equal(ask(0), -EHOSTDOWN);
	assert_string_equal(name, "r1: is to be left");
	assert_int_equal(ask(5), -EHOSTDOWN);
	assert_string_equal(name, "cluster test: no receiver is registered");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_told_before_all_is_known),
		TEST(an_address_without_a_route_is_passed_over),
		TEST(who_has_no_address_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
