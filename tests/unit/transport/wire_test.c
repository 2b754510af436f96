// SPDX-License-Identifier: BSD-3-Clause
#include "samples.h"
#include "transport/wire.h"

#include <stdio.h>

static const enum wire_type with_body[] = {WIRE_HELLO, WIRE_CHALLENGE, WIRE_OPEN, WIRE_OPENED,
	WIRE_REFUSED, WIRE_EVENTS, WIRE_PART, WIRE_PROBE, WIRE_ACK, WIRE_CLOSE};
#define WITH_BODY (sizeof(with_body) / sizeof(with_body[0]))

#define BYTES_00 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define BYTES_20 "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"

// What is published: docs/protocol.md. Zeros follow up to 'len'.
static const struct {
	enum wire_type type;
	uint32_t len;
	const char *hex;
} published[] = {
	{WIRE_HELLO, 160, BYTES_00},
	{WIRE_CHALLENGE, 56, BYTES_00 "202122232425262728292a2b2c2d2e2f3031323334353637"},
	{WIRE_OPEN, 160,
		BYTES_00 "202122232425262728292a2b2c2d2e2f3031323334353637"
			 "0100000000000000404142434445464748494a4b00000000"
			 "505152535455565758595a5b5c5d5e5f6061626364656667"},
	{WIRE_OPENED, 112,
		BYTES_00 BYTES_20 "404142434445464748494a4b4c4d4e4f5051525354555657"
				  "58595a5b5c5d5e5f60616263646566670000100000000000"},
	{WIRE_REFUSED, 40, BYTES_00 "0200000024252627"},
	{WIRE_EVENTS, 80, "0001020304050607030000000e00000003006f6e65000005007468726565"},
	{WIRE_PART, 80, "0001020304050607440400004004000004000000000000007461696c"},
	{WIRE_PROBE, 80, "00010203040506070101020304050607"},
	{WIRE_ACK, 80,
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		"202122232425262703000000000000000100000000010000020100000200000039404142"
		"03"},
	{WIRE_RESET, 0, ""},
	{WIRE_CLOSE, 80, ""},
};

static void assert_hex(const uint8_t *bytes, const char *hex, uint32_t len, const char *name)
{
	uint32_t digits = (uint32_t)strlen(hex);

	assert_true(digits % 2 == 0 && digits / 2 <= len);
	for (uint32_t i = 0; i < len; i++) {
		unsigned byte = 0;

		if (i < digits / 2)
			assert_int_equal(sscanf(hex + 2 * (size_t)i, "%2x", &byte), 1);
		if (bytes[i] != byte)
			fail_msg("%s: byte %u is %02x, not %02x", name, i, bytes[i], byte);
	}
}

static void the_layout_is_as_published(void **)
{
	struct wire_header header = {.type = WIRE_ACK,
		.key = 0x0302,
		.epoch = 0x07060504,
		.source = 0x0f0e0d0c0b0a0908,
		.token = 0x1716151413121110,
		.number = 0x1f1e1d1c1b1a1918};
	char name[32];

	wire_write_header(copy, &header);
	assert_hex(copy,
		"0109"
		"02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		32, "header");
	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
		enum wire_type type = published[i].type;

		snprintf(name, sizeof(name), "type %u", type);
		assert_int_equal(sample_len[type], published[i].len);
		assert_hex(sample[type], published[i].hex, published[i].len, name);
	}
}

static void what_was_written_is_read_again(void **)
{
	for (size_t i = 0; i < WITH_BODY; i++)
		assert_true(is_read(with_body[i], sample[with_body[i]], sample_len[with_body[i]]));
}

// Zeros behind a body are too much, too, but for a PROBE.
static void a_body_of_another_length_is_refused(void **)
{
	for (size_t i = 0; i < WITH_BODY; i++) {
		enum wire_type type = with_body[i];

		memset(copy, 0, sizeof(copy));
		memcpy(copy, sample[type], sample_len[type]);
		for (uint32_t len = 0; len < sample_len[type]; len++)
			assert_false(is_read(type, copy, len));
		for (uint32_t more = 1; more < 300; more++)
			assert_int_equal(
				is_read(type, copy, sample_len[type] + more), type == WIRE_PROBE);
	}
}

