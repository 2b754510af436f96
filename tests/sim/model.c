// SPDX-License-Identifier: BSD-3-Clause
#include "model.h"

#include "fs.h"
#include "sim.h"
#include "wal/batches.h"
#include "wal/reader.h"
#include "wal/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct batch {
	uint64_t end;         // behind its last row
	bool sealed, sealing; // for certain; perhaps, by a call that has not returned
	uint32_t seen;        // sealed, by this check
};

static struct {
	uint64_t next;
	uint32_t life;
	uint32_t check;
	uint32_t life_of[MODEL_ROWS];
	uint32_t batch_of[MODEL_ROWS];
	struct batch batches[MODEL_BATCHES];
	uint64_t durable, durable_batch; // the highest that was reported
	uint64_t kept_from;
	bool has_id; // something was reported durable under log_id
	struct wal_id log_id;
	// of this life
	struct wal_limit position;
	bool failed;
} model;

void model_reset(void)
{
	uint32_t check = model.check;

	memset(model.batches, 0, sizeof(model.batches));
	model.next = model.durable = model.durable_batch = model.kept_from = 0;
	model.life = 0;
	model.has_id = model.failed = false;
	model.check = check;
	model.position = (struct wal_limit){UINT64_MAX, 0};
}

void model_new_life(void)
{
	model.life++;
	model.failed = false;
	model.position = (struct wal_limit){UINT64_MAX, 0};
}

bool model_has_room(uint32_t rows)
{
	return model.next + rows < MODEL_ROWS;
}

uint64_t model_durable(void)
{
	return model.durable;
}

uint32_t model_life(uint64_t seq)
{
	return seq < model.next ? model.life_of[seq] : 0;
}

uint64_t model_next(void)
{
	return model.next;
}

// --- rows

struct row {
	uint64_t hash;
	int64_t received_at;
	uint32_t payload_len;
};

static struct row row_of(uint64_t seq, uint32_t life)
{
	uint64_t hash = sim_hash(seq, life);

	return (struct row){
		.hash = hash,
		.received_at = (int64_t)(seq * 1000 + life),
		.payload_len = hash % 16 == 0 ? hash / 16 % MODEL_PAYLOAD_MAX : hash / 16 % 90,
	};
}

// Names its seq and its life, then bytes that follow from them.
static void payload_of(const struct row *row, uint64_t seq, uint32_t life, uint8_t *to)
{
	uint64_t head[3] = {seq, life, row->hash};

	for (uint32_t at = 0; at < row->payload_len; at += sizeof(head)) {
		uint32_t left = row->payload_len - at;

		memcpy(to + at, head, left < sizeof(head) ? left : sizeof(head));
		head[2] += at;
	}
}

static void put(uint8_t *mem, const struct wal_layout *layout, unsigned column, uint32_t row,
	uint64_t value)
{
	memcpy(mem + layout->at[column] + (size_t)row * wal_column_width[column], &value,
		wal_column_width[column]);
}

static void put_row(uint8_t *mem, const struct wal_layout *layout, uint32_t at, uint64_t seq,
	const struct row *row)
{
	uint8_t *addr = mem + layout->at[COL_SRC_ADDR] + (size_t)at * 16;

	put(mem, layout, COL_SEQ, at, seq);
	put(mem, layout, COL_RECEIVED_AT, at, (uint64_t)row->received_at);
	memcpy(addr, &row->hash, 8);
	memcpy(addr + 8, &seq, 8);
	put(mem, layout, COL_SRC_PORT, at, row->hash >> 3);
	put(mem, layout, COL_LISTENER, at, row->hash >> 5);
	put(mem, layout, COL_SOURCE_ID, at, row->hash);
	put(mem, layout, COL_SOURCE_EPOCH, at, row->hash >> 7);
	put(mem, layout, COL_SOURCE_SEQ, at, ~seq);
}

void model_fill(
	struct wal_block *block, uint64_t seq, uint32_t rows, bool spread, struct wal_fill *ret)
{
	struct wal_layout *layout = &ret->layout;
	uint32_t used = 0, n;

	wal_layout_init(layout, spread ? wal_rows_for(block->size, 60) : rows, block->size);
	if (rows > layout->rows_max)
		rows = layout->rows_max;
	for (n = 0; n < rows; n++) {
		struct row row = row_of(seq + n, model.life);

		if (used + row.payload_len > layout->payload_max)
			break;
		put_row(block->mem, layout, n, seq + n, &row);
		put(block->mem, layout, COL_PAYLOAD, n, used);
		payload_of(&row, seq + n, model.life, block->mem + layout->payload + used);
		used += row.payload_len;
	}
	if (n == 0) { // the first one is too long for a layout of many
		model_fill(block, seq, 1, false, ret);
		return;
	}
	put(block->mem, layout, COL_PAYLOAD, n, used);
	ret->rows = n;
	ret->payload_bytes = used;
	ret->received_min = row_of(seq, model.life).received_at;
	ret->received_max = row_of(seq + n - 1, model.life).received_at;
}

