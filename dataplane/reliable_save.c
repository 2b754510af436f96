// SPDX-License-Identifier: BSD-3-Clause
// What is known of the sources, in a file beside the log, so that a start reads the log from there
// on only, and retention may let go of what lies before. The lcore copies a few sources in each
// round, whatever is appended meanwhile: a start reads the rows from the copy's begin on once more.
// The file is written, by a thread of its own, when all that the copy may know of is durable.
//
// The file, little-endian: magic, version, log_id, seq that reading begins at, length; the sources
// (transport/seen.h); CRC-32C of all before. What was known before the log's first row has no
// log_id: the log gets its own for good with its first segment.

#include "batching/batcher.h"
#include "common/crc32c.h"
#include "common/file.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "dataplane/reliable_internal.h"
#include "transport/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_NAME "sources"
#define MAGIC 0x314352534c494dull // "MILSRC1"
#define VERSION 1u
#define HEADER 48u
#define CRC 4u
#define STEP 256u // sources copied in a round: some microseconds

// The lcore moves it up to SAVE_READY, the thread back to SAVE_IDLE.
enum { SAVE_IDLE, SAVE_COPYING, SAVE_WAITING, SAVE_READY };

struct save {
	_Atomic int state;
	uint64_t rotated; // segments begun when the last copy was
	bool begun;       // a copy was, since the start
	uint64_t from;    // seq of the first row that the copy may lack
	uint64_t until;   // the copy may know of rows below
	uint32_t at;
	uint8_t *data;
	size_t len, room; // without the CRC
};

struct saver {
	struct dataplane *dp;
	pthread_t thread;
	bool runs;
	_Atomic bool stop;
};

int save_make(struct reliable *rel)
{
	struct save *save = rel->save = calloc(1, sizeof(*save));

	if (save == NULL)
		return -ENOMEM;
	return 0;
}

// For what is known now: a start may have found more than there was room for before.
static int fit(struct reliable *rel)
{
	struct save *save = rel->save;
	size_t room = HEADER + receive_save_room(rel->receive);
	uint8_t *data = realloc(save->data, room + CRC);

	if (data == NULL)
		return -ENOMEM;
	save->data = data;
	save->room = room;
	return 0;
}

void save_free(struct reliable *rel)
{
	if (rel->save == NULL)
		return;
	free(rel->save->data);
	free(rel->save);
}

static void finish(const struct reliable *rel)
{
	struct save *save = rel->save;

	put_le64(save->data, MAGIC);
	put_le32(save->data + 8, VERSION);
	put_le32(save->data + 12, SEEN_WINDOW);
	memset(save->data + 16, 0, 16);
	if (save->until > 0)
		memcpy(save->data + 16, &rel->partition->recovery.log_id, 16);
	put_le64(save->data + 32, save->from);
	put_le64(save->data + 40, save->len - HEADER);
	put_le32(save->data + save->len, crc32c(save->data, save->len));
	save->len += CRC;
}

// Once a segment, and soon after the start.
static bool is_due(struct save *save, uint64_t rotated)
{
	if (save->begun && rotated == save->rotated)
		return false;
	save->begun = true;
	save->rotated = rotated;
	return true;
}

void save_poll(struct reliable *rel, uint64_t rotated)
{
	const struct wal_state *log = wal_state(rel->partition->wal);
	struct save *save = rel->save;
	uint64_t next = wal_next_seq(rel->partition->wal);
	int saved;

	switch (atomic_load_explicit(&save->state, memory_order_acquire)) {
	case SAVE_IDLE:
		if (!is_due(save, rotated))
			return;
		save->from = next;
		save->at = 0;
		save->len = HEADER;
		atomic_store_explicit(&save->state, SAVE_COPYING, memory_order_relaxed);
		return;
	case SAVE_COPYING:
		saved = receive_save(
			rel->receive, &save->at, STEP, save->data, &save->len, save->room);
		if (saved < 0) {
			save->begun = false;
			atomic_store_explicit(&save->state, SAVE_IDLE, memory_order_relaxed);
		}
		if (saved <= 0)
			return;
		save->until = next + batcher_rows_open(rel->partition->batcher);
		atomic_store_explicit(&save->state, SAVE_WAITING, memory_order_relaxed);
		return;
	case SAVE_WAITING:
		if (atomic_load_explicit(&log->durable_seq, memory_order_relaxed) < save->until)
			return;
		atomic_store_explicit(&save->state, SAVE_READY, memory_order_release);
		return;
	default:
		return;
	}
}

static int write_file(struct reliable *rel, const char *data, char *dir, size_t room)
{
	struct save *save = rel->save;
	int err;

	snprintf(dir, room, "%s/%u", data, rel->partition->number);
	finish(rel);
	err = file_replace(dir, FILE_NAME, save->data, save->len);
	// A partition that is no more has no writer, and nothing of its log is retired.
	if (err == 0 && rel->partition->wal != NULL)
		wal_hold(rel->partition->wal, save->from);
	return err;
}

