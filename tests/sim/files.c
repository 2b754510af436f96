// SPDX-License-Identifier: BSD-3-Clause

// A sink that writes files: whatever crash comes, a file that is seen is whole, no batch is in two
// of them, and what the cursor is behind of is in one, but for what retention took before.

#include "common/file.h"
#include "fs.h"
#include "sim.h"
#include "sinks/sink.h"
#include "story.h"
#include "tests/unit/sinks/fake_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BOOTS 5u
#define BATCHES 16u
#define OUT SIM_ROOT "/out"
#define CURSOR "cursor"
#define STEP 1200000000000 // 20 minutes, so that hours have folders
#define ID "abababababababababababababababab"

static struct {
	struct config_sink config;
	struct sink_target target;
	_Atomic bool stop;
	char receiver[8];
	uint64_t cursor; // a feed has stored it, or tried to
	uint64_t stored; // ... and it was told that it is durable
	bool calm;       // no fault, no stop: all must be delivered
	// by number: how many files have it
	unsigned files_of[BATCHES];
	bool taken[BATCHES]; // by retention, before the sink was known to have it
} f;

static int read_fails(void)
{
	sim_point("a look at the log");
	return sim_fault() ? -EIO : 0;
}

static void retain(void)
{
	for (unsigned i = sim_below(4); i > 0 && fake_log.oldest + 1 < fake_log.sealed; i--) {
		f.taken[fake_log.oldest] = fake_log.oldest >= f.stored;
		sim_trace("retention takes batch %" PRIu64, fake_log.oldest);
		fake_log.oldest++;
	}
}

// What happens to the log meanwhile.
static void live_on(void)
{
	if (fake_log.sealed < BATCHES && sim_chance(300))
		fake_log.sealed++;
	if (!f.calm && sim_chance(20))
		retain();
}

bool sink_wait(const struct sink_target *target, uint64_t ns)
{
	(void)target;
	sim_point("wait");
	sim_pass((int64_t)ns + STEP);
	live_on();
	if (!f.calm && sim_chance(100))
		f.stop = true;
	return !f.stop;
}

struct wal_cursor sink_cursor_behind(const struct wal_batch *batch)
{
	return (struct wal_cursor){
		.log_id = batch->log_id, .batch = batch->number + 1, .seq = batch->end_seq};
}

static int cursor_load(uint64_t *ret)
{
	char *text;
	size_t len;
	int r = file_read(SIM_LOG "/" CURSOR, 64, &text, &len);

	*ret = 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret = strtoull(text, NULL, 10);
	free(text);
	return 0;
}

static int cursor_store(uint64_t cursor)
{
	char text[24];
	int r;

	snprintf(text, sizeof(text), "%" PRIu64, cursor);
	f.cursor = cursor;
	r = file_replace(SIM_LOG, CURSOR, text, strlen(text));
	if (r == 0)
		f.stored = cursor;
	return r;
}

// 1: a step was made; 0: nothing is sealed.
static int deliver(void *driver, struct wal_batches *log)
{
	struct wal_batch batch;
	struct wal_cursor cursor;
	uint64_t events, want = 0;
	int r = wal_batches_next(log, &batch);

	if (r != 1)
		return r;
	r = sink_files.deliver(driver, log, &batch, &cursor, &events);
	if (r < 0)
		return r;
	for (uint64_t n = batch.number; n < cursor.batch; n++)
		want += fake_batch_events(n);
	// Of a file that was there before retention overtook the sink nothing is known.
	if (events != want && !(events == 0 && batch.number > 0 && f.taken[batch.number - 1]))
		sim_violated("%" PRIu64 " events are told, not %" PRIu64, events, want);
	sim_trace(
		"batches %" PRIu64 " to %" PRIu64 " are delivered", batch.number, cursor.batch - 1);
	r = cursor_store(cursor.batch);
	return r < 0 ? r : 1;
}

// As a feed does.
static void follow(void *driver, struct wal_batches *log)
{
	int r = 1;

	while (r == 1 || r == -EAGAIN || r == -ESTALE) {
		if (!f.calm && sim_chance(50))
			return;
		live_on();
		if (r == -EAGAIN)
			wal_batches_seek(log, f.cursor);
		r = deliver(driver, log);
		if (r == -EAGAIN && sim_faults() == 0)
			sim_violated("it can't now: %s", f.target.why);
	}
	if (r < 0 && r != -ECANCELED && sim_faults() == 0)
		sim_violated("it stops: %s: %s", strerror(-r), f.target.why);
	if (r == -EEXIST || r == -EBADMSG)
		sim_violated("it stops by itself: %s", f.target.why);
}

