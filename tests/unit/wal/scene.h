// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A log of some segments held in memory, in which a test breaks something, and what every part that
// reads or mends a log must then say of it: test support, so every failure ends the test.
//
// Whoever broke it says only where the first bad place is and whether it is damage or a torn tail.
// All the rest is checked the same way in every case: no row is ever read that the log did not hold
// at that seq, whoever only looks changes nothing, a refusal changes nothing, and a repair loses
// what it reports, keeps that in quarantine and leaves a log that verifies and starts.

#include "tests/unit/wal/logbuilder.h"
#include "wal/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENE_FILES 4
#define SCENE_BLOCKS 32
#define SCENE_ROWS 2048

struct scene_block {
	unsigned file;
	uint64_t offset;
	uint32_t len;
	uint64_t seq; // first
	uint32_t rows;
	uint64_t durable_seq; // as it says
};

struct scene_file {
	char name[40];
	uint8_t *whole; // as it was built
	uint8_t *bytes; // as a test has broken it
	size_t len;
	size_t end; // behind its last block
};

struct scene {
	struct logbuilder lb;
	struct scene_file files[SCENE_FILES];
	unsigned file_count;
	struct scene_block blocks[SCENE_BLOCKS];
	unsigned block_count;
	bool signed_end; // the newest segment was closed by a stop
	bool boast;      // every block knows all before it to be durable
	bool restarts;   // every segment is of a later start, the one before cut by recovery
	uint64_t seqs;   // rows in the log
	uint64_t truth[SCENE_ROWS];
	char what[160]; // being tried, for messages
};

enum scene_state { SCENE_WHOLE, SCENE_TORN, SCENE_DAMAGED, SCENE_REFUSED };

struct scene_expect {
	enum scene_state state;
	unsigned file;
	uint64_t offset;
	uint64_t seq;  // that is missing there; whole: with which the log goes on
	uint64_t read; // up to where a reader gets beyond a place where no row is missing; 0: seq
};

// Begins a segment; the one before is closed as rotation, or cut as recovery does.
void scene_segment(struct scene *scene);
// Adds a block that knows, unless said otherwise, all before the block before it to be durable; no
// rows: it seals.
void scene_add(struct scene *scene, uint32_t rows, uint32_t flags);
// Adds a block of one row whose payload, 'len' bytes, begins at a page of the file, namely at...
void scene_add_with(struct scene *scene, const void *payload, uint32_t len);
uint64_t scene_payload_at(const struct scene *scene);
// Closes the newest segment (as a stop does) or leaves it open, and takes it all in.
void scene_finish(struct scene *scene, bool signed_end);

// An empty log, of which a test may change 'lb', 'boast' and 'restarts'.
void scene_init(struct scene *scene);
// Three segments of four blocks with these rows; a block of none seals.
void scene_fill(struct scene *scene, const uint32_t rows[4], bool signed_end);
void scene_build(struct scene *scene, const uint32_t rows[4], bool signed_end); // both
void scene_free(struct scene *scene);

// Makes all whole again.
void scene_restore(struct scene *scene);
uint8_t *scene_bytes(struct scene *scene, const struct scene_block *block);

// What is due when blocks, and nothing else, have been changed: the first changed one is the bad
// place, and any later whole one, or the end, that knows it durable makes it damage. What nobody
// could know from a recycled file's old content is not there at all.
struct scene_expect scene_model(const struct scene *scene);
// The same when that block is the first bad place.
struct scene_expect scene_bad_at(const struct scene *scene, unsigned number);

// Writes the files as they are now and checks all that is said at the top.
void scene_check(struct scene *scene, struct scene_expect expect);

// What is remembered of a row.
uint64_t scene_row_digest(const struct wal_row *row);

int scene_teardown(void **state);
