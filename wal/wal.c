// SPDX-License-Identifier: BSD-3-Clause
#include "wal/wal.h"

#include "common/file.h"
#include "common/logmsg.h"
#include "wal/internal.h"
#include "wal/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE (2u << 20)

static const struct counter_def counter_defs[] = {
#define X(name, kind, role, help) {#name, help, COUNTER_##kind, ROLE_##role},
	WAL_COUNTERS(X)
#undef X
};

static void *map_region(size_t len, bool hugepages)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *p = MAP_FAILED;

	if (hugepages)
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (p != MAP_FAILED)
			madvise(p, len, MADV_HUGEPAGE);
	}

	return p == MAP_FAILED ? NULL : p;
}

bool wal_compresses(const struct config_log *log, unsigned partition)
{
	return log->compression == COMPRESSION_LZ4 && log->compressed_partitions >> partition & 1;
}

// Those in flight, the open one, and one to compress it into.
static unsigned working_blocks(const struct config_log *log, unsigned partition)
{
	return log->queue_depth + 1 + wal_compresses(log, partition);
}

// From one block to the next.
static size_t block_room(const struct config_log *log, unsigned partition)
{
	return log->block_bytes + (wal_compresses(log, partition) ? PACK_SLACK_BYTES : 0);
}

static unsigned recent_blocks(const struct config_log *log, uint64_t recent_bytes)
{
	uint64_t count = recent_bytes / log->block_bytes;

	return count < UINT32_MAX / 4 ? (unsigned)count : UINT32_MAX / 4;
}

uint64_t wal_memory_bytes(const struct config_log *log, unsigned partition, uint64_t recent_bytes)
{
	unsigned recent = recent_blocks(log, recent_bytes);
	unsigned all = working_blocks(log, partition) + recent;
	uint64_t len = WAL_CTL_BUFFERS * WAL_CTL_BYTES + (uint64_t)all * block_room(log, partition);

	if (recent > 0)
		len += wal_recent_slots(all) * WAL_PAGE;

	return wal_align_up(len, HUGE_PAGE);
}

// One region: first the control buffers, then the blocks, then the pages of those recent blocks
// that only seal.
static void lay_out(struct wal *wal)
{
	size_t room = block_room(&wal->options.log, wal->options.partition);

	for (unsigned i = 0; i < WAL_CTL_BUFFERS; i++)
		wal->free_ctl[wal->free_ctl_count++] = i;
	for (unsigned i = 0; i < wal->block_count; i++) {
		wal->blocks[i] = (struct wal_block){
			.mem = wal->region + (size_t)WAL_CTL_BUFFERS * WAL_CTL_BYTES + i * room,
			.size = wal->options.log.block_bytes,
			.index = i,
		};
		wal->free_blocks[wal->free_block_count++] = i;
	}
}

static int recent_init(struct wal *wal)
{
	size_t room = block_room(&wal->options.log, wal->options.partition);
	uint8_t *pages = wal->region + (size_t)WAL_CTL_BUFFERS * WAL_CTL_BYTES +
			 (size_t)wal->block_count * room;
	struct wal_recent *recent = wal_recent_new(wal->block_count, pages);

	atomic_store_explicit(&wal->recent, recent, memory_order_release);

	return recent ? 0 : -ENOMEM;
}

// Touched here, so on the owner's node.
static int buffers_init(struct wal *wal)
{
	const struct wal_options *o = &wal->options;
	unsigned recent = recent_blocks(&o->log, o->recent_bytes);

	wal->block_count = working_blocks(&o->log, o->partition) + recent;
	wal->kept_blocks = wal->block_count - (o->log.queue_depth + 1);
	wal->region_len = wal_memory_bytes(&o->log, o->partition, o->recent_bytes);
	wal->region = map_region(wal->region_len, o->hugepages);
	wal->blocks = calloc(wal->block_count, sizeof(*wal->blocks));
	wal->free_blocks = calloc(wal->block_count, sizeof(*wal->free_blocks));
	if (!wal->region || !wal->blocks || !wal->free_blocks)
		return -ENOMEM;
	memset(wal->region, 0, wal->region_len);
	lay_out(wal);

	return recent > 0 ? recent_init(wal) : 0;
}

