// SPDX-License-Identifier: BSD-3-Clause

#include "cli/send/frame.h"
#include "cli/send/send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
static volatile bool stop;
static char why[SEND_WHY_BYTES];

static struct send_plan plan_of(uint64_t count)
{
	return (struct send_plan){.id = 0x00c0ffee,
		.rate = 1000000,
		.count = count,
		.size_min = 64,
		.size_max = 64,
		.lines = 1,
		.burst = 8,
		.flows = 1};
}

// A wire that remembers what it was given, and refuses as it is told.
struct fake {
	struct send_wire wire;
	const struct send_plan *plan;
	uint64_t next; // datagram expected next
	unsigned calls, refuse_every;
	long sleep_ns; // in the first call
};

static void fake_transmit(struct send_wire *wire, uint64_t first, unsigned n, struct send_tally *t)
{
	struct fake *f = (struct fake *)wire;
	const struct timespec nap = {.tv_nsec = f->sleep_ns};

	assert_int_equal(first, f->next);
	f->next += n;
	for (uint64_t d = first; d < first + n; d++) {
		uint32_t events = send_datagram_events(f->plan, d);

		if (f->refuse_every != 0 && d % f->refuse_every == 0)
			t->refused += events;
		else
			t->sent += events;
	}
	if (f->calls++ == 0 && f->sleep_ns > 0)
		nanosleep(&nap, NULL);
}

static struct fake fake_of(const struct send_plan *plan)
{
	return (struct fake){.wire.transmit = fake_transmit, .plan = plan};
}

static void a_payload_is_id_then_sequence_then_known_filler(void **state)
{
	struct send_plan plan = plan_of(10000000000ull);
	uint8_t buf[64];
	uint32_t bytes;
	uint64_t seq;

	(void)state;
	assert_int_equal(send_datagram_write(&plan, 1234567890, buf, &bytes), 64);
	assert_int_equal(bytes, 64);
	assert_memory_equal(buf, "00c0ffee1234567890", 18);
	for (uint32_t i = 18; i < 64; i++)
		assert_int_equal(buf[i], send_filler(i));
	assert_int_equal(send_payload_parse(buf, 64, plan.id, &seq), SEND_PAYLOAD_OURS);
	assert_int_equal(seq, 1234567890);
}

static void what_is_not_of_this_run_is_foreign(void **state)
{
	uint64_t seq;

	(void)state;
	assert_int_equal(
		send_payload_parse((const uint8_t *)"00c0ffee000000000", 17, 0xc0ffee, &seq),
		SEND_PAYLOAD_FOREIGN);
	assert_int_equal(
		send_payload_parse((const uint8_t *)"00c0ffee00000x0000", 18, 0xc0ffee, &seq),
		SEND_PAYLOAD_FOREIGN);
	assert_int_equal(
		send_payload_parse((const uint8_t *)"00c0ffef0000000000", 18, 0xc0ffee, &seq),
		SEND_PAYLOAD_FOREIGN);
}

static void any_wrong_byte_of_the_filler_is_damage(void **state)
{
	struct send_plan plan = plan_of(10);
	uint8_t buf[64];
	uint32_t bytes;
	uint64_t seq;

	(void)state;
	send_datagram_write(&plan, 3, buf, &bytes);
	for (uint32_t i = 18; i < 64; i++) {
		buf[i] ^= 1;
		assert_int_equal(send_payload_parse(buf, 64, plan.id, &seq), SEND_PAYLOAD_DAMAGED);
		buf[i] ^= 1;
	}
}

static void filler_has_no_newline(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2000; i++)
		assert_in_range(send_filler(i), 0x20, 0x7e);
}

static void digits_carry_over(void **state)
{
	static const uint64_t at[] = {0, 9, 99, 123456789, 999999998, 9999999998};
	uint8_t next[10], set[10];

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		send_digits_set(next, at[i]);
		send_digits_next(next);
		send_digits_set(set, at[i] + 1);
		assert_memory_equal(next, set, 10);
	}
}

static void sizes_fill_their_range_and_repeat_with_the_id(void **state)
{
	struct send_plan plan = plan_of(100000);
	uint64_t low = 0, high = 0, sum = 0;

	(void)state;
	plan.size_min = 18;
	plan.size_max = 1400;
	for (uint64_t i = 0; i < plan.count; i++) {
		uint32_t size = send_event_size(&plan, i);

		assert_in_range(size, 18, 1400);
		assert_int_equal(size, send_event_size(&plan, i));
		low += size == 18;
		high += size == 1400;
		sum += size;
	}
	assert_true(low > 0 && high > 0);
	assert_in_range(sum / plan.count, 700, 718);
}

static void lines_fill_datagrams_and_the_last_is_short(void **state)
{
	struct send_plan plan = plan_of(10);
	uint8_t buf[256];
	uint32_t bytes;

	(void)state;
	plan.lines = 4;
	plan.size_min = plan.size_max = 18;
	assert_int_equal(send_datagram_max(&plan), 4 * 18 + 3);
	assert_int_equal(send_datagram_write(&plan, 2, buf, &bytes), 2 * 18 + 1);
	assert_int_equal(bytes, 36);
	assert_memory_equal(buf, "00c0ffee0000000008\n00c0ffee0000000009", 37);
}

