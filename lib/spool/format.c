// SPDX-License-Identifier: BSD-3-Clause
#include "lib/spool/format.h"

#include "transport/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define FRAME_MAGIC 0x6652534du // "MSRf"
#define SOURCE_MAGIC "MRspool"
#define SUFFIX ".events"
#define DIGITS 20u

uint64_t frame_sum(const uint8_t *bytes, uint32_t len, const uint8_t key[SPOOL_KEY])
{
	uint8_t sum[crypto_shorthash_BYTES];

	crypto_shorthash(sum, bytes, len, key);
	return le64(sum);
}

void frame_write(uint8_t header[FRAME_HEADER], const struct frame *f, const uint8_t key[SPOOL_KEY])
{
	put_le32(header, FRAME_MAGIC);
	put_le32(header + 4, f->len);
	put_le32(header + 8, f->count);
	put_le32(header + 12, 0);
	put_le64(header + 16, f->first_seq);
	put_le64(header + 24, f->durable);
	put_le64(header + 32, f->synced);
	put_le64(header + 40, f->offset);
	put_le64(header + 48, f->body_sum);
	put_le64(header + 56, frame_sum(header, 56, key));
}

bool frame_read(const uint8_t header[FRAME_HEADER], struct frame *ret, const uint8_t key[SPOOL_KEY])
{
	if (le32(header) != FRAME_MAGIC || le64(header + 56) != frame_sum(header, 56, key))
		return false;
	*ret = (struct frame){
		.len = le32(header + 4),
		.count = le32(header + 8),
		.first_seq = le64(header + 16),
		.durable = le64(header + 24),
		.synced = le64(header + 32),
		.offset = le64(header + 40),
		.body_sum = le64(header + 48),
	};
	return ret->len <= FRAME_BODY_MAX && le32(header + 12) == 0;
}

void source_write(uint8_t bytes[SPOOL_SOURCE_BYTES], const struct spool_source *s)
{
	const struct send_epoch *e = &s->epoch;

	memset(bytes, 0, SPOOL_SOURCE_BYTES);
	memcpy(bytes, SOURCE_MAGIC, 8);
	put_le32(bytes + 8, SPOOL_VERSION);
	put_le64(bytes + 16, s->source);
	memcpy(bytes + 24, s->key, SPOOL_KEY);
	put_le32(bytes + 40, e->number);
	put_le32(bytes + 44, e->opened);
	put_le64(bytes + 48, e->first_seq);
	put_le32(bytes + 56, e->prev_number);
	put_le64(bytes + 64, e->prev_seq);
	memcpy(bytes + 72, e->log_id, sizeof(e->log_id));
	memcpy(bytes + 88, e->prev_log, sizeof(e->prev_log));
	put_le64(bytes + 120, frame_sum(bytes, 120, s->key));
}

int source_read(const uint8_t *bytes, size_t len, struct spool_source *ret)
{
	struct send_epoch *e = &ret->epoch;

	*ret = (struct spool_source){0};
	if (len < 12 || memcmp(bytes, SOURCE_MAGIC, 8) != 0)
		return -EBADMSG;
	if (le32(bytes + 8) > SPOOL_VERSION)
		return -ENOTSUP;
	if (len != SPOOL_SOURCE_BYTES)
		return -EBADMSG;
	ret->source = le64(bytes + 16);
	memcpy(ret->key, bytes + 24, SPOOL_KEY);
	e->number = le32(bytes + 40);
	e->opened = le32(bytes + 44);
	e->first_seq = le64(bytes + 48);
	e->prev_number = le32(bytes + 56);
	e->prev_seq = le64(bytes + 64);
	memcpy(e->log_id, bytes + 72, sizeof(e->log_id));
	memcpy(e->prev_log, bytes + 88, sizeof(e->prev_log));
	if (le64(bytes + 120) != frame_sum(bytes, 120, ret->key) || ret->source == 0 ||
		e->number == 0)
		return -EBADMSG;
	return 0;
}

void segment_name(char name[SPOOL_NAME], uint64_t first_seq)
{
	snprintf(name, SPOOL_NAME, "%0*" PRIu64 SUFFIX, (int)DIGITS, first_seq);
}

bool segment_parse(const char *name, uint64_t *ret_first_seq)
{
	uint64_t seq = 0;

	if (strlen(name) != DIGITS + strlen(SUFFIX) || strcmp(name + DIGITS, SUFFIX) != 0)
		return false;
	for (unsigned i = 0; i < DIGITS; i++) {
		unsigned digit = (unsigned)(name[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(seq, 10u, &seq) ||
			__builtin_add_overflow(seq, digit, &seq))
			return false;
	}
	*ret_first_seq = seq;
	return true;
}