static const struct {
	enum wire_type type;
	uint32_t from, to; // bytes of the sample that are reserved, unused or padding
} meaningless[] = {
	{WIRE_HELLO, 32, 160},
	{WIRE_OPEN, 60, 64},
	{WIRE_OPEN, 76, 80},
	{WIRE_OPEN, 104, 160},
	{WIRE_OPENED, 108, 112},
	{WIRE_EVENTS, 10, 12},
	{WIRE_EVENTS, 30, 80},
	{WIRE_PART, 18, 24},
	{WIRE_PART, 28, 80},
	{WIRE_PROBE, 16, 80},
	{WIRE_ACK, 44, 48},
	{WIRE_ACK, 72, 80},
	{WIRE_CLOSE, 0, 80},
};

static void every_bit_without_a_meaning_is_refused(void **)
{
	for (size_t i = 0; i < sizeof(meaningless) / sizeof(meaningless[0]); i++) {
		enum wire_type type = meaningless[i].type;

		memcpy(copy, sample[type], sample_len[type]);
		for (uint32_t bit = meaningless[i].from * 8; bit < meaningless[i].to * 8; bit++) {
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_false(is_read(type, copy, sample_len[type]));
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_true(is_read(type, copy, sample_len[type]));
	}
}

#define MAX64 UINT64_MAX

// The sample with a field overwritten, and another.
static const struct {
	enum wire_type type;
	const char *what;
	bool good;
	struct {
		uint32_t at, size;
		uint64_t value;
	} fields[3];
} bodies[] = {
	{WIRE_OPEN, "no flag", true, {{56, 4, 0}}},
	{WIRE_OPEN, "an unknown flag", false, {{56, 4, 2}}},
	{WIRE_OPEN, "the highest flag", false, {{56, 4, 0x80000001}}},
	{WIRE_OPEN, "the last seq", true, {{64, 8, MAX64 - 1}}},
	{WIRE_OPEN, "a seq with none behind it", false, {{64, 8, MAX64}}},
	{WIRE_OPEN, "a place in no epoch", false, {{72, 4, 0}}},
	{WIRE_OPEN, "a log of no epoch", false, {{72, 4, 0}, {80, 8, 0}}},
	{WIRE_OPENED, "no token", false, {{64, 8, 0}}},
	{WIRE_OPENED, "the largest token", true, {{64, 8, MAX64}}},
	{WIRE_OPENED, "no credit, no window", true, {{96, 8, 0}}},
	{WIRE_OPENED, "events too large", false, {{104, 4, WIRE_EVENT_MAX + 1}}},
	{WIRE_REFUSED, "no reason", false, {{32, 8, 0}}},
	{WIRE_REFUSED, "an unknown epoch", true, {{32, 8, 1}}},
	{WIRE_REFUSED, "an unknown epoch, and which", false, {{32, 4, 1}}},
	{WIRE_REFUSED, "a later epoch, not which", false, {{36, 4, 0}}},
	{WIRE_REFUSED, "no room", true, {{32, 8, 3}}},
	{WIRE_REFUSED, "an unknown reason", false, {{32, 8, 4}}},
	{WIRE_EVENTS, "no events", false, {{8, 2, 0}, {12, 4, 0}, {16, 14, 0}}},
	{WIRE_EVENTS, "one empty event", true, {{8, 2, 1}, {12, 4, 2}, {16, 14, 0}}},
	{WIRE_EVENTS, "less events than there are", false, {{8, 2, 2}}},
	{WIRE_EVENTS, "more events than there are", false, {{8, 2, 4}}},
	{WIRE_EVENTS, "more bytes, though zeros", false, {{12, 4, 16}}},
	{WIRE_EVENTS, "an event more, of zeros", true, {{8, 2, 4}, {12, 4, 16}}},
	{WIRE_EVENTS, "less bytes", false, {{12, 4, 13}}},
	{WIRE_EVENTS, "more bytes than the body", false, {{12, 4, 65}}},
	{WIRE_EVENTS, "a length that overflows", false, {{12, 4, UINT32_MAX}}},
	{WIRE_EVENTS, "a length that overflows with its head", false, {{12, 4, 0xfffffff0 + 14}}},
	{WIRE_EVENTS, "an event longer than the body", false, {{16, 2, 0xffff}}},
	{WIRE_EVENTS, "an event that ends one early", false, {{23, 2, 4}}},
	{WIRE_EVENTS, "an event that ends one late", false, {{23, 2, 6}}},
	{WIRE_EVENTS, "the last seqs", true, {{0, 8, MAX64 - 3}}},
	{WIRE_EVENTS, "seqs that overflow", false, {{0, 8, MAX64 - 2}}},
	{WIRE_PART, "the last seq", true, {{0, 8, MAX64 - 1}}},
	{WIRE_PART, "a seq with none behind it", false, {{0, 8, MAX64}}},
	{WIRE_PART, "an event of nothing", false, {{8, 4, 0}}},
	{WIRE_PART, "an event too large", false,
		{{8, 4, WIRE_EVENT_MAX + 4}, {12, 4, WIRE_EVENT_MAX}}},
	{WIRE_PART, "nearly as large", true,
		{{8, 4, WIRE_EVENT_MAX - 60}, {12, 4, WIRE_EVENT_MAX - 64}}},
	{WIRE_PART, "behind the end", false, {{12, 4, 0x480}}},
	{WIRE_PART, "over the end", false, {{8, 4, 0x443}}},
	{WIRE_PART, "an offset that overflows", false, {{12, 4, 0xffffffc0}}},
	{WIRE_PART, "a short part that isn't the last", false, {{8, 4, 0x445}}},
	{WIRE_PART, "an offset between grains", false, {{8, 4, 0x445}, {12, 4, 0x441}}},
	{WIRE_PART, "no bytes", false, {{16, 2, 0}, {24, 4, 0}}},
	{WIRE_PART, "more bytes than the body", false, {{8, 4, 0x20440}, {16, 2, 0x40}}},
	{WIRE_PROBE, "nothing to say", true, {{8, 8, 0x0706050403020100}}},
	{WIRE_PROBE, "less than nothing", false, {{8, 8, 0x07060504030200ff}}},
	{WIRE_PROBE, "the largest seqs", true, {{0, 8, MAX64}, {8, 8, MAX64}}},
	{WIRE_ACK, "nothing heard", true, {{0, 8, 0}, {8, 8, 0}, {16, 8, 0}}},
	{WIRE_ACK, "nothing heard but these", false, {{0, 8, 0}, {8, 8, 1}, {16, 8, 0}}},
	{WIRE_ACK, "nothing heard but those", false, {{0, 8, 0}, {8, 8, 0}, {16, 8, 1}}},
	{WIRE_ACK, "packet 0", false, {{0, 8, 1}, {8, 8, 1}, {16, 8, 0}}},
	{WIRE_ACK, "packets 1 and 2", true, {{0, 8, 2}, {8, 8, 1}, {16, 8, 0}}},
	{WIRE_ACK, "packets 0 to 2", false, {{0, 8, 2}, {8, 8, 3}, {16, 8, 0}}},
	{WIRE_ACK, "packets 1 to 64", true, {{0, 8, 64}, {8, 8, MAX64 >> 1}, {16, 8, 0}}},
	{WIRE_ACK, "packets 0 to 64", false, {{0, 8, 64}, {8, 8, MAX64}, {16, 8, 0}}},
	{WIRE_ACK, "packets 1 to 65", true, {{0, 8, 65}, {8, 8, MAX64}, {16, 8, 0}}},
	{WIRE_ACK, "packets 0 to 65", false, {{0, 8, 65}, {8, 8, MAX64}, {16, 8, 1}}},
	{WIRE_ACK, "packets 1 to 128", true, {{0, 8, 128}, {8, 8, MAX64}, {16, 8, MAX64 >> 1}}},
	{WIRE_ACK, "packets 0 to 128", false, {{0, 8, 128}, {8, 8, MAX64}, {16, 8, MAX64}}},
	{WIRE_ACK, "packets 1 to 129", true, {{0, 8, 129}, {8, 8, MAX64}, {16, 8, MAX64}}},
	{WIRE_ACK, "a used range that isn't counted", false, {{40, 4, 2}}},
	{WIRE_ACK, "a counted range that is empty", false, {{40, 4, 4}}},
	{WIRE_ACK, "four ranges", true, {{40, 4, 4}, {72, 8, 0x14241403d}}},
	{WIRE_ACK, "five ranges", false, {{40, 4, 5}}},
	{WIRE_ACK, "a range at once above durable", false, {{48, 4, 0}}},
	{WIRE_ACK, "an empty range", false, {{52, 4, 0}}},
	{WIRE_ACK, "ranges that touch", false, {{56, 4, 0x101}}},
	{WIRE_ACK, "ranges that overlap", false, {{52, 4, 0x102}}},
	{WIRE_ACK, "ranges that go back", false, {{56, 4, 1}}},
	{WIRE_ACK, "the last range up to 2^32", true, {{64, 4, UINT32_MAX}, {68, 4, UINT32_MAX}}},
	{WIRE_ACK, "a range over all, and another", false, {{52, 4, UINT32_MAX}}},
	{WIRE_ACK, "ranges up to the last seq", true, {{32, 8, MAX64 - 0x4241403c}}},
	{WIRE_ACK, "ranges beyond the last seq", false, {{32, 8, MAX64 - 0x4241403b}}},
	{WIRE_ACK, "no ranges", true, {{40, 4, 0}, {48, 16, 0}, {64, 8, 0}}},
};

static void a_body_is_read_when_all_in_it_makes_sense(void **)
{
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		enum wire_type type = bodies[i].type;

		memcpy(copy, sample[type], sample_len[type]);
		for (unsigned f = 0; f < 3; f++)
			put(copy + bodies[i].fields[f].at, bodies[i].fields[f].size,
				bodies[i].fields[f].value);
		if (is_read(type, copy, sample_len[type]) != bodies[i].good)
			fail_msg("type %u, %s", type, bodies[i].what);
	}
}

