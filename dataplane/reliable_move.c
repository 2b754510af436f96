// SPDX-License-Identifier: BSD-3-Clause
// Where the number of partitions has changed, sources have another one than that whose log tells of
// them. What is known of them moves at the start, before anything is taken: into the new
// partition's file first, then out of the old one's. So every log can be read back on top of its
// own file, and nobody remembers of a source what it was long ago.

#include "common/logmsg.h"
#include "dataplane/reliable_internal.h"
#include "wal/recover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct moving {
	const struct dataplane *dp;
	unsigned partition;
};

static bool is_its(void *arg, uint64_t source)
{
	const struct moving *moving = arg;

	return reliable_partition_of(moving->dp, source) == moving->partition;
}

static bool is_others(void *arg, uint64_t source)
{
	return !is_its(arg, source);
}

// How many, or an error, logged.
static int move_to(struct dataplane *dp, const struct reliable *from, struct reliable *to)
{
	struct moving moving = {dp, to->partition->number};
	int err, moved = receive_adopt(to->receive, from->receive, is_its, &moving, seconds_now());

	if (moved < 0)
		log_err("partition %u gets more sources than fit; mend: raise reliable.sources",
			to->partition->number);
	if (moved <= 0)
		return moved;
	err = save_now(to, dp->config->data);
	if (err == 0)
		log_notice("partition %u: has %d sources of partition %u now",
			to->partition->number, moved, from->partition->number);
	return err != 0 ? err : moved;
}

static int move_from(struct dataplane *dp, struct reliable *from)
{
	struct moving moving = {dp, from->partition->number};
	int moved = 0;

	for (unsigned i = 0; i < dp->partition_count; i++) {
		struct reliable *to = dp->partitions[i].reliable;
		int n = to != from ? move_to(dp, from, to) : 0;

		if (n < 0)
			return n;
		moved += n;
	}
	if (moved == 0)
		return 0;
	receive_disown(from->receive, is_others, &moving);
	return save_now(from, dp->config->data);
}

// A log that is no longer written. As one that is, it ends only where recovery says so: what that
// cuts off was never acknowledged, and must not be known.
static int recover(struct partition *gone, const char *dir)
{
	struct wal_tail tail;
	char why[512] = "";
	int err = wal_recover(dir, gone->number, &tail, why);

	if (err == 0)
		gone->recovery = tail.report;
	else
		log_err("partition %u, one more than 'partitions' says now: %s", gone->number, why);
	// The log of another partition: refused for safety, as twins are.
	return err == -EINVAL ? -EEXIST : err;
}

static int read_gone(struct dataplane *dp, unsigned number)
{
	struct partition gone = {.number = number};
	char dir[CONFIG_PATH_MAX + 16];
	int err;

	snprintf(dir, sizeof(dir), "%s/%u", dp->config->data, number);
	if (access(dir, F_OK) != 0)
		return errno == ENOENT ? 0 : -errno;
	err = recover(&gone, dir);
	if (err != 0 || gone.recovery.created)
		return err;
	err = reliable_new(&gone, &dp->config->reliable, NULL, 0);
	if (err == 0)
		err = reliable_restore(gone.reliable, dp->config->data);
	if (err == 0)
		err = move_from(dp, gone.reliable);
	reliable_end(&gone);
	return err;
}

int reliable_move(struct dataplane *dp)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < dp->partition_count; i++)
		err = move_from(dp, dp->partitions[i].reliable);
	for (unsigned i = dp->partition_count; err == 0 && i < CONFIG_PARTITIONS_MAX; i++)
		err = read_gone(dp, i);
	return err;
}
