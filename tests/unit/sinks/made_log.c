// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/sinks/made_log.h"

#include "common/clock.h"
#include "tests/lib/remove_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct made_log made_log;

struct wal_batches {
	uint64_t wanted; // batch
	uint64_t present;
	uint32_t row; // of the present one, next to be given
	uint8_t *block;
	size_t block_bytes;
	struct wal_trailer trailer;
};

void made_log_reset(uint8_t id)
{
	made_log = (struct made_log){
		.rows = 100,
		.payload_bytes = 64,
		.large_seq = UINT64_MAX,
		.error_at = UINT64_MAX,
		.received_at = clock_system_ns(),
		.listeners = "{\"0\":{\"name\":\"sys log\",\"port\":514},\"1\":{\"name\":\"app\","
			     "\"port\":9000}}",
	};
	memset(made_log.log_id.bytes, id, sizeof(made_log.log_id.bytes));
}

struct wal_batches *made_log_open(uint64_t number)
{
	struct wal_batches *log = calloc(1, sizeof(*log));

	if (log != NULL)
		log->wanted = number;
	return log;
}

void wal_batches_close(struct wal_batches *log)
{
	if (log != NULL)
		free(log->block);
	free(log);
}

static int64_t received(uint64_t seq)
{
	return made_log.received_at + (int64_t)seq * 1000;
}

int wal_batches_next(struct wal_batches *log, struct wal_batch *ret)
{
	uint64_t first = log->wanted * made_log.rows;

	if (log->wanted == made_log.error_at && made_log.next_error != 0) {
		int r = made_log.next_error;

		made_log.next_error = 0;
		return r;
	}
	if (log->wanted >= made_log.batches)
		return 0;
	log->present = log->wanted++;
	log->row = 0;
	*ret = (struct wal_batch){
		.log_id = made_log.log_id,
		.number = log->present,
		.first_seq = first,
		.end_seq = first + made_log.rows,
		.blocks = (made_log.rows + MADE_BLOCK_ROWS - 1) / MADE_BLOCK_ROWS,
		.bytes = (uint64_t)made_log.rows * (made_log.payload_bytes + WAL_ROW_BYTES),
		.received_min = received(first),
		.received_max = received(first + made_log.rows - 1),
		.crc = (uint32_t)log->present,
	};
	return 1;
}

// Columns of 'rows' rows and 'bytes' of payload.
static bool make_room(
	struct wal_batches *log, uint32_t rows, uint32_t bytes, struct wal_layout *layout)
{
	size_t size =
		((size_t)rows * (WAL_ROW_BYTES + 64) + bytes + 65536) & ~(size_t)(WAL_PAGE - 1);

	if (size > log->block_bytes) {
		free(log->block);
		log->block = malloc(size);
		log->block_bytes = log->block != NULL ? size : 0;
	}
	if (log->block != NULL)
		wal_layout_init(layout, rows, (uint32_t)size);
	return log->block != NULL;
}

#define PUT(column, type, value) \
	do { \
		type put_ = (type)(value); \
		memcpy(block + layout->at[column] + (size_t)i * sizeof(put_), &put_, \
			sizeof(put_)); \
	} while (0)

static void put_row(uint8_t *block, const struct wal_layout *layout, uint32_t i, uint64_t seq)
{
	static const uint8_t ip4[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [14] = 2, [15] = 33};
	bool protocol = made_log.protocol_every != 0 && seq % made_log.protocol_every == 0;

	PUT(COL_SEQ, uint64_t, seq);
	PUT(COL_RECEIVED_AT, int64_t, received(seq));
	memcpy(block + layout->at[COL_SRC_ADDR] + (size_t)i * 16, ip4, 16);
	PUT(COL_SRC_PORT, uint16_t, 40000 + seq % 7);
	PUT(COL_LISTENER, uint16_t, protocol ? WAL_LISTENER_PROTOCOL : seq % 2);
	PUT(COL_SOURCE_ID, uint64_t, seq % 2 == 1 ? 0xabc0 + seq % 5 : 0);
	PUT(COL_SOURCE_EPOCH, uint32_t, seq % 2);
	PUT(COL_SOURCE_SEQ, uint64_t, seq % 2 == 1 ? seq : 0);
}

