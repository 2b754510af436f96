// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "sinks/sink.h"

// The driver's verify(): sinks/sink.h.
int files_verify(struct sink_target *target, struct wal_batches *log,
	const struct wal_cursor *limit, struct sink_verify *ret);
