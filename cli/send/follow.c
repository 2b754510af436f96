// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/follow.h"

#include "cli/send/lines.h"
#include "cli/send/marks.h"
#include "cli/send/rotated.h"
#include "cli/send/wakeup.h"
#include "common/clock.h"
#include "include/millrace.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAVE_NS 1000000000ull

struct follow {
	struct send_input input;
	struct follow_options options;
	char path[PATH_MAX]; // absolute
	char dir_of[PATH_MAX], name_of[PATH_MAX];
	const char *dir, *name;
	// The giver's.
	struct line_reader lines;
	struct wakeup wakeup;
	struct place at; // the file that is read; its offset: up to where
	int fd;          // its; below 0: none yet
	int next;        // what is read after it; below 0: not known yet
	int told;        // errno of opening that was told last
	bool is_copy;    // so nobody writes to it
	bool at_end;
	uint64_t left_at,
		grown_at; // ns; when it was seen to be NAME no more (0: it is), and to grow
	uint64_t files, truncations;
	// Shared; NULL without a position file.
	struct marks *marks;
	// Of the one who settles.
	struct position position;
	struct place saved;
	uint64_t saved_at;
	atomic_int save_error;
};

__attribute__((format(printf, 2, 3))) static void tell(const struct follow *f, const char *fmt, ...)
{
	char text[SEND_INPUT_WHY_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->options.tell(text);
}

// Reads from 'fd', which it takes, from place->offset on.
static int adopt(struct follow *f, int fd, uint64_t offset, bool is_copy)
{
	struct stat st;
	int err;

	if (f->fd >= 0 && f->fd != fd)
		close(f->fd);
	f->fd = fd;
	if (fstat(fd, &st) != 0)
		return -errno;
	f->at = (struct place){.device = st.st_dev, .inode = st.st_ino, .offset = offset};
	f->is_copy = is_copy;
	f->left_at = 0;
	f->grown_at = clock_monotonic_ns();
	f->files++;
	err = place_head(fd, &f->at);
	if (err == 0 && f->marks != NULL) {
		struct place begin = f->at;

		// A line that has begun in the truncated file goes on in its copy.
		begin.offset = f->lines.passed;
		err = marks_file(f->marks, &begin);
	}
	wakeup_watch(&f->wakeup, f->dir, fd);
	return err;
}

static int begin_at(struct follow *f, int fd, uint64_t offset, bool is_copy)
{
	f->lines.ended = false;
	f->lines.passed = offset;
	return adopt(f, fd, offset, is_copy);
}

// -EAGAIN: it can't be opened now.
static int begin_name(struct follow *f)
{
	int fd = rotated_open(f->dir, f->name);

	if (fd >= 0) {
		f->told = 0;
		return begin_at(f, fd, 0, false);
	}
	if (f->told != -fd)
		tell(f, "%s: %s, waiting for it", f->path,
			fd == -EINVAL   ? "is no regular file"
			: fd == -ENOENT ? "is not there yet"
					: strerror(-fd));
	f->told = -fd;
	wakeup_watch(&f->wakeup, f->dir, -1);
	wakeup_wait(&f->wakeup);
	return -EAGAIN;
}

// 1: the rest is to be read from a copy. 0: there is none.
static int go_on_in_copy(struct follow *f)
{
	int fd = rotated_copy(f->dir, f->name, &f->at), err;

	f->truncations++;
	if (fd < 0)
		return 0;
	err = adopt(f, fd, f->at.offset, true);
	return err != 0 ? err : 1;
}

static bool is_name(const struct follow *f)
{
	struct stat st;

	return stat(f->path, &st) == 0 && st.st_ino == f->at.inode && st.st_dev == f->at.device;
}

// There is something else to read, and nobody is to be expected to write here.
static bool is_left(struct follow *f)
{
	uint64_t now = clock_monotonic_ns(), since;

	if (is_name(f)) {
		f->left_at = 0;
		return false;
	}
	if (f->left_at == 0)
		f->left_at = now;
	since = f->left_at > f->grown_at ? f->left_at : f->grown_at;
	if (!f->is_copy && now - since < f->options.quiet_ns)
		return false;
	f->next = rotated_next(f->dir, f->name, f->fd);
	if (f->next >= 0)
		f->told = 0;
	else if (f->next != -ENOENT && f->told != -f->next) {
		tell(f, "%s: %s, trying again", f->path, strerror(-f->next));
		f->told = -f->next;
	}
	return f->next >= 0;
}

static void note_growth(struct follow *f, uint32_t bytes)
{
	f->at.offset += bytes;
	f->grown_at = clock_monotonic_ns();
	if (f->at.head_bytes == PLACE_HEAD_BYTES || place_head(f->fd, &f->at) != 0)
		return;
	if (f->marks != NULL)
		marks_head(f->marks, &f->at);
}

static int read_more(void *arg, uint8_t *to, uint32_t room)
{
	struct follow *f = arg;
	int r = place_begins(f->fd, &f->at) ? 1 : go_on_in_copy(f);
	ssize_t n;

	if (r <= 0)
		return r;
	n = pread(f->fd, to, room, (off_t)f->at.offset);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	f->at_end = n == 0;
	if (n > 0) {
		note_growth(f, (uint32_t)n);
		return (int)n;
	}
	if (is_left(f))
		return 0;
	wakeup_wait(&f->wakeup);
	return -EAGAIN;
}

// The file is read to its end, or was truncated.
static int turn_over(struct follow *f)
{
	int fd = f->next >= 0 ? f->next : f->fd;

	f->next = -1;
	return begin_at(f, fd, 0, false);
}

static int follow_next(struct send_input *in, const uint8_t **line, uint32_t *len)
{
	struct follow *f = (struct follow *)in;
	int r = 0;

	if (f->fd >= 0 && f->marks != NULL && !f->lines.skipping)
		marks_done(f->marks, f->lines.passed);
	if (f->fd < 0)
		r = begin_name(f);
	while (r == 0) {
		r = line_reader_next(&f->lines, line, len);
		if (r != 0)
			break;
		r = turn_over(f);
	}
	if (r < 0 && r != -EAGAIN && r != -EMSGSIZE)
		snprintf(in->why, sizeof(in->why), "%s: %s", f->options.path, strerror(-r));
	return r;
}

static void follow_given(struct send_input *in, uint64_t seq)
{
	struct follow *f = (struct follow *)in;

	if (f->marks != NULL)
		marks_given(f->marks, seq, f->lines.passed);
}

static void follow_settle(struct send_input *in, uint64_t durable, bool last)
{
	struct follow *f = (struct follow *)in;
	uint64_t now = clock_monotonic_ns();
	struct place place;
	int err;

	if (f->marks == NULL || (!last && now - f->saved_at < SAVE_NS) ||
		!marks_place(f->marks, durable, &place) || place_is(&place, &f->saved))
		return;
	err = -position_write(&f->position, &place);
	if (err == 0)
		f->saved = place;
	else if (err != f->save_error)
		tell(f,
			"the position can't be kept in %s: %s; a start now would send again what "
			"came since",
			f->position.path, strerror(err));
	f->save_error = err;
	f->saved_at = now;
}

static void follow_close(struct send_input *in)
{
	struct follow *f = (struct follow *)in;

	if (f->fd >= 0)
		close(f->fd);
	if (f->next >= 0)
		close(f->next);
	wakeup_close(&f->wakeup);
	line_reader_free(&f->lines);
	if (f->marks != NULL)
		marks_free(f->marks);
	free(f->marks);
	free(f);
}

void follow_get_tally(const struct send_input *in, struct follow_tally *ret)
{
	const struct follow *f = (const struct follow *)in;

	*ret = (struct follow_tally){.files = f->files,
		.truncations = f->truncations,
		.unfinished_bytes = f->at_end ? line_reader_rest(&f->lines) : 0,
		.position_error = f->save_error};
}

static int set_names(struct follow *f)
{
	const char *path = f->options.path;
	char here[PATH_MAX] = "";
	int n;

	while (strncmp(path, "./", 2) == 0)
		path += 2 + strspn(path + 2, "/");
	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return -errno;
	n = snprintf(f->path, sizeof(f->path), "%s%s%s", here, path[0] != '/' ? "/" : "", path);
	if (n >= (int)sizeof(f->path))
		return -ENAMETOOLONG;
	memcpy(f->dir_of, f->path, sizeof(f->path));
	memcpy(f->name_of, f->path, sizeof(f->path));
	f->dir = dirname(f->dir_of);
	f->name = basename(f->name_of);
	return 0;
}

// Where a start before this one was. 0 also when it is nowhere any more.
static int go_on(struct follow *f, const struct place *place)
{
	int fd = rotated_find(f->dir, f->name, place);
	bool is_copy = fd < 0;

	if (fd < 0)
		fd = rotated_copy(f->dir, f->name, place);
	if (fd >= 0)
		return begin_at(f, fd, place->offset, is_copy);
	tell(f,
		"the file of the position in %s is gone: what it had behind byte %" PRIu64
		" is not sent; beginning with the first line of %s",
		f->position.path, place->offset, f->path);
	return 0;
}

static int start_position(struct follow *f, char *why)
{
	struct place place;
	int err;

	f->position = (struct position){f->options.position, f->path};
	f->marks = malloc(sizeof(*f->marks));
	err = f->marks != NULL ? marks_init(f->marks) : -ENOMEM;
	if (err != 0)
		return err;
	err = position_read(&f->position, &place, why, SEND_INPUT_WHY_BYTES);
	if (err == -ENOENT)
		return 0;
	if (err == 0)
		err = go_on(f, &place);
	return err;
}

// A position that can't be kept is known at the start.
static int keep_position(struct follow *f, char *why)
{
	struct place place;
	int err;

	if (f->marks == NULL || !marks_place(f->marks, 0, &place))
		return 0;
	err = position_write(&f->position, &place);
	if (err != 0)
		snprintf(why, SEND_INPUT_WHY_BYTES,
			"--position %s: %s: give a file in a directory that can be written to",
			f->position.path, strerror(-err));
	f->saved = place;
	return err;
}

static int start(struct follow *f, char *why)
{
	int err = set_names(f), fd;

	if (err == 0)
		err = line_reader_init_with(&f->lines, read_more, f, MILLRACE_EVENT_MAX);
	if (err == 0 && f->options.position != NULL)
		err = start_position(f, why);
	if (err != 0 || f->fd >= 0)
		return err != 0 ? err : keep_position(f, why);
	fd = rotated_open(f->dir, f->name);
	if (fd == -ENOENT)
		return 0;
	if (fd == -EINVAL)
		snprintf(why, SEND_INPUT_WHY_BYTES,
			"%s is no regular file; without --follow its lines are sent until it ends",
			f->options.path);
	if (fd < 0)
		return fd;
	err = begin_at(f, fd, 0, false);
	return err != 0 ? err : keep_position(f, why);
}

int follow_open(struct send_input **ret, const struct follow_options *options, char *why)
{
	struct follow *f = calloc(1, sizeof(*f));
	int err;

	why[0] = '\0';
	if (f == NULL)
		return -ENOMEM;
	f->input = (struct send_input){.next = follow_next,
		.given = follow_given,
		.settle = follow_settle,
		.close = follow_close};
	f->options = *options;
	f->fd = f->next = -1;
	wakeup_init(&f->wakeup);
	err = start(f, why);
	if (err != 0) {
		if (why[0] == '\0')
			snprintf(why, SEND_INPUT_WHY_BYTES, "%s: %s", f->options.path,
				strerror(-err));
		follow_close(&f->input);
		return err;
	}
	*ret = &f->input;
	return 0;
}
