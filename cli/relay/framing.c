// SPDX-License-Identifier: BSD-3-Clause
#include "cli/relay/framing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES 65536u // that fit beside a message of which a part is there
#define DIGITS_MAX 9u     // of a count: more are a line's

int framing_init(struct framing *f, uint32_t most)
{
	*f = (struct framing){.room = most + READ_BYTES, .most = most};
	f->bytes = malloc(f->room);
	return f->bytes != NULL ? 0 : -ENOMEM;
}

void framing_free(struct framing *f)
{
	free(f->bytes);
	f->bytes = NULL;
}

uint8_t *framing_room(struct framing *f, uint32_t *len)
{
	if (f->from > 0) {
		memmove(f->bytes, f->bytes + f->from, f->to - f->from);
		f->to -= f->from;
		f->from = 0;
	}
	*len = f->room - f->to;
	return f->bytes + f->to;
}

void framing_filled(struct framing *f, uint32_t len)
{
	f->to += len;
}

void framing_end(struct framing *f)
{
	f->ended = true;
}

// RFC 6587, 3.4.1: MSG-LEN SP SYSLOG-MSG, and a syslog message begins with "<". So a line whose
// first word is a number is none; behind a message that was counted only the space is asked for,
// as some count what is no syslog. 1: counted, of *len bytes behind *header; 0: a line; -EAGAIN:
// more must come to know it.
static int read_count(const struct framing *f, uint32_t *header, uint32_t *len)
{
	const uint8_t *p = f->bytes + f->from;
	uint32_t there = f->to - f->from, i = 0, n = 0;

	for (; i < there && i < DIGITS_MAX && p[i] >= (i == 0 ? '1' : '0') && p[i] <= '9'; i++)
		n = n * 10 + (p[i] - (uint32_t)'0');
	*header = i + 1;
	*len = n;
	if (i == there)
		return -EAGAIN;
	if (i == 0 || p[i] != ' ')
		return 0;
	if (f->counted)
		return 1;
	if (i + 1 == there)
		return -EAGAIN;
	return p[i + 1] == '<';
}

static int next_counted(struct framing *f, uint32_t header, const uint8_t **message, uint32_t *len)
{
	if (*len > f->most)
		return -EMSGSIZE;
	if (f->to - f->from - header < *len)
		return 0;
	*message = f->bytes + f->from + header;
	f->next = header + *len;
	f->next_counted = true;
	return 1;
}

// Without the carriage return before the newline. 1, 0 or -EMSGSIZE as framing_next().
static int next_line(struct framing *f, const uint8_t **message, uint32_t *len)
{
	const uint8_t *line = f->bytes + f->from, *end;
	uint32_t there = f->to - f->from;

	end = memchr(line + f->searched, '\n', there - f->searched);
	if (end == NULL && !f->ended) {
		f->searched = there;
		return there > f->most + 1 ? -EMSGSIZE : 0;
	}
	*len = end != NULL ? (uint32_t)(end - line) : there;
	f->next = end != NULL ? *len + 1 : *len;
	if (*len > 0 && line[*len - 1] == '\r')
		--*len;
	// Some senders put a newline behind what they counted.
	f->next_counted = *len == 0 && f->counted;
	*message = line;
	return *len <= f->most ? 1 : -EMSGSIZE;
}

int framing_next(struct framing *f, const uint8_t **message, uint32_t *len)
{
	uint32_t header;
	int r;

	while (f->from < f->to) {
		r = read_count(f, &header, len);
		// At the end, digits behind what was counted are a count that was cut off.
		if (r == -EAGAIN && (!f->ended || f->counted))
			return 0;
		if (r == 1)
			return next_counted(f, header, message, len);
		r = next_line(f, message, len);
		if (r != 1 || *len > 0)
			return r;
		framing_take(f);
	}
	return 0;
}

void framing_take(struct framing *f)
{
	f->from += f->next;
	f->counted = f->next_counted;
	f->next = 0;
	f->searched = 0;
}

uint32_t framing_rest(const struct framing *f)
{
	return f->to - f->from;
}
