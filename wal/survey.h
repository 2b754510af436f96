// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the segments of a directory say together: shared by recovery, verification and repair. A
// survey changes nothing.
//
//   load: the names    header: a schema page    walk: every block of some    judge: where it ends
//
// Only what is walked is read, so a survey of the newest segments costs the same in a log of any
// size. A segment's schema page is held against that of the segment looked at before it.

#include "wal/recover.h"
#include "wal/scan.h"

struct wal_segment {
	struct wal_segment_file file;
	bool looked;                      // wal_survey_header() has been there
	struct wal_segment_header header; // valid when looked, and header_error is 0
	int header_error;                 // -ENODATA, -EBADMSG: no valid schema page
	bool walked;
	bool gone;          // taken away by retention in the meantime
	enum wal_step stop; // why the walk ended
	bool as_written;    // at a block that is bad as it was written
	uint64_t limit;     // no byte at or beyond may be judged
	uint64_t end;       // behind the last good block
	uint64_t end_seq;   // behind the last good row
	uint64_t next_seq;  // with which the log goes on: above end_seq, a declared gap
	uint64_t next_batch;
	uint64_t durable_seq; // the highest that a good block named
	uint64_t blocks, rows, batches;
	bool has_end; // its end-of-stream page is signed
	char why[160];
};

struct wal_survey {
	const char *dir;
	struct wal_segment *segments;
	unsigned count;
	bool unbegun;  // the newest file, left out of 'count', holds no segment yet
	bool limited;  // a writer may be at work
	int partition; // -1: that of the first schema page
	const struct wal_segment *known; // whose schema page was looked at last
	bool thorough; // set by the caller: compressed blocks must unpack, and a segment that
		       // others follow must have its last page; what recovery does without
	bool direct; // past the page cache, which others need
	uint64_t walked_bytes, all_bytes;
	bool (*progress)(uint64_t done, uint64_t all, void *arg); // false: end it, -ECANCELED
	void *arg;
	const struct wal_walk *walk;       // the one under way, for progress()
	const struct wal_walk_point *from; // where the next one begins; NULL: at the begin
	char *why;                         // 512 bytes, for errors
};

enum wal_state_found { LOG_WHOLE, LOG_TORN, LOG_DAMAGED };

struct wal_judgement {
	enum wal_state_found state;
	unsigned index;    // of the segment that ends here, or holds the bad place
	uint64_t offset;   // of its end, or of the bad place
	uint64_t seq;      // first that is missing
	uint64_t next_seq; // with which the log goes on, if it is cut here or mended
	uint64_t next_batch;
	uint64_t gap_from;   // next_seq: none
	uint64_t tail_bytes; // from the bad place to the end of what is recognisable beyond it
	unsigned intact_blocks;
	uint64_t intact_rows;
	char what[192];  // what doesn't fit
	char proof[160]; // why it is damage
};

// Lists the segments. -ENOENT: no directory.
int wal_survey_load(struct wal_survey *survey, int partition, struct wal_limit limit);
void wal_survey_free(struct wal_survey *survey);

// Reads a segment's schema page, once. 0 also when it is of no use (header_error) or gone;
// -EPROTONOSUPPORT, -EBADMSG (segments of several logs), -EINVAL (of another partition) with why.
int wal_survey_header(struct wal_survey *survey, unsigned index);

// Opens a segment's file; -ENOENT also when the name is another file's by now.
int wal_survey_file(const struct wal_survey *survey, unsigned index, int flags);

// Reads its schema page and every block.
int wal_survey_walk(struct wal_survey *survey, unsigned index);

// Walks the segments that a crash can have left unfinished; *ret_first is the oldest of them.
int wal_survey_walk_back(struct wal_survey *survey, unsigned *ret_first);

// Judges the walked segments from 'first' to the newest. ahead: bytes beyond a bad place to look
// at.
int wal_survey_judge(
	struct wal_survey *survey, unsigned first, uint64_t ahead, struct wal_judgement *ret);

// Judges a walked segment that others follow: by itself, and how the next one's begin fits, when
// its schema page was looked at. True: *ret tells the bad place.
bool wal_survey_judge_closed(
	const struct wal_survey *survey, unsigned index, struct wal_judgement *ret);

// Writes again, to a walked segment open for both, what no block says to be on the disk: all from
// the block on that ends at or beyond seq 'durable'.
int wal_rewrite(const struct wal_segment *segment, int fd, uint64_t durable);

// Text for 'why' out of a judgement of damage.
void wal_survey_explain(const struct wal_survey *survey, const struct wal_judgement *judgement);
