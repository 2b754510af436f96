// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A place in a file, and the file in which it is kept: JSON, replaced in one step and synced.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACE_HEAD_BYTES 1024u // of a file's beginning are looked at, at most

// A file and a place in it. An inode's number is used again for a new file: its beginning tells.
struct place {
	uint64_t device, inode;
	uint64_t offset;     // behind the last line that is done with
	uint32_t head_bytes; // from the file's beginning, as far as it was there
	uint32_t head_crc;   // CRC-32C of these
};

bool place_is(const struct place *a, const struct place *b);

// Looks at the beginning of an open file. Negative errno.
int place_head(int fd, struct place *place);

// True when the file begins as the place says and is long enough for it.
bool place_begins(int fd, const struct place *place);

struct position {
	const char *path; // of the file that keeps it
	const char *of;   // the file in which the place is
};

// 0; -ENOENT: there is no such file yet; -EINVAL: it is none, another file's, or of a newer format;
// else what reading says; with the reason and the mend in 'why'.
int position_read(const struct position *position, struct place *ret, char *why, size_t why_bytes);

// -EILSEQ: the name of the file can't be written as JSON; else what writing says.
int position_write(const struct position *position, const struct place *place);
