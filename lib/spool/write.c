// SPDX-License-Identifier: BSD-3-Clause
#include "common/file.h"
#include "lib/spool/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEW_NAME ".segment.new"

// What isn't synced is in doubt: it is taken back, so that no later process finds it.
static int fail(struct spool *sp, int err)
{
	sp->failed = err;
	if (sp->fd >= 0 && ftruncate(sp->fd, (off_t)sp->synced_end) == 0)
		sp->end = sp->synced_end;
	return err;
}

static bool may_be_tried_again(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

static void compose(const struct spool *sp, struct frame *f, uint8_t *header, uint64_t offset)
{
	f->first_seq = sp->next_seq;
	f->durable = sp->durable;
	f->synced = sp->synced;
	f->offset = offset;
	f->body_sum = frame_sum(header + FRAME_HEADER, f->len, sp->key);
	frame_write(header, f, sp->key);
}

// Header and body lie one after the other in 'bytes', with room for the padding.
static int put(struct spool *sp, struct frame *f, uint8_t *bytes)
{
	uint64_t size = frame_size(f->len);
	int err;

	compose(sp, f, bytes, sp->end);
	memset(bytes + FRAME_HEADER + f->len, 0, size - FRAME_HEADER - f->len);
	err = file_write_at(sp->fd, bytes, size, sp->end);
	sp->dirty = true;
	// Half of it would stay, should the next one go to another file; also if that isn't synced.
	if (may_be_tried_again(err) && ftruncate(sp->fd, (off_t)sp->end) == 0)
		return err;
	if (err != 0)
		return fail(sp, err);
	sp->end += size;
	sp->bytes += size;
	sp->segments[sp->count - 1].bytes += size;
	sp->next_seq += f->count;
	return 0;
}

// A frame of no events.
static int put_mark(struct spool *sp)
{
	uint8_t bytes[FRAME_HEADER];
	struct frame f = {0};

	return put(sp, &f, bytes);
}

// An open file with a frame of no events, synced, without its name yet.
static int make_file(struct spool *sp, const char *path)
{
	uint8_t bytes[FRAME_HEADER];
	struct frame f = {0};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	int err;

	if (fd < 0)
		return -errno;
	compose(sp, &f, bytes, 0);
	err = file_write_at(fd, bytes, sizeof(bytes), 0);
	if (err == 0 && fdatasync(fd) != 0)
		err = -errno;
	if (err == 0)
		return fd;
	close(fd);
	unlink(path);
	return err;
}

int segment_room(struct spool *sp)
{
	unsigned room = sp->room > 0 ? 2 * sp->room : 16;
	struct segment *more;

	if (sp->count < sp->room)
		return 0;
	more = realloc(sp->segments, room * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	sp->segments = more;
	sp->room = room;
	return 0;
}

static void take_file(struct spool *sp, int fd)
{
	struct segment *last = sp->count > 0 ? &sp->segments[sp->count - 1] : NULL;

	if (last != NULL && last->first_seq == sp->next_seq)
		sp->bytes -= last->bytes;
	else
		last = &sp->segments[sp->count++];
	*last = (struct segment){sp->next_seq, FRAME_HEADER};
	if (sp->fd >= 0)
		close(sp->fd);
	sp->fd = fd;
	sp->end = sp->synced_end = FRAME_HEADER;
	sp->bytes += FRAME_HEADER;
	sp->dirty = false;
}

int segment_begin(struct spool *sp)
{
	char path[PATH_MAX], final[PATH_MAX];
	int err = segment_room(sp);
	int fd;

	snprintf(path, sizeof(path), "%s/" NEW_NAME, sp->dir);
	segment_path(final, sp, sp->next_seq);
	fd = err == 0 ? make_file(sp, path) : err;
	if (fd < 0)
		return fd;
	if (rename(path, final) != 0)
		err = -errno;
	if (err == 0)
		err = file_sync_dir(sp->dir);
	if (err != 0) {
		close(fd);
		return err;
	}
	take_file(sp, fd);
	return 0;
}

bool spool_add(struct spool *sp, const uint8_t *event, uint32_t len)
{
	struct frame *f = &sp->frame;
	uint8_t *at = sp->bytes_of_frame + FRAME_HEADER + f->len;
	uint32_t bytes = (uint32_t)sizeof(len) + len;

	if (f->len + bytes > sp->frame_room || (f->count > 0 && f->len >= sp->config.frame_bytes))
		return false;
	put_le32(at, len);
	if (len > 0)
		memcpy(at + sizeof(len), event, len);
	f->len += bytes;
	f->count++;
	return true;
}

static int rotate(struct spool *sp)
{
	int err = spool_sync(sp);

	if (err != 0)
		return err;
	err = segment_begin(sp);
	return err == 0 || may_be_tried_again(err) ? err : fail(sp, err);
}

int spool_write(struct spool *sp)
{
	bool has_events = sp->next_seq > sp->segments[sp->count - 1].first_seq;
	int err = sp->failed;

	if (err != 0 || sp->frame.count == 0)
		return err;
	if (has_events && sp->end + frame_size(sp->frame.len) > sp->config.segment_bytes)
		err = rotate(sp);
	if (err == 0)
		err = put(sp, &sp->frame, sp->bytes_of_frame);
	if (err == 0)
		sp->frame = (struct frame){0};
	return err;
}

int spool_sync(struct spool *sp)
{
	if (sp->failed != 0)
		return sp->failed;
#ifndef MUTANT_SPOOL_NOT_SYNCED
	if (sp->dirty && fdatasync(sp->fd) != 0)
		return fail(sp, -errno);
#endif
	sp->dirty = false;
	sp->synced = sp->next_seq;
	sp->synced_end = sp->end;
	return 0;
}

uint64_t spool_synced(const struct spool *sp)
{
	return sp->synced;
}

// A file that is back after a power cut is of events that are below what the later ones say.
static int remove_segments(struct spool *sp, unsigned count)
{
	char path[PATH_MAX];

	for (unsigned i = 0; i < count; i++) {
		segment_path(path, sp, sp->segments[i].first_seq);
		if (unlink(path) != 0 && errno != ENOENT)
			return fail(sp, -errno);
		sp->bytes -= sp->segments[i].bytes;
	}
	sp->count -= count;
	memmove(sp->segments, sp->segments + count, sp->count * sizeof(*sp->segments));
	return 0;
}

int spool_forget(struct spool *sp, uint64_t durable)
{
	unsigned count = 0;
	int err;

	if (sp->failed != 0 || durable <= sp->durable)
		return sp->failed;
	sp->durable = durable;
	while (count + 1 < sp->count && sp->segments[count + 1].first_seq <= durable)
		count++;
	err = put_mark(sp);
	if (err != 0)
		return may_be_tried_again(err) ? 0 : err;
	if (count == 0)
		return 0;
#ifndef MUTANT_SPOOL_FORGOTTEN_EARLY
	// Or the next process would look for them.
	err = spool_sync(sp);
#endif
	return err == 0 ? remove_segments(sp, count) : err;
}

uint64_t spool_bytes(const struct spool *sp)
{
	return sp->bytes;
}

void spool_close(struct spool *sp, uint64_t durable)
{
	if (sp == NULL)
		return;
	if (sp->count > 0) {
		spool_forget(sp, durable);
		// Behind the last events, so that damage to them is no torn end.
		if (sp->failed == 0 && put_mark(sp) == 0)
			spool_sync(sp);
	}
	if (sp->fd >= 0)
		close(sp->fd);
	free(sp->segments);
	free(sp->bytes_of_frame);
	free(sp->dir);
	free(sp);
}