static const struct {
	const char *what;
	enum wire_type type;
	bool good;
	uint32_t at, size;
	uint64_t value;
} headers[] = {
	{"its own version", WIRE_EVENTS, true, 0, 1, 1},
	{"version 0", WIRE_EVENTS, false, 0, 1, 0},
	{"version 2", WIRE_EVENTS, false, 0, 1, 2},
	{"type 0", WIRE_EVENTS, false, 1, 1, 0},
	{"a type behind the last", WIRE_EVENTS, false, 1, 1, TYPES},
	{"the last number of a type", WIRE_EVENTS, false, 1, 1, 255},
	{"epoch 0", WIRE_EVENTS, false, 4, 4, 0},
	{"the last epoch", WIRE_EVENTS, true, 4, 4, UINT32_MAX},
	{"source 0", WIRE_EVENTS, false, 8, 8, 0},
	{"a token before there is one", WIRE_HELLO, false, 16, 8, 1},
	{"an answer with a token in its header", WIRE_OPENED, false, 16, 8, 1},
	{"a number before there is one", WIRE_OPEN, false, 24, 8, 1},
	{"no token in a session", WIRE_EVENTS, false, 16, 8, 0},
	{"no number in a session", WIRE_ACK, false, 24, 8, 0},
	{"the last number", WIRE_ACK, true, 24, 8, MAX64},
	{"a reset of no session", WIRE_RESET, false, 16, 8, 0},
	{"a reset with a number", WIRE_RESET, false, 24, 8, 1},
};

