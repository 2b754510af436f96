// SPDX-License-Identifier: BSD-3-Clause
// Named consumers: who holds what, until when. A change is in the file before it counts.

#include "common/clock.h"
#include "common/logmsg.h"
#include "http/pull_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool consumer_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < CONSUMER_NAME_BYTES &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789._-") == len;
}

struct consumer *consumer_find(struct pull_log *log, const char *name)
{
	for (unsigned i = 0; i < log->consumer_room; i++) {
		struct consumer *c = &log->consumers[i];

		if (c->used && strcmp(c->record.name, name) == 0)
			return c;
	}
	return NULL;
}

const char *consumer_state(const struct pull_log *log, const struct consumer *consumer)
{
	const struct consumer_record *r = &consumer->record;

	if (atomic_load(&log->alarm) == -ESTALE)
		return "other_log";
	if (r->expired)
		return "expired";
	return r->gone_seq > r->next_seq ? "overrun" : "active";
}

static void count(struct pull_log *log)
{
	unsigned n = 0;

	for (unsigned i = 0; i < log->consumer_room; i++)
		n += log->consumers[i].used;
	counter_set(&log->values[PULL_consumers], n);
}

static void hold(struct consumer *consumer)
{
	const struct consumer_record *r = &consumer->record;

	atomic_store(&consumer->holder.bytes, r->max_bytes);
	atomic_store(&consumer->holder.seq, r->expired ? UINT64_MAX : r->next_seq);
}

static void seen(struct consumer *consumer)
{
	consumer->seen_ns = clock_monotonic_ns();
	consumer->record.seen_at = clock_system_ns();
}

int consumers_start(struct pull_log *log)
{
	int r = consumers_load(log);

	if (r == -ENOMEM)
		return r;
	atomic_store(&log->alarm, r);
	if (r < 0)
		log_err("partition %u: %s/" CONSUMERS_FILE
			" is %s: its consumers hold nothing; put back what belongs to this log, "
			"or move the file away",
			log->partition, log->dir,
			r == -ESTALE            ? "of another log"
			: r == -EPROTONOSUPPORT ? "of a newer version"
						: "damaged");
	for (unsigned i = 0; i < log->consumer_room; i++) {
		struct consumer *c = &log->consumers[i];

		c->seen_ns = clock_monotonic_ns();
		hold(c);
		if (c->used && r == 0)
			wal_holder_add(log->wal, &c->holder);
	}
	count(log);
	return 0;
}

void consumers_stop(struct pull_log *log)
{
	for (unsigned i = 0; i < log->consumer_room; i++)
		if (log->consumers[i].used && atomic_load(&log->alarm) == 0)
			wal_holder_remove(log->wal, &log->consumers[i].holder);
	free(log->consumers);
}

// Stores the record as it is now; as it was before when that fails.
static int store(
	struct pull_log *log, struct consumer *consumer, const struct consumer_record *before)
{
	int r = 0;

#ifndef MUTANT_COMMIT_NOT_STORED
	r = consumers_save(log);
#endif
	if (r < 0) {
		consumer->record = *before;
		log_err("partition %u: %s/" CONSUMERS_FILE " can't be stored: %s", log->partition,
			log->dir, strerror(-r));
	}
	return r;
}

// What is before batch and seq is gone, and this consumer hadn't come to it.
static void give_up(struct pull_log *log, struct consumer *consumer, uint64_t batch, uint64_t seq)
{
	struct consumer_record *r = &consumer->record;
	bool first = r->gone_seq <= r->next_seq;
	uint64_t from_seq = first ? r->next_seq : r->gone_seq;
	uint64_t from_batch = first ? r->next_batch : r->gone_batch;
	uint64_t batches = batch > from_batch ? batch - from_batch : 0;

	r->given_up_events += seq - from_seq;
	r->given_up_batches += batches;
	r->gone_seq = seq;
	r->gone_batch = batch;
	counter_add(&log->values[PULL_given_up_events], seq - from_seq);
	counter_add(&log->values[PULL_given_up_batches], batches);
	if (!first)
		return;
	counter_add(&log->values[PULL_overruns], 1);
	log_warn("partition %u: consumer %s is behind: retention took batches %" PRIu64
		 " to %" PRIu64 " before it came to them",
		log->partition, r->name, from_batch, batch > 0 ? batch - 1 : 0);
}

static bool has_gone(const struct consumer *consumer, uint64_t seq)
{
	return seq > consumer->record.next_seq && seq > consumer->record.gone_seq;
}

// Looks whether the consumer's place is still there, after a time when nothing held it.
static void look_for_place(struct pull_log *log, struct consumer *consumer)
{
	struct wal_batch oldest;

	if (pull_oldest(log, &oldest) > 0 && has_gone(consumer, oldest.first_seq))
		give_up(log, consumer, oldest.number, oldest.first_seq);
}

static void check_overrun(struct pull_log *log, struct consumer *consumer)
{
	uint64_t seq = atomic_load(&consumer->holder.overrun);
	struct wal_batch oldest;
	int r;

	if (!has_gone(consumer, seq))
		return;
	r = pull_oldest(log, &oldest);
	if (r < 0)
		return;
	give_up(log, consumer, r > 0 ? oldest.number : pull_sealed(log), seq);
	consumers_save(log); // if not, it is stored with the next change
}