static int io_init(struct wal *wal)
{
	const struct wal_options *o = &wal->options;
	struct iovec region = {.iov_base = wal->region, .iov_len = wal->region_len};
	int r = -ENOSYS;

	if (wal->io)
		return 0;
	if (o->log.io != IO_SYNC)
		r = wal_io_uring_open(&wal->io, 2 * WAL_QUEUE, &region, 1, o->lock_fd);
	if (r < 0 && o->log.io == IO_URING)
		return r;
	if (r < 0 && o->log.io == IO_AUTO)
		log_warn(
			"partition %u: no io_uring (%s); writing with pwrite, which is slower: see "
			"'millrace doctor'",
			o->partition, strerror(-r));
	if (r < 0)
		r = wal_io_sync_open(&wal->io);

	return r;
}

int wal_attach(struct wal *wal)
{
	int r = wal_compresses(&wal->options.log, wal->options.partition)
			? wal_packer_new(&wal->packer)
			: 0;

	if (r == 0)
		r = buffers_init(wal);

	return r < 0 ? r : io_init(wal);
}

void wal_set_io(struct wal *wal, struct wal_io *io)
{
	wal->io = io;
}

static void register_stats(struct wal *wal)
{
	struct counter_set *set = &wal->counter_set;

	*set = (struct counter_set){
		.subsystem = "partition",
		.defs = counter_defs,
		.values = wal->counters,
		.count = WAL_COUNTER_COUNT,
	};
	snprintf(set->labels, sizeof(set->labels), "partition=\"%u\"", wal->options.partition);
	wal->hist_entry = (struct hist_entry){
		.subsystem = "partition",
		.name = "commit_latency_ns",
		.help = "time from a block's first event until it is durable",
		.hist = &wal->commit_ns,
	};
	snprintf(wal->hist_entry.labels, sizeof(wal->hist_entry.labels), "partition=\"%u\"",
		wal->options.partition);
	counters_register(set);
	hist_register(&wal->hist_entry);
}

static void adopt(struct wal *wal, const struct wal_tail *tail)
{
	const struct wal_recovery *found = &tail->report;

	wal->log_id = found->log_id;
	wal->generation = found->generation;
	wal->gap_from = tail->gap_from == found->next_seq ? UINT64_MAX : tail->gap_from;
	wal->next_seq = found->next_seq;
	wal->next_batch = found->next_batch;
	wal->durable_seq = found->next_seq;
	atomic_store(&wal->state.durable_seq, found->next_seq);
	atomic_store(&wal->state.durable_batch, found->next_batch);
	atomic_store(&wal->state.next_seq, found->next_seq);
	atomic_store(&wal->spare_wanted, true);
	// Until the first segment of this run begins, everything on disk is durable.
	atomic_store(&wal->state.segment_first, found->next_seq);
	atomic_store(&wal->state.durable_offset, 0);
	for (unsigned i = 0; i < WAL_BATCHES_KEPT; i++)
		atomic_store(&wal->batches[i].guard, UINT64_MAX);
}

static void free_memory(struct wal *wal)
{
	wal_packer_free(wal->packer);
	free(wal->blocks);
	free(wal->free_blocks);
	free(atomic_load(&wal->recent));
	free(wal->receiver);
	free(wal->listeners);
	pthread_mutex_destroy(&wal->holders_lock);
	free(wal);
}

// Every segment must be able to say who its listeners are: found out now, not at a rotation.
static int check_schema(const struct wal_options *options, char *why)
{
	struct wal_segment_info info = {
		.receiver = options->receiver,
		.listeners = options->listeners,
		.compression = "none",
	};
	uint8_t *page = aligned_alloc(WAL_PAGE, WAL_SCHEMA_BYTES);
	int r = page ? wal_schema_compose(page, &info) : -ENOMEM;

	free(page);
	if (r == -E2BIG)
		snprintf(why, 512,
			"the listeners' names take more than a segment's first page holds (%zu "
			"bytes "
			"in all): shorten them or have fewer listeners",
			strlen(options->listeners));

	return r;
}