static void impossible_plans_are_refused_with_a_reason(void **state)
{
	struct send_plan bad[8];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		bad[i] = plan_of(10);
	bad[0].count = 0;
	bad[1].size_min = bad[1].size_max = 17;
	bad[2].size_max = 63;
	bad[3].size_max = 1473;
	bad[4].lines = 23; // 23 * 65 - 1 = 1494
	bad[5].flows = 0;
	bad[6].burst = 65;
	bad[7].count = SEND_COUNT_MAX + 1;
	for (size_t i = 0; i < 8; i++) {
		why[0] = '\0';
		assert_int_equal(send_plan_settle(&bad[i], SEND_PORT_MAX, why), -EINVAL);
		assert_string_not_equal(why, "");
	}
}

static void a_rate_and_a_duration_make_the_count(void **state)
{
	struct send_plan plan = plan_of(0);

	(void)state;
	plan.rate = 1488095;
	plan.duration_ns = 60000000000ull;
	plan.burst = 0;
	assert_int_equal(send_plan_settle(&plan, SEND_PORT_MAX, why), 0);
	assert_int_equal(plan.count, 89285700);
	assert_int_equal(plan.burst, SEND_BURST_MAX);
	plan = plan_of(7);
	plan.rate = 10;
	plan.duration_ns = 60000000000ull;
	assert_int_equal(send_plan_settle(&plan, SEND_PORT_MAX, why), 0);
	assert_int_equal(plan.count, 7);
}

static void the_schedule_is_exact_and_never_early(void **state)
{
	struct send_plan plan = plan_of(SEND_COUNT_MAX);

	(void)state;
	plan.rate = 3;
	assert_int_equal(send_due_ns(&plan, 0), 0);
	assert_int_equal(send_due_ns(&plan, 1), 333333334);
	assert_int_equal(send_due_ns(&plan, 3000000000), 1000000000000000000ull);
	assert_int_equal(send_due_count(&plan, 0), 1);
	assert_int_equal(send_due_count(&plan, 333333333), 1);
	assert_int_equal(send_due_count(&plan, 333333334), 2);
	plan.rate = 1488095;
	for (uint64_t i = 1; i < 10000; i++) {
		assert_int_equal(send_due_count(&plan, send_due_ns(&plan, i)), i + 1);
		assert_int_equal(send_due_count(&plan, send_due_ns(&plan, i) - 1), i);
	}
}

static void a_run_keeps_its_rate(void **state)
{
	struct send_plan plan = plan_of(501);
	struct fake fake = fake_of(&plan);
	struct send_tally tally;

	(void)state;
	plan.rate = 10000;
	send_run(&plan, &fake.wire, &stop, NULL, NULL, &tally);
	assert_int_equal(tally.sent, 501);
	assert_true(tally.elapsed_ns >= 50000000);
	assert_int_equal(fake.calls, (501 + 7) / 8);
}

static void what_is_refused_is_counted_and_not_offered_again(void **state)
{
	struct send_plan plan = plan_of(1000);
	struct fake fake = fake_of(&plan);
	struct send_tally tally;

	(void)state;
	plan.lines = 3;
	fake.refuse_every = 4;
	send_run(&plan, &fake.wire, &stop, NULL, NULL, &tally);
	assert_int_equal(fake.next, 334);
	assert_int_equal(tally.sent + tally.refused, 1000);
	assert_int_equal(
		tally.refused, 84 * 3); // the last datagram, of one event, is not among them
}

static void lateness_is_measured_and_nothing_left_out(void **state)
{
	struct send_plan plan = plan_of(100000);
	struct fake fake = fake_of(&plan);
	struct send_tally tally;

	(void)state;
	fake.sleep_ns = 30000000;
	send_run(&plan, &fake.wire, &stop, NULL, NULL, &tally);
	assert_int_equal(tally.sent, 100000);
	assert_true(tally.late_max_ns >= 29000000);
	assert_in_range(tally.behind_max, 29000, 100000);
	assert_true(tally.elapsed_ns >= 99999000);
}

static void a_stopped_run_says_so(void **state)
{
	struct send_plan plan = plan_of(100);
	struct fake fake = fake_of(&plan);
	struct send_tally tally;

	(void)state;
	stop = true;
	send_run(&plan, &fake.wire, &stop, NULL, NULL, &tally);
	stop = false;
	assert_true(tally.interrupted);
	assert_int_equal(tally.sent + tally.refused, 0);
}

