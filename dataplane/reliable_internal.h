// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "common/clock.h"
#include "dataplane/reliable.h"
#include "transport/receive.h"

#define ENDS 128u // more than there are blocks

struct reliable {
	struct receive *receive;
	struct partition *partition;
	uint64_t looked; // seq of the next block's first row, when last looked at
	// Of each block that holds something of ours and isn't durable: the seq behind it.
	uint64_t ends[ENDS];
	unsigned first, count;
	struct received *events; // room for a datagram's
	struct save *save;
	bool news;    // its counters have moved
	bool answers; // where acknowledgements wait for sinks: see may_answer()
	struct counter_set set;
	uint64_t values[RECEIVE_COUNTER_COUNT];
};

// The clock of seen_touch() and its like.
static inline uint32_t seconds_now(void)
{
	return (uint32_t)(clock_ticks_to_ns(clock_ticks()) / 1000000000u);
}

// reliable.c: a partition's half, which knows nothing yet. After an error, too, reliable_end().
int reliable_new(struct partition *partition, const struct config_reliable *wanted,
	const struct seal_key *keys, unsigned key_count);
void reliable_end(struct partition *partition);
unsigned reliable_partition_of(const struct dataplane *dp, uint64_t source);
// reliable_move.c: gives each source to the partition that has it now, from those, too, that are
// more than there are to be. Logs why it can't.
int reliable_move(struct dataplane *dp);
// reliable_keys.c: reads a file of pre-shared keys. -EINVAL and why (256 bytes) name the line.
int reliable_read_keys(const char *path, struct seal_key *keys, unsigned *count, char *why);
// reliable_restore.c: from the partition's log, which nobody writes now. Logs why it can't.
int reliable_restore(struct reliable *rel, const char *data);
// reliable_save.c
int save_make(struct reliable *rel);
void save_free(struct reliable *rel);
// All that is known, written at once; nobody appends meanwhile, and the log is durable. Logs why it
// can't.
int save_now(struct reliable *rel, const char *data);
// Owner; 'rotated': segments that the log has begun.
void save_poll(struct reliable *rel, uint64_t rotated);
// What was saved last, and the seq from which on the log is to be read; 0: nothing was. Logs what
// is wrong with it.
int save_load(struct reliable *rel, const char *dir, uint32_t now_s, uint64_t *from);
// The thread that writes.
int saver_start(struct dataplane *dp);
void saver_stop(struct dataplane *dp);
// reliable_answer.c
bool send_acks(struct lcore *lcore, struct reliable *rel, uint64_t now);
void peer_of(struct peer *ret, const struct lcore *lcore, const struct rte_mbuf *m,
	const struct packet *packet);
