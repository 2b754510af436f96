// SPDX-License-Identifier: BSD-3-Clause
// Pre-shared keys: a line of a file each, "ID CIPHER 64-HEX-DIGITS"; '#' begins a comment.

#include "dataplane/reliable_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WHY 256

static const char *read_cipher(const char *text, enum seal_cipher *ret)
{
	if (strcmp(text, "xchacha20-poly1305") == 0)
		*ret = SEAL_XCHACHA20_POLY1305;
	else if (strcmp(text, "aes-256-gcm") == 0)
		*ret = SEAL_AES_256_GCM;
	else
		return "the cipher must be xchacha20-poly1305 or aes-256-gcm";
	return seal_cipher_here(*ret) ? NULL : "this CPU has no aes-256-gcm";
}

// NULL, or what is wrong with the line.
static const char *read_key(char *line, struct seal_key *ret)
{
	char *rest = NULL, *end;
	const char *id = strtok_r(line, " \t\n", &rest), *cipher = strtok_r(NULL, " \t\n", &rest);
	const char *hex = strtok_r(NULL, " \t\n", &rest), *wrong;
	unsigned long number;
	size_t len;

	if (hex == NULL || strtok_r(NULL, " \t\n", &rest) != NULL)
		return "must be: ID CIPHER KEY";
	number = strtoul(id, &end, 10);
	if (*end != '\0' || number == 0 || number > UINT16_MAX)
		return "the id must be 1 to 65535";
	wrong = read_cipher(cipher, &ret->cipher);
	if (wrong != NULL)
		return wrong;
	ret->id = (uint16_t)number;
	if (strlen(hex) != 2 * SEAL_KEY ||
		sodium_hex2bin(ret->secret, SEAL_KEY, hex, 2 * SEAL_KEY, NULL, &len, NULL) != 0 ||
		len != SEAL_KEY)
		return "the key must be 64 hex digits, as from: openssl rand -hex 32";
	return NULL;
}

static const char *add_key(char *line, struct seal_key *keys, unsigned *count)
{
	const char *wrong;

	if (*count == RECEIVE_KEYS)
		return "there are more keys than 4";
	wrong = read_key(line, &keys[*count]);
	for (unsigned i = 0; wrong == NULL && i < *count; i++)
		if (keys[i].id == keys[*count].id)
			wrong = "the id stands on an earlier line, too";
	*count += wrong == NULL;
	return wrong;
}

static int read_lines(
	FILE *file, const char *path, struct seal_key *keys, unsigned *count, char *why)
{
	char line[256];
	const char *wrong;

	for (unsigned number = 1; fgets(line, sizeof(line), file) != NULL; number++) {
		line[strcspn(line, "#\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		wrong = add_key(line, keys, count);
		sodium_memzero(line, sizeof(line));
		if (wrong == NULL)
			continue;
		snprintf(why, WHY, "%s, line %u: %s", path, number, wrong);
		return -EINVAL;
	}
	if (*count > 0)
		return 0;
	snprintf(why, WHY, "%s: holds no key", path);
	return -EINVAL;
}

int reliable_read_keys(const char *path, struct seal_key *keys, unsigned *count, char *why)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	int err = 0;

	*count = 0;
	if (file == NULL || fstat(fileno(file), &st) != 0) {
		err = -errno;
		snprintf(why, WHY, "%s: %s", path, strerror(-err));
	} else if ((st.st_mode & 077) != 0) {
		err = -EACCES;
		snprintf(why, WHY, "%s: others may read it; mend: chmod 600 %s", path, path);
	} else {
		err = read_lines(file, path, keys, count, why);
	}
	if (file != NULL)
		fclose(file);
	return err;
}
