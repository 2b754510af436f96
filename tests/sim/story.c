// SPDX-License-Identifier: BSD-3-Clause

// One seed: a log is written, crashes, is recovered, and so on, a few times.

#include "story.h"

#include "fs.h"
#include "model.h"
#include "sim.h"
#include "wal/internal.h"
#include "wal/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BOOTS_MAX 12
#define RETRIES_MAX 40 // starts that faults kept from succeeding

static struct {
	struct wal_options options;
	bool sync_io;
	unsigned steps; // of the owner in this boot
	bool stop;      // in the end: cleanly
	bool probe;     // only recover and look
	// what became of it
	struct wal *wal;
	bool opened;
	int error;
} story;

static void choose_options(void)
{
	static const uint32_t blocks[] = {4096, 8192, 8192, 16384};
	struct config_log *log = &story.options.log;

	story.options = (struct wal_options){
		.dir = SIM_LOG, .receiver = "sim", .listeners = "{}", .lock_fd = -1};
	log->block_bytes = blocks[sim_below(4)];
	log->queue_depth = sim_between(1, log->block_bytes > 8192 ? 3 : 4);
	log->segment_bytes = 4ull * log->queue_depth * log->block_bytes + 4096 * sim_between(3, 12);
	log->retain_bytes = sim_chance(800) ? sim_between(2, 6) * log->segment_bytes : 0;
	log->retain_age_ns = sim_chance(300) ? 3600ull * 1000000000 : 0;
	log->durability = sim_chance(300) ? DURABILITY_DSYNC : DURABILITY_FLUSH;
	log->direct = sim_chance(700);
	story.sync_io = sim_chance(200);
	log->io = story.sync_io ? IO_SYNC : IO_AUTO;
	log->compression = sim_chance(300) ? COMPRESSION_LZ4 : COMPRESSION_NONE;
	log->compressed_partitions = CONFIG_ALL_PARTITIONS;
	story.options.recent_bytes = sim_hash(log->segment_bytes, 1) % 5 * log->block_bytes;
}

static void choose_pace(void)
{
	static const unsigned switches[] = {10, 100, 300, 600}, completes[] = {50, 200, 500, 900};

	sim_pace.switches = switches[sim_below(4)];
	sim_pace.completes = completes[sim_below(4)];
	sim_pace.faults = sim_chance(300) ? sim_between(1, 20) : 0;
	sim_pace.flush_faults = sim_chance(100) ? 150 : 0;
}

static void look(struct wal *wal)
{
	model_observe(wal);
	if (!sim_chance(20))
		return;
	sim_calm(true);
	model_check_durable();
	model_check_batches(wal);
	sim_calm(false);
}

static void submit(struct wal *wal, struct wal_block *block)
{
	uint64_t seq = wal_next_seq(wal), batch = wal_next_batch(wal);
	struct wal_fill fill = {.seal = sim_chance(150)};
	uint32_t rows = sim_chance(200) ? 1000 : sim_between(1, 20);
	int r;

	model_fill(block, seq, rows, sim_chance(300), &fill);
	model_submitting(seq, fill.rows, batch);
	r = wal_submit(wal, block, &fill);
	model_submitted(wal, batch);
	sim_trace("submit %u rows from seq %" PRIu64 ": %d, batch %" PRIu64 "%s", fill.rows, seq, r,
		batch, wal_next_batch(wal) > batch ? ", sealed" : "");
}

static void seal(struct wal *wal)
{
	uint64_t batch = wal_next_batch(wal);

	model_submitting(wal_next_seq(wal), 0, batch);
	wal_seal_empty(wal);
	model_submitted(wal, batch);
}

