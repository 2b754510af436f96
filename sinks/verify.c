// SPDX-License-Identifier: BSD-3-Clause
// What the drivers share of reading a sink back.

#include "sinks/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void sink_verify_found(struct sink_verify *verify, const char *format, ...)
{
	va_list ap;

	if (verify->found++ >= SINK_FINDINGS)
		return;
	va_start(ap, format);
	vsnprintf(verify->findings[verify->found - 1], SINK_WHY_BYTES, format, ap);
	va_end(ap);
}

int sink_verify_next(struct sink_target *target, struct wal_batches *log,
	const struct wal_cursor *limit, struct wal_batch *ret)
{
	int r = -ESTALE;

	if (wal_batches_wanted(log) >= limit->batch)
		return 0;
	while (r == -ESTALE && !atomic_load(target->stop))
		r = wal_batches_next(log, ret);
	if (r == -ESTALE)
		return -ECANCELED;
	if (r == 1 && !wal_id_equal(&ret->log_id, &limit->log_id)) {
		snprintf(target->why, sizeof(target->why),
			"the cursor is of another log than the one in %s", target->dir);
		return -EBADMSG;
	}
	if (r == 1)
		return ret->number < limit->batch;
	if (r == 0)
		snprintf(target->why, sizeof(target->why),
			"the log in %s ends before batch %" PRIu64
			", and the cursor says that it was delivered",
			target->dir, limit->batch - 1);
	else
		snprintf(target->why, sizeof(target->why), "%s", wal_batches_why(log));
	return r == 0 ? -EBADMSG : r;
}
