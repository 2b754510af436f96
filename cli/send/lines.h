// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The lines of a file or pipe, without their newlines. The last one needs none.

#include <stdbool.h>
#include <stdint.h>

// Reads up to 'room' bytes: how many. 0: the end; -EAGAIN: none after 100 ms; else what reading
// says.
typedef int line_more(void *arg, uint8_t *to, uint32_t room);

struct line_reader {
	line_more *more;
	void *arg;
	int fd;
	uint8_t *bytes;
	uint32_t room, from, to; // of 'bytes'; what was read and not handed out yet
	uint64_t passed; // bytes behind the last line handed out or skipped; the owner's to set
	bool ended;      // after which the owner may go on by making it false
	bool skipping;   // the rest of a line that was too long
};

// 'most': bytes of a line. -ENOMEM.
int line_reader_init(struct line_reader *l, int fd, uint32_t most);
int line_reader_init_with(struct line_reader *l, line_more *more, void *arg, uint32_t most);
void line_reader_free(struct line_reader *l); // leaves the descriptor open

// The next line, borrowed until the next call: 1. 0: there is none; -EAGAIN: none yet after 100 ms;
// -EMSGSIZE: one was too long and is skipped; else what reading says.
int line_reader_next(struct line_reader *l, const uint8_t **line, uint32_t *len);

// Bytes of a line that has begun and not ended. 0 when there is a whole one.
uint32_t line_reader_rest(const struct line_reader *l);
