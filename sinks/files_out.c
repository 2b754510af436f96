// SPDX-License-Identifier: BSD-3-Clause
#include "sinks/files_out.h"

#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (256u << 10)
#ifndef FILES_PIECE // the crash model has small files
#define FILES_PIECE (1u << 20)
#endif

int files_out_init(struct files_out *out, const char *top)
{
	*out = (struct files_out){.top = top, .dir_fd = -1, .fd = -1};
	out->buffer = malloc(BUFFER_BYTES);
	out->found = malloc(BUFFER_BYTES);
	return out->buffer != NULL && out->found != NULL ? 0 : -ENOMEM;
}

void files_out_free(struct files_out *out)
{
	files_out_abort(out);
	free(out->buffer);
	free(out->found);
	out->buffer = out->found = NULL;
}

// Where a file lies and what it is called there.
static int place(struct files_out *out, const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash != NULL ? slash + 1 : name;
	int folders = (int)(base - name);

	if (strlen(base) >= sizeof(out->base))
		return -ENAMETOOLONG;
	snprintf(out->base, sizeof(out->base), "%s", base);
	snprintf(out->temp, sizeof(out->temp), ".%s.tmp", base);
	snprintf(out->dir, sizeof(out->dir), "%s/%.*s", out->top, folders, name);
	out->dir[strlen(out->dir) - 1] = '\0'; // the slash behind it
	return 0;
}

// The top itself is not made: where it is missing, a disk may not be mounted.
static int open_dir(struct files_out *out)
{
	int top = open(out->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (top < 0)
		return -errno;
	close(top);
	if (strcmp(out->dir, out->top) != 0 && strcmp(out->dir, out->made) != 0)
		r = file_make_dirs(out->dir);
	if (r < 0)
		return r;
	memcpy(out->made, out->dir, sizeof(out->made));
	out->dir_fd = open(out->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dir_fd >= 0)
		return 0;
	r = -errno;
	out->made[0] = '\0'; // somebody has removed it
	return r;
}

// O_NONBLOCK: a FIFO of that name must not hold the feed.
static int open_found(struct files_out *out)
{
	struct stat st;

	out->fd = openat(out->dir_fd, out->base, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (out->fd < 0)
		return errno == ELOOP ? -EEXIST : -errno;
	if (fstat(out->fd, &st) != 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 1 : -EEXIST;
}

static int open_temp(struct files_out *out)
{
	out->fd = openat(out->dir_fd, out->temp,
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	return out->fd < 0 ? -errno : 0;
}

int files_out_begin(struct files_out *out, const char *name, bool anew)
{
	int r = place(out, name);

	out->at = out->len = 0;
	out->flush_failed = false;
	out->compares = false;
	if (r == 0)
		r = open_dir(out);
	if (r < 0)
		return r;
#ifndef MUTANT_FILES_WRITTEN_OVER
	r = anew ? -ENOENT : open_found(out);
#else
	(void)anew;
	(void)open_found;
	r = -ENOENT;
#endif
	out->compares = r == 1;
	return r == -ENOENT ? open_temp(out) : r;
}

// The next bytes of the file that is there.
static int compare(struct files_out *out, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = pread(out->fd, out->found, len < BUFFER_BYTES ? len : BUFFER_BYTES,
			(off_t)out->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || memcmp(out->found, data, (size_t)n) != 0)
			return -EEXIST;
		data += n;
		len -= (size_t)n;
		out->at += (uint64_t)n;
	}
	return 0;
}

// The disk gets a piece when it is whole, and the next one not before it has it. Left to the final
// sync, all of the file would come at once, and a log on the same disk would wait behind it.
static int write_back(struct files_out *out)
{
	uint64_t from = out->at - FILES_PIECE;

	if (out->at % FILES_PIECE != 0)
		return 0;
	if (sync_file_range(out->fd, (off_t)from, FILES_PIECE,
		    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			    SYNC_FILE_RANGE_WAIT_AFTER) == 0)
		return 0;
	return errno == ENOSYS ? 0 : -errno;
}

static int write_out(struct files_out *out, const uint8_t *data, size_t len)
{
	int r = 0;

	while (r == 0 && len > 0) {
		size_t room = FILES_PIECE - out->at % FILES_PIECE, part = len < room ? len : room;

		r = file_write_at(out->fd, data, part, out->at);
		if (r < 0)
			return r;
		out->at += part;
		data += part;
		len -= part;
		r = write_back(out);
	}
	return r;
}

static int pass_on(struct files_out *out, const void *data, size_t len)
{
	return out->compares ? compare(out, data, len) : write_out(out, data, len);
}

static int flush(struct files_out *out)
{
	size_t len = out->len;

	out->len = 0;
	return pass_on(out, out->buffer, len);
}

int files_out_write(struct files_out *out, const void *data, size_t len)
{
	int r = 0;

	if (len > BUFFER_BYTES - out->len)
		r = flush(out);
	if (r < 0)
		return r;
	if (len > BUFFER_BYTES)
		return pass_on(out, data, len);
	memcpy(out->buffer + out->len, data, len);
	out->len += len;
	return 0;
}

// Not one byte more may be there.
static int compare_end(struct files_out *out)
{
	struct stat st;

	if (fstat(out->fd, &st) != 0)
		return -errno;
	return (uint64_t)st.st_size == out->at ? 0 : -EEXIST;
}

static int sync_file(struct files_out *out)
{
#ifndef MUTANT_FILES_NOT_SYNCED
	if (fsync(out->fd) != 0) {
		out->flush_failed = out->compares;
		return -errno;
	}
#endif
	return 0;
}

static int sync_name(struct files_out *out)
{
#ifndef MUTANT_FILES_NO_DIRECTORY_SYNC
	if (fsync(out->dir_fd) != 0) {
		out->flush_failed = true;
		return -errno;
	}
#endif
	return 0;
}

static void close_both(struct files_out *out)
{
	if (out->fd >= 0)
		close(out->fd);
	if (out->dir_fd >= 0)
		close(out->dir_fd);
	out->fd = out->dir_fd = -1;
}

int files_out_commit(struct files_out *out)
{
	int r = flush(out);

	if (r == 0 && out->compares)
		r = compare_end(out);
	if (r == 0)
		r = sync_file(out);
	if (r == 0 && !out->compares && renameat(out->dir_fd, out->temp, out->dir_fd, out->base))
		r = -errno;
	if (r < 0)
		return r;
	out->compares = true; // its temporary name is gone
	r = sync_name(out);
	if (r == 0)
		close_both(out);
	return r;
}

int files_out_keep(struct files_out *out, const char *name)
{
	int r = files_out_begin(out, name, false);

	if (r == 1) {
		r = sync_file(out);
		if (r == 0)
			r = sync_name(out);
		if (r == 0)
			r = 1;
	}
	files_out_abort(out);
	return r;
}

void files_out_abort(struct files_out *out)
{
	if (out->dir_fd >= 0 && out->fd >= 0 && !out->compares)
		unlinkat(out->dir_fd, out->temp, 0);
	close_both(out);
}

void files_out_clean(const char *top, const char *name)
{
	struct files_out out = {.top = top};
	char path[FILES_PATH_MAX + sizeof(out.temp)];

	if (place(&out, name) < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", out.dir, out.temp);
	unlink(path);
}
