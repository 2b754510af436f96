// SPDX-License-Identifier: BSD-3-Clause
#include "control/mesos/recordio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN (64u << 10)
#define SIZE_KEPT (1u << 20) // a larger buffer isn't kept once it is empty

void recordio_done(struct recordio *r)
{
	free(r->buf);
	*r = (struct recordio){0};
}

static int make_room(struct recordio *r, size_t len)
{
	size_t held = r->end - r->start, size = r->size > 0 ? r->size : SIZE_MIN;
	char *buf;

	if (len <= r->size - r->end)
		return 0;
	if (r->start > 0) {
		memmove(r->buf, r->buf + r->start, held);
		r->start = 0;
		r->end = held;
	}
	while (size - held < len)
		size *= 2;
	if (size == r->size)
		return 0;
	buf = realloc(r->buf, size);
	if (buf == NULL)
		return -ENOMEM;
	r->buf = buf;
	r->size = size;
	return 0;
}

int recordio_feed(struct recordio *r, const char *data, size_t len)
{
	int e;

	if (r->error < 0 || len == 0)
		return r->error;
	if (r->start == r->end) {
		r->start = r->end = 0;
		if (r->size > SIZE_KEPT)
			recordio_done(r);
	}
	e = make_room(r, len);
	if (e < 0)
		return e;
	memcpy(r->buf + r->end, data, len);
	r->end += len;
	return 0;
}

// 1: *ret_len, and *ret_head bytes that say it; else as recordio_next().
static int read_length(const struct recordio *r, size_t *ret_head, size_t *ret_len)
{
	const char *at = r->buf + r->start;
	size_t held = r->end - r->start, len = 0;

	for (size_t i = 0; i < held; i++) {
		if (at[i] == '\n' && i > 0) {
			*ret_head = i + 1;
			*ret_len = len;
#ifndef MUTANT_RECORD_UNBOUNDED
			if (len > RECORDIO_RECORD_MAX)
				return -EBADMSG;
#endif
			return 1;
		}
		if (at[i] < '0' || at[i] > '9' || i == RECORDIO_DIGITS_MAX)
			return -EBADMSG;
		len = len * 10 + (size_t)(at[i] - '0');
	}
	return 0;
}

int recordio_next(struct recordio *r, const char **ret_data, size_t *ret_len)
{
	size_t head = 0, len = 0;
	int e = r->error;

	if (e == 0)
		e = read_length(r, &head, &len);
	if (e < 0)
		r->error = e;
	if (e <= 0)
		return e;
	if (r->end - r->start - head < len)
		return 0;
	*ret_data = r->buf + r->start + head;
	*ret_len = len;
	r->start += head + len;
	return 1;
}
