// SPDX-License-Identifier: BSD-3-Clause

// A sender's spool: whatever crash comes, a seq that was sent is no other event's, what was synced
// is found again, and what isn't durable is read again.

#include "lib/spool/spool.h"

#include "fs.h"
#include "sim.h"
#include "story.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BOOTS 5u
#define EVENTS 600u // seqs, in all
#define LEN_MAX 1500u

static struct {
	struct spool_config config;
	unsigned steps;
	bool last; // life: it sends all that is there
	// What must be so.
	uint64_t source;       // 0: none yet
	bool begun;            // an open has said that all is well
	uint64_t synced;       // all below were
	uint64_t sent;         // ... were read to be sent
	uint64_t durable;      // ... is at the receiver
	uint64_t next;         // of the last life
	uint32_t says[EVENTS]; // what each seq is
	uint32_t given;        // events so far
	struct send_epoch epoch, next_epoch;
	// of this life
	int error;
	struct spool *spool;
	struct spool_reader *reader;
	uint64_t added, written;
} s;

static uint32_t make(uint32_t what, uint8_t *ret)
{
	uint64_t h = sim_hash(what, 11);
	uint32_t len = h % 4 == 0 ? (uint32_t)(h >> 8) % LEN_MAX : (uint32_t)(h >> 8) % 100;

	for (uint32_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(h >> (i % 8 * 8)) ^ (uint8_t)i;
	return len;
}

static bool same_epoch(const struct send_epoch *a, const struct send_epoch *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void check_found(const struct spool_found *found)
{
	if (s.begun && found->source != s.source)
		sim_violated("the spool has another source");
	if (found->next_seq < s.synced || found->next_seq < s.sent)
		sim_violated("the spool ends at %" PRIu64 ", synced were %" PRIu64
			     ", and sent %" PRIu64,
			found->next_seq, s.synced, s.sent);
	if (found->next_seq > s.next)
		sim_violated("the spool ends at %" PRIu64 ", written were %" PRIu64,
			found->next_seq, s.next);
	if (found->durable > s.durable)
		sim_violated("%" PRIu64 " are called durable, where %" PRIu64 " are",
			found->durable, s.durable);
	if (s.begun && !same_epoch(&found->epoch, &s.epoch) &&
		!same_epoch(&found->epoch, &s.next_epoch))
		sim_violated("the spool has epoch %" PRIu32 ", not %" PRIu32, found->epoch.number,
			s.epoch.number);
	s.source = found->source;
	s.epoch = s.next_epoch = found->epoch;
	s.begun = true;
	s.synced = s.next = s.added = s.written = found->next_seq;
	if (s.sent < found->durable)
		s.sent = found->durable;
}

static void add_some(void)
{
	static uint8_t event[LEN_MAX];

	for (unsigned i = sim_between(1, 20); i > 0 && s.added < EVENTS; i--) {
		uint32_t what = ++s.given;

		if (!spool_add(s.spool, event, make(what, event)))
			return;
		s.says[s.added++] = what;
		s.next = s.added;
	}
}

static int write_it(void)
{
	int err = spool_write(s.spool);

	if (err == 0)
		s.written = s.added;
	return err == -ENOSPC ? 0 : err;
}

static int sync_it(void)
{
	int err = spool_sync(s.spool);

	if (err == 0 && spool_synced(s.spool) != s.written)
		sim_violated(
			"synced up to %" PRIu64 " of %" PRIu64, spool_synced(s.spool), s.written);
	if (err == 0)
		s.synced = s.written;
	return err;
}

// As the I/O thread does, on its way to the receiver.
static int send_some(uint64_t *at)
{
	static uint8_t expected[LEN_MAX];
	char why[SPOOL_TEXT];

	for (unsigned i = sim_between(1, 40); i > 0; i--) {
		const uint8_t *event;
		uint32_t len, want;
		int r = spool_reader_first(s.reader, s.synced, &event, &len, why);

		if (r < 0 && (sim_faults() == 0 || r == -EBADMSG))
			sim_violated("seq %" PRIu64 " can't be read: %s", *at, why);
		if (r < 0)
			return r;
		if (r == 0)
			return *at == s.synced ? 0 : -EPROTO;
		want = make(s.says[*at], expected);
		if (len != want || memcmp(event, expected, len) != 0)
			sim_violated("seq %" PRIu64 " is another event", *at);
		spool_reader_next(s.reader);
		++*at;
		if (s.sent < *at)
			s.sent = *at;
	}
	return 0;
}

static int keep_epoch(void)
{
	int err;

	s.next_epoch.number++;
	s.next_epoch.first_seq = s.durable;
	s.next_epoch.opened = sim_chance(500);
	err = spool_keep_epoch(s.spool, &s.next_epoch);
	if (err == 0)
		s.epoch = s.next_epoch;
	else if (sim_faults() == 0)
		sim_violated("spool_keep_epoch: %s", strerror(-err));
	return err;
}

static int step(uint64_t *at)
{
	uint32_t what = sim_below(100);

	if (what < 40) {
		add_some();
		return write_it();
	}
	if (what < 60)
		return sync_it();
	if (what < 80)
		return send_some(at);
	if (what < 95) {
		if (*at > s.durable && sim_chance(700))
			s.durable += 1 + sim_below((uint32_t)(*at - s.durable));
		// The library's half knows it of what it was given.
		return spool_forget(s.spool, s.durable < *at ? s.durable : *at);
	}
	return keep_epoch();
}

static void end_life(void)
{
	uint64_t bytes = spool_bytes(s.spool);

	if (bytes > (s.config.segment_bytes + 4096ull) * 30)
		sim_violated("the spool has %" PRIu64 " bytes", bytes);
	spool_reader_free(s.reader);
	spool_close(s.spool, s.durable < s.synced ? s.durable : s.synced);
	if (sim_memory_live() > 0 || calls_open() > 0)
		sim_violated("a closed spool leaves %zu allocations, %u descriptors",
			sim_memory_live(), calls_open());
}

static void life(void *arg)
{
	struct spool_found found;
	char why[SPOOL_TEXT];
	uint64_t at;
	int err;

	(void)arg;
	s.error = spool_open(&s.spool, &s.config, &found, why);
	if (s.error != 0) {
		if (sim_faults() == 0 || s.error == -EBADMSG)
			sim_violated("a spool is refused: %s", why);
		if (sim_memory_live() > 0 || calls_open() > 0)
			sim_violated("a refused spool leaves something");
		return;
	}
	check_found(&found);
	sim_trace("from seq %" PRIu64 ", durable %" PRIu64, found.next_seq, found.durable);
	at = found.durable;
	if (spool_reader_make(&s.reader, s.spool) != 0)
		sim_violated("no reader");
	err = 0;
	for (unsigned i = 0; err == 0 && i < s.steps; i++)
		err = step(&at);
	while (err == 0 && s.last && at < s.synced)
		err = send_some(&at);
	if (err != 0 && sim_faults() == 0)
		sim_violated("the spool fails: %s", strerror(-err));
	end_life();
}

static void boot(void)
{
	bool faulty = sim_chance(300), ailing = sim_chance(150);

	sim_pace = (struct sim_pace){.faults = faulty ? sim_between(1, 30) : 0,
		.flush_faults = faulty ? sim_between(1, 30) : 0};
	if (ailing) {
		sim_pace.flush_faults = sim_between(50, 200);
		sim_pace.kills = 500;
	}
	s.steps = sim_between(1, 60);
	calls_disk_full(false);
	sim_boot(life, NULL, sim_chance(800) ? sim_between(1, 400) : 0);
	fs_kill();
	// What the page cache holds after a flush that failed is told by a restart.
	if (sim_chance(ailing ? 200 : 700)) {
		sim_trace("power cut");
		fs_power_cut();
	}
	calls_reset(true);
	sim_memory_drop();
}

// What libsodium draws comes from the seed, too.
static uint32_t draw(void)
{
	return sim_below(UINT32_MAX);
}

static void draw_bytes(void *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = (uint8_t)sim_below(256);
}

static const char *draw_name(void)
{
	return "simulated";
}

void spool_setup(void)
{
	static randombytes_implementation simulated = {
		.implementation_name = draw_name, .random = draw, .buf = draw_bytes};

	randombytes_set_implementation(&simulated);
	if (sodium_init() < 0)
		sim_violated("no libsodium");
}

void spool_story(void)
{
	int dir;

	memset(&s, 0, sizeof(s));
	s.config = (struct spool_config){.dir = SIM_LOG,
		.segment_bytes = sim_between(8, 40) * 1024,
		.frame_bytes = sim_between(1, 4) * 512};
	fs_reset(38);
	calls_reset(true);
	dir = fs_create(0, "0", true);
	fs_flush_end(0, fs_flush_begin(), dir > 0);
	for (unsigned i = sim_between(2, BOOTS); i > 0; i--)
		boot();
	// All of it is there, for a calm machine.
	sim_pace = (struct sim_pace){0};
	s.steps = 0;
	s.last = true;
	sim_boot(life, NULL, 0);
	calls_reset(true);
	sim_memory_drop();
}