static void step(struct wal *wal)
{
	static struct wal_block *block;
	uint32_t what = sim_below(100);

	sim_point("step");
	if (what < 45 && model_has_room(1000)) {
		block = wal_block_get(wal);
		if (block)
			submit(wal, block);
		else
			sim_wait();
	} else if (what < 52) {
		seal(wal);
	} else if (what < 90) {
		wal_poll(wal);
	} else if (what < 97) {
		sim_wait();
	} else if (what < 98) {
		sim_pass(INT64_C(1800) * 1000000000);
	} else {
		calls_disk_full(sim_chance(300));
	}
	look(wal);
}

static void stop(struct wal *wal)
{
	int r = wal_detach(wal);

	model_observe(wal);
	if (r == 0 && model_durable() != model_next())
		sim_violated("a clean stop leaves %" PRIu64 " of %" PRIu64 " rows", model_durable(),
			model_next());
	wal_close(wal);
}

static void check_nothing_left(const char *when)
{
	if (sim_memory_live() > 0)
		sim_violated("%zu allocations are left %s", sim_memory_live(), when);
	if (calls_open() > 0)
		sim_violated("%u descriptors are left %s", calls_open(), when);
}

static void life(void *arg)
{
	struct wal_recovery report;
	char why[512];

	(void)arg;
	story.error = wal_open(&story.wal, &story.options, &report, why);
	if (story.error < 0) {
		sim_trace("open: %s; %s", strerror(-story.error), why);
		check_nothing_left("by a start that was refused");
		return;
	}
	story.opened = true;
	sim_trace("open: next seq %" PRIu64 ", cut %" PRIu64 " bytes of %s", report.next_seq,
		report.cut_bytes, report.cut_file);
	sim_calm(true);
	model_recovered(story.wal, &report);
	sim_calm(false);
	if (!story.sync_io)
		wal_set_io(story.wal, disk_io());
	if (wal_attach(story.wal) < 0)
		sim_violated("no attach");
	for (unsigned i = 0; i < story.steps; i++)
		step(story.wal);
	if (!story.stop)
		return;
	stop(story.wal);
	check_nothing_left("by a clean stop");
}

static uint64_t choose_crash(void)
{
	if (story.probe)
		return 0;
	switch (sim_below(4)) {
	case 0:
		return sim_between(1, 90); // in recovery, mostly
	case 1:
	case 2:
		return sim_between(1, 1500);
	default:
		return 0;
	}
}

// Runs until the power goes, the process is killed, or it stops by itself.
static void boot(void)
{
	enum sim_end end;
	bool killed;

	choose_pace();
	if (story.probe)
		sim_pace.faults = sim_pace.flush_faults = 0;
	story.steps = story.probe ? 0 : sim_between(5, sim_chance(200) ? 500 : 150);
	story.stop = story.probe || sim_chance(250);
	story.opened = false;
	calls_disk_full(false);
	sim_trace("--- boot");
	end = sim_boot(life, NULL, choose_crash());
	killed = end == SIM_CRASHED || (story.opened && !story.stop);
	if (!killed && story.error < 0 && (sim_faults() == 0 || story.error == -EBADMSG))
		sim_violated("a start is refused: %s", strerror(-story.error));
	sim_trace("%s", killed ? "killed" : "ended");
	fs_kill();
	// After a flush that failed rather not: what the page cache still holds is told by a
	// restart.
	if (sim_chance(sim_pace.flush_faults ? 300 : 700)) {
		sim_trace("power cut");
		fs_power_cut();
	}
	calls_reset(story.options.log.direct ? sim_chance(900) : false);
	disk_reset();
	sim_memory_drop();
	if (sim_chance(400))
		model_check_durable();
}

void log_story(void)
{
	unsigned boots = sim_between(2, BOOTS_MAX / 2);

	model_reset();
	fs_reset(sim_between(8, 16));
	calls_reset(true);
	disk_reset();
	sim_pass(INT64_C(1700000000) * 1000000000 - sim_now());
	choose_options();
	story.probe = false;
	for (unsigned i = 0; i < boots; i++)
		boot();
	if (sim_chance(300)) {
		rot_story(&story.options);
		return;
	}
	story.probe = true;
	boot();
}
