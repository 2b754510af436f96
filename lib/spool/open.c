// SPDX-License-Identifier: BSD-3-Clause
// What an earlier process has left.

#include "common/file.h"
#include "lib/spool/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_BYTES (64u << 10)

static int say(const struct spool *sp, const char *name, int err, char *why)
{
	spool_say(why, "%.160s/%s: %s", sp->dir, name, strerrordesc_np(-err));
	return err;
}

static int add_segment(struct spool *sp, int dir_fd, const char *name, uint64_t first_seq)
{
	int err = segment_room(sp);
	struct stat st;

	if (err != 0)
		return err;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	sp->segments[sp->count++] = (struct segment){first_seq, (uint64_t)st.st_size};
	sp->bytes += (uint64_t)st.st_size;
	return 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->first_seq < y->first_seq ? -1 : x->first_seq > y->first_seq;
}

static int find_segments(struct spool *sp)
{
	DIR *dir = opendir(sp->dir);
	const struct dirent *entry;
	uint64_t first_seq;
	int err = 0;

	if (dir == NULL)
		return -errno;
	while (err == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (segment_parse(entry->d_name, &first_seq))
			err = add_segment(sp, dirfd(dir), entry->d_name, first_seq);
	if (err == 0)
		err = -errno;
	closedir(dir);
	if (sp->count > 0)
		qsort(sp->segments, sp->count, sizeof(*sp->segments), by_seq);
	return err;
}

static int read_source(struct spool *sp, char *why)
{
	struct spool_source source;
	char path[PATH_MAX];
	char *bytes;
	size_t len;
	int err;

	snprintf(path, sizeof(path), "%s/" SPOOL_SOURCE_NAME, sp->dir);
	err = file_read(path, 4096, &bytes, &len);
	if (err == -ENOENT)
		return err;
	if (err != 0)
		return say(sp, SPOOL_SOURCE_NAME, err, why);
	err = source_read((const uint8_t *)bytes, len, &source);
	free(bytes);
	if (err == -EBADMSG)
		spool_say(why, "%.160s/" SPOOL_SOURCE_NAME " is damaged: " SPOOL_MEND, sp->dir);
	if (err == -ENOTSUP)
		spool_say(why, "%.180s is of a later version of libmillrace: use that", sp->dir);
	if (err != 0)
		return err;
	sp->found.source = source.source;
	sp->found.epoch = source.epoch;
	sp->found.resumed = true;
	memcpy(sp->key, source.key, sizeof(sp->key));
	return 0;
}

int spool_keep_epoch(struct spool *sp, const struct send_epoch *epoch)
{
	struct spool_source source = {.source = sp->found.source, .epoch = *epoch};
	uint8_t bytes[SPOOL_SOURCE_BYTES];

	memcpy(source.key, sp->key, sizeof(source.key));
	source_write(bytes, &source);
	return file_replace(sp->dir, SPOOL_SOURCE_NAME, bytes, sizeof(bytes));
}

// Of the last segment, as far as it goes.
struct scan {
	struct frame_body body;
	uint64_t end;        // of what is whole
	uint64_t events_end; // of the last frame with events
	uint64_t proven;     // to be on the disk: what lies before it
	uint64_t next_seq, durable;
};

static bool holds_its_events(const struct frame *f, const struct frame_body *body)
{
	const uint8_t *event;
	uint32_t len, at = 0;

	for (uint32_t i = 0; i < f->count; i++) {
		if (!event_at(body, f->len, at, &event, &len))
			return false;
		at += (uint32_t)sizeof(len) + len;
	}
	return at == f->len;
}

// 1: to its end; 0: to a bad place.
static int scan_segment(const struct spool *sp, struct scan *scan)
{
	struct frame f;
	int r;

	while ((r = frame_load(sp->fd, scan->end, sp->key, &f, &scan->body)) == 1) {
		if (f.first_seq != scan->next_seq || !holds_its_events(&f, &scan->body))
			return 0;
		// The first frame behind a sync says so. Those without events that lie just before
		// it were written before that sync, or after it.
		if (f.synced >= f.first_seq)
			scan->proven = scan->events_end;
		scan->end += frame_size(f.len);
		if (f.count > 0)
			scan->events_end = scan->end;
		scan->next_seq += f.count;
		if (f.durable > scan->durable)
			scan->durable = f.durable;
	}
	if (r == 0)
		return 1;
	return r == -EBADMSG ? 0 : r;
}

// Whether a later frame says that what should be at scan->end was synced. Then it may have been
// sent, and is damage; else a crash has torn it, and nobody has seen it.
static int was_synced(const struct spool *sp, const struct scan *scan)
{
	uint8_t *bytes = malloc(LOOK_BYTES);
	uint64_t offset = scan->end;
	struct frame f;
	ssize_t n = 0;
	int r = bytes != NULL ? 0 : -ENOMEM;

	while (r == 0 && (n = pread(sp->fd, bytes, LOOK_BYTES, (off_t)offset)) > 0) {
		for (ssize_t at = 0; at + (ssize_t)FRAME_HEADER <= n; at += FRAME_HEADER)
			if (frame_read(bytes + at, &f, sp->key) &&
				f.offset == offset + (uint64_t)at && f.synced > scan->next_seq)
				r = 1;
		offset += n == LOOK_BYTES ? LOOK_BYTES : ((uint64_t)n & ~63ull) + 64;
	}
	if (r == 0 && n < 0)
		r = -errno;
	free(bytes);
	return r;
}

// What is whole is about to be sent. The directory is synced when the next file is begun.
static int make_sure(struct spool *sp, struct scan *scan)
{
	int err = 0;

	if (ftruncate(sp->fd, (off_t)scan->end) != 0)
		return -errno;
#ifndef MUTANT_SPOOL_NOT_REWRITTEN
	err = frames_rewrite(sp, scan->proven, scan->end, &scan->body);
#endif
	if (err == 0 && fsync(sp->fd) != 0)
		err = -errno;
	return err;
}

static int judge(struct spool *sp, struct scan *scan, const char *name, char *why)
{
	int whole = scan_segment(sp, scan), synced = 0, err;

#ifndef MUTANT_SPOOL_DAMAGE_CUT
	if (whole == 0)
		synced = scan->end == 0 ? 1 : was_synced(sp, scan);
#endif
	if (whole < 0 || synced < 0)
		return say(sp, name, whole < 0 ? whole : synced, why);
	if (synced > 0)
		return say_damaged(sp, sp->segments[sp->count - 1].first_seq, scan->end, why);
	if (scan->end == 0) {
		spool_say(why, "%.160s/%s is empty: " SPOOL_MEND, sp->dir, name);
		return -EBADMSG;
	}
	err = make_sure(sp, scan);
	return err == 0 ? 0 : say(sp, name, err, why);
}

static int read_last_segment(struct spool *sp, char *why)
{
	struct segment *last = &sp->segments[sp->count - 1];
	struct scan scan = {.next_seq = last->first_seq};
	char path[PATH_MAX], name[SPOOL_NAME];
	int err;

	segment_name(name, last->first_seq);
	segment_path(path, sp, last->first_seq);
	sp->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (sp->fd < 0)
		return say(sp, name, -errno, why);
	err = judge(sp, &scan, name, why);
	free(scan.body.bytes);
	if (err != 0)
		return err;
	sp->bytes -= last->bytes - scan.end;
	last->bytes = scan.end;
	sp->next_seq = sp->synced = scan.next_seq;
	sp->durable = scan.durable;
	return 0;
}

// Below what an epoch begins with all is durable.
static int choose_begin(struct spool *sp, char *why)
{
	char name[SPOOL_NAME];
	uint64_t durable = sp->durable;

	if (durable < sp->found.epoch.first_seq)
		durable = sp->found.epoch.first_seq;
	if (durable > sp->next_seq) {
		spool_say(why, "%.160s has lost events from seq %" PRIu64 " on: " SPOOL_MEND,
			sp->dir, sp->next_seq);
		return -EBADMSG;
	}
	if (durable < sp->segments[0].first_seq) {
		segment_name(name, durable);
		spool_say(
			why, "%.160s/%s, or one before it, is missing: " SPOOL_MEND, sp->dir, name);
		return -EBADMSG;
	}
	sp->found.durable = sp->durable = durable;
	sp->found.next_seq = sp->next_seq;
	for (unsigned i = 0; i < sp->count && sp->segments[i].first_seq <= durable; i++)
		sp->read_from = sp->segments[i].first_seq;
	return 0;
}

// The file that makes it a spool comes last.
static int begin_new(struct spool *sp, char *why)
{
	int err;

	if (sp->count > 1 || (sp->count == 1 && sp->segments[0].bytes > FRAME_HEADER)) {
		spool_say(why, "%.160s/" SPOOL_SOURCE_NAME " is missing: " SPOOL_MEND, sp->dir);
		return -EBADMSG;
	}
	sp->count = 0;
	sp->bytes = 0;
	while (sp->found.source == 0)
		randombytes_buf(&sp->found.source, sizeof(sp->found.source));
	randombytes_buf(sp->key, sizeof(sp->key));
	sp->found.epoch.number = 1;
	err = segment_begin(sp);
	if (err == 0)
		err = spool_keep_epoch(sp, &sp->found.epoch);
	return err == 0 ? 0 : say(sp, SPOOL_SOURCE_NAME, err, why);
}

static int go_on(struct spool *sp, char *why)
{
	char name[SPOOL_NAME];
	int err;

	if (sp->count == 0) {
		segment_name(name, sp->found.epoch.first_seq);
		spool_say(why, "%.160s has no %s or later one: " SPOOL_MEND, sp->dir, name);
		return -EBADMSG;
	}
	err = read_last_segment(sp, why);
	if (err == 0)
		err = choose_begin(sp, why);
	if (err != 0)
		return err;
	segment_name(name, sp->next_seq);
	err = segment_begin(sp);
	return err == 0 ? 0 : say(sp, name, err, why);
}

static int fill(struct spool *sp, char *why)
{
	int err = find_segments(sp);

	if (err != 0) {
		spool_say(why, "%.200s: %s", sp->dir, strerrordesc_np(-err));
		return err;
	}
	err = read_source(sp, why);
	if (err == -ENOENT)
		return begin_new(sp, why);
	return err == 0 ? go_on(sp, why) : err;
}

static struct spool *make(const struct spool_config *config)
{
	struct spool *sp = calloc(1, sizeof(*sp));

	if (sp == NULL)
		return NULL;
	sp->fd = -1;
	sp->config = *config;
	sp->dir = strdup(config->dir);
	sp->config.dir = sp->dir;
	sp->frame_room = config->frame_bytes + WIRE_EVENT_MAX + 4;
	sp->bytes_of_frame = malloc(frame_size(sp->frame_room));
	if (sp->dir != NULL && sp->bytes_of_frame != NULL)
		return sp;
	free(sp->dir);
	free(sp->bytes_of_frame);
	free(sp);
	return NULL;
}

int spool_open(
	struct spool **ret, const struct spool_config *config, struct spool_found *found, char *why)
{
	struct spool *sp = make(config);
	int err;

	if (sp == NULL)
		return -ENOMEM;
	err = fill(sp, why);
	if (err != 0) {
		sp->count = 0;
		spool_close(sp, 0);
		return err;
	}
	*found = sp->found;
	*ret = sp;
	return 0;
}
