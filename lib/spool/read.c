// SPDX-License-Identifier: BSD-3-Clause
#include "lib/spool/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void spool_say(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, SPOOL_TEXT, fmt, ap);
	va_end(ap);
}

void segment_path(char path[PATH_MAX], const struct spool *sp, uint64_t first_seq)
{
	char name[SPOOL_NAME];

	segment_name(name, first_seq);
	snprintf(path, PATH_MAX, "%s/%s", sp->dir, name);
}

int say_damaged(const struct spool *sp, uint64_t first_seq, uint64_t offset, char *why)
{
	char name[SPOOL_NAME];

	segment_name(name, first_seq);
	spool_say(why, "%.160s/%s is damaged at offset %" PRIu64 ": " SPOOL_MEND, sp->dir, name,
		offset);
	return -EBADMSG;
}

// As much of it as there is.
static int read_at(int fd, uint8_t *to, size_t len, uint64_t offset, size_t *ret_len)
{
	*ret_len = 0;
	while (*ret_len < len) {
		ssize_t n = pread(fd, to + *ret_len, len - *ret_len, (off_t)(offset + *ret_len));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*ret_len += (size_t)n;
	}
	return 0;
}

static int make_room(struct frame_body *body, size_t len)
{
	uint8_t *more;

	if (len <= body->room)
		return 0;
	more = realloc(body->bytes, len);
	if (more == NULL)
		return -ENOMEM;
	body->bytes = more;
	body->room = len;
	return 0;
}

int frame_load(int fd, uint64_t offset, const uint8_t key[SPOOL_KEY], struct frame *ret,
	struct frame_body *body)
{
	uint8_t header[FRAME_HEADER];
	size_t len;
	int err = read_at(fd, header, sizeof(header), offset, &len);

	if (err != 0 || len == 0)
		return err;
	if (len < sizeof(header) || !frame_read(header, ret, key) || ret->offset != offset)
		return -EBADMSG;
	err = make_room(body, ret->len);
	if (err == 0)
		err = read_at(fd, body->bytes, ret->len, offset + FRAME_HEADER, &len);
	if (err != 0)
		return err;
	if (len < ret->len || frame_sum(body->bytes, ret->len, key) != ret->body_sum)
		return -EBADMSG;
	return 1;
}

bool event_at(const struct frame_body *body, uint32_t len, uint32_t at, const uint8_t **event,
	uint32_t *event_len)
{
	if (len - at < sizeof(*event_len))
		return false;
	*event_len = le32(body->bytes + at);
	if (*event_len > len - at - sizeof(*event_len))
		return false;
	*event = body->bytes + at + sizeof(*event_len);
	return true;
}

struct spool_reader {
	const struct spool *sp; // what doesn't change of it
	int fd;                 // of the segment; -1: none yet
	uint64_t segment;       // its first seq
	uint64_t offset;        // of the next frame
	uint64_t seq;           // of the next event
	// The frame that is read.
	struct frame_body body;
	uint32_t len, at;
	uint32_t left; // events
	uint32_t event_len;
};

int spool_reader_make(struct spool_reader **ret, const struct spool *sp)
{
	struct spool_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->sp = sp;
	r->fd = -1;
	r->seq = sp->found.durable;
	r->segment = sp->read_from;
	*ret = r;
	return 0;
}

void spool_reader_free(struct spool_reader *r)
{
	if (r == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->body.bytes);
	free(r);
}

static int say_failure(const struct spool_reader *r, int err, char *why)
{
	char name[SPOOL_NAME];

	if (err == -EBADMSG)
		return say_damaged(r->sp, r->segment, r->offset, why);
	segment_name(name, r->segment);
	spool_say(why, "%.160s/%s: %s", r->sp->dir, name, strerrordesc_np(-err));
	return err;
}

static int open_segment(struct spool_reader *r, uint64_t first_seq)
{
	char path[PATH_MAX];
	int fd;

	segment_path(path, r->sp, first_seq);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r->segment = first_seq;
	if (fd < 0)
		return -errno;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = fd;
	r->offset = 0;
	return 0;
}

// The next frame, of this segment or the next one.
static int load(struct spool_reader *r)
{
	struct frame f = {0};
	int err = r->fd < 0 ? open_segment(r, r->segment) : 0;

	if (err != 0)
		return err;
	err = frame_load(r->fd, r->offset, r->sp->key, &f, &r->body);
	if (err == 0)
		return open_segment(r, r->seq);
	if (err < 0)
		return err;
	r->offset += frame_size(f.len);
	r->len = f.len;
	r->at = 0;
	r->left = f.count;
	// Of the first segment, some may be known to be durable.
	if (f.first_seq > r->seq)
		return -EBADMSG;
	for (uint64_t skip = r->seq - f.first_seq; skip > 0 && r->left > 0; skip--) {
		const uint8_t *event;

		if (!event_at(&r->body, r->len, r->at, &event, &r->event_len))
			return -EBADMSG;
		r->at += (uint32_t)sizeof(r->event_len) + r->event_len;
		r->left--;
	}
	return 0;
}

int spool_reader_first(
	struct spool_reader *r, uint64_t synced, const uint8_t **event, uint32_t *len, char *why)
{
	while (r->seq < synced && r->left == 0) {
		int err = load(r);

		if (err != 0)
			return say_failure(r, err, why);
	}
	if (r->seq >= synced)
		return 0;
	if (!event_at(&r->body, r->len, r->at, event, len))
		return say_failure(r, -EBADMSG, why);
	r->event_len = *len;
	return 1;
}

void spool_reader_next(struct spool_reader *r)
{
	r->at += (uint32_t)sizeof(r->event_len) + r->event_len;
	r->left--;
	r->seq++;
}
