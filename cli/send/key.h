// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A pre-shared key on a command line, as "ID:FILE": the secret itself would be seen in `ps`.

#include <stdint.h>

#define SEND_KEY_BYTES 32u

// The file holds the key's 32 bytes, or 64 hex digits. -EINVAL, or what reading the file says, with
// the reason in 'why' (SEND_WHY_BYTES).
int send_key_read(const char *text, uint16_t *ret_id, uint8_t key[SEND_KEY_BYTES], char *why);