static void check_row(const struct wal_block_view *view, uint32_t at)
{
	uint8_t expected[MODEL_PAYLOAD_MAX + 24];
	uint64_t seq = view->trailer->first_seq + at;
	uint32_t life = model.life_of[seq];
	struct row row = row_of(seq, life);
	struct wal_row found;

	wal_row_get(view, at, &found);
	payload_of(&row, seq, life, expected);
	if (found.seq != seq || found.received_at != row.received_at ||
		found.source_id != row.hash || found.source_seq != ~seq ||
		found.source_epoch != (uint32_t)(row.hash >> 7) ||
		found.src_port != (uint16_t)(row.hash >> 3) ||
		found.listener != (uint16_t)(row.hash >> 5) ||
		memcmp(found.src_addr, &row.hash, 8) != 0 || found.payload_len != row.payload_len ||
		memcmp(found.payload, expected, row.payload_len) != 0)
		sim_violated("row %" PRIu64 " is not what was submitted (in life %u)", seq, life);
}

// --- what the owner does

void model_submitting(uint64_t seq, uint32_t rows, uint64_t batch)
{
	if (seq != model.next)
		sim_violated("block begins with seq %" PRIu64 ", not %" PRIu64, seq, model.next);
	for (uint32_t i = 0; i < rows; i++) {
		model.life_of[seq + i] = model.life;
		model.batch_of[seq + i] = (uint32_t)batch;
	}
	model.next += rows;
	model.batches[batch].end = model.next;
	model.batches[batch].sealing = true;
}

void model_submitted(const struct wal *wal, uint64_t batch)
{
	model.next = wal_next_seq(wal);
	model.batches[batch].end = model.next;
	model.batches[batch].sealing = false;
	model.batches[batch].sealed = wal_next_batch(wal) > batch;
}

static void check_batch_info(const struct wal *wal, uint64_t batch)
{
	struct wal_batch_info info;

	if (wal_batch_info(wal, batch, &info) < 0)
		return;
	if (info.first_seq + info.rows != model.batches[batch].end)
		sim_violated("batch %" PRIu64 " is told to end at %" PRIu64 ", not %" PRIu64, batch,
			info.first_seq + info.rows, model.batches[batch].end);
}

void model_observe(const struct wal *wal)
{
	const struct wal_state *s = wal_state(wal);
	uint64_t durable = s->durable_seq, batch = s->durable_batch;

	if (durable < model.durable || durable > model.next)
		sim_violated("durable_seq %" PRIu64 " after %" PRIu64 ", %" PRIu64 " submitted",
			durable, model.durable, model.next);
	if (batch < model.durable_batch)
		sim_violated("durable_batch went back to %" PRIu64, batch);
	if (model.failed && (durable > model.durable || batch > model.durable_batch))
		sim_violated("seq %" PRIu64 " became durable in a failed log", durable);
	if (batch > model.durable_batch)
		check_batch_info(wal, batch - 1);
	if (durable > 0)
		model.has_id = true;
	model.failed = s->failed != 0;
	model.durable = durable;
	model.durable_batch = batch;
	wal_durable_position(wal, &model.position.segment_first, &model.position.offset);
}

void model_retire(uint64_t first_seq)
{
	int dir = fs_find(0, "0");
	uint64_t oldest = UINT64_MAX, next = UINT64_MAX;
	const char *name;

	for (unsigned i = 0; (name = fs_list(dir, i)) != NULL; i++) {
		uint64_t seq = strlen(name) == 27 ? strtoull(name, NULL, 10) : UINT64_MAX;

		if (seq < oldest)
			next = oldest, oldest = seq;
		else if (seq < next)
			next = seq;
	}
	if (oldest > first_seq)
		return; // its name is gone already
	if (oldest < first_seq)
		sim_violated("segment %" PRIu64 " is retired before %" PRIu64, first_seq, oldest);
	if (next == UINT64_MAX)
		sim_violated("the last segment is retired");
	if (next > model.kept_from)
		model.kept_from = next;
}

// --- what the directory holds

struct sums {
	uint64_t first, next; // first UINT64_MAX: no row
	bool sealed;          // the last block
	uint64_t batch;
};