static uint32_t add_words(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += (i & 1) != 0 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

// By RFC 768 and 791, from the frame alone.
static void assert_frame_right(const uint8_t *frame, uint32_t payload)
{
	uint32_t ip_len = (uint32_t)frame[16] << 8 | frame[17];
	uint32_t udp_len = (uint32_t)frame[38] << 8 | frame[39];
	uint32_t sum;

	assert_int_equal(ip_len, payload + 28);
	assert_int_equal(udp_len, payload + 8);
	assert_int_equal(add_words(0, frame + 14, 20), 0xffff);
	assert_true(frame[40] != 0 || frame[41] != 0);
	sum = add_words(17 + udp_len, frame + 26, 8);
	assert_int_equal(add_words(sum, frame + 34, udp_len), 0xffff);
}

static void checksums_are_right_for_every_size_flow_and_sequence(void **state)
{
	struct send_plan plan = plan_of(SEND_COUNT_MAX);
	struct frame_template *t = malloc(sizeof(*t));
	uint8_t frame[1514], digits[10];
	uint32_t bytes;

	(void)state;
	plan.flows = 1000;
	assert_int_equal(frame_template_init(t, &plan, mac, "02:00:5e:10:00:ff", "198.18.0.1:64000",
				 "10.255.255.254:514", why),
		0);
	for (uint32_t size = 18; size <= SEND_PORT_MAX; size++) {
		uint64_t seq = (uint64_t)size * 6700417 % SEND_COUNT_MAX;

		plan.size_min = plan.size_max = size;
		memcpy(frame, t->header, FRAME_HEADER_BYTES);
		send_datagram_write(&plan, 0, frame + FRAME_HEADER_BYTES, &bytes);
		send_digits_set(digits, seq);
		frame_patch_event(t, frame, size, size % 1000, digits);
		assert_frame_right(frame, size);
		assert_int_equal((uint32_t)frame[34] << 8 | frame[35], 64000 + size % 1000);
		frame_patch(t, frame, size, 7);
		assert_frame_right(frame, size);
	}
	assert_memory_equal(frame, "\x02\x00\x5e\x10\x00\xff\x02\0\0\0\0\x09\x08\x00", 14);
	free(t);
}

// A sum of all ones is sent as such: zero would mean that there is none.
static void a_checksum_is_never_zero(void **state)
{
	struct send_plan plan = plan_of(SEND_COUNT_MAX);
	struct frame_template *t = malloc(sizeof(*t));
	uint8_t frame[1514] = {0};
	unsigned ones = 0;

	(void)state;
	assert_int_equal(
		frame_template_init(t, &plan, mac, NULL, "10.0.0.1:1", "10.0.0.2:2", why), 0);
	memcpy(frame, t->header, FRAME_HEADER_BYTES);
	for (unsigned word = 0; word < 65536; word++) {
		memcpy(frame + FRAME_HEADER_BYTES, &word, 2);
		frame_patch(t, frame, 18, 0);
		assert_frame_right(frame, 18);
		ones += frame[40] == 0xff && frame[41] == 0xff;
	}
	assert_true(ones > 0);
	free(t);
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const bad[][3] = {
		{"1.2.3.4", "1.2.3.4:5", NULL},
		{"1.2.3.4:", "1.2.3.4:5", NULL},
		{"1.2.3.4:0", "1.2.3.4:5", NULL},
		{"1.2.3.4:1", "1.2.3.4:65536", NULL},
		{"1.2.3.4:1", "1.2.3.256:6", NULL},
		{"1.2.3.4:1", "[::1]:6", NULL},
		{"1.2.3.4:1", "1.2.3.4:5x", NULL},
		{"1.2.3.4:1", "1.2.3.4:-5", NULL},
		{"1.2.3.4:65535", "1.2.3.4:5", NULL}, // two flows
		{"1.2.3.4:1", "1.2.3.4:5", "02:00:00:00:00"},
		{"1.2.3.4:1", "1.2.3.4:5", "02:00:00:00:00:0g"},
		{"1.2.3.4:1", "1.2.3.4:5", "02:00:00:00:00:001"},
	};
	struct send_plan plan = plan_of(1);
	struct frame_template *t = malloc(sizeof(*t));

	(void)state;
	plan.flows = 2;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			frame_template_init(t, &plan, mac, bad[i][2], bad[i][0], bad[i][1], why),
			-EINVAL);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_payload_is_id_then_sequence_then_known_filler),
		cmocka_unit_test(what_is_not_of_this_run_is_foreign),
		cmocka_unit_test(any_wrong_byte_of_the_filler_is_damage),
		cmocka_unit_test(filler_has_no_newline),
		cmocka_unit_test(digits_carry_over),
		cmocka_unit_test(sizes_fill_their_range_and_repeat_with_the_id),
		cmocka_unit_test(lines_fill_datagrams_and_the_last_is_short),
		cmocka_unit_test(impossible_plans_are_refused_with_a_reason),
		cmocka_unit_test(a_rate_and_a_duration_make_the_count),
		cmocka_unit_test(the_schedule_is_exact_and_never_early),
		cmocka_unit_test(a_run_keeps_its_rate),
		cmocka_unit_test(what_is_refused_is_counted_and_not_offered_again),
		cmocka_unit_test(lateness_is_measured_and_nothing_left_out),
		cmocka_unit_test(a_stopped_run_says_so),
		cmocka_unit_test(checksums_are_right_for_every_size_flow_and_sequence),
		cmocka_unit_test(a_checksum_is_never_zero),
		cmocka_unit_test(bad_addresses_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
