// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The bytes of a spool: docs/spool.md.

#include "lib/spool/spool.h"

#define SPOOL_VERSION 1u
#define SPOOL_KEY 16u
#define SPOOL_SOURCE_NAME "source"
#define SPOOL_NAME 32u // room for a name in the directory

#define FRAME_HEADER 64u
#define FRAME_BODY_MAX (4u << 20)

struct frame {
	uint32_t len;   // of the body
	uint32_t count; // events
	uint64_t first_seq;
	uint64_t durable; // all below it were, when this was written
	uint64_t synced;  // the same, on this disk
	uint64_t offset;  // in the file
	uint64_t body_sum;
};

// The header and its body on disk, with what pads them.
static inline uint64_t frame_size(uint32_t len)
{
	return (FRAME_HEADER + (uint64_t)len + 63) / 64 * 64;
}

// A frame is told from anything an event may hold by a sum under a key that only the spool knows.
void frame_write(uint8_t header[FRAME_HEADER], const struct frame *f, const uint8_t key[SPOOL_KEY]);
bool frame_read(
	const uint8_t header[FRAME_HEADER], struct frame *ret, const uint8_t key[SPOOL_KEY]);
uint64_t frame_sum(const uint8_t *bytes, uint32_t len, const uint8_t key[SPOOL_KEY]);

struct spool_source {
	uint64_t source;
	uint8_t key[SPOOL_KEY];
	struct send_epoch epoch;
};

#define SPOOL_SOURCE_BYTES 128u
void source_write(uint8_t bytes[SPOOL_SOURCE_BYTES], const struct spool_source *s);
// -EBADMSG, -ENOTSUP.
int source_read(const uint8_t *bytes, size_t len, struct spool_source *ret);

void segment_name(char name[SPOOL_NAME], uint64_t first_seq);
bool segment_parse(const char *name, uint64_t *ret_first_seq);
