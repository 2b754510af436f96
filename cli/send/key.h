// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Whom a command sends to by libmillrace, and its pre-shared key: on a command line "ID:FILE", for
// the secret itself would be seen in `ps`.

#include "include/millrace_cluster.h"

#include <stdint.h>

#define SEND_KEY_BYTES MILLRACE_KEY
// Of the option --cipher.
#define SEND_CIPHERS "xchacha20-poly1305|aes-256-gcm"

// Of the options that find a cluster's receivers.
#define SEND_CLUSTER_HELP "instead of --reliable: to the receivers of this cluster, and after them"
#define SEND_ZOOKEEPER_HELP "with --cluster: the servers that know its receivers"
#define SEND_LISTENER_HELP \
	"with --cluster: of its receivers (default: the first one that is reliable)"

struct send_target {
	const char *receivers; // as millrace_open() wants them; NULL: those of a cluster
	// As millrace_cluster_open() wants them.
	const char *cluster, *zookeeper, *listener;
	uint16_t key_id; // 0: no key
	uint8_t key[SEND_KEY_BYTES];
	enum millrace_cipher cipher;
	const char *spool; // directory; NULL: none
	uint64_t spool_bytes_max;
};

// A handle, and what finds its receivers where they are a cluster's.
struct send_handle {
	struct millrace *m;
	struct millrace_cluster *cluster; // NULL: none
};

// The file holds the key's 32 bytes, or 64 hex digits. -EINVAL, or what reading the file says, with
// the reason in 'why' (SEND_WHY_BYTES).
int send_key_read(const char *text, uint16_t *ret_id, uint8_t key[SEND_KEY_BYTES], char *why);

// From the values of --reliable, --key and --cipher, NULL where they aren't given. -EINVAL as
// above.
int send_target_read(struct send_target *ret, const char *receivers, const char *key,
	const char *cipher, char *why);

// From the values of --cluster, --zookeeper and --listener, NULL where they aren't given. -EINVAL
// as above: those of a cluster aren't together, or 'ret' has receivers and a cluster, or neither.
int send_target_find(struct send_target *ret, const char *cluster, const char *zookeeper,
	const char *listener, char *why);

// From the values of --spool and --spool-size, NULL where they aren't given. -EINVAL as above.
int send_spool_read(struct send_target *ret, const char *spool, const char *size, char *why);

// As millrace_open() and millrace_cluster_open() do. 'flags': millrace_open()'s.
int send_target_open(
	struct send_handle *ret, const struct send_target *target, uint32_t flags, char *why);
// As millrace_close() does. Of one that wasn't opened (all zero): nothing.
void send_target_close(struct send_handle *handle);
