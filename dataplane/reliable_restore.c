// SPDX-License-Identifier: BSD-3-Clause
// After a start: what the log holds of each source is read back, row by row.

#include "common/clock.h"
#include "common/logmsg.h"
#include "dataplane/reliable_internal.h"
#include "wal/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int restore_block(struct reliable *rel, const struct wal_block_view *view, uint64_t from,
	uint32_t now_s, uint64_t *rows)
{
	struct wal_row row;
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < view->trailer->rows; i++) {
		struct received received;

		wal_row_get(view, i, &row);
		if (row.source_id == 0 || row.seq < from)
			continue;
		received = (struct received){.source = row.source_id,
			.seq = row.source_seq,
			.epoch = row.source_epoch,
			.len = row.payload_len,
			.payload = row.payload,
			.is_opening = row.listener == WAL_LISTENER_PROTOCOL};
		err = receive_restore(rel->receive, &received, now_s);
		++*rows;
	}
	return err;
}

static int restore(struct reliable *rel, struct wal_reader *reader, uint64_t from, uint32_t now_s,
	uint64_t *rows)
{
	struct wal_block_view view;
	int err;

	while ((err = wal_reader_next(reader, &view)) > 0) {
		err = restore_block(rel, &view, from, now_s, rows);
		if (err != 0)
			return err;
	}
	return err;
}

// From the last saved state, and the rows that came after it. All of the log is held until there is
// a newer one.
static int read_back(struct reliable *rel, const char *dir, uint64_t *rows)
{
	const struct wal_limit all = {.segment_first = UINT64_MAX};
	uint32_t now_s = seconds_now();
	struct wal_reader *reader;
	uint64_t from;
	int err = save_load(rel, dir, now_s, &from);

	if (err != 0)
		return err;
	if (rel->partition->wal != NULL)
		wal_hold(rel->partition->wal, from);
	err = wal_reader_open(&reader, dir, from, all);
	if (err == -ENOENT)
		return 0;
	if (err != 0)
		return err;
	err = restore(rel, reader, from, now_s, rows);
	wal_reader_close(reader);
	return err;
}

int reliable_restore(struct reliable *rel, const char *data)
{
	unsigned number = rel->partition->number;
	char dir[CONFIG_PATH_MAX + 16];
	uint64_t rows = 0;
	int err;

	snprintf(dir, sizeof(dir), "%s/%u", data, number);
	err = read_back(rel, dir, &rows);
	if (err == -ENOSPC)
		log_err("partition %u: it knows more sources than fit; mend: raise "
			"reliable.sources",
			number);
	else if (err != 0)
		log_err("partition %u: can't read back what its sources have sent: %s", number,
			strerror(-err));
	else if (rows > 0 || seen_count(receive_seen(rel->receive)) > 0)
		log_notice("partition %u: %u sources known; %" PRIu64 " of their events read back",
			number, seen_count(receive_seen(rel->receive)), rows);
	return err;
}
