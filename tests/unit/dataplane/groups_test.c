// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/groups.h"
#include "dataplane/host/membership.h"
#include "dataplane/wire.h"
#include "parsing.h"

#define SECOND 1000000000ull
#define DAY (86400 * SECOND)
#define IGMP (14 + 24)
#define MLD (14 + 40 + 8)

static struct groups g;
static uint8_t frame[GROUPS_FRAME_MAX];
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 0xfe};

static void add_group(const char *text)
{
	host.groups[host.group_count++] = address_of(text, 0).ip;
}

static int set_up(void **state)
{
	fresh(state);
	host.addresses[host.address_count++] = address_of("fe80::1", 64);
	add_group("239.1.2.3");
	add_group("239.1.2.4");
	add_group("ff15::7");
	groups_init(&g, &host, 12345);
	return 0;
}

struct query {
	const char *group;
	uint8_t code;
	uint8_t version;
	uint8_t robustness;
	uint8_t ttl;
	bool no_alert, no_checksum;
};

// A query of IGMP as a router sends it.
static void make_igmp_query(struct frame *f, struct query q)
{
	static const uint8_t alert[4] = {0x94, 4, 0, 0};
	uint8_t message[12] = {0x11, q.code};
	uint32_t len = q.version == 3 ? 12 : 8;
	unsigned sum;

	if (q.group != NULL)
		inet_pton(AF_INET, q.group, message + 4);
	message[8] = q.robustness;
	sum = ~oracle_sum(0, message, len) & 0xffff;
	message[2] = (uint8_t)(sum >> 8);
	message[3] = (uint8_t)(sum + q.no_checksum);
	memset(f, 0, sizeof(*f));
	memcpy(f->data, "\x01\x00\x5e\x00\x00\x01", 6);
	memcpy(f->data + 6, router_mac, 6);
	put_be16(f, 12, 0x0800);
	f->l3 = 14;
	f->l4 = 38;
	put8(f, 14, 0x46);
	put_be16(f, 16, 24 + len);
	put8(f, 22, q.ttl != 0 ? q.ttl : 1);
	put8(f, 23, 2);
	put_ip(f, 26, "192.0.2.254");
	put_ip(f, 30, q.group != NULL ? q.group : "224.0.0.1");
	if (!q.no_alert)
		memcpy(f->data + 34, alert, 4);
	memcpy(f->data + 38, message, len);
	f->len = 38 + len;
	sum = ~oracle_sum(0, f->data + 14, 24) & 0xffff;
	put_be16(f, 24, sum);
}

static void make_mld_query(struct frame *f, const char *group, unsigned code, bool version2)
{
	static const uint8_t hop[8] = {58, 0, 5, 2, 0, 0, 1, 0};
	uint32_t len = version2 ? 28 : 24;

	memset(f, 0, sizeof(*f));
	memcpy(f->data, "\x33\x33\x00\x00\x00\x01", 6);
	memcpy(f->data + 6, router_mac, 6);
	put_be16(f, 12, 0x86dd);
	f->l3 = 14;
	f->l4 = 14 + 40 + 8;
	put8(f, 14, 0x60);
	put_be16(f, 18, 8 + len);
	put8(f, 20, 0);
	put8(f, 21, 1);
	put_ip(f, 22, "fe80::fe");
	put_ip(f, 38, group != NULL ? group : "ff02::1");
	memcpy(f->data + 54, hop, 8);
	f->len = f->l4 + len;
	put8(f, f->l4, 130);
	put_be16(f, f->l4 + 4, code);
	if (group != NULL)
		put_ip(f, f->l4 + 8, group);
	put8(f, f->l4 + 24, 2);
	seal_l4(f, IPPROTO_ICMPV6, len);
}

static bool ask(const struct frame *f, uint64_t now)
{
	struct packet packet = parse(f);

	assert_int_equal(packet.kind, PACKET_GROUP_QUERY);
	return groups_query(&g, f->data, &packet, now);
}

static bool ask_igmp(struct query q, uint64_t now)
{
	struct frame f;

	make_igmp_query(&f, q);
	return ask(&f, now);
}

