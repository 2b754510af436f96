// SPDX-License-Identifier: BSD-3-Clause
#include "transport/bytes.h"
#include "transport/seal.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BODY 16u
#define LEN (WIRE_HEADER + BODY)
#define SEALED (LEN + WIRE_TAG)

static struct seal_key key;
static struct seal_session session;
static struct wire_header header;
static struct seal_cookie cookie;
static uint8_t sender[32], receiver[32];
static uint8_t plain[LEN], data[256];

static void fill(uint8_t *bytes, uint32_t len, uint8_t first)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
}

static void write_plain(void)
{
	wire_write_header(plain, &header);
	memcpy(plain + WIRE_HEADER, "sixteen bytes ..", BODY);
	memcpy(data, plain, LEN);
}

static void use_cipher(enum seal_cipher cipher)
{
	key.cipher = cipher;
	seal_make_session(&session, &key, sender, receiver, header.source, header.epoch);
}

static int set_up(void **)
{
	assert_true(sodium_init() >= 0);
	key = (struct seal_key){.id = 7};
	fill(key.secret, SEAL_KEY, 0x80);
	memcpy(cookie.secret, key.secret, SEAL_KEY);
	fill(sender, 32, 0);
	fill(receiver, 32, 0x20);
	header = (struct wire_header){.type = WIRE_ACK,
		.key = 7,
		.epoch = 0x07060504,
		.source = 0x0f0e0d0c0b0a0908,
		.token = 0x1716151413121110,
		.number = 0x1f1e1d1c1b1a1918};
	write_plain();
	use_cipher(SEAL_XCHACHA20_POLY1305);
	return 0;
}

static void assert_hex(const uint8_t *bytes, const char *want, size_t len)
{
	char got[2 * 64 + 1];

	assert_true(len <= 64);
	sodium_bin2hex(got, sizeof(got), bytes, len);
	assert_string_equal(got, want);
}

// Worked out by other code than libsodium, from docs/protocol.md.
static const struct {
	enum seal_cipher cipher;
	bool to_receiver;
	const char *key, *sealed;
} known[] = {
	{SEAL_XCHACHA20_POLY1305, true,
		"c2b4b8c28a64b80eab20e1bcb34f9b270c26150a992ce94b3f39df770bcf9ad7",
		"6de862025b1831ed4815feafb3ffbeadcafb47dd8e6ac90c945c748e73acd258"},
	{SEAL_XCHACHA20_POLY1305, false,
		"1d4ec4a1d55bbc0eae5b8a7d4e221cd4f0fed970c4b5d216699c36177d5e22a1",
		"c05609540a759ea9d95d068bc1d54f730e6ce584a318df1c542150bb1e45446d"},
	{SEAL_AES_256_GCM, true, "c5e605e05fa7ddb8f006d60ef0f0d799f3e54cd61710cbef4913336a25411acf",
		"ca4ade13f61c423ae7d9875a45eb45298780d8af3cad67ad7f49653e2e22fb95"},
	{SEAL_AES_256_GCM, false,
		"0935478baa844f88350be7a06388ca1646c1e1aef122fd44b0cdb5462679c924",
		"224dcc7535a420162ecfec7906d29faaef576ee42ede04066c84ef72cfa2050c"},
};

static void keys_and_sealed_bodies_are_as_published(void **)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!seal_cipher_here(known[i].cipher))
			continue;
		use_cipher(known[i].cipher);
		assert_hex(known[i].to_receiver ? session.to_receiver : session.to_sender,
			known[i].key, SEAL_KEY);
		write_plain();
		assert_int_equal(seal_close(&session, known[i].to_receiver, data, LEN), SEALED);
		assert_memory_equal(data, plain, WIRE_HEADER);
		assert_hex(data + WIRE_HEADER, known[i].sealed, BODY + WIRE_TAG);
	}
}

static void a_signature_is_as_published(void **)
{
	assert_int_equal(seal_sign(&key, data, LEN), SEALED);
	assert_memory_equal(data, plain, LEN);
	assert_hex(data + LEN, "25502aac1e537f78391918dc06f02868", WIRE_TAG);
}

