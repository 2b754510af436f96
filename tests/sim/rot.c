// SPDX-License-Identifier: BSD-3-Clause

// Bit rot: one bit of what was durable is flipped while the machine is off. The start must be
// refused, or verify must tell where it is. Only what no later block knows to be durable may be cut
// as a torn tail, and that must be told.

#include "fs.h"
#include "model.h"
#include "sim.h"
#include "story.h"
#include "wal/recover.h"
#include "wal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACES 2048

// A schema page, a block or a signed end.
struct place {
	int inode;
	char file[FS_NAME];
	bool is_header, is_end;
	uint64_t offset, len;
	uint64_t first_seq, next_seq;
	uint64_t durable_seq; // that it names
};

static struct place places[PLACES];
static unsigned count;
static struct place *hit;
static uint64_t hit_at;

static void add(const struct place *place)
{
	if (count < PLACES)
		places[count++] = *place;
}

static void add_segment(const struct wal_segment_file *file)
{
	struct place place = {.inode = fs_find(fs_find(0, "0"), file->name)};
	struct wal_block_view view;
	struct wal_walk walk;
	char path[80];
	int fd, r;

	snprintf(place.file, sizeof(place.file), "%s", file->name);
	snprintf(path, sizeof(path), SIM_LOG "/%s", file->name);
	fd = open(path, O_RDONLY);
	r = wal_walk_open(&walk, fd, UINT64_MAX, file->first_seq);
	place.is_header = true;
	place.len = WAL_SCHEMA_BYTES;
	place.first_seq = place.next_seq = file->first_seq;
	if (r == 0)
		add(&place);
	place.is_header = false;
	while (r == 0 && (r = wal_walk_next(&walk, &view)) == WAL_STEP_BLOCK) {
		place.offset = view.trailer->file_offset;
		place.len = view.len;
		place.first_seq = view.trailer->first_seq;
		place.next_seq = walk.next_seq;
		place.durable_seq = view.trailer->durable_seq;
		add(&place);
		r = 0;
	}
	place.is_end = true;
	place.durable_seq = walk.end.end_seq;
	if (r == WAL_STEP_EOS && walk.has_end)
		add(&place);
	wal_walk_close(&walk);
	close(fd);
}

static void survey(void)
{
	struct wal_segment_file *files;
	unsigned n;

	count = 0;
	if (wal_list_segments(SIM_LOG, &files, &n) < 0)
		return;
	for (unsigned i = 0; i < n; i++)
		add_segment(&files[i]);
	free(files);
}

// A durable block with rows, or the header of a segment that begins with one; the newer the
// likelier.
static struct place *choose(void)
{
	bool header = sim_chance(100);

	for (unsigned tries = 0; tries < 100 && count > 1; tries++) {
		unsigned back = sim_below(sim_chance(500) ? count : 1 + count / 8);
		struct place *place = &places[count - 1 - back];
		const struct place *rows = place->is_header ? place + 1 : place;

		if (place->is_end || place->is_header != header || rows == &places[count] ||
			rows->is_header || rows->is_end || rows->next_seq == rows->first_seq ||
			rows->next_seq > model_durable())
			continue;
		return place;
	}
	return NULL;
}

static bool later_start(const struct place *header)
{
	return model_life(header->first_seq) > model_life(hit->first_seq);
}

// Whether something that is left says that the place was durable: so does a later start.
static bool proven(void)
{
	for (const struct place *p = hit + 1; p < places + count; p++) {
		bool same = p->inode == hit->inode;

		if (p->durable_seq > hit->first_seq || (same && p->is_end) ||
			(p->is_header && (hit->is_header || later_start(p))))
			return true;
	}
	return false;
}

// By which a block is known to be one, and of this segment: without it, or with a length that leads
// to a foreign trailer, it may be what a recycled file held before.
static bool hit_identity(void)
{
	uint64_t trailer = hit->offset + hit->len - WAL_TRAILER_BYTES;

	return !hit->is_header &&
	       (hit_at < hit->offset + WAL_BLOCK_HEADER_BYTES ||
		       (hit_at >= trailer &&
			       hit_at < trailer + offsetof(struct wal_trailer, file_offset)));
}

static void check_verify(void)
{
	struct wal_verify_report report;
	int r = wal_verify(
		SIM_LOG, (struct wal_limit){.segment_first = UINT64_MAX}, &report, NULL, NULL);

	if (r < 0)
		sim_violated("verify fails: %s %s", strerror(-r), report.why);
	if (!report.damaged)
		sim_violated("verify does not see the flipped bit");
	if (strcmp(report.file, hit->file) != 0 || report.offset != hit->offset)
		sim_violated("verify tells %s at %" PRIu64, report.file, report.offset);
}

static void start(void *arg)
{
	uint64_t changes = fs_changes();
	struct wal_recovery report;
	struct wal *wal;
	char why[512];
	int r = wal_open(&wal, arg, &report, why);

	sim_trace("open: %s; %s", strerror(-r), why);
	if (r == -EBADMSG) {
		if (fs_changes() != changes)
			sim_violated("a start that was refused has changed something");
		return;
	}
	if (r < 0)
		sim_violated("a start fails: %s %s", strerror(-r), why);
	sim_calm(true);
	if (report.next_seq > hit->first_seq)
		check_verify();
	else if (proven())
		sim_violated("what was durable is cut at seq %" PRIu64 ", told: %s",
			report.next_seq, report.cut_file);
	else if (!report.cut_file[0] && !hit_identity())
		sim_violated(
			"what was durable is cut at seq %" PRIu64 " and not told", report.next_seq);
	sim_calm(false);
	wal_close(wal);
}

void rot_story(const struct wal_options *options)
{
	struct wal_options copy = *options;

	fs_power_cut();
	survey();
	hit = choose();
	if (!hit)
		return;
	hit_at = hit->offset + sim_below((uint32_t)hit->len);
	sim_trace("--- a bit flips in %s at %" PRIu64 ", seq %" PRIu64 "%s%s", hit->file, hit_at,
		hit->first_seq, hit->is_header ? ", header" : "", proven() ? ", proven" : "");
	fs_flip(hit->inode, hit_at, sim_below(8));
	sim_pace = (struct sim_pace){.switches = 100};
	sim_boot(start, &copy, 0);
	sim_memory_drop();
	calls_reset(true);
}