static uint32_t payload_len(uint64_t seq)
{
	return seq == made_log.large_seq ? made_log.large_bytes : made_log.payload_bytes;
}

int wal_batches_block(struct wal_batches *log, struct wal_block_view *ret)
{
	uint64_t first = log->present * made_log.rows + log->row;
	uint32_t rows = made_log.rows - log->row, bytes = 0;

	if (log->present == made_log.error_at && made_log.block_error != 0)
		return made_log.block_error;
	if (rows == 0)
		return 0;
	if (rows > MADE_BLOCK_ROWS)
		rows = MADE_BLOCK_ROWS;
	for (uint32_t i = 0; i < rows; i++)
		bytes += payload_len(first + i);
	memset(ret, 0, sizeof(*ret));
	if (!make_room(log, rows, bytes, &ret->layout))
		return -ENOMEM;
	memset(log->block + ret->layout.payload, 'p', bytes);
	bytes = 0;
	for (uint32_t i = 0; i <= rows; i++) {
		char text[24];

		memcpy(log->block + ret->layout.at[COL_PAYLOAD] + (size_t)i * 4, &bytes, 4);
		if (i == rows)
			break;
		put_row(log->block, &ret->layout, i, first + i);
		snprintf(text, sizeof(text), "%015" PRIu64 " ", first + i);
		memcpy(log->block + ret->layout.payload + bytes, text, 16);
		bytes += payload_len(first + i);
	}
	log->trailer =
		(struct wal_trailer){.rows = rows, .first_seq = first, .batch = log->present};
	ret->block = ret->columns = log->block;
	ret->trailer = &log->trailer;
	ret->payload_bytes = bytes;
	log->row += rows;
	return 1;
}

void wal_batches_seek(struct wal_batches *log, uint64_t number)
{
	log->wanted = number;
	log->row = 0;
}

uint64_t wal_batches_wanted(const struct wal_batches *log)
{
	return log->wanted;
}

const char *wal_batches_listeners(const struct wal_batches *log)
{
	(void)log;
	return made_log.listeners;
}

const char *wal_batches_why(const struct wal_batches *log)
{
	(void)log;
	return "made up";
}

bool sink_wait(const struct sink_target *target, uint64_t ns)
{
	for (uint64_t until = clock_monotonic_ns() + ns; clock_monotonic_ns() < until;) {
		if (atomic_load(target->stop))
			return false;
		usleep(1000);
	}
	return !atomic_load(target->stop);
}

struct wal_cursor sink_cursor_behind(const struct wal_batch *batch)
{
	return (struct wal_cursor){.log_id = batch->log_id,
		.batch = batch->number + 1,
		.seq = batch->end_seq,
		.crc = batch->crc};
}

void made_target_init(struct made_target *made, const char *brokers)
{
	struct config_sink *config = &made->config;

	memset(made, 0, sizeof(*made));
	snprintf(config->name, sizeof(config->name), "out");
	snprintf(config->topic, sizeof(config->topic), "events-{port}");
	snprintf(config->cursor_topic, sizeof(config->cursor_topic), "millrace-cursors");
	config->kind = SINK_KAFKA;
	config->transactions = true;
	config->transaction_batches = 8;
	config->transaction_timeout_ns = 10000000000u;
	made_target_set(made, "bootstrap.servers", brokers);
	snprintf(made->dir, sizeof(made->dir), "/tmp/millrace-sink-XXXXXX");
	made->target = (struct sink_target){
		.config = config,
		.receiver = "alpha",
		.dir = mkdtemp(made->dir),
		.partition = 3,
		.log_id = made_log.log_id,
		.stop = &made->stop,
		.counters = made->counters,
	};
}

void made_target_set(struct made_target *made, const char *name, const char *value)
{
	struct config_property *p = &made->config.properties[made->config.property_count++];

	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->value, sizeof(p->value), "%s", value);
}

void made_target_done(struct made_target *made)
{
	remove_tree(made->dir);
}
