// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The lines of a file or pipe, without their newlines. The last one needs none.

#include <stdbool.h>
#include <stdint.h>

struct line_reader {
	int fd;
	uint8_t *bytes;
	uint32_t room, from, to; // of 'bytes'; what was read and not handed out yet
	bool ended;
	bool skipping; // the rest of a line that was too long
};

// 'most': bytes of a line. -ENOMEM.
int line_reader_init(struct line_reader *l, int fd, uint32_t most);
void line_reader_free(struct line_reader *l); // leaves the descriptor open

// The next line, borrowed until the next call: 1. 0: there is none; -EAGAIN: none yet after 100 ms;
// -EMSGSIZE: one was too long and is skipped; else what reading says.
int line_reader_next(struct line_reader *l, const uint8_t **line, uint32_t *len);
