// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Batches as Arrow IPC for others: without rows of the protocol (WAL_LISTENER_PROTOCOL), without
// trailers, one record batch for each block that has events. The same batches give the same bytes,
// always. Columns and their names are those of the log.

#include "wal/batches.h"

#include <stddef.h>
#include <stdint.h>

#define WAL_EXPORT_FORMAT "millrace.batches/1" // as the schema's metadata names it

enum wal_export_form {
	WAL_EXPORT_STREAM, // Arrow IPC stream
	WAL_EXPORT_FILE,   // Arrow IPC file: the same with a footer
};

struct wal_export;

// One thread's. Bytes go to 'write', in order; what it returns below 0 ends the call with that.
typedef int (*wal_export_write)(void *arg, const void *data, size_t len);

int wal_export_new(
	struct wal_export **ret, enum wal_export_form form, wal_export_write write, void *arg);
void wal_export_free(struct wal_export *export); // NULL is fine

// What the schema's metadata says of the batches that follow.
struct wal_export_info {
	const char *receiver;
	unsigned partition;
	struct wal_id log_id;
	const char *listeners; // JSON
	uint64_t first_batch, last_batch;
};

// Once, before all else. After wal_export_end() it may be called again for the next stream or file.
int wal_export_begin(struct wal_export *export, const struct wal_export_info *info);
// One block of a batch; *ret_events counts those that were written, NULL is fine.
int wal_export_block(
	struct wal_export *export, const struct wal_block_view *view, uint32_t *ret_events);
int wal_export_end(struct wal_export *export);
