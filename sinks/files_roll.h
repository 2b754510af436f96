// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "sinks/sink.h"

// The last batch of the file that begins with 'first', which the reader has just given. Waits for
// more batches while the file has room and time; -ECANCELED when the feed is stopped meanwhile.
// Where the reader stands afterwards is not said. A file's batches have consecutive numbers, and
// the listeners are the same in all of them.
int files_roll(const struct sink_target *target, struct wal_batches *log,
	const struct wal_batch *first, uint64_t *ret_last);
