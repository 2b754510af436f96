// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A sender's events on its own disk, until a receiver has them on its own; docs/spool.md has the
// format. An event is synced here before it is sent anywhere: a seq that a receiver has seen is
// never given to another event, whatever becomes of this machine.
//
//   spool_add() … ──▶ spool_write() ──▶ spool_sync() ──▶ spool_read(), and to the receiver
//                                       spool_forget() ◀── durable there
//
// One thread writes, one reads (each function says whose it is); they meet at the synced seq that
// the first tells the second by a way of its own. All functions return negative errno values.
// A directory has one user at a time: spool_lock().

#include "transport/send.h"

#include <limits.h>

#define SPOOL_TEXT 256u // room for an error in words

struct spool_config {
	const char *dir;
	uint32_t segment_bytes; // a file of events is followed by the next one at about this size
	uint32_t frame_bytes;   // the same for one write; one event goes, however large
};

// What an earlier process has left, or the beginning.
struct spool_found {
	uint64_t source;
	struct send_epoch epoch; // number 1 and the rest zero: the beginning
	bool resumed;
	uint64_t durable;  // all below it were
	uint64_t next_seq; // of the next event
};

struct spool;

// The descriptor that holds the lock until it is closed; it makes the directory if need be. -EBUSY:
// somebody else has it.
int spool_lock(const char *dir);

// 'why' (SPOOL_TEXT) says what is wrong, where, and what mends it. -EBADMSG: damaged, or not a
// spool; -ENOTSUP: of a later version. Then nothing was changed. Any thread, before the others.
int spool_open(struct spool **ret, const struct spool_config *config, struct spool_found *found,
	char *why);
// With 'durable' as for spool_forget(). The last call.
void spool_close(struct spool *sp, uint64_t durable);

// The writer's. False: the frame is full, and is to be written first. No memory is allocated.
bool spool_add(struct spool *sp, const uint8_t *event, uint32_t len);
// What was added. -ENOSPC, -EDQUOT: it stays, and may be tried again. Any other: the spool has
// failed, and says the same from now on.
int spool_write(struct spool *sp);
// What was written can't be taken back any more, not by a power cut either. An error: it has
// failed.
int spool_sync(struct spool *sp);
// All below are synced.
uint64_t spool_synced(const struct spool *sp);
// All below 'durable', at most spool_synced(), are at a receiver: files of which all is go away.
// Remembers it, not in haste: a later process may be told less.
int spool_forget(struct spool *sp, uint64_t durable);
// Bytes on disk.
uint64_t spool_bytes(const struct spool *sp);

// The reader's. What send_epoch_now() says, on disk when it returns.
int spool_keep_epoch(struct spool *sp, const struct send_epoch *epoch);

struct spool_reader;

// From spool_found's 'durable' on. -ENOMEM.
int spool_reader_make(struct spool_reader **ret, const struct spool *sp);
void spool_reader_free(struct spool_reader *r);
// The next event that is below 'synced', borrowed until the next call: 1. 0: there is none.
// -EBADMSG: damaged, 'why' (SPOOL_TEXT) says where.
int spool_reader_first(
	struct spool_reader *r, uint64_t synced, const uint8_t **event, uint32_t *len, char *why);
// Goes on behind it.
void spool_reader_next(struct spool_reader *r);