static void check_block(const struct wal_block_view *view, struct sums *sums)
{
	const struct wal_trailer *t = view->trailer;
	bool sealed = t->flags & WAL_FLAG_SEALED;

	if (sums->first == UINT64_MAX)
		sums->first = sums->next = t->first_seq;
	if (t->first_seq != sums->next)
		sim_violated("a block begins with seq %" PRIu64 ", where %" PRIu64 " is due",
			t->first_seq, sums->next);
	if (t->first_seq + t->rows > model.next)
		sim_violated("rows up to %" PRIu64 " were never submitted", t->first_seq + t->rows);
	for (uint32_t i = 0; i < t->rows; i++) {
		check_row(view, i);
		if (model.batch_of[t->first_seq + i] != t->batch)
			sim_violated("row %" PRIu64 " is in batch %" PRIu64 ", not %u",
				t->first_seq + i, t->batch, model.batch_of[t->first_seq + i]);
	}
	sums->next += t->rows;
	sums->sealed = sealed;
	sums->batch = t->batch;
	if (!sealed)
		return;
	if (!(model.batches[t->batch].sealed || model.batches[t->batch].sealing) ||
		model.batches[t->batch].end != sums->next)
		sim_violated("batch %" PRIu64 " is sealed at %" PRIu64 ", not at %" PRIu64,
			t->batch, sums->next, model.batches[t->batch].end);
	if (model.batches[t->batch].seen == model.check)
		sim_violated("batch %" PRIu64 " is sealed twice", t->batch);
	model.batches[t->batch].seen = model.check;
}

static struct sums read_log(struct wal_limit limit)
{
	struct sums sums = {.first = UINT64_MAX};
	struct wal_block_view view;
	struct wal_reader *reader;
	int r = wal_reader_open(&reader, SIM_LOG, 0, limit);

	model.check++;
	if (r == -ENOENT)
		return sums;
	if (r < 0)
		sim_violated("the log can't be opened for reading: %s", strerror(-r));
	while ((r = wal_reader_next(reader, &view)) > 0)
		check_block(&view, &sums);
	if (r < 0)
		sim_violated("the log can't be read: %s", wal_reader_why(reader));
	wal_reader_close(reader);
	return sums;
}

static void check_batches(const struct sums *sums)
{
	uint64_t from = sums->first == UINT64_MAX ? UINT64_MAX : model.batch_of[sums->first];

	for (uint64_t b = from; b < model.durable_batch; b++)
		if (model.batches[b].sealed && model.batches[b].end > sums->first &&
			model.batches[b].seen != model.check)
			sim_violated("batch %" PRIu64 " was durable and is not sealed", b);
}

static void check_reach(const struct sums *sums, uint64_t next)
{
	uint64_t first = sums->first == UINT64_MAX ? next : sums->first;

	if (next < model.durable)
		sim_violated("seqs %" PRIu64 " to %" PRIu64 " were durable and are gone", next,
			model.durable - 1);
	if (first > model.kept_from)
		sim_violated("seqs %" PRIu64 " to %" PRIu64 " are gone, not by retention",
			model.kept_from, first - 1);
	check_batches(sums);
}

static void verify(struct wal_limit limit, uint64_t next)
{
	struct wal_verify_report report;
	int r = wal_verify(SIM_LOG, limit, &report, NULL, NULL);

	if (r < 0)
		sim_violated("verify fails: %s %s", strerror(-r), report.why);
	if (report.damaged)
		sim_violated("verify tells damage: %s", report.why);
	if (next != UINT64_MAX && report.torn)
		sim_violated("verify tells a torn tail: %s", report.why);
	if (next != UINT64_MAX && report.rows > 0 && report.next_seq != next)
		sim_violated("verify ends at seq %" PRIu64 ", not %" PRIu64, report.next_seq, next);
}

void model_check_durable(void)
{
	struct sums sums;

	if (model.position.segment_first == UINT64_MAX || model.durable == 0)
		return;
	sums = read_log(model.position);
	check_reach(&sums, sums.first == UINT64_MAX ? model.durable : sums.next);
	if (sums.first != UINT64_MAX && sums.next != model.durable)
		sim_violated("the durable position is at seq %" PRIu64 ", not %" PRIu64, sums.next,
			model.durable);
	verify(model.position, model.durable);
	if (!sim_inside())
		verify((struct wal_limit){.segment_first = UINT64_MAX}, UINT64_MAX);
}

