// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Whom a command sends to by libmillrace, and its pre-shared key: on a command line "ID:FILE", for
// the secret itself would be seen in `ps`.

#include "include/millrace.h"

#include <stdint.h>

#define SEND_KEY_BYTES MILLRACE_KEY
// Of the option --cipher.
#define SEND_CIPHERS "xchacha20-poly1305|aes-256-gcm"

struct send_target {
	const char *receivers; // as millrace_open() wants them
	uint16_t key_id;       // 0: no key
	uint8_t key[SEND_KEY_BYTES];
	enum millrace_cipher cipher;
	const char *spool; // directory; NULL: none
	uint64_t spool_bytes_max;
};

// The file holds the key's 32 bytes, or 64 hex digits. -EINVAL, or what reading the file says, with
// the reason in 'why' (SEND_WHY_BYTES).
int send_key_read(const char *text, uint16_t *ret_id, uint8_t key[SEND_KEY_BYTES], char *why);

// From the values of --reliable, --key and --cipher, the last two NULL where they aren't given.
// -EINVAL as above.
int send_target_read(struct send_target *ret, const char *receivers, const char *key,
	const char *cipher, char *why);

// From the values of --spool and --spool-size, NULL where they aren't given. -EINVAL as above.
int send_spool_read(struct send_target *ret, const char *spool, const char *size, char *why);

// As millrace_open() does. 'flags': its.
int send_target_open(
	struct millrace **ret, const struct send_target *target, uint32_t flags, char *why);
