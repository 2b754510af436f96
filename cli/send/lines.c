// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 100

int line_reader_init(struct line_reader *l, int fd, uint32_t most)
{
	*l = (struct line_reader){.fd = fd, .room = most + 1};
	l->bytes = malloc(l->room);
	return l->bytes != NULL ? 0 : -ENOMEM;
}

void line_reader_free(struct line_reader *l)
{
	free(l->bytes);
	l->bytes = NULL;
}

// 1: there is more in the buffer, or the end was reached.
static int read_more(struct line_reader *l)
{
	struct pollfd p = {.fd = l->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) <= 0)
		return -EAGAIN;
	if (l->from > 0)
		memmove(l->bytes, l->bytes + l->from, l->to - l->from);
	l->to -= l->from;
	l->from = 0;
	n = read(l->fd, l->bytes + l->to, l->room - l->to);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	l->ended = n == 0;
	l->to += (uint32_t)n;
	return 1;
}

static int hand_out(struct line_reader *l, uint32_t len, const uint8_t **line, uint32_t *ret_len)
{
	bool whole = !l->skipping;

	*line = l->bytes + l->from;
	*ret_len = len;
	l->skipping = false;
	return whole ? 1 : -EMSGSIZE;
}

int line_reader_next(struct line_reader *l, const uint8_t **line, uint32_t *ret_len)
{
	uint32_t looked = 0;
	int r;

	for (;;) {
		uint32_t have = l->to - l->from;
		const uint8_t *begin = l->bytes + l->from;
		const uint8_t *end = memchr(begin + looked, '\n', have - looked);

		if (end != NULL) {
			r = hand_out(l, (uint32_t)(end - begin), line, ret_len);
			l->from += (uint32_t)(end - begin) + 1;
			return r;
		}
		if (l->ended && have == 0 && !l->skipping)
			return 0;
		if (l->ended) {
			r = hand_out(l, have, line, ret_len);
			l->from = l->to;
			return r;
		}
		if (have == l->room) {
			l->skipping = true;
			l->from = l->to = have = 0;
		}
		looked = have;
		r = read_more(l);
		if (r < 0)
			return r;
	}
}