static void a_challenge_is_as_published(void **)
{
	uint8_t mac[16];

	seal_cookie_mac(&cookie, &header, sender, "peer bytes", 10, 0x2726252423222120, mac);
	assert_hex(mac, "6b2a92b4dc432d23f41fd14e0884c993", sizeof(mac));
}

// How a datagram with a tag is made and read: signed, or sealed to one of both ends.
enum way { SIGNED, TO_RECEIVER, TO_SENDER, WAYS };

static uint32_t pack(enum way way)
{
	write_plain();
	return way == SIGNED ? seal_sign(&key, data, LEN)
			     : seal_close(&session, way == TO_RECEIVER, data, LEN);
}

// In a block of just its size, whatever way and keys are set now.
static uint32_t unpack(enum way way, const uint8_t *bytes, uint32_t len)
{
	uint8_t *heap = malloc(len + 1);
	uint32_t got;

	assert_non_null(heap);
	memcpy(heap + 1, bytes, len);
	got = way == SIGNED ? seal_verify(&key, heap + 1, len)
			    : seal_open(&session, way == TO_RECEIVER, heap + 1, len);
	if (got > 0)
		memcpy(data, heap + 1, got);
	free(heap);
	return got;
}

static void for_each_cipher(void (*test)(void))
{
	for (unsigned cipher = SEAL_XCHACHA20_POLY1305; cipher <= SEAL_AES_256_GCM; cipher++) {
		if (!seal_cipher_here(cipher))
			continue;
		use_cipher(cipher);
		test();
	}
}

static void try_again(void)
{
	for (enum way way = SIGNED; way < WAYS; way++) {
		assert_int_equal(pack(way), SEALED);
		assert_int_equal(unpack(way, data, SEALED), LEN);
		assert_memory_equal(data, plain, LEN);
	}
}

static void what_was_packed_is_unpacked(void **)
{
	for_each_cipher(try_again);
}

static void try_bare(void)
{
	header.type = WIRE_RESET;
	for (enum way way = SIGNED; way < WAYS; way++) {
		write_plain();
		assert_int_equal(
			way == SIGNED ? seal_sign(&key, data, WIRE_HEADER)
				      : seal_close(&session, way == TO_RECEIVER, data, WIRE_HEADER),
			WIRE_HEADER + WIRE_TAG);
		assert_int_equal(unpack(way, data, WIRE_HEADER + WIRE_TAG), WIRE_HEADER);
	}
	header.type = WIRE_ACK;
}

static void a_body_may_be_empty(void **)
{
	for_each_cipher(try_bare);
}

