// SPDX-License-Identifier: BSD-3-Clause
#include "wal/scrub.h"

#include "common/clock.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "wal/disk.h"
#include "wal/scrub_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define SAVE_NS (30 * SECOND)      // how much time a crash may cost
#define DISK_WAIT_NS (10 * SECOND) // for a disk that is always busy
#define PAUSES_PER_SECOND 8

static int64_t monotonic_now(void)
{
	return (int64_t)clock_monotonic_ns();
}

static bool stopping(struct wal_scrub *scrub)
{
	bool stop;

	pthread_mutex_lock(&scrub->lock);
	stop = scrub->stop;
	pthread_mutex_unlock(&scrub->lock);
	return stop;
}

// False: told to stop.
static bool sleep_until(struct wal_scrub *scrub, int64_t monotonic)
{
	struct timespec end = {.tv_sec = monotonic / SECOND, .tv_nsec = monotonic % SECOND};
	bool stop;
	int r = 0;

	pthread_mutex_lock(&scrub->lock);
	while (!scrub->stop && r == 0)
		r = pthread_cond_timedwait(&scrub->wake, &scrub->lock, &end);
	stop = scrub->stop;
	pthread_mutex_unlock(&scrub->lock);
	return !stop;
}

static void wait_for_disk(struct wal_scrub *scrub, const struct scrub_log *log)
{
	int64_t end = monotonic_now() + DISK_WAIT_NS;

	while (!wal_disk_is_idle(log->dir_fd) && monotonic_now() < end && !stopping(scrub))
		;
}

bool scrub_pace(struct wal_scrub *scrub, const struct scrub_log *log, uint64_t bytes)
{
	double rate = (double)scrub->options.rate;
	int64_t due;
	bool go_on;

	scrub->unpaid += bytes;
	if ((double)scrub->unpaid * PAUSES_PER_SECOND < rate)
		return !stopping(scrub);

	due = scrub->paused_at + (int64_t)((double)scrub->unpaid / rate * (double)SECOND);
	wait_for_disk(scrub, log);
	go_on = sleep_until(scrub, due);
	scrub->unpaid = 0;
	scrub->paused_at = monotonic_now();
	return go_on;
}

static void save(struct scrub_log *log)
{
	int r = scrub_place_save(log->wal->dir, &log->place);

	if (r < 0 && r != log->save_error)
		log_warn("partition %u: can't keep %s in %s: %s; a restart scrubs from an older "
			 "place",
			log->wal->options.partition, SCRUB_PLACE_NAME, log->wal->dir, strerror(-r));
	log->save_error = r;
	log->saved_at = monotonic_now();
}

void scrub_save_if_due(struct scrub_log *log)
{
	if (monotonic_now() - log->saved_at > SAVE_NS)
		save(log);
}

static void damage_text(const struct scrub_log *log, const struct scrub_damage *damage, char *ret)
{
	int n = snprintf(ret, WAL_SCRUB_TEXT_BYTES,
		"%s/%s: damaged at offset %" PRIu64 ", where seq %" PRIu64 " is due: %s",
		log->wal->dir, damage->file, damage->offset, damage->seq, damage->what);

	if (damage->can_mend)
		snprintf(ret + n, WAL_SCRUB_TEXT_BYTES - (size_t)n,
			". To mend it, stop millraced and run: millrace log repair --yes %s",
			log->wal->dir);
}

static struct scrub_damage *damage_of(struct scrub_log *log, uint64_t segment_first)
{
	for (unsigned i = 0; i < log->place.damage_count; i++)
		if (log->place.damage[i].segment_first == segment_first)
			return &log->place.damage[i];
	return NULL;
}

static void damage_changed(struct scrub_log *log)
{
	counter_set(&log->wal->counters[WAL_damaged_places], log->place.damage_count);
	save(log);
}

static void damage_add(
	struct wal_scrub *scrub, struct scrub_log *log, const struct scrub_damage *damage)
{
	struct scrub_damage *known = damage_of(log, damage->segment_first);
	char text[WAL_SCRUB_TEXT_BYTES];

	if (known != NULL && known->offset == damage->offset &&
		strcmp(known->file, damage->file) == 0)
		return;
	damage_text(log, damage, text);
	log_err("partition %u: scrubbing found damage: %s", log->wal->options.partition, text);
	if (known == NULL && log->place.damage_count == SCRUB_DAMAGE_MAX)
		return;

	pthread_mutex_lock(&scrub->lock);
	if (known == NULL)
		known = &log->place.damage[log->place.damage_count++];
	*known = *damage;
	pthread_mutex_unlock(&scrub->lock);
	damage_changed(log);
}

static void damage_drop(
	struct wal_scrub *scrub, struct scrub_log *log, uint64_t segment_first, const char *why)
{
	struct scrub_damage *known = damage_of(log, segment_first);
	struct scrub_damage *end = log->place.damage + log->place.damage_count;

