// SPDX-License-Identifier: BSD-3-Clause

// What recovery keeps though nothing proves it to be on the disk is written once more. A flush that
// failed leaves pages that read well and count as clean: after a restart in the same kernel the
// next flush would succeed without writing them.

#include "common/file.h"
#include "wal/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (1u << 20)

static int read_all(int fd, void *buf, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (uint8_t *)buf + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) // a file that was walked does not end here
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int rewrite(int fd, uint64_t from, uint64_t to)
{
	uint8_t *buf = malloc(CHUNK);
	int r = buf ? 0 : -ENOMEM;

	while (r == 0 && from < to) {
		size_t n = to - from < CHUNK ? to - from : CHUNK;

		r = read_all(fd, buf, n, from);
		if (r == 0)
			r = file_write_at(fd, buf, n, from);
		from += n;
	}
	free(buf);
	return r;
}

// Where the blocks begin that end at or beyond 'durable': back from the last one, all of which were
// found good, by their trailers.
static int unproven_from(int fd, const struct wal_segment *segment, uint64_t durable, uint64_t *ret)
{
	uint64_t at = segment->end;

	while (at > WAL_SCHEMA_BYTES) {
		struct wal_trailer t;
		int r = read_all(fd, &t, sizeof(t), at - sizeof(t));

		if (r < 0)
			return r;
		if (t.magic != WAL_TRAILER_MAGIC || t.block_len == 0 ||
			t.block_len > at - WAL_SCHEMA_BYTES)
			return -EIO; // it was good a moment ago
		if (t.first_seq + t.rows < durable)
			break;
		at -= t.block_len;
	}
	*ret = at > WAL_SCHEMA_BYTES ? at : 0;
	return 0;
}

int wal_rewrite(const struct wal_segment *segment, int fd, uint64_t durable)
{
	bool closed = segment->stop == WAL_STEP_EOS;
	uint64_t from = segment->end;
	int r = 0;

	if (segment->end_seq < durable)
		return 0;
	// A signed end says that all before it is on the disk, but not that it is there itself.
	if (!segment->has_end)
		r = unproven_from(fd, segment, durable, &from);
	return r < 0 ? r : rewrite(fd, from, segment->end + (closed ? WAL_PAGE : 0));
}
