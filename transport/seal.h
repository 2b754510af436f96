// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Keys of the protocol, by libsodium. A pre-shared key signs the handshake, PROBE and RESET (keyed
// BLAKE2b over the whole datagram), and with the randoms of both ends makes a key for each
// direction of a session, under which all else is sealed: the header is authenticated, the
// datagram's number is the nonce. A number is used once: that is the sessions' duty. AES-256-GCM
// where both CPUs have it would need a negotiation; the cipher is part of the key's configuration
// instead, the same at both ends. Call sodium_init() once before anything here.

#include "transport/wire.h"

#include <stddef.h>

#define SEAL_KEY 32u

enum seal_cipher { SEAL_XCHACHA20_POLY1305, SEAL_AES_256_GCM };

// A pre-shared key. id 0: no key, nothing is signed or sealed.
struct seal_key {
	uint16_t id;
	enum seal_cipher cipher;
	uint8_t secret[SEAL_KEY];
};

// Both directions of a session.
struct seal_session {
	uint16_t key; // id; 0: not sealed
	enum seal_cipher cipher;
	uint8_t to_receiver[SEAL_KEY], to_sender[SEAL_KEY];
};

// Whether this CPU has it: keys with another one are not used.
bool seal_cipher_here(enum seal_cipher cipher);

void seal_make_session(struct seal_session *ret, const struct seal_key *key,
	const uint8_t sender_random[32], const uint8_t receiver_random[32], uint64_t source,
	uint32_t epoch);

// The tag of a datagram of the handshake, a PROBE or a RESET: signs data[0 .. len), whose header
// has the key's id. Returns the length with the tag, which is len without a key.
uint32_t seal_sign(const struct seal_key *key, uint8_t *data, uint32_t len);
// The length without the tag; 0: not signed with this key, or its header names another. 'len' with
// it. With the key of id 0 all that names no key is as it should be.
uint32_t seal_verify(const struct seal_key *key, const uint8_t *data, uint32_t len);

// Of a session's datagram; 'to_receiver' says the direction. In place, lengths as above; a body
// that seal_open() refuses is spoiled.
uint32_t seal_close(
	const struct seal_session *session, bool to_receiver, uint8_t *data, uint32_t len);
uint32_t seal_open(
	const struct seal_session *session, bool to_receiver, uint8_t *data, uint32_t len);

// The receiver's challenge, which it need not remember: that somebody at this address, who said
// this, was asked at 'made' (ms of its clock). 'peer': bytes without padding, and its length.
struct seal_cookie {
	uint8_t secret[32]; // of this receiver's life
};
void seal_cookie_new(struct seal_cookie *ret);
void seal_cookie_mac(const struct seal_cookie *cookie, const struct wire_header *header,
	const uint8_t random[32], const void *peer, size_t peer_len, uint64_t made,
	uint8_t mac[16]);
bool seal_cookie_fits(const struct seal_cookie *cookie, const struct wire_header *header,
	const uint8_t random[32], const void *peer, size_t peer_len, uint64_t made,
	const uint8_t mac[16]);
