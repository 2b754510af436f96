// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 100

static int read_descriptor(void *arg, uint8_t *to, uint32_t room)
{
	const struct line_reader *l = arg;
	struct pollfd p = {.fd = l->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) <= 0)
		return -EAGAIN;
	n = read(l->fd, to, room);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return (int)n;
}

int line_reader_init_with(struct line_reader *l, line_more *more, void *arg, uint32_t most)
{
	*l = (struct line_reader){.more = more, .arg = arg, .fd = -1, .room = most + 1};
	l->bytes = malloc(l->room);
	return l->bytes != NULL ? 0 : -ENOMEM;
}

int line_reader_init(struct line_reader *l, int fd, uint32_t most)
{
	int err = line_reader_init_with(l, read_descriptor, l, most);

	l->fd = fd;
	return err;
}

void line_reader_free(struct line_reader *l)
{
	free(l->bytes);
	l->bytes = NULL;
}

// 0: there is more in the buffer, or the end was reached.
static int read_more(struct line_reader *l)
{
	int n;

	if (l->from > 0)
		memmove(l->bytes, l->bytes + l->from, l->to - l->from);
	l->to -= l->from;
	l->from = 0;
	n = l->more(l->arg, l->bytes + l->to, l->room - l->to);
	if (n < 0)
		return n;
	l->ended = n == 0;
	l->to += (uint32_t)n;
	return 0;
}

// 'behind': bytes of the newline.
static int hand_out(struct line_reader *l, uint32_t len, uint32_t behind, const uint8_t **line,
	uint32_t *ret_len)
{
	bool whole = !l->skipping;

	*line = l->bytes + l->from;
	*ret_len = len;
	l->skipping = false;
	l->from += len + behind;
	l->passed += len + behind;
	return whole ? 1 : -EMSGSIZE;
}

static void skip_all(struct line_reader *l)
{
	l->skipping = true;
	l->passed += l->to - l->from;
	l->from = l->to = 0;
}

int line_reader_next(struct line_reader *l, const uint8_t **line, uint32_t *ret_len)
{
	uint32_t looked = 0;
	int r;

	for (;;) {
		uint32_t have = l->to - l->from;
		const uint8_t *begin = l->bytes + l->from;
		const uint8_t *end = memchr(begin + looked, '\n', have - looked);

		if (end != NULL)
			return hand_out(l, (uint32_t)(end - begin), 1, line, ret_len);
		if (l->ended && have == 0 && !l->skipping)
			return 0;
		if (l->ended)
			return hand_out(l, have, 0, line, ret_len);
		if (have == l->room) {
			skip_all(l);
			have = 0;
		}
		looked = have;
		r = read_more(l);
		if (r < 0)
			return r;
	}
}

uint32_t line_reader_rest(const struct line_reader *l)
{
	uint32_t have = l->to - l->from;

	return memchr(l->bytes + l->from, '\n', have) == NULL ? have : 0;
}
