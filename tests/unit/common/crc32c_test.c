// SPDX-License-Identifier: BSD-3-Clause
#include "common/crc32c.h"
#include "common/crc32c_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEN_MAX 1100

// Bit by bit, straight from the definition.
static uint32_t reference(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len; len--, p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return crc;
}

static bool runs(const struct crc32c_impl *impl)
{
	return strcmp(impl->name, "vpclmul") != 0 || crc32c_has_vpclmul();
}

static void fill(uint8_t *p, size_t len)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (uint8_t)(x >> 24);
	}
}

static void every_length_and_alignment_equals_the_bitwise_definition(void **)
{
	// Exactly as long as what is read, so that a sanitizer sees a byte too many.
	for (size_t len = 0; len <= LEN_MAX; len++) {
		for (size_t start = 0; start < 4; start++) {
			uint8_t *p = malloc(start + len + 1);
			uint32_t expected;

			fill(p, start + len);
			expected = reference(0xffffffffu, p + start, len);
			for (int i = 0; i < 2; i++) {
				if (runs(&crc32c_impls[i]))
					assert_int_equal(
						crc32c_impls[i].update(0xffffffffu, p + start, len),
						expected);
			}
			assert_int_equal(crc32c(p + start, len), ~expected);
			free(p);
		}
	}
}

static void every_start_in_a_cache_line_gives_the_same(void **)
{
	uint8_t p[64 + 700];

	for (size_t start = 0; start < 64; start++) {
		fill(p + start, 700);
		assert_int_equal(crc32c(p + start, 700), ~reference(0xffffffffu, p + start, 700));
	}
}

static void a_long_buffer_and_any_initial_value_agree(void **)
{
	size_t len = (1 << 20) + 37;
	uint8_t *p = malloc(len);

	fill(p, len);
	for (int i = 0; i < 2; i++) {
		if (!runs(&crc32c_impls[i]))
			continue;
		assert_int_equal(
			crc32c_impls[i].update(0x1234567u, p, len), reference(0x1234567u, p, len));
		assert_int_equal(crc32c_impls[i].update(0, p, len), reference(0, p, len));
	}
	free(p);
}

// RFC 3720, B.4
static void the_vectors_of_rfc3720(void **)
{
	uint8_t p[32];
	const uint8_t scsi_read[48] = {0x01,
		0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};

	memset(p, 0, 32);
	assert_int_equal(crc32c(p, 32), 0x8a9136aa);
	memset(p, 0xff, 32);
	assert_int_equal(crc32c(p, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		p[i] = (uint8_t)i;
	assert_int_equal(crc32c(p, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		p[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(p, 32), 0x113fdb5c);
	assert_int_equal(crc32c(scsi_read, 48), 0xd9963a56);
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(NULL, 0), 0);
}

static void what_was_chosen_is_what_the_cpu_has(void **)
{
	assert_string_equal(crc32c_impl(), crc32c_has_vpclmul() ? "vpclmul" : "isal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_and_alignment_equals_the_bitwise_definition),
		cmocka_unit_test(every_start_in_a_cache_line_gives_the_same),
		cmocka_unit_test(a_long_buffer_and_any_initial_value_agree),
		cmocka_unit_test(the_vectors_of_rfc3720),
		cmocka_unit_test(what_was_chosen_is_what_the_cpu_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