static int check_batch(struct wal_batches *batches, const struct wal_batch *batch)
{
	uint64_t seq = batch->first_seq;
	struct wal_block_view view;
	int r;

	if (model.batches[batch->number].end != batch->end_seq)
		sim_violated("batch %" PRIu64 " ends at %" PRIu64 ", not at %" PRIu64,
			batch->number, batch->end_seq, model.batches[batch->number].end);
	while ((r = wal_batches_block(batches, &view)) > 0) {
		for (uint32_t i = 0; i < view.trailer->rows; i++, seq++) {
			check_row(&view, i);
			if (model.batch_of[seq] != batch->number)
				sim_violated("row %" PRIu64 " comes in batch %" PRIu64, seq,
					batch->number);
		}
	}
	if (r == 0 && seq != batch->end_seq)
		sim_violated("batch %" PRIu64 " has rows up to %" PRIu64 ", not %" PRIu64,
			batch->number, seq, batch->end_seq);
	return r;
}

// As wal_batches_next(), the batch judged, which is number *next unless that is UINT64_MAX.
static int check_next(struct wal_batches *batches, uint64_t durable, uint64_t *next)
{
	struct wal_batch batch;
	int r = wal_batches_next(batches, &batch);

	if (r <= 0)
		return r;
	if (*next != UINT64_MAX && batch.number != *next)
		sim_violated(
			"batch %" PRIu64 " comes where %" PRIu64 " is due", batch.number, *next);
	*next = batch.number + 1;
	if (*next > durable)
		sim_violated("batch %" PRIu64 " comes before it is durable", batch.number);
	r = check_batch(batches, &batch);
	return r == 0 ? 1 : r;
}

static uint64_t oldest_seq(void)
{
	struct wal_segment_file *files;
	uint64_t seq = UINT64_MAX;
	unsigned count;

	if (wal_list_segments(SIM_LOG, &files, &count) == 0) {
		seq = count > 0 ? files[0].first_seq : UINT64_MAX;
		free(files);
	}
	return seq;
}

void model_check_batches(const struct wal *wal)
{
	uint64_t next = UINT64_MAX, durable = wal_state(wal)->durable_batch, oldest = oldest_seq();
	struct wal_batches *batches;
	int r = wal_batches_open(&batches, SIM_LOG, wal, 0) == 0;

	if (r > 0)
		wal_batches_give_way(batches);
	while (r > 0) {
		r = check_next(batches, durable, &next);
		// The keeper may take what is read while the reader gives way to the log.
		if (r == -ESTALE && oldest_seq() > oldest) {
			oldest = oldest_seq();
			next = UINT64_MAX;
			r = 1;
		}
	}
	if (r < 0)
		sim_violated("batches can't be read: %s", wal_batches_why(batches));
	// Or it was retired, and what comes next is not durable.
	if (durable > 0 && wal_batches_wanted(batches) != durable)
		sim_violated("batch %" PRIu64 " is durable and does not come", durable - 1);
	wal_batches_close(batches);
}

static void check_report(const struct wal_recovery *report, const struct sums *sums)
{
	uint64_t batch = sums->first == UINT64_MAX ? report->next_batch : sums->batch + 1;

	if (sums->first != UINT64_MAX && sums->next != report->next_seq)
		sim_violated("recovery goes on at %" PRIu64 ", the log ends at %" PRIu64,
			report->next_seq, sums->next);
	if (report->next_seq > model.next)
		sim_violated("recovery goes on at seq %" PRIu64 ", only %" PRIu64 " were submitted",
			report->next_seq, model.next);
	if (batch != report->next_batch || report->next_batch < model.durable_batch)
		sim_violated("recovery goes on with batch %" PRIu64 "; %" PRIu64
			     " were durable, %" PRIu64 " are there",
			report->next_batch, model.durable_batch, batch);
	if (model.has_id && (report->created || !wal_id_equal(&report->log_id, &model.log_id)))
		sim_violated("the log has lost its identity");
}

void model_recovered(const struct wal *wal, const struct wal_recovery *report)
{
	struct sums sums = read_log((struct wal_limit){.segment_first = UINT64_MAX});

	check_reach(&sums, sums.first == UINT64_MAX ? report->next_seq : sums.next);
	check_report(report, &sums);
	if (sim_chance(500))
		verify((struct wal_limit){.segment_first = UINT64_MAX}, report->next_seq);
	model.log_id = report->log_id;
	model.next = report->next_seq;
	// The batch that was open ended with its segment.
	if (sums.first != UINT64_MAX)
		model.batches[sums.batch].end = sums.next;
	// A batch whose seal was lost ended with its segment.
	for (uint64_t b = 0; b < report->next_batch; b++)
		model.batches[b].sealed = model.batches[b].seen == model.check;
	for (uint64_t b = report->next_batch; b < MODEL_BATCHES && model.batches[b].end; b++)
		model.batches[b] = (struct batch){0};
	model_new_life();
	model_observe(wal);
	model_check_batches(wal);
}