static void try_damage(void)
{
	uint8_t packed[SEALED + 1] = {0};

	for (enum way way = SIGNED; way < WAYS; way++) {
		memcpy(packed, data, pack(way));
		for (uint32_t len = 0; len < SEALED; len++)
			assert_int_equal(unpack(way, packed, len), 0);
		assert_int_equal(unpack(way, packed, SEALED + 1), 0);
		for (uint32_t bit = 0; bit < SEALED * 8; bit++) {
			packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(unpack(way, packed, SEALED), 0);
			packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_int_equal(unpack(way, packed, SEALED), LEN);
	}
}

static void any_byte_less_and_any_other_bit_is_refused(void **)
{
	for_each_cipher(try_damage);
}

static void try_ways(void)
{
	uint8_t packed[WAYS][SEALED];

	for (enum way way = SIGNED; way < WAYS; way++)
		memcpy(packed[way], data, pack(way));
	assert_memory_not_equal(packed[TO_RECEIVER] + WIRE_HEADER, packed[TO_SENDER] + WIRE_HEADER,
		BODY + WIRE_TAG);
	for (enum way from = SIGNED; from < WAYS; from++) {
		for (enum way to = SIGNED; to < WAYS; to++)
			assert_int_equal(unpack(to, packed[from], SEALED), from == to ? LEN : 0);
	}
}

static void what_goes_one_way_is_refused_on_the_other(void **)
{
	for_each_cipher(try_ways);
}

// One thing of those that make a session's keys.
static uint8_t *const ingredients[] = {key.secret, key.secret + 31, sender, sender + 31, receiver,
	receiver + 31, (uint8_t *)&header.source, (uint8_t *)&header.source + 7,
	(uint8_t *)&header.epoch, (uint8_t *)&header.epoch + 3};

static void try_ingredients(void)
{
	const struct wire_header was = header;

	for (size_t i = 0; i < sizeof(ingredients) / sizeof(ingredients[0]); i++) {
		for (enum way way = TO_RECEIVER; way < WAYS; way++) {
			uint8_t packed[SEALED];

			memcpy(packed, data, pack(way));
			*ingredients[i] ^= 1;
			use_cipher(key.cipher);
			assert_int_equal(unpack(way, packed, SEALED), 0);
			*ingredients[i] ^= 1;
			use_cipher(key.cipher);
			assert_int_equal(unpack(way, packed, SEALED), LEN);
		}
	}
	assert_memory_equal(&was, &header, sizeof(header));
}

static void a_session_of_anything_else_is_another(void **)
{
	for_each_cipher(try_ingredients);
}

static void the_ends_of_a_session_are_not_interchangeable(void **)
{
	struct seal_session other;

	seal_make_session(&other, &key, receiver, sender, header.source, header.epoch);
	assert_memory_not_equal(session.to_receiver, session.to_sender, SEAL_KEY);
	assert_memory_not_equal(session.to_receiver, other.to_receiver, SEAL_KEY);
	assert_memory_not_equal(session.to_receiver, other.to_sender, SEAL_KEY);
}

static void another_secret_signs_otherwise(void **)
{
	uint8_t packed[SEALED];

	memcpy(packed, data, pack(SIGNED));
	for (unsigned i = 0; i < SEAL_KEY; i++) {
		key.secret[i] ^= 0x80;
		assert_int_equal(unpack(SIGNED, packed, SEALED), 0);
		key.secret[i] ^= 0x80;
	}
	assert_int_equal(unpack(SIGNED, packed, SEALED), LEN);
}

// The same secret under another id is another key, too.
static void a_key_is_not_tried_on_what_names_another(void **)
{
	uint8_t packed[SEALED];

	for (enum way way = SIGNED; way < WAYS; way++) {
		memcpy(packed, data, pack(way));
		key.id = 8;
		use_cipher(SEAL_XCHACHA20_POLY1305);
		assert_int_equal(unpack(way, packed, SEALED), 0);
		put_le16(packed + 2, 8);
		assert_int_equal(unpack(way, packed, SEALED), 0);
		key.id = 7;
		use_cipher(SEAL_XCHACHA20_POLY1305);
	}
}

static void try_numbers(void)
{
	uint8_t first[SEALED];

	for (enum way way = TO_RECEIVER; way < WAYS; way++) {
		memcpy(first, data, pack(way));
		for (unsigned bit = 0; bit < 64; bit++) {
			header.number ^= 1ull << bit;
			pack(way);
			assert_memory_not_equal(data + WIRE_HEADER, first + WIRE_HEADER, BODY);
			memcpy(data, plain, WIRE_HEADER);
			memcpy(data + WIRE_HEADER, first + WIRE_HEADER, BODY + WIRE_TAG);
			assert_int_equal(unpack(way, data, SEALED), 0);
			header.number ^= 1ull << bit;
		}
	}
}

static void each_number_seals_otherwise(void **)
{
	for_each_cipher(try_numbers);
}

static void without_a_key_nothing_is_changed_or_asked(void **)
{
	key.id = 0;
	header.key = 0;
	use_cipher(SEAL_XCHACHA20_POLY1305);
	for (enum way way = SIGNED; way < WAYS; way++) {
		assert_int_equal(pack(way), LEN);
		assert_memory_equal(data, plain, LEN);
		assert_int_equal(unpack(way, data, LEN), LEN);
		assert_memory_equal(data, plain, LEN);
		assert_int_equal(unpack(way, data, WIRE_HEADER), WIRE_HEADER);
		for (uint32_t len = 0; len < WIRE_HEADER; len++)
			assert_int_equal(unpack(way, data, len), 0);
		put_le16(data + 2, 7);
		assert_int_equal(unpack(way, data, LEN), 0);
	}
}

static void with_a_key_nothing_without_is_heard(void **)
{
	header.key = 0;
	write_plain();
	for (enum way way = SIGNED; way < WAYS; way++) {
		assert_int_equal(unpack(way, data, LEN), 0);
		assert_int_equal(unpack(way, data, sizeof(data)), 0);
	}
}

static void ciphers_have_keys_of_their_own(void **)
{
	struct seal_session other;

	key.cipher = SEAL_AES_256_GCM;
	seal_make_session(&other, &key, sender, receiver, header.source, header.epoch);
	assert_int_equal(other.cipher, SEAL_AES_256_GCM);
	assert_memory_not_equal(session.to_receiver, other.to_receiver, SEAL_KEY);
	assert_false(seal_cipher_here((enum seal_cipher)2));
	assert_true(seal_cipher_here(SEAL_XCHACHA20_POLY1305));
}

static bool fits(const uint8_t mac[16], const uint8_t *peer, size_t len, uint64_t made)
{
	return seal_cookie_fits(&cookie, &header, sender, peer, len, made, mac);
}

static void a_challenge_fits_the_one_who_was_asked(void **)
{
	uint8_t *const others[] = {cookie.secret, cookie.secret + 31, sender, sender + 31,
		(uint8_t *)&header.source, (uint8_t *)&header.source + 7, (uint8_t *)&header.epoch,
		(uint8_t *)&header.epoch + 3};
	uint8_t peer[40] = {1, 2, 3}, mac[16];

	seal_cookie_mac(&cookie, &header, sender, peer, 36, 1000, mac);
	assert_true(fits(mac, peer, 36, 1000));
	assert_false(fits(mac, peer, 35, 1000));
	assert_false(fits(mac, peer, 37, 1000));
	assert_false(fits(mac, peer, 36, 1001));
	assert_false(fits(mac, peer, 36, 1000 | 1ull << 63));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		*others[i] ^= 1;
		assert_false(fits(mac, peer, 36, 1000));
		*others[i] ^= 1;
	}
	for (unsigned bit = 0; bit < 36 * 8; bit++) {
		peer[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(fits(mac, peer, 36, 1000));
		peer[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (unsigned bit = 0; bit < 16 * 8; bit++) {
		mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(fits(mac, peer, 36, 1000));
		mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(fits(mac, peer, 36, 1000));
}

static void each_life_asks_otherwise(void **)
{
	struct seal_cookie other;

	seal_cookie_new(&cookie);
	seal_cookie_new(&other);
	assert_memory_not_equal(&cookie, &other, sizeof(cookie));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keys_and_sealed_bodies_are_as_published, set_up),
		cmocka_unit_test_setup(a_signature_is_as_published, set_up),
		cmocka_unit_test_setup(a_challenge_is_as_published, set_up),
		cmocka_unit_test_setup(what_was_packed_is_unpacked, set_up),
		cmocka_unit_test_setup(a_body_may_be_empty, set_up),
		cmocka_unit_test_setup(any_byte_less_and_any_other_bit_is_refused, set_up),
		cmocka_unit_test_setup(what_goes_one_way_is_refused_on_the_other, set_up),
		cmocka_unit_test_setup(a_session_of_anything_else_is_another, set_up),
		cmocka_unit_test_setup(the_ends_of_a_session_are_not_interchangeable, set_up),
		cmocka_unit_test_setup(another_secret_signs_otherwise, set_up),
		cmocka_unit_test_setup(a_key_is_not_tried_on_what_names_another, set_up),
		cmocka_unit_test_setup(each_number_seals_otherwise, set_up),
		cmocka_unit_test_setup(without_a_key_nothing_is_changed_or_asked, set_up),
		cmocka_unit_test_setup(with_a_key_nothing_without_is_heard, set_up),
		cmocka_unit_test_setup(ciphers_have_keys_of_their_own, set_up),
		cmocka_unit_test_setup(a_challenge_fits_the_one_who_was_asked, set_up),
		cmocka_unit_test_setup(each_life_asks_otherwise, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
