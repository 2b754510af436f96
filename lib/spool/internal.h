// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of a spool share.

#include "lib/spool/format.h"
#include "transport/bytes.h"

// What is said of damage. A damaged spool can't tell which seqs it has given away.
#define SPOOL_MEND "move the directory away, another one begins anew"

struct segment {
	uint64_t first_seq;
	uint64_t bytes;
};

struct spool {
	// Set when it is opened.
	char *dir;
	struct spool_config config;
	struct spool_found found;
	uint8_t key[SPOOL_KEY];
	uint64_t read_from; // first seq of the segment with found.durable

	// The writer's.
	struct segment *segments; // in order; the last is the one that is written
	unsigned count, room;
	uint64_t bytes; // of all
	int fd;         // of the last
	uint64_t end;   // of its frames
	uint64_t synced_end;
	uint64_t next_seq; // behind what is written
	uint64_t synced;
	uint64_t durable; // as on disk, or on its way there
	bool dirty;       // there is something that isn't synced
	int failed;
	// The frame that is being filled: header and body.
	uint8_t *bytes_of_frame;
	uint32_t frame_room; // of its body
	struct frame frame;
};

// write.c
// Room for one more in 'segments'.
int segment_room(struct spool *sp);
// The file of the events from 'next_seq' on, with a frame of no events; its name is synced. Where
// there is one of that name it has no events, either.
int segment_begin(struct spool *sp);

// read.c
void segment_path(char path[PATH_MAX], const struct spool *sp, uint64_t first_seq);
// -EBADMSG, and where.
int say_damaged(const struct spool *sp, uint64_t first_seq, uint64_t offset, char *why);

struct frame_body {
	uint8_t *bytes;
	size_t room;
};

// The frame at that offset, whose body is 'body' then: 1. 0: the file ends there. -EBADMSG: there
// is none, or not all of it.
int frame_load(int fd, uint64_t offset, const uint8_t key[SPOOL_KEY], struct frame *ret,
	struct frame_body *body);
// The event at a place of a body of 'len' bytes. False: none that is in it.
bool event_at(const struct frame_body *body, uint32_t len, uint32_t at, const uint8_t **event,
	uint32_t *event_len);
__attribute__((format(printf, 2, 3))) void spool_say(char *why, const char *fmt, ...);

// rewrite.c
// Writes the frames of the last segment that begin in [from, to), all of them good a moment ago,
// once more as they are.
int frames_rewrite(struct spool *sp, uint64_t from, uint64_t to, struct frame_body *body);
