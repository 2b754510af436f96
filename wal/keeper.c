// SPDX-License-Identifier: BSD-3-Clause

// The log's helper thread. It does everything that may wait for a file system: makes spares, gives
// segments their names, syncs the directory, retires what retention lets go, and sees when the log
// was taken away.

#include "common/file.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "wal/internal.h"
#include "wal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEPER_PERIOD_MS 200 // for retention by age and for a full disk that has room again

static void path_of(const struct wal *wal, const char *name, char *ret, size_t len)
{
	snprintf(ret, len, "%s/%s", wal->dir, name);
}

static void list_add(struct wal *wal, struct segment *s)
{
	if (wal->last)
		wal->last->next = s;
	else
		wal->first = s;
	wal->last = s;
	wal->bytes += s->size;
	counter_set(&wal->counters[WAL_log_bytes], wal->bytes);
	counter_add(&wal->counters[WAL_log_segments], 1);
}

// The segments that recovery left: closed, and nobody's fd.
static int adopt_files(struct wal *wal)
{
	struct wal_segment_file *files;
	unsigned n;
	int r = wal_list_segments(wal->dir, &files, &n);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++) {
		struct segment *s = calloc(1, sizeof(*s));

		if (!s) {
			r = -ENOMEM;
			break;
		}
		snprintf(s->name, sizeof(s->name), "%s", files[i].name);
		s->fd = -1;
		s->first_seq = files[i].first_seq;
		s->end_seq = i + 1 < n ? files[i + 1].first_seq : wal->next_seq;
		s->size = files[i].size;
		s->closed_at = files[i].modified_at;
		s->named = s->finished = s->adopted = true;
		list_add(wal, s);
	}
	free(files);

	return r;
}

static void tell_wiped(struct wal *wal)
{
	wal_fail(wal, -ESTALE);
	if (!wal->wiped)
		log_err("partition %u: the log in %s was removed under the running receiver; "
			"nothing more is made durable or acknowledged. Restart the receiver: it "
			"begins a new log, or goes on with what is left there",
			wal->options.partition, wal->dir);
	wal->wiped = true;
}

// What is written to a file without a name is lost with the process, however durable the disk calls
// it. A segment that was there before has no fd, so another file of its name passes.
void wal_keeper_look(struct wal *wal)
{
	const struct segment *s = wal->last;
	char path[CONFIG_PATH_MAX + 64];
	struct stat st;

#ifdef MUTANT_WIPED_UNNOTICED
	return;
#endif
	if (!s || wal_failed(wal))
		return;
	path_of(wal, s->name, path, sizeof(path));
	if (s->fd >= 0 ? wal_renamed(wal->dir, s->name, s->fd)
		       : stat(path, &st) < 0 && errno == ENOENT)
		tell_wiped(wal);
}

static void name_segment(struct wal *wal)
{
	struct segment *s = atomic_exchange(&wal->to_name, NULL);
	char from[CONFIG_PATH_MAX + 64], to[CONFIG_PATH_MAX + 64];
	int r;

	if (!s)
		return;
	path_of(wal, WAL_SPARE_NAME, from, sizeof(from));
	path_of(wal, s->name, to, sizeof(to));
	r = rename(from, to) < 0 ? -errno : file_sync_dir(wal->dir);
	list_add(wal, s);
	if (r < 0) {
		// The spare, or all of the directory, is gone.
		if (r == -ENOENT)
			tell_wiped(wal);
		wal_fail(wal, r);
		return;
	}
	wal->spare_placed = false;
	atomic_store_explicit(&s->named, true, memory_order_release);
}

static void close_finished(struct wal *wal)
{
	// Not the newest: wal_detach() still truncates it.
	for (struct segment *s = wal->first; s && s->next; s = s->next) {
		if (s->fd < 0 || !atomic_load(&s->finished))
			continue;
		close(s->fd);
		s->fd = -1;
		s->closed_at = clock_system_ns();
	}
}

