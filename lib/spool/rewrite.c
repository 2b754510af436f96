// SPDX-License-Identifier: BSD-3-Clause

// What an earlier process has left though nothing proves it to be on the disk is written once more.
// A sync that failed leaves pages that read well and count as clean: the next one would succeed
// without writing them.

#include "common/file.h"
#include "lib/spool/internal.h"

#include <errno.h>

static int rewrite_frame(struct spool *sp, uint64_t at, struct frame_body *body, uint32_t *ret_len)
{
	uint8_t header[FRAME_HEADER];
	struct frame f;
	int r = frame_load(sp->fd, at, sp->key, &f, body);

	// What counts as clean may be dropped at any time, and then the disk is read.
	if (r == 0 || r == -EBADMSG)
		return -EIO;
	if (r < 0)
		return r;
	*ret_len = f.len;
	frame_write(header, &f, sp->key);
	r = file_write_at(sp->fd, header, sizeof(header), at);
	return r == 0 ? file_write_at(sp->fd, body->bytes, f.len, at + sizeof(header)) : r;
}

int frames_rewrite(struct spool *sp, uint64_t from, uint64_t to, struct frame_body *body)
{
	uint32_t len = 0;
	int err = 0;

	for (uint64_t at = from; err == 0 && at < to; at += frame_size(len))
		err = rewrite_frame(sp, at, body, &len);
	return err;
}
