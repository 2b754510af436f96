// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A place in a log, as who follows it remembers it: everything before 'batch' was handed on.

#include "wal/format.h"

#include <stdbool.h>
#include <stddef.h>

struct wal_cursor {
	struct wal_id log_id;
	uint64_t batch; // the next one wanted
	uint64_t seq;   // the first one not handed on: behind the last row of the batch before
	uint32_t crc;   // of the last block of the batch before; 0 when there was none
};

#define WAL_CURSOR_TEXT_BYTES 160

// {"log_id":"<32 hex digits>","batch":"17","seq":"5012","crc":"89abcdef"}
void wal_cursor_text(const struct wal_cursor *cursor, char ret[WAL_CURSOR_TEXT_BYTES]);
// -EBADMSG when it isn't of that form.
int wal_cursor_parse(const char *text, size_t len, struct wal_cursor *ret);

// The file 'cursor.NAME.json' in a log's directory, replaced in one step and synced. -EINVAL: a
// name that is none of a file.
int wal_cursor_save(const char *dir, const char *name, const struct wal_cursor *cursor);
// -ENOENT: none; -EBADMSG: damaged, or by no hand of ours.
int wal_cursor_load(const char *dir, const char *name, struct wal_cursor *ret);
// 0 also when there is none.
int wal_cursor_remove(const char *dir, const char *name);
