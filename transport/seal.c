// SPDX-License-Identifier: BSD-3-Clause
#include "transport/seal.h"

#include "transport/bytes.h"

#include <sodium.h>

#define PERSONAL crypto_generichash_blake2b_PERSONALBYTES
#define KEY_AT 2u     // in the header
#define NUMBER_AT 24u // in the header
#define COOKIE_FIELDS 60u

_Static_assert(WIRE_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(WIRE_TAG == crypto_aead_aes256gcm_ABYTES, "tag");
_Static_assert(SEAL_KEY == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SEAL_KEY == crypto_aead_aes256gcm_KEYBYTES, "key");

// What BLAKE2b is used for, in its personalization: the same secret and bytes give another hash for
// another use.
static const uint8_t signing[PERSONAL + 1] = "millrace signing";
static const uint8_t deriving[PERSONAL + 1] = "millrace session";
static const uint8_t asking[PERSONAL + 1] = "millrace cookie ";

// Which way a datagram goes, as it enters keys and nonces.
enum direction { TO_RECEIVER = 1, TO_SENDER = 2 };

static void begin(crypto_generichash_blake2b_state *state, const uint8_t secret[SEAL_KEY],
	size_t len, const uint8_t *use)
{
	crypto_generichash_blake2b_init_salt_personal(state, secret, SEAL_KEY, len, NULL, use);
}

bool seal_cipher_here(enum seal_cipher cipher)
{
	return cipher == SEAL_XCHACHA20_POLY1305 ||
	       (cipher == SEAL_AES_256_GCM && crypto_aead_aes256gcm_is_available());
}

// The cipher is in it: keys of one are never used with the other.
static void derive(uint8_t ret[SEAL_KEY], const struct seal_key *key, const uint8_t randoms[64],
	const uint8_t identity[12], enum direction direction)
{
	uint8_t tail[3] = {WIRE_VERSION, (uint8_t)key->cipher, (uint8_t)direction};
	crypto_generichash_blake2b_state state;

	begin(&state, key->secret, SEAL_KEY, deriving);
	crypto_generichash_blake2b_update(&state, randoms, 64);
	crypto_generichash_blake2b_update(&state, identity, 12);
	crypto_generichash_blake2b_update(&state, tail, sizeof(tail));
	crypto_generichash_blake2b_final(&state, ret, SEAL_KEY);
	sodium_memzero(&state, sizeof(state));
}

void seal_make_session(struct seal_session *ret, const struct seal_key *key,
	const uint8_t sender_random[32], const uint8_t receiver_random[32], uint64_t source,
	uint32_t epoch)
{
	uint8_t randoms[64], identity[12];

	*ret = (struct seal_session){.key = key->id, .cipher = key->cipher};
	if (key->id == 0)
		return;
	memcpy(randoms, sender_random, 32);
	memcpy(randoms + 32, receiver_random, 32);
	put_le64(identity, source);
	put_le32(identity + 8, epoch);
	derive(ret->to_receiver, key, randoms, identity, TO_RECEIVER);
	derive(ret->to_sender, key, randoms, identity, TO_SENDER);
}

static void make_tag(const struct seal_key *key, const uint8_t *data, uint32_t len, uint8_t *tag)
{
	crypto_generichash_blake2b_state state;

	begin(&state, key->secret, WIRE_TAG, signing);
	crypto_generichash_blake2b_update(&state, data, len);
	crypto_generichash_blake2b_final(&state, tag, WIRE_TAG);
	sodium_memzero(&state, sizeof(state));
}

uint32_t seal_sign(const struct seal_key *key, uint8_t *data, uint32_t len)
{
	if (key->id == 0)
		return len;
	make_tag(key, data, len, data + len);
	return len + WIRE_TAG;
}

// The header says the key that is meant, and the datagram can have its tag.
static bool may_fit(uint16_t key, const uint8_t *data, uint32_t len)
{
	return len >= WIRE_HEADER + (key != 0 ? WIRE_TAG : 0) && le16(data + KEY_AT) == key;
}

uint32_t seal_verify(const struct seal_key *key, const uint8_t *data, uint32_t len)
{
	uint8_t tag[WIRE_TAG];

	if (!may_fit(key->id, data, len))
		return 0;
	if (key->id == 0)
		return len;
	make_tag(key, data, len - WIRE_TAG, tag);
	if (sodium_memcmp(tag, data + len - WIRE_TAG, WIRE_TAG) != 0)
		return 0;
	return len - WIRE_TAG;
}

// The larger of both ciphers' nonces; AES-GCM takes the first 12 bytes. With the number alone: it
// ascends within one direction, and each direction has its own key.
static void make_nonce(uint8_t nonce[24], const struct seal_session *session, bool to_receiver,
	const uint8_t *data)
{
	memset(nonce, 0, 24);
	if (session->cipher == SEAL_AES_256_GCM) {
		memcpy(nonce, data + NUMBER_AT, 8);
		return;
	}
	nonce[0] = to_receiver ? TO_RECEIVER : TO_SENDER;
	memcpy(nonce + 1, data + NUMBER_AT, 8);
}

uint32_t seal_close(
	const struct seal_session *session, bool to_receiver, uint8_t *data, uint32_t len)
{
	const uint8_t *key = to_receiver ? session->to_receiver : session->to_sender;
	uint8_t *body = data + WIRE_HEADER;
	uint8_t nonce[24];

	if (session->key == 0)
		return len;
	make_nonce(nonce, session, to_receiver, data);
	if (session->cipher == SEAL_AES_256_GCM)
		crypto_aead_aes256gcm_encrypt(
			body, NULL, body, len - WIRE_HEADER, data, WIRE_HEADER, NULL, nonce, key);
	else
		crypto_aead_xchacha20poly1305_ietf_encrypt(
			body, NULL, body, len - WIRE_HEADER, data, WIRE_HEADER, NULL, nonce, key);
	return len + WIRE_TAG;
}

uint32_t seal_open(
	const struct seal_session *session, bool to_receiver, uint8_t *data, uint32_t len)
{
	const uint8_t *key = to_receiver ? session->to_receiver : session->to_sender;
	uint8_t *body = data + WIRE_HEADER;
	uint8_t nonce[24];
	int rc;

	if (!may_fit(session->key, data, len))
		return 0;
	if (session->key == 0)
		return len;
	make_nonce(nonce, session, to_receiver, data);
	if (session->cipher == SEAL_AES_256_GCM)
		rc = crypto_aead_aes256gcm_decrypt(
			body, NULL, NULL, body, len - WIRE_HEADER, data, WIRE_HEADER, nonce, key);
	else
		rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
			body, NULL, NULL, body, len - WIRE_HEADER, data, WIRE_HEADER, nonce, key);
	return rc == 0 ? len - WIRE_TAG : 0;
}

