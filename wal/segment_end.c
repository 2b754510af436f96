// SPDX-License-Identifier: BSD-3-Clause
#include "common/crc32c.h"
#include "wal/format.h"

#include <errno.h>
#include <string.h>

#define END_AT (WAL_PAGE - WAL_TRAILER_BYTES)

void wal_end_compose(uint8_t *page, const struct wal_segment_end *end)
{
	struct wal_segment_end copy = *end;

	wal_eos_compose(page);
	copy.magic = WAL_END_MAGIC;
	memset(copy.zero, 0, sizeof(copy.zero));
	memcpy(page + END_AT, &copy, sizeof(copy));
	copy.crc = crc32c(page, WAL_PAGE - sizeof(copy.crc));
	memcpy(page + WAL_PAGE - sizeof(copy.crc), &copy.crc, sizeof(copy.crc));
}

int wal_end_parse(const uint8_t *page, const struct wal_segment_header *segment,
	uint64_t file_offset, struct wal_segment_end *ret)
{
	struct wal_segment_end end;

	memcpy(&end, page + END_AT, sizeof(end));
	if (end.magic != WAL_END_MAGIC || end.file_offset != file_offset ||
		!wal_id_equal(&end.segment_id, &segment->segment_id))
		return -ENODATA;
	if (end.crc != crc32c(page, WAL_PAGE - sizeof(end.crc)))
		return -ENODATA;

	*ret = end;
	return 0;
}