static bool ask_mld(const char *group, unsigned code, bool version2, uint64_t now)
{
	struct frame f;

	make_mld_query(&f, group, code, version2);
	return ask(&f, now);
}

// Records of all reports up to 'until' of one family, in steps; *last: when the last one came.
static unsigned records(bool ip4, uint64_t from, uint64_t until, uint8_t *type, uint64_t *last)
{
	unsigned count = 0;
	uint32_t len;

	for (uint64_t now = from; now <= until; now += SECOND / 20) {
		while ((len = groups_next(&g, now, frame)) > 0) {
			bool is4 = frame[12] == 0x08;
			unsigned at = is4 ? IGMP : MLD;

			if (is4 != ip4)
				continue;
			assert_true(len >= 60);
			if (frame[at] != 0x22 && frame[at] != 143) { // one group
				count++;
				*type = frame[at];
			} else {
				count += (unsigned)(frame[at + 6] << 8 | frame[at + 7]);
				*type = frame[at + 8];
			}
			*last = now;
		}
	}
	return count;
}

static void nothing_is_said_unasked(void **state)
{
	(void)state;
	assert_int_equal(groups_next(&g, DAY, frame), 0);
}

static void a_join_is_told_twice_within_a_second(void **state)
{
	uint64_t last = 0;
	uint8_t type = 0;

	(void)state;
	groups_announce(&g, SECOND);
	assert_int_equal(records(true, SECOND, SECOND, &type, &last), 2);
	assert_int_equal(type, 4);
	assert_int_equal(records(true, SECOND, 2 * SECOND, &type, &last), 2);
	assert_int_equal(records(true, 2 * SECOND, 20 * SECOND, &type, &last), 0);
}

static void solicited_node_groups_are_reported_and_groups_of_other_families_are_not(void **state)
{
	uint64_t last = 0;
	uint8_t type = 0;

	(void)state;
	groups_announce(&g, SECOND);
	// ff15::7, that of 2001:db8::2:1, and the one that 2001:db8::1 and fe80::1 share.
	assert_int_equal(records(false, SECOND, SECOND, &type, &last), 3);
	assert_int_equal(type, 4);
}