// A header as one of its type has it.
static void make_header(enum wire_type type, uint16_t key, uint8_t *data)
{
	bool in_session = type > WIRE_REFUSED;
	struct wire_header header = {.type = (uint8_t)type,
		.key = key,
		.epoch = 1,
		.source = 2,
		.token = in_session ? 3 : 0,
		.number = in_session && type != WIRE_RESET ? 4 : 0};

	wire_write_header(data, &header);
}

static void a_header_is_read_when_all_in_it_makes_sense(void **)
{
	struct wire_header header;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		memset(copy, 0, sizeof(copy));
		make_header(headers[i].type, 7, copy);
		assert_true(wire_read_header(copy, 300, &header));
		assert_int_equal(header.type, headers[i].type);
		assert_int_equal(header.key, 7);
		put(copy + headers[i].at, headers[i].size, headers[i].value);
		if (wire_read_header(copy, 300, &header) != headers[i].good)
			fail_msg("%s", headers[i].what);
		if (!headers[i].good)
			continue;
		wire_write_header(again, &header);
		assert_memory_equal(again, copy, WIRE_HEADER);
	}
}

// The smallest datagram of a type that is listened to.
static uint32_t smallest(enum wire_type type, uint16_t key)
{
	struct wire_header header;
	uint32_t len = 0;

	make_header(type, key, copy);
	while (!wire_read_header(copy, len, &header)) {
		len++;
		assert_true(len <= WIRE_MTU_MAX);
	}
	assert_true(wire_read_header(copy, WIRE_MTU_MAX, &header));
	assert_false(wire_read_header(copy, WIRE_MTU_MAX + 1, &header));
	return len;
}

