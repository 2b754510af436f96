// SPDX-License-Identifier: BSD-3-Clause

#include "dataplane/checksum.h"
#include "packets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned stored(uint64_t sum)
{
	return ntohs(checksum_fold(sum));
}

static void a_sum_is_the_oracles_for_every_length_and_alignment(void **state)
{
	uint8_t bytes[320 + 8];

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random();
	for (uint32_t len = 0; len <= 320; len++) {
		for (unsigned shift = 0; shift < 8; shift++) {
			const uint8_t *p = at_guard_page(bytes + shift, len);

			unsigned right = ~oracle_sum(0, bytes + shift, len) & 0xffff;

			assert_int_equal(stored(checksum_add(0, p, len)), right);
			assert_int_equal(stored(checksum_add_short(0, p, len)), right);
		}
	}
}

static void no_carry_is_lost_in_64_kib_of_ones(void **state)
{
	static uint8_t ones[65535];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(stored(checksum_add(0, ones, sizeof(ones))),
		~oracle_sum(0, ones, sizeof(ones)) & 0xffff);
	assert_int_equal(checksum_fold(UINT64_MAX), 0);
	assert_int_equal(checksum_fold(0xffffffff00000001u), 0xfffe);
}

static void a_header_sums_the_same_in_both_ways(void **state)
{
	struct frame f;

	(void)state;
	make_udp4(&f);
	assert_int_equal(checksum_fold(checksum_add20(0, f.data + f.l3)), 0);
	assert_int_equal(checksum_fold(checksum_add(0, f.data + f.l3, 20)), 0);
}

static void a_pseudo_header_completes_the_sum_of_a_datagram(void **state)
{
	void (*make[])(struct frame *) = {make_udp4, make_udp6};
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t len;
		uint64_t sum;

		make[i](&f);
		len = f.len - f.l4;
		sum = checksum_pseudo(f.data + f.l3, IPPROTO_UDP, len);
		assert_int_equal(checksum_fold(checksum_add(sum, f.data + f.l4, len)), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sum_is_the_oracles_for_every_length_and_alignment),
		cmocka_unit_test(no_carry_is_lost_in_64_kib_of_ones),
		cmocka_unit_test(a_header_sums_the_same_in_both_ways),
		cmocka_unit_test(a_pseudo_header_completes_the_sum_of_a_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