	if (known == NULL)
		return;
	log_notice("partition %u: the damage in %s/%s is no more: %s", log->wal->options.partition,
		log->wal->dir, known->file, why);

	pthread_mutex_lock(&scrub->lock);
	memmove(known, known + 1, (size_t)(end - known - 1) * sizeof(*known));
	log->place.damage_count--;
	pthread_mutex_unlock(&scrub->lock);
	damage_changed(log);
}

static bool is_there(const struct scrub_look *look, uint64_t first_seq)
{
	unsigned i = scrub_look_find(look, first_seq);

	return i < look->survey.count && look->survey.segments[i].file.first_seq == first_seq;
}

static void take_verdict(struct scrub_look *look, uint64_t segment_first,
	enum scrub_verdict verdict, const struct scrub_damage *damage)
{
	if (verdict == SCRUB_BAD)
		damage_add(look->scrub, look->log, damage);
	else if (verdict == SCRUB_GOOD)
		damage_drop(look->scrub, look->log, segment_first, "it is whole");
	else if (verdict == SCRUB_GONE)
		damage_drop(look->scrub, look->log, segment_first, "the segment left the log");
}

// Retention, or a repair, took the segment.
static void forget_gone(struct scrub_look *look)
{
	struct scrub_place *place = &look->log->place;

	for (unsigned i = place->damage_count; i > 0; i--)
		if (!is_there(look, place->damage[i - 1].segment_first))
			take_verdict(look, place->damage[i - 1].segment_first, SCRUB_GONE, NULL);
}

static void look_again(struct wal_scrub *scrub, struct scrub_log *log)
{
	for (unsigned i = log->place.damage_count; i > 0; i--) {
		struct scrub_damage old = log->place.damage[i - 1], new;
		enum scrub_verdict verdict = SCRUB_GONE;
		char text[WAL_SCRUB_TEXT_BYTES];
		struct scrub_look look;

		damage_text(log, &old, text);
		log_warn("partition %u: damaged before this start, looked at again: %s",
			log->wal->options.partition, text);
		if (scrub_look_begin(&look, scrub, log) < 0)
			verdict = SCRUB_UNSEEN;
		else if (is_there(&look, old.segment_first))
			verdict = scrub_look_at(
				&look, scrub_look_find(&look, old.segment_first), &old.from, &new);
		take_verdict(&look, old.segment_first, verdict, &new);
		scrub_look_end(&look);
	}
}

// The schema page of every closed segment.
static void look_at_headers(struct wal_scrub *scrub, struct scrub_log *log)
{
	struct scrub_look look;

	if (scrub_look_begin(&look, scrub, log) < 0)
		goto out;
	for (unsigned i = 0; i < look.survey.count && scrub_look_closed(&look, i); i++) {
		struct scrub_damage damage;

		if (scrub_look_header(&look, i, &damage) == SCRUB_BAD)
			damage_add(scrub, log, &damage);
		if (!scrub_pace(scrub, log, WAL_SCHEMA_BYTES))
			break;
	}
out:
	scrub_look_end(&look);
}

// Whether a round is under way, or one begins now.
static bool in_round(const struct wal_scrub *scrub, struct scrub_log *log)
{
	struct scrub_place *place = &log->place;
	int64_t since = clock_system_ns() - place->round_began;

	if (place->round_began > 0 && !place->round_ended)
		return true;
	// A clock that was put back must not hold it up for years.
	if (place->round_began > 0 && since >= 0 && (uint64_t)since < scrub->options.interval_ns)
		return false;
	place->round_began = clock_system_ns();
	place->round_ended = false;
	place->segment_first = 0;
	place->from = (struct wal_walk_point){0};
	return true;
}

static void round_segment(struct scrub_look *look, unsigned index)
{
	uint64_t first_seq = look->survey.segments[index].file.first_seq;
	struct scrub_place *place = &look->log->place;
	struct wal_walk_point from = {0};
	struct scrub_damage damage;
	enum scrub_verdict verdict;

	if (first_seq == place->segment_first)
		from = place->from;
	place->segment_first = first_seq;
	place->from = from;
	look->in_round = true;
	verdict = scrub_look_at(look, index, &from, &damage);
	take_verdict(look, first_seq, verdict, &damage);
	if (verdict == SCRUB_UNSEEN && stopping(look->scrub))
		return;
	if (verdict != SCRUB_UNSEEN && verdict != SCRUB_GONE)
		wal_count(look->log->wal, WAL_scrubbed_segments, 1);
	place->segment_first = first_seq + 1;
	place->from = (struct wal_walk_point){0};
	scrub_save_if_due(look->log);
}

