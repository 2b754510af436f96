// SPDX-License-Identifier: BSD-3-Clause
#include "wal/format.h"

#include "wal/arrow.h"
#include "wal/meta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define COLUMN_ALIGN 64u

const uint8_t wal_column_width[WAL_COLUMNS] = {8, 8, 16, 2, 2, 8, 4, 8, 4};

// Where the payload begins with room for so many rows, filling the columns' places on the way.
static uint64_t place(uint64_t rows, uint64_t at[WAL_COLUMNS])
{
	uint64_t next = WAL_BLOCK_HEADER_BYTES;

	for (unsigned i = 0; i < WAL_COLUMNS; i++) {
		at[i] = next;
		next += (rows + (i == COL_PAYLOAD ? 1 : 0)) * wal_column_width[i];
		next = wal_align_up(next, COLUMN_ALIGN);
	}
	return next;
}

// Most rows that leave the trailer its place when payloads are empty.
static uint32_t rows_limit(uint32_t size)
{
	uint64_t at[WAL_COLUMNS];
	uint32_t rows;

	if (size <= WAL_BLOCK_HEADER_BYTES + WAL_TRAILER_BYTES)
		return 0;
	rows = (size - WAL_BLOCK_HEADER_BYTES - WAL_TRAILER_BYTES) / WAL_ROW_BYTES;
	while (rows && place(rows, at) + WAL_TRAILER_BYTES > size)
		rows--;
	return rows;
}

void wal_layout_init(struct wal_layout *ret, uint32_t rows, uint32_t size)
{
	uint64_t at[WAL_COLUMNS];
	uint64_t payload = place(rows, at);

	if (payload + WAL_TRAILER_BYTES > size) {
		rows = rows_limit(size);
		payload = place(rows, at);
	}
	for (unsigned i = 0; i < WAL_COLUMNS; i++)
		ret->at[i] = (uint32_t)at[i];
	ret->payload = (uint32_t)payload;
	ret->payload_max = payload + WAL_TRAILER_BYTES > size
				   ? 0
				   : size - WAL_TRAILER_BYTES - (uint32_t)payload;
	ret->rows_max = rows;
}

uint32_t wal_rows_for(uint32_t size, uint32_t mean_payload)
{
	uint32_t limit = rows_limit(size);
	uint64_t fixed = WAL_BLOCK_HEADER_BYTES + WAL_TRAILER_BYTES + WAL_COLUMNS * COLUMN_ALIGN;
	uint64_t rows;

	if (size <= fixed)
		return 1;
	rows = (size - fixed) / ((uint64_t)WAL_ROW_BYTES + mean_payload);
	if (mean_payload == 0 || rows > limit)
		rows = limit;
	return rows ? (uint32_t)rows : 1;
}

uint32_t wal_block_len(const struct wal_layout *layout, uint32_t payload_bytes)
{
	return (uint32_t)wal_align_up(
		(uint64_t)layout->payload + payload_bytes + WAL_TRAILER_BYTES, WAL_PAGE);
}

void wal_eos_compose(uint8_t *page)
{
	uint32_t continuation = ARROW_CONTINUATION;

	memset(page, 0, WAL_PAGE);
	memcpy(page, &continuation, sizeof(continuation));
}

void wal_id_text(const struct wal_id *id, char ret[33])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < sizeof(id->bytes); i++) {
		ret[2 * i] = digits[id->bytes[i] >> 4];
		ret[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	ret[32] = 0;
}

bool wal_id_parse(const char *text, struct wal_id *ret)
{
	if (strlen(text) != 2 * sizeof(ret->bytes) ||
		strspn(text, "0123456789abcdef") != 2 * sizeof(ret->bytes))
		return false;
	for (unsigned i = 0; i < sizeof(ret->bytes); i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};

		ret->bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

int wal_id_random(struct wal_id *ret)
{
	ssize_t n;

	do
		n = getrandom(ret->bytes, sizeof(ret->bytes), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(ret->bytes) ? 0 : -EIO;
}

bool wal_id_equal(const struct wal_id *a, const struct wal_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