static void no_datagram_is_shorter_than_its_type(void **)
{
	for (unsigned type = WIRE_HELLO; type < TYPES; type++) {
		assert_int_equal(smallest(type, 0), WIRE_HEADER + sample_len[type]);
		assert_int_equal(smallest(type, 1), WIRE_HEADER + sample_len[type] + WIRE_TAG);
	}
	assert_int_equal(smallest(WIRE_HELLO, 1), WIRE_QUESTION_MIN);
	assert_int_equal(smallest(WIRE_OPEN, 1), WIRE_QUESTION_MIN);
	assert_int_equal(smallest(WIRE_EVENTS, 1), WIRE_DATA_MIN);
}

static const struct {
	enum wire_type question, answer;
} pairs[] = {
	{WIRE_HELLO, WIRE_CHALLENGE},
	{WIRE_OPEN, WIRE_OPENED},
	{WIRE_OPEN, WIRE_REFUSED},
	{WIRE_EVENTS, WIRE_ACK},
	{WIRE_PART, WIRE_ACK},
	{WIRE_PROBE, WIRE_ACK},
	{WIRE_CLOSE, WIRE_ACK},
	{WIRE_EVENTS, WIRE_RESET},
	{WIRE_PART, WIRE_RESET},
	{WIRE_PROBE, WIRE_RESET},
	{WIRE_CLOSE, WIRE_RESET},
};

// An answer has one length, that of the sample: a body of another is refused.
static void no_answer_is_larger_than_its_question(void **)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		for (unsigned tag = 0; tag <= WIRE_TAG; tag += WIRE_TAG) {
			uint32_t answer = WIRE_HEADER + sample_len[pairs[i].answer] + tag;

			assert_true(answer <= smallest(pairs[i].question, tag != 0));
			assert_true(pairs[i].answer < WIRE_ACK || answer <= WIRE_ACK_MAX);
			assert_true(answer <= WIRE_QUESTION_MIN);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_layout_is_as_published),
		cmocka_unit_test(what_was_written_is_read_again),
		cmocka_unit_test(a_body_of_another_length_is_refused),
		cmocka_unit_test(every_bit_without_a_meaning_is_refused),
		cmocka_unit_test(a_body_is_read_when_all_in_it_makes_sense),
		cmocka_unit_test(a_header_is_read_when_all_in_it_makes_sense),
		cmocka_unit_test(no_datagram_is_shorter_than_its_type),
		cmocka_unit_test(no_answer_is_larger_than_its_question),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