int wal_open(
	struct wal **ret, const struct wal_options *options, struct wal_recovery *report, char *why)
{
	struct wal_tail tail = {0};
	struct wal *wal = calloc(1, sizeof(*wal));
	int r;

	*why = '\0';
	if (!wal)
		return -ENOMEM;
	wal->options = *options;
	wal->wake_fd = -1;
	pthread_mutex_init(&wal->holders_lock, NULL);
	atomic_init(&wal->hold_seq, options->hold ? 0 : UINT64_MAX);
	snprintf(wal->dir, sizeof(wal->dir), "%s", options->dir);
	wal->options.dir = wal->dir;
	wal->options.receiver = wal->receiver = strdup(options->receiver);
	wal->options.listeners = wal->listeners = strdup(options->listeners);
	if (!wal->receiver || !wal->listeners) {
		r = -ENOMEM;
		goto err;
	}

	r = check_schema(options, why);
	if (r < 0)
		goto err;
	r = file_make_dirs(wal->dir);
	if (r < 0) {
		snprintf(why, 512, "%s: %s", wal->dir, strerror(-r));
		goto err;
	}
	r = wal_recover(wal->dir, options->partition, &tail, why);
	if (r < 0)
		goto err;
	if (tail.report.created)
		r = wal_id_random(&tail.report.log_id);
	if (r < 0)
		goto err;
	adopt(wal, &tail);
	*report = tail.report;

	wal->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = wal->wake_fd < 0 ? -errno : wal_keeper_start(wal);
	if (r < 0)
		goto err;
	register_stats(wal);
	*ret = wal;

	return 0;

err:
	if (wal->wake_fd >= 0)
		close(wal->wake_fd);
	free_memory(wal);
	return r;
}

void wal_close(struct wal *wal)
{
	if (!wal)
		return;
	counters_unregister(&wal->counter_set);
	hist_unregister(&wal->hist_entry);
	wal_keeper_stop(wal);
	if (wal->io)
		wal->io->ops->close(wal->io);
	if (wal->region)
		munmap(wal->region, wal->region_len);
	close(wal->wake_fd);
	free_memory(wal);
}

const struct wal_state *wal_state(const struct wal *wal)
{
	return &wal->state;
}

const char *wal_io_name(const struct wal *wal)
{
	return wal->io ? wal->io->ops->name : "none";
}

const struct hist *wal_commit_hist(const struct wal *wal)
{
	return &wal->commit_ns;
}

uint64_t wal_rotations(const struct wal *wal)
{
	return wal->counters[WAL_segments_rotated];
}

void wal_hold(struct wal *wal, uint64_t seq)
{
	atomic_store(&wal->hold_seq, seq);
}

void wal_durable_position(const struct wal *wal, uint64_t *segment_first, uint64_t *offset)
{
	const struct wal_state *s = &wal->state;
	uint64_t first;

	do {
		first = atomic_load(&s->segment_first);
		*offset = atomic_load(&s->durable_offset);
		*segment_first = atomic_load(&s->segment_first);
	} while (*segment_first != first);
}

int wal_batch_info(const struct wal *wal, uint64_t number, struct wal_batch_info *ret)
{
	const struct batch_slot *slot = &wal->batches[number % WAL_BATCHES_KEPT];

	if (atomic_load_explicit(&slot->guard, memory_order_acquire) != number)
		return -ENOENT;
	*ret = slot->info;
	atomic_thread_fence(memory_order_acquire);

	return atomic_load_explicit(&slot->guard, memory_order_relaxed) == number ? 0 : -ENOENT;
}

void wal_fail(struct wal *wal, int error)
{
	int none = 0;

	atomic_compare_exchange_strong(&wal->state.failed, &none, error);
}