static void a_report_is_what_the_rfc_draws(void **state)
{
	static const uint8_t routers[4] = {224, 0, 0, 22}, alert[4] = {0x94, 4, 0, 0};
	uint32_t len;

	(void)state;
	groups_announce(&g, SECOND);
	len = groups_next(&g, SECOND, frame);
	assert_int_equal(len, 62);
	assert_memory_equal(frame, "\x01\x00\x5e\x00\x00\x16", 6);
	assert_memory_equal(frame + 6, host_mac, 6);
	assert_int_equal(frame[14], 0x46);
	assert_int_equal(frame[14 + 8], 1);
	assert_memory_equal(frame + 14 + 12, "\xc0\x00\x02\x01", 4);
	assert_memory_equal(frame + 14 + 16, routers, 4);
	assert_memory_equal(frame + 14 + 20, alert, 4);
	assert_int_equal(oracle_sum(0, frame + 14, 24), 0xffff);
	assert_int_equal(oracle_sum(0, frame + IGMP, len - IGMP), 0xffff);
	assert_memory_equal(frame + IGMP + 8, "\x04\0\0\0\xef\x01\x02\x03", 8);
	len = groups_next(&g, SECOND, frame);
	assert_int_equal(len, MLD + 8 + 3 * 20);
	assert_memory_equal(frame, "\x33\x33\x00\x00\x00\x16", 6);
	assert_int_equal(frame[14 + 7], 1);
	assert_memory_equal(frame + 14 + 8, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_memory_equal(frame + 54, "\x3a\0\5\2\0\0\1\0", 8);
}

static void a_general_query_is_answered_at_random_within_its_time(void **state)
{
	uint64_t last = 0, first;
	uint8_t type = 0;

	(void)state;
	assert_true(ask_igmp((struct query){.code = 100, .version = 3}, SECOND));
	assert_true(groups_next(&g, SECOND, frame) == 0 || frame[IGMP + 8] == 2);
	assert_int_equal(records(true, SECOND, 11 * SECOND, &type, &last), 2);
	assert_int_equal(type, 2);
	first = last;
	assert_true(ask_igmp((struct query){.code = 100, .version = 3}, 20 * SECOND));
	assert_int_equal(records(true, 20 * SECOND, 30 * SECOND, &type, &last), 2);
	assert_true(last - 20 * SECOND != first - SECOND);
}

static void a_query_for_a_group_is_answered_for_that_group_alone(void **state)
{
	uint64_t last = 0;
	uint8_t type = 0;

	(void)state;
	assert_true(
		ask_igmp((struct query){.group = "239.1.2.4", .code = 10, .version = 3}, SECOND));
	assert_int_equal(records(true, SECOND, 2 * SECOND, &type, &last), 1);
	assert_memory_equal(frame + IGMP + 12, "\xef\x01\x02\x04", 4);
	assert_true(ask_mld("ff15::7", 1000, true, SECOND));
	assert_int_equal(records(false, SECOND, 2 * SECOND, &type, &last), 1);
}

static void a_flood_of_queries_has_one_answer(void **state)
{
	uint64_t last = 0;
	uint8_t type = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_true(ask_igmp((struct query){.code = 20, .version = 3}, SECOND));
	assert_int_equal(records(true, SECOND, 20 * SECOND, &type, &last), 2);
}

static void an_older_querier_is_answered_in_its_own_way(void **state)
{
	uint64_t last = 0;
	uint8_t type = 0;

	(void)state;
	assert_true(ask_igmp((struct query){.code = 10, .version = 2}, SECOND));
	assert_int_equal(records(true, SECOND, 3 * SECOND, &type, &last), 2);
	assert_int_equal(type, 0x16);
	assert_memory_equal(frame, "\x01\x00\x5e\x01\x02", 5); // to the group itself
	groups_leave(&g, 4 * SECOND);
	assert_int_equal(records(true, 4 * SECOND, 4 * SECOND, &type, &last), 2);
	assert_int_equal(type, 0x17);
	assert_true(ask_igmp((struct query){.version = 1}, 5 * SECOND));
	groups_announce(&g, 5 * SECOND);
	assert_int_equal(records(true, 5 * SECOND, 5 * SECOND, &type, &last), 2);
	assert_int_equal(type, 0x12);
	assert_true(ask_mld(NULL, 1000, false, 5 * SECOND));
	groups_announce(&g, 5 * SECOND);
	assert_int_equal(records(false, 5 * SECOND, 5 * SECOND, &type, &last), 3);
	assert_int_equal(type, 131);
	records(true, 6 * SECOND, 120 * SECOND, &type, &last); // what is still to be answered
	// Nothing of them was heard for long: the newest versions again.
	groups_announce(&g, 500 * SECOND);
	assert_int_equal(records(true, 500 * SECOND, 500 * SECOND, &type, &last), 2);
	assert_int_equal(type, 4);
}

static void leaving_is_told_at_once(void **state)
{
	uint64_t last = 0;
	uint8_t type = 0;

	(void)state;
	groups_announce(&g, SECOND);
	groups_leave(&g, SECOND);
	assert_int_equal(records(true, SECOND, SECOND, &type, &last), 2);
	assert_int_equal(type, 3);
	assert_int_equal(records(true, SECOND, 20 * SECOND, &type, &last), 0);
}

static void the_queriers_robustness_is_taken_over(void **state)
{
	uint64_t last = 0;
	uint8_t type = 0;

	(void)state;
	assert_true(ask_igmp((struct query){.code = 10, .version = 3, .robustness = 4}, SECOND));
	records(true, SECOND, 5 * SECOND, &type, &last);
	groups_announce(&g, 6 * SECOND);
	assert_int_equal(records(true, 6 * SECOND, 20 * SECOND, &type, &last), 2 * 4);
}

static void what_is_no_neighbours_query_is_not_answered(void **state)
{
	struct packet packet;
	struct frame f;

	(void)state;
	assert_false(ask_igmp((struct query){.code = 10, .version = 3, .ttl = 2}, SECOND));
	assert_false(ask_igmp((struct query){.code = 10, .version = 3, .no_alert = true}, SECOND));
	assert_false(
		ask_igmp((struct query){.code = 10, .version = 3, .no_checksum = true}, SECOND));
	make_mld_query(&f, NULL, 1000, true);
	put8(&f, 21, 2);
	assert_false(ask(&f, SECOND));
	make_mld_query(&f, NULL, 1000, true);
	put_ip(&f, 22, "2001:db8::fe");
	seal_l4(&f, IPPROTO_ICMPV6, 28);
	assert_false(ask(&f, SECOND));
	make_mld_query(&f, NULL, 1000, true);
	put8(&f, 56, 1); // padding in the place of the alert
	put8(&f, 57, 2);
	assert_false(ask(&f, SECOND));
	assert_int_equal(groups_next(&g, DAY, frame), 0);
	// A report of another host is no query.
	make_igmp_query(&f, (struct query){.version = 3});
	put8(&f, 38, 0x22);
	packet = parse(&f);
	assert_int_equal(packet.kind, PACKET_DROP);
	assert_int_equal(packet.drop, DROP_ip_other_proto);
}

// RFC 3376, 4.1.1, and RFC 3810, 5.1.3.
static void long_times_are_told_by_their_code(void **state)
{
	struct membership_query query;
	struct packet packet;
	struct frame f;

	(void)state;
	make_igmp_query(&f, (struct query){.code = 0x80 | 3 << 4 | 5, .version = 3});
	packet = parse(&f);
	assert_true(membership_query_read(f.data, &packet, &query));
	assert_int_equal(query.within_ns / 100000000, (5 | 16) << 6);
	make_mld_query(&f, NULL, 0x8000 | 2 << 12 | 9, true);
	packet = parse(&f);
	assert_true(membership_query_read(f.data, &packet, &query));
	assert_int_equal(query.within_ns / 1000000, (9 | 0x1000) << 5);
}

static void datagrams_to_a_joined_group_are_taken_and_no_others(void **state)
{
	struct packet packet;
	struct frame f;

	(void)state;
	make_udp4(&f);
	memcpy(f.data, "\x01\x00\x5e\x01\x02\x03", 6);
	put_ip(&f, f.l3 + 16, "239.1.2.3");
	seal(&f, f.proto);
	packet = parse(&f);
	assert_int_equal(packet.kind, PACKET_DATAGRAM);
	put_ip(&f, f.l3 + 16, "239.1.2.5");
	seal(&f, f.proto);
	packet = parse(&f);
	assert_int_equal(packet.drop, DROP_ip_other_host);
	put_ip(&f, f.l3 + 16, "224.0.0.1");
	seal(&f, f.proto);
	packet = parse(&f);
	assert_int_equal(packet.drop, DROP_ip_other_host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_said_unasked, set_up),
		cmocka_unit_test_setup(a_join_is_told_twice_within_a_second, set_up),
		cmocka_unit_test_setup(
			solicited_node_groups_are_reported_and_groups_of_other_families_are_not,
			set_up),
		cmocka_unit_test_setup(a_report_is_what_the_rfc_draws, set_up),
		cmocka_unit_test_setup(
			a_general_query_is_answered_at_random_within_its_time, set_up),
		cmocka_unit_test_setup(
			a_query_for_a_group_is_answered_for_that_group_alone, set_up),
		cmocka_unit_test_setup(a_flood_of_queries_has_one_answer, set_up),
		cmocka_unit_test_setup(an_older_querier_is_answered_in_its_own_way, set_up),
		cmocka_unit_test_setup(leaving_is_told_at_once, set_up),
		cmocka_unit_test_setup(the_queriers_robustness_is_taken_over, set_up),
		cmocka_unit_test_setup(what_is_no_neighbours_query_is_not_answered, set_up),
		cmocka_unit_test_setup(long_times_are_told_by_their_code, set_up),
		cmocka_unit_test_setup(datagrams_to_a_joined_group_are_taken_and_no_others, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