static void write_copy(struct saver *saver, struct reliable *rel)
{
	char dir[CONFIG_PATH_MAX + 16];
	int err = write_file(rel, saver->dp->config->data, dir, sizeof(dir));

	if (err != 0)
		log_warn(
			"partition %u: what is known of its sources can't be written to %s/%s: %s; "
			"its segments are kept until it can",
			rel->partition->number, dir, FILE_NAME, strerror(-err));
	atomic_store_explicit(&rel->save->state, SAVE_IDLE, memory_order_release);
}

int save_now(struct reliable *rel, const char *data)
{
	struct save *save = rel->save;
	char dir[CONFIG_PATH_MAX + 16];
	int err = fit(rel), saved = 0;

	if (err != 0)
		return err;
	save->from = save->until = rel->partition->recovery.next_seq;
	save->at = 0;
	save->len = HEADER;
	while (saved == 0)
		saved = receive_save(
			rel->receive, &save->at, STEP, save->data, &save->len, save->room);
	err = saved < 0 ? saved : write_file(rel, data, dir, sizeof(dir));
	if (err != 0)
		log_err("partition %u: what is known of its sources can't be written to %s/%s: %s",
			rel->partition->number, dir, FILE_NAME, strerror(-err));
	return err;
}

static void *run(void *arg)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	struct saver *saver = arg;

	while (!atomic_load(&saver->stop)) {
		for (unsigned p = 0; p < saver->dp->partition_count; p++) {
			struct reliable *rel = saver->dp->partitions[p].reliable;

			if (atomic_load_explicit(&rel->save->state, memory_order_acquire) ==
				SAVE_READY)
				write_copy(saver, rel);
		}
		nanosleep(&pause, NULL);
	}
	return NULL;
}

int saver_start(struct dataplane *dp)
{
	struct saver *saver = dp->saver = calloc(1, sizeof(*saver));
	int err = 0;

	if (saver == NULL)
		return -ENOMEM;
	saver->dp = dp;
	for (unsigned p = 0; err == 0 && p < dp->partition_count; p++)
		err = fit(dp->partitions[p].reliable);
	if (err != 0)
		return err;
	err = thread_start(&saver->thread, "sources", run, saver);
	saver->runs = err == 0;
	return err;
}

void saver_stop(struct dataplane *dp)
{
	if (dp->saver == NULL)
		return;
	atomic_store(&dp->saver->stop, true);
	if (dp->saver->runs)
		pthread_join(dp->saver->thread, NULL);
	free(dp->saver);
	dp->saver = NULL;
}

static bool is_of(const struct reliable *rel, const uint8_t log_id[16])
{
	static const uint8_t none[16];

	return memcmp(log_id, none, sizeof(none)) == 0 ||
	       memcmp(log_id, &rel->partition->recovery.log_id, sizeof(none)) == 0;
}

// NULL, or what is wrong with it.
static const char *check(const struct reliable *rel, const uint8_t *data, size_t len)
{
	if (len < HEADER + CRC || le64(data) != MAGIC ||
		le32(data + len - CRC) != crc32c(data, len - CRC))
		return "is damaged";
	if (le32(data + 8) != VERSION || le32(data + 12) != SEEN_WINDOW)
		return "was written by another version";
	if (le64(data + 40) != len - HEADER - CRC)
		return "is damaged";
	if (!is_of(rel, data + 16))
		return "is of another log";
	return NULL;
}

static int load(struct reliable *rel, const char *path, const uint8_t *data, size_t len,
	uint32_t now_s, uint64_t *from)
{
	const char *wrong = check(rel, data, len);
	int err = 0;

	if (wrong == NULL) {
		err = receive_load(rel->receive, data + HEADER, len - HEADER - CRC, now_s);
		wrong = err == -EINVAL ? "is damaged" : NULL;
	}
	if (wrong != NULL) {
		log_err("%s %s; mend: take it away, and sources that sent nothing since the log's "
			"first segment are not known any more",
			path, wrong);
		return -EBADMSG;
	}
	*from = le64(data + 32);
	return err;
}

int save_load(struct reliable *rel, const char *dir, uint32_t now_s, uint64_t *from)
{
	char path[CONFIG_PATH_MAX + 32], *data;
	size_t len;
	int err;

	*from = 0;
	snprintf(path, sizeof(path), "%s/%s", dir, FILE_NAME);
	err = file_read(path, HEADER + receive_save_room(rel->receive) + CRC, &data, &len);
	if (err == -ENOENT)
		return 0;
	if (err == -EFBIG)
		return -ENOSPC;
	if (err != 0)
		return err;
	err = load(rel, path, (const uint8_t *)data, len, now_s, from);
	free(data);
	return err;
}