// The next segment of a round. False: there was nothing to do.
static bool step(struct wal_scrub *scrub, struct scrub_log *log)
{
	bool round = in_round(scrub, log), done = false;
	struct scrub_look look;
	unsigned index;

	if (!round && log->place.damage_count == 0)
		return false;
	if (scrub_look_begin(&look, scrub, log) < 0)
		goto out;
	forget_gone(&look);
	index = scrub_look_find(&look, log->place.segment_first);
	if (round && index < look.survey.count && scrub_look_closed(&look, index)) {
		round_segment(&look, index);
		done = true;
	} else if (round) {
		log->place.round_ended = true;
		save(log);
	}
out:
	scrub_look_end(&look);
	return done;
}

static void lower_priority(void)
{
	struct sched_param param = {0};

	// Where either is refused it is the rate that keeps it small.
	sched_setscheduler(0, SCHED_IDLE, &param);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static void *scrub_run(void *arg)
{
	struct wal_scrub *scrub = arg;

	lower_priority();
	scrub->paused_at = monotonic_now();
	for (unsigned i = 0; i < scrub->count; i++) {
		look_again(scrub, &scrub->logs[i]);
		look_at_headers(scrub, &scrub->logs[i]);
	}
	while (!stopping(scrub)) {
		bool done = false;

		for (unsigned i = 0; i < scrub->count && !stopping(scrub); i++)
			done |= step(scrub, &scrub->logs[i]);
		if (!done)
			sleep_until(scrub, monotonic_now() + SECOND);
	}
	for (unsigned i = 0; i < scrub->count; i++)
		save(&scrub->logs[i]);
	return NULL;
}

static struct wal_scrub *scrub_new(unsigned count, const struct wal_scrub_options *options)
{
	struct wal_scrub *scrub = calloc(1, sizeof(*scrub) + count * sizeof(scrub->logs[0]));
	pthread_condattr_t attr;

	if (scrub == NULL)
		return NULL;
	scrub->options = *options;
	pthread_mutex_init(&scrub->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&scrub->wake, &attr);
	pthread_condattr_destroy(&attr);
	return scrub;
}

static void scrub_free(struct wal_scrub *scrub)
{
	for (unsigned i = 0; i < scrub->count; i++)
		close(scrub->logs[i].dir_fd);
	pthread_cond_destroy(&scrub->wake);
	pthread_mutex_destroy(&scrub->lock);
	free(scrub);
}

// Before the thread runs: what was damaged before this start is known at once.
static void load(struct scrub_log *log)
{
	const struct wal *wal = log->wal;
	int r = scrub_place_load(wal->dir, &wal->log_id, &log->place);

	if (r < 0 && r != -ENOENT)
		log_warn("partition %u: %s/%s is not used, scrubbing begins anew: %s",
			wal->options.partition, wal->dir, SCRUB_PLACE_NAME,
			r == -EBADMSG           ? "it is damaged"
			: r == -ESTALE          ? "it is of another log"
			: r == -EPROTONOSUPPORT ? "it was written by another version"
						: strerror(-r));
	counter_set(&log->wal->counters[WAL_damaged_places], log->place.damage_count);
	log->saved_at = monotonic_now();
}

static int add_log(struct wal_scrub *scrub, struct wal *wal)
{
	int fd = open(wal->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	scrub->logs[scrub->count] = (struct scrub_log){
		.wal = wal, .own = {.header = {.log_id = wal->log_id}}, .dir_fd = fd};
	load(&scrub->logs[scrub->count++]);
	return 0;
}

int wal_scrub_start(struct wal_scrub **ret, struct wal *const *logs, unsigned count,
	const struct wal_scrub_options *options)
{
	struct wal_scrub *scrub = scrub_new(count, options);
	int r = scrub != NULL ? 0 : -ENOMEM;

	if (scrub == NULL)
		return r;
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = add_log(scrub, logs[i]);
	if (r == 0)
		r = thread_start(&scrub->thread, "wal-scrub", scrub_run, scrub);
	if (r < 0)
		scrub_free(scrub);
	else
		*ret = scrub;
	return r;
}

void wal_scrub_stop(struct wal_scrub *scrub)
{
	if (scrub == NULL)
		return;
	pthread_mutex_lock(&scrub->lock);
	scrub->stop = true;
	pthread_cond_signal(&scrub->wake);
	pthread_mutex_unlock(&scrub->lock);
	pthread_join(scrub->thread, NULL);
	scrub_free(scrub);
}

unsigned wal_scrub_damage(struct wal_scrub *scrub, unsigned log, char *text)
{
	unsigned count;

	if (scrub == NULL)
		return 0;
	pthread_mutex_lock(&scrub->lock);
	count = scrub->logs[log].place.damage_count;
	if (count > 0)
		damage_text(&scrub->logs[log], &scrub->logs[log].place.damage[0], text);
	pthread_mutex_unlock(&scrub->lock);
	return count;
}
