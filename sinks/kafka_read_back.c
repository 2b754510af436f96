// SPDX-License-Identifier: BSD-3-Clause
// Which messages of some batches are in Kafka, by their names in the headers.

#include "common/clock.h"
#include "common/logmsg.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int64_t kafka_window = 16384; // offsets

static void mark(struct kafka_part *part, uint64_t bit)
{
	uint8_t *byte = &part->seen[bit / 8];
	uint8_t mask = (uint8_t)(1u << (bit % 8));

	if (*byte & mask)
		part->doubled++;
	else
		part->found++;
	*byte |= mask;
}

// Whether it is of a batch before those wanted.
static bool take(void *arg, const rd_kafka_message_t *message)
{
	struct kafka_sink *k = arg;
	bool arrow = k->config->format == SINK_FORMAT_ARROW;
	rd_kafka_headers_t *headers;
	uint64_t batch, seq;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		!kafka_header_is(headers, "log_id", k->log_id) ||
		!kafka_header_number(headers, "batch", &batch) ||
		!kafka_header_number(headers, arrow ? "first_seq" : "seq", &seq))
		return false;
	for (unsigned i = 0; i < k->part_count; i++) {
		struct kafka_part *part = &k->parts[i];

		if (part->batch.number == batch && seq >= part->batch.first_seq &&
			seq < part->batch.end_seq)
			mark(part, arrow ? 0 : seq - part->batch.first_seq);
	}
	return batch < k->parts[0].batch.number;
}

// Whether no older self can have sent these batches, and no operator has put the sink back: then
// they lie behind all that was sent before them.
static bool is_own(const struct kafka_sink *k)
{
	return k->parts[0].batch.number >= k->own_from && k->parts[0].batch.number >= k->back_until;
}

// The earliest time of the batches, and room for what is seen of them.
static int prepare(struct kafka_sink *k, int64_t *ret_since_ms)
{
	int64_t since = INT64_MAX;

	for (unsigned i = 0; i < k->part_count; i++) {
		struct kafka_part *part = &k->parts[i];
		uint64_t rows = part->batch.end_seq - part->batch.first_seq;

		free(part->seen);
		part->found = part->doubled = 0;
		part->seen = calloc(rows / 8 + 1, 1);
		if (part->seen == NULL)
			return -ENOMEM;
		if (part->batch.received_min < since)
			since = part->batch.received_min;
	}
	*ret_since_ms = since / 1000000;
	return 0;
}

// It is rare, and it holds the sink up: so what took how long is told.
static void tell(const struct kafka_sink *k, const struct kafka_read *read, uint64_t begun_at)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < k->part_count; i++)
		found += k->parts[i].found;
	log_info("sink %s of partition %u: batches %" PRIu64 " to %" PRIu64 " read back: %" PRIu64
		 " messages were there; %" PRIu64 " messages of %d partitions read, %" PRIu64 " ms",
		k->config->name, k->target->partition, k->parts[0].batch.number,
		k->parts[k->part_count - 1].batch.number, found, read->done, read->partitions,
		(clock_monotonic_ns() - begun_at) / 1000000u);
}

int kafka_read_back(struct kafka_sink *k, bool *ret_cut)
{
	// The producer looks for offsets: it is not read_committed, so that what open transactions
	// wrote counts.
	struct kafka_read read = {.looker = k->producer, .take = take, .arg = k};
	uint64_t begun_at = clock_monotonic_ns();
	int result = prepare(k, &read.since_ms);

#ifndef MUTANT_KAFKA_NO_READ_BACK
	read.window = is_own(k) ? kafka_window : 0;
	if (result == 0)
		result = kafka_read(k, &read);
#endif
	kafka_count(k, KAFKA_read_backs);
	if (result == 0)
		tell(k, &read, begun_at);
	*ret_cut = read.cut;
	return result;
}