static void forget_first(struct wal *wal)
{
	struct segment *s = wal->first;

	wal->first = s->next;
	wal->bytes -= s->size;
	counter_set(&wal->counters[WAL_log_bytes], wal->bytes);
	counter_set(&wal->counters[WAL_log_segments], wal->counters[WAL_log_segments] - 1);
	free(s);
}

// A start doesn't look at every segment, so before one is removed that was there already: whether
// it is another log's, or of a format that only a newer Millrace knows.
static bool is_foreign(const struct wal *wal, const struct segment *s)
{
	struct wal_segment_header header;
	char path[CONFIG_PATH_MAX + 64];
	bool foreign;
	int fd, r;

#ifdef MUTANT_RETIRES_FOREIGN
	return false;
#endif
	path_of(wal, s->name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	r = wal_walk_header(fd, s->first_seq, &header, NULL, 0);
	foreign = r == -EPROTONOSUPPORT || (r == 0 && !wal_id_equal(&header.log_id, &wal->log_id));
	close(fd);

	return foreign;
}

// What the log takes by the rules of retention: the segment being filled and its spare count, so
// that it stays below the bound.
static uint64_t taken(const struct wal *wal)
{
	return wal->bytes + wal->options.log.segment_bytes;
}

void wal_holder_add(struct wal *wal, struct wal_holder *holder)
{
	pthread_mutex_lock(&wal->holders_lock);
	holder->next = wal->holders;
	wal->holders = holder;
	pthread_mutex_unlock(&wal->holders_lock);
}

void wal_holder_remove(struct wal *wal, struct wal_holder *holder)
{
	struct wal_holder **at = &wal->holders;

	pthread_mutex_lock(&wal->holders_lock);
	while (*at && *at != holder)
		at = &(*at)->next;
	if (*at)
		*at = holder->next;
	pthread_mutex_unlock(&wal->holders_lock);
}

// Whether somebody keeps the rows below 'seq', which the log's bytes leave him.
static bool is_held(struct wal *wal, uint64_t seq)
{
	bool held = false;

#ifdef MUTANT_HOLDER_IGNORED
	return false;
#endif
	pthread_mutex_lock(&wal->holders_lock);
	for (struct wal_holder *h = wal->holders; h && !held; h = h->next) {
		uint64_t bytes = atomic_load(&h->bytes);

		held = atomic_load(&h->seq) < seq && (bytes == 0 || taken(wal) <= bytes);
	}
	pthread_mutex_unlock(&wal->holders_lock);

	return held;
}

// Before the rows below 'seq' go: who misses one must find why.
static void tell_holders(struct wal *wal, uint64_t seq)
{
	pthread_mutex_lock(&wal->holders_lock);
	for (struct wal_holder *h = wal->holders; h; h = h->next)
		if (atomic_load(&h->seq) < seq)
			atomic_store(&h->overrun, seq);
	pthread_mutex_unlock(&wal->holders_lock);
}

// Removes the oldest segment from the log: its file becomes the next spare when there is none and
// it has the size, else it is unlinked.
static int retire_first(struct wal *wal)
{
	struct segment *s = wal->first;
	char path[CONFIG_PATH_MAX + 64], spare[CONFIG_PATH_MAX + 64];
	bool recycle = !wal->can_recycle && !wal->spare_placed &&
		       s->size == wal->options.log.segment_bytes;
	int r;

	path_of(wal, s->name, path, sizeof(path));
	path_of(wal, WAL_SPARE_NAME, spare, sizeof(spare));
	if (s->adopted && is_foreign(wal, s)) {
		log_err("partition %u: %s is not of this log and is left where it is: take it away",
			wal->options.partition, path);
		forget_first(wal);
		return 0;
	}
	tell_holders(wal, s->next->first_seq);
	r = recycle ? rename(path, spare) : unlink(path);
	if (r < 0 && errno != ENOENT)
		return -errno;
	r = file_sync_dir(wal->dir);
	if (r < 0)
		return r;

	wal->can_recycle = wal->can_recycle || recycle;
	counter_add(&wal->counters[WAL_segments_retired], 1);
	forget_first(wal);

	return 0;
}

static bool due(struct wal *wal, const struct segment *s)
{
	const struct config_log *log = &wal->options.log;

	// Never the newest, nor one whose last rows are not durable yet; nor one behind which no
	// row is durable: a crash would leave an empty log, which begins anew with seq 0.
	if (!s->next || s->fd >= 0 || wal_failed(wal) ||
		atomic_load(&wal->state.durable_seq) <= s->next->first_seq)
		return false;
#ifndef MUTANT_HOLD_IGNORED
	if (s->next->first_seq > atomic_load(&wal->hold_seq))
		return false;
#endif
	if (!(log->retain_bytes && taken(wal) > log->retain_bytes) &&
		!(log->retain_age_ns &&
			clock_system_ns() - s->closed_at > (int64_t)log->retain_age_ns))
		return false;

	return !is_held(wal, s->next->first_seq);
}

static void retain(struct wal *wal)
{
	while (wal->first && due(wal, wal->first)) {
		int r = retire_first(wal);

		if (r < 0) {
			log_warn("partition %u: cannot retire %s: %s", wal->options.partition,
				wal->first->name, strerror(-r));
			return;
		}
	}
}

static void make_spare(struct wal *wal)
{
	struct segment *s;
	int r = 0;

	if (wal->spare_placed || atomic_load(&wal->state.failed))
		return;
	s = wal_spare_make(wal, &r);
	if (r == -EROFS) { // no lack of room: the next name or flush would fail the log for it
		wal_fail(wal, r);
		return;
	}
	if (!s && r != wal->spare_error)
		log_warn(
			"partition %u: no new segment of %llu MiB in %s: %s; events are refused or "
			"dropped until there is room",
			wal->options.partition,
			(unsigned long long)(wal->options.log.segment_bytes >> 20), wal->dir,
			strerror(-r));
	if (s && wal->spare_error)
		log_notice("partition %u: there is room for a new segment again",
			wal->options.partition);
	wal->spare_error = r;
	atomic_store(&wal->state.full, s == NULL);
	wal->spare_placed = s != NULL;
	if (s)
		atomic_store_explicit(&wal->spare, s, memory_order_release);
}

static void *keeper(void *arg)
{
	struct wal *wal = arg;
	struct pollfd wake = {.fd = wal->wake_fd, .events = POLLIN};
	uint64_t drained;

	while (!atomic_load(&wal->stop)) {
		name_segment(wal);
		close_finished(wal);
		wal_keeper_look(wal);
		retain(wal);
		make_spare(wal);
		// A segment may have been taken while the spare was made.
		if (atomic_load(&wal->to_name))
			continue;
		poll(&wake, 1, KEEPER_PERIOD_MS);
		if (read(wal->wake_fd, &drained, sizeof(drained)) < 0 && errno != EAGAIN)
			log_warn("eventfd: %s", strerror(errno));
	}
	name_segment(wal);
	close_finished(wal);

	return NULL;
}

void wal_keeper_wake(struct wal *wal)
{
	uint64_t one = 1;

	// Fails only when the counter is full, and then the keeper is awake.
	if (write(wal->wake_fd, &one, sizeof(one)) < 0)
		return;
}

int wal_keeper_start(struct wal *wal)
{
	int r = adopt_files(wal);

	if (r < 0)
		return r;
	r = thread_start(&wal->keeper, "wal-keeper", keeper, wal);
	wal->keeper_runs = r == 0;

	return r;
}

static void free_segment(struct segment *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void wal_keeper_stop(struct wal *wal)
{
	struct segment *spare;

	if (wal->keeper_runs) {
		atomic_store(&wal->stop, true);
		wal_keeper_wake(wal);
		pthread_join(wal->keeper, NULL);
	}
	while (wal->first) {
		struct segment *next = wal->first->next;

		free_segment(wal->first);
		wal->first = next;
	}
	spare = atomic_exchange(&wal->spare, NULL);
	if (spare)
		free_segment(spare);
}