static void check_time(struct pull_log *log, struct consumer *consumer)
{
	struct consumer_record *r = &consumer->record;

	if (r->expired || clock_monotonic_ns() - consumer->seen_ns <= r->ttl_ns)
		return;
	r->expired = true;
	hold(consumer);
	counter_add(&log->values[PULL_expired], 1);
	log_warn("partition %u: consumer %s was not heard of for its time to live: retention "
		 "waits for it no more",
		log->partition, r->name);
	consumers_save(log); // if not, a restart gives it its time once more
}

void consumers_tick(struct pull_log *log)
{
	if (atomic_load(&log->alarm) != 0)
		return;
	for (unsigned i = 0; i < log->consumer_room; i++) {
		struct consumer *c = &log->consumers[i];

		if (!c->used)
			continue;
		check_overrun(log, c);
		check_time(log, c);
	}
}

static struct consumer *find_room(struct pull_log *log)
{
	unsigned used = 0;
	struct consumer *ret = NULL;

	for (unsigned i = 0; i < log->consumer_room; i++) {
		used += log->consumers[i].used;
		if (!log->consumers[i].used && ret == NULL)
			ret = &log->consumers[i];
	}
	return used < log->pull->api.consumers ? ret : NULL;
}

// Where a new consumer begins. It holds everything while that is found out.
static int begin_place(
	struct pull_log *log, const struct consumer_wish *wish, struct consumer_record *record)
{
	struct wal_batch oldest;
	int r = wish->from_next ? 0 : pull_oldest(log, &oldest);

	if (r < 0)
		return r;
	if (r > 0) {
		record->next_batch = oldest.number;
		record->next_seq = oldest.first_seq;
		return 0;
	}
	record->next_batch = pull_sealed(log);
	return pull_seq_of(log, record->next_batch, &record->next_seq);
}

static int make(struct pull_log *log, const char *name, const struct consumer_wish *wish,
	struct consumer **ret)
{
	struct consumer *consumer = find_room(log);
	struct consumer_record *record;
	int r;

	if (consumer == NULL)
		return -EMFILE;
	*consumer = (struct consumer){.used = true};
	record = &consumer->record;
	memcpy(record->name, name, strlen(name) + 1);
	record->ttl_ns = log->pull->api.consumer_ttl_ns;
	record->max_bytes = log->pull->api.consumer_hold_bytes;
	wal_holder_add(log->wal, &consumer->holder);
	r = begin_place(log, wish, record);
	if (r < 0) {
		wal_holder_remove(log->wal, &consumer->holder);
		consumer->used = false;
		return r;
	}
	*ret = consumer;
	return 0;
}

static void drop(struct pull_log *log, struct consumer *consumer)
{
	wal_holder_remove(log->wal, &consumer->holder);
	consumer->used = false;
}

int consumer_take(struct pull_log *log, const char *name, const struct consumer_wish *wish,
	struct consumer **ret)
{
	struct consumer *consumer = consumer_find(log, name);
	bool is_new = consumer == NULL;
	struct consumer_record before;
	int r = is_new ? make(log, name, wish, &consumer) : 0;

	if (r < 0)
		return r;
	before = consumer->record;
	if (before.expired)
		look_for_place(log, consumer);
	consumer->record.expired = false;
	consumer->record.token = ++log->last_token; // a number that was given out is never again
	if (wish->has_ttl)
		consumer->record.ttl_ns = wish->ttl_ns;
	if (wish->has_max_bytes)
		consumer->record.max_bytes = wish->max_bytes;
	seen(consumer);
	r = store(log, consumer, &before);
	if (r < 0 && is_new)
		drop(log, consumer);
	if (r < 0)
		return r;
	hold(consumer);
	count(log);
	*ret = consumer;
	return 0;
}

int consumer_commit(
	struct pull_log *log, struct consumer *consumer, uint64_t next_batch, uint64_t next_seq)
{
	struct consumer_record *record = &consumer->record, before = *record;
	int r = 0;

	if (before.expired)
		look_for_place(log, consumer);
	record->expired = false;
	record->next_batch = next_batch;
	record->next_seq = next_seq;
	seen(consumer);
	if (before.expired || before.next_batch != next_batch || before.next_seq != next_seq)
		r = store(log, consumer, &before);
	if (r < 0)
		return r;
	hold(consumer);
	counter_add(&log->values[PULL_commits], 1);
	return 0;
}

// Of another log's consumers the last one that goes makes room for this log's.
int consumer_remove(struct pull_log *log, struct consumer *consumer)
{
	bool held = atomic_load(&log->alarm) == 0, left = false;
	struct wal_id file_log_id = log->file_log_id;
	int r;

	consumer->used = false;
	for (unsigned i = 0; i < log->consumer_room; i++)
		left |= log->consumers[i].used;
	if (!left)
		log->file_log_id = log->log_id;
	r = consumers_save(log);
	if (r < 0) {
		consumer->used = true;
		log->file_log_id = file_log_id;
		return r;
	}
	if (held)
		wal_holder_remove(log->wal, &consumer->holder);
	if (!left)
		atomic_store(&log->alarm, 0);
	count(log);
	return 0;
}
