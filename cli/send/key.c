// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/key.h"

#include "cli/send/send.h"
#include "common/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 256

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_secret(const char *data, size_t len, uint8_t key[SEND_KEY_BYTES])
{
	if (len == SEND_KEY_BYTES) {
		memcpy(key, data, len);
		return true;
	}
	while (len > 0 && strchr(" \t\r\n", data[len - 1]) != NULL)
		len--;
	if (len != (size_t)2 * SEND_KEY_BYTES)
		return false;
	for (unsigned i = 0; i < SEND_KEY_BYTES; i++) {
		int high = nibble(data[2 * i]), low = nibble(data[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int send_key_read(const char *text, uint16_t *ret_id, uint8_t key[SEND_KEY_BYTES], char *why)
{
	char *file, *data = NULL;
	unsigned long id = strtoul(text, &file, 10);
	size_t len = 0;
	int err;

	if (*text < '0' || *text > '9' || *file != ':' || id < 1 || id > UINT16_MAX) {
		snprintf(why, SEND_WHY_BYTES, "'%.200s' is not ID:FILE, ID from 1 to 65535", text);
		return -EINVAL;
	}
	err = file_read(++file, FILE_MAX, &data, &len);
	if (err == 0 && !take_secret(data, len, key))
		err = -EINVAL;
	if (data != NULL)
		explicit_bzero(data, len);
	free(data);
	if (err == -EINVAL || err == -EFBIG)
		snprintf(why, SEND_WHY_BYTES, "%.200s: neither 32 bytes nor 64 hex digits", file);
	else if (err != 0)
		snprintf(why, SEND_WHY_BYTES, "%.200s: %s", file, strerror(-err));
	*ret_id = (uint16_t)id;
	return err;
}
