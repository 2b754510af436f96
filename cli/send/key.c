// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/key.h"

#include "cli/send/send.h"
#include "common/file.h"
#include "common/units.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 256
#define SPOOL_SIZE_MIN (4u << 20)

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
	return sodium_hex2bin(key, SEND_KEY_BYTES, data, len, NULL, &len, NULL) == 0 &&
	       len == SEND_KEY_BYTES;
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

int send_target_read(struct send_target *ret, const char *receivers, const char *key,
	const char *cipher, char *why)
{
	*ret = (struct send_target){.receivers = receivers};
	if (cipher != NULL && strcmp(cipher, "aes-256-gcm") == 0)
		ret->cipher = MILLRACE_AES_256_GCM;
	return key != NULL ? send_key_read(key, &ret->key_id, ret->key, why) : 0;
}

int send_target_find(struct send_target *ret, const char *cluster, const char *zookeeper,
	const char *listener, char *why)
{
	const char *wrong = NULL;

	ret->cluster = cluster;
	ret->zookeeper = zookeeper;
	ret->listener = listener;
	if (ret->receivers != NULL && cluster != NULL)
		wrong = "--reliable and --cluster are two ways: give one of them";
	else if (ret->receivers == NULL && cluster == NULL)
		wrong = "wants --reliable HOST:PORT or --cluster NAME";
	else if (cluster != NULL && zookeeper == NULL)
		wrong = "--cluster wants --zookeeper HOST:PORT";
	else if (cluster == NULL && (zookeeper != NULL || listener != NULL))
		wrong = "--zookeeper and --listener are only for --cluster";
	if (wrong == NULL)
		return 0;
	snprintf(why, SEND_WHY_BYTES, "%s", wrong);
	return -EINVAL;
}

int send_spool_read(struct send_target *ret, const char *spool, const char *size, char *why)
{
	ret->spool = spool;
	if (size == NULL)
		return 0;
	if (spool != NULL && units_parse_size(size, &ret->spool_bytes_max) &&
		ret->spool_bytes_max >= SPOOL_SIZE_MIN)
		return 0;
	snprintf(why, SEND_WHY_BYTES, "--spool-size '%.150s': want a size as 4GiB, 4MiB at least%s",
		size, spool == NULL ? ", of a --spool" : "");
	return -EINVAL;
}

int send_target_open(
	struct send_handle *ret, const struct send_target *target, uint32_t flags, char *why)
{
	const struct millrace_options options = {
		.size = sizeof(options),
		.receivers = target->receivers,
		.key = target->key_id != 0 ? target->key : NULL,
		.key_id = target->key_id,
		.cipher = target->cipher,
		.flags = flags,
		.spool = target->spool,
		.spool_bytes_max = target->spool_bytes_max,
	};
	const struct millrace_cluster_options cluster = {
		.size = sizeof(cluster),
		.zookeeper = target->zookeeper,
		.cluster = target->cluster,
		.listener = target->listener,
	};
	int err;

	*ret = (struct send_handle){0};
	if (target->cluster == NULL)
		return millrace_open(&ret->m, &options, why);
	err = millrace_cluster_open(&ret->cluster, &cluster, &options, why);
	if (err == 0)
		ret->m = millrace_cluster_handle(ret->cluster);
	return err;
}

void send_target_close(struct send_handle *handle)
{
	if (handle->cluster != NULL)
		millrace_cluster_close(handle->cluster, 0);
	else
		millrace_close(handle->m, 0);
	*handle = (struct send_handle){0};
}