void seal_cookie_new(struct seal_cookie *ret)
{
	randombytes_buf(ret->secret, sizeof(ret->secret));
}

// The peer, whose length is the caller's, comes last: nothing else can move into its place.
void seal_cookie_mac(const struct seal_cookie *cookie, const struct wire_header *header,
	const uint8_t random[32], const void *peer, size_t peer_len, uint64_t made, uint8_t mac[16])
{
	crypto_generichash_blake2b_state state;
	uint8_t fields[COOKIE_FIELDS] = {0};

	put_le64(fields, header->source);
	put_le64(fields + 8, made);
	put_le32(fields + 16, header->epoch);
	memcpy(fields + 20, random, 32);
	put_le64(fields + 52, peer_len);
	begin(&state, cookie->secret, 16, asking);
	crypto_generichash_blake2b_update(&state, fields, sizeof(fields));
	crypto_generichash_blake2b_update(&state, peer, peer_len);
	crypto_generichash_blake2b_final(&state, mac, 16);
	sodium_memzero(&state, sizeof(state));
}

bool seal_cookie_fits(const struct seal_cookie *cookie, const struct wire_header *header,
	const uint8_t random[32], const void *peer, size_t peer_len, uint64_t made,
	const uint8_t mac[16])
{
	uint8_t right[16];

	seal_cookie_mac(cookie, header, random, peer, peer_len, made, right);
	return sodium_memcmp(right, mac, sizeof(right)) == 0;
}