static void life(void *arg)
{
	struct wal_batches *log;
	void *driver = NULL;
	uint64_t cursor;
	int r = cursor_load(&cursor);

	(void)arg;
	if (r == 0 && (cursor < f.stored || cursor > f.cursor))
		sim_violated("the cursor is %" PRIu64 ", stored was %" PRIu64, cursor, f.stored);
	if (r == 0)
		r = sink_files.open(&driver, &f.target);
	if (r == 0) {
		f.cursor = cursor;
		wal_batches_open(&log, SIM_LOG, NULL, cursor);
		follow(driver, log);
		wal_batches_close(log);
		sink_files.close(driver);
	}
	if (r == -EBADMSG || (r < 0 && sim_faults() == 0))
		sim_violated("the sink is refused: %s", f.target.why);
	if (sim_memory_live() > 0 || calls_open() > 0)
		sim_violated("a closed sink leaves %zu allocations, %u descriptors",
			sim_memory_live(), calls_open());
}

static void check_file(int inode, const char *name)
{
	unsigned long long first, last;
	char receiver[8], id[33];
	uint8_t *want;
	size_t len;

	if (sscanf(name, "%7[^-]-0-%20llu-%20llu-%32s", receiver, &first, &last, id) != 4 ||
		strcmp(id, ID) != 0 || first > last || last >= BATCHES)
		sim_violated("a file is called %s", name);
	want = fake_export(first, last, receiver, 0, &len);
	if (fs_size(inode) != len || memcmp(fs_bytes(inode), want, len) != 0)
		sim_violated("%s does not hold its batches", name);
	free(want);
	for (unsigned long long n = first; n <= last; n++)
		if (++f.files_of[n] > 1)
			sim_violated("batch %llu is in two files", n);
}

static void check_dir(int dir)
{
	const char *name;

	for (unsigned i = 0; (name = fs_list(dir, i)) != NULL; i++) {
		int inode = fs_find(dir, name);

		if (fs_is_dir(inode))
			check_dir(inode);
		else if (name[0] != '.')
			check_file(inode, name);
	}
}

static void check(void)
{
	memset(f.files_of, 0, sizeof(f.files_of));
	check_dir(fs_find(0, "out"));
	for (uint64_t n = 0; n < f.stored; n++)
		if (f.files_of[n] == 0 && !f.taken[n])
			sim_violated("the cursor is at %" PRIu64 ", and batch %" PRIu64
				     " is in no file",
				f.stored, n);
}

static void boot(unsigned number)
{
	bool faulty = sim_chance(300);

	sim_pace = (struct sim_pace){.faults = faulty ? sim_between(1, 30) : 0,
		.flush_faults = faulty ? sim_between(1, 100) : 0};
	snprintf(f.receiver, sizeof(f.receiver), "r%u", number % 10);
	f.config.roll_interval_ns = sim_chance(300) ? 0 : sim_below(8) * (uint64_t)STEP;
	f.config.roll_bytes = sim_between(1, 64) * 1024;
	f.stop = false;
	if (sim_chance(200))
		retain();
	sim_boot(life, NULL, sim_chance(800) ? sim_between(1, 300) : 0);
	fs_kill();
	if (sim_chance(700)) {
		sim_trace("power cut");
		fs_power_cut();
	}
	calls_reset(true);
	sim_memory_drop();
	check();
}

static void make_dirs(void)
{
	int log = fs_create(0, "0", true), out = fs_create(0, "out", true);

	fs_flush_end(0, fs_flush_begin(), log > 0 && out > 0);
}

void files_story(void)
{
	memset(&f, 0, sizeof(f));
	fake_log_reset();
	fake_log.step = STEP;
	fake_log.fails = read_fails;
	fake_log.sealed = sim_below(BATCHES);
	fake_log.listeners_from = sim_below(2 * BATCHES);
	f.config = (struct config_sink){.name = "s", .path = OUT};
	snprintf(f.config.file, sizeof(f.config.file),
		"%s{receiver}-{partition}-{first}-{last}-{log_id}",
		sim_chance(500) ? "{hour}/" : "");
	f.target = (struct sink_target){.config = &f.config,
		.receiver = f.receiver,
		.dir = SIM_LOG,
		.log_id = fake_log.log_id,
		.stop = &f.stop};
	fs_reset(36);
	calls_reset(true);
	make_dirs();
	for (unsigned i = sim_between(2, BOOTS); i > 0; i--)
		boot(i);
	// All of it is there in the end, of a calm machine.
	sim_pace = (struct sim_pace){0};
	fake_log.sealed = BATCHES;
	f.calm = true;
	f.stop = false;
	sim_boot(life, NULL, 0);
	calls_reset(true);
	sim_memory_drop();
	if (f.cursor != BATCHES)
		sim_violated("%" PRIu64 " batches are delivered, not %u", f.cursor, BATCHES);
	f.stored = f.cursor;
	check();
}
