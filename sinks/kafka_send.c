// SPDX-License-Identifier: BSD-3-Clause
// From rows to messages. On the way of each event: nothing is allocated here, librdkafka copies.

#include "sinks/kafka_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_EVERY 1024u // messages
#define HEADERS 6
#define KEY_BYTES 64
#define DIGITS 20

struct kafka_part *kafka_part_add(struct kafka_sink *k, const struct wal_batch *batch)
{
	if (k->part_count == k->part_room) {
		unsigned room = k->part_room == 0 ? 8 : 2 * k->part_room;
		struct kafka_part *parts = realloc(k->parts, room * sizeof(*parts));

		if (parts == NULL)
			return NULL;
		k->parts = parts;
		k->part_room = room;
	}
	k->parts[k->part_count] = (struct kafka_part){.batch = *batch};
	return &k->parts[k->part_count++];
}

void kafka_parts_clear(struct kafka_sink *k)
{
	for (unsigned i = 0; i < k->part_count; i++)
		free(k->parts[i].seen);
	k->part_count = 0;
}

bool kafka_part_seen(const struct kafka_sink *k, const struct kafka_part *part, uint64_t seq)
{
	uint64_t bit = k->config->format == SINK_FORMAT_ARROW ? 0 : seq - part->batch.first_seq;

	return part->seen != NULL && (part->seen[bit / 8] & (1u << (bit % 8))) != 0;
}

// Its digits, right-aligned in 'room'.
static const char *decimal(uint64_t value, char room[DIGITS], size_t *ret_len)
{
	char *at = room + DIGITS;

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	*ret_len = (size_t)(room + DIGITS - at);
	return at;
}

static size_t append_number(char *to, uint32_t value)
{
	char room[DIGITS];
	size_t len;
	const char *digits = decimal(value, room, &len);

	memcpy(to, digits, len);
	return len;
}

static size_t address_text(const uint8_t *addr, char *to)
{
	size_t len = 0;

	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)addr)) {
		for (unsigned i = 12; i < 16; i++) {
			if (i > 12)
				to[len++] = '.';
			len += append_number(to + len, addr[i]);
		}
		return len;
	}
	to[len++] = '[';
	inet_ntop(AF_INET6, addr, to + len, INET6_ADDRSTRLEN);
	len += strlen(to + len);
	to[len++] = ']';
	return len;
}

// What keeps a source's events in one partition: 16 hex digits of its id, or address and port.
static size_t key_text(const struct wal_row *row, char key[KEY_BYTES])
{
	size_t len;

	if (row->source_id != 0) {
		for (unsigned i = 0; i < 16; i++)
			key[i] = "0123456789abcdef"[row->source_id >> (60 - 4 * i) & 15];
		return 16;
	}
	len = address_text(row->src_addr, key);
	key[len++] = ':';
	return len + append_number(key + len, row->src_port);
}

static void add_number(
	rd_kafka_headers_t *headers, const char *name, size_t name_len, uint64_t value)
{
	char room[DIGITS];
	size_t len;
	const char *digits = decimal(value, room, &len);

	rd_kafka_header_add(headers, name, (ssize_t)name_len, digits, (ssize_t)len);
}

#define ADD_NUMBER(headers, name, value) add_number(headers, name, sizeof(name) - 1, value)

static rd_kafka_headers_t *headers_of(
	const struct kafka_sink *k, const struct wal_batch *batch, const struct wal_row *row)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);

	rd_kafka_header_add(headers, "log_id", 6, k->log_id, 32);
	ADD_NUMBER(headers, "batch", batch->number);
	ADD_NUMBER(headers, "seq", row->seq);
	ADD_NUMBER(headers, "source", row->source_id);
	ADD_NUMBER(headers, "epoch", row->source_epoch);
	ADD_NUMBER(headers, "source_seq", row->source_seq);
	return headers;
}

static int set_aside(struct kafka_sink *k, struct kafka_part *part, const struct wal_row *row)
{
	const char *topic = k->topics.list[kafka_topic_of(k, row->listener)].name;

	part->quarantined++;
	return kafka_quarantine(k, part, row, row->payload, row->payload_len, topic);
}

static int send_row(struct kafka_sink *k, struct kafka_part *part, const struct wal_row *row)
{
	char key[KEY_BYTES];
	int r;

	part->events++;
	part->payload_bytes += row->payload_len;
	if (kafka_part_seen(k, part, row->seq))
		return 0;
	if (k->refused.count > 0 && kafka_refused(k, row->seq))
		return set_aside(k, part, row);
	r = kafka_produce(k, kafka_topic_of(k, row->listener), key, key_text(row, key),
		row->payload, row->payload_len, row->received_at, row->seq,
		headers_of(k, &part->batch, row));
	if (r == 0)
		return set_aside(k, part, row);
	if (r < 0)
		return r;
	if (++part->sent % POLL_EVERY != 0)
		return 0;
	rd_kafka_poll(k->producer, 0);
	if (kafka_stopped(k))
		return -ECANCELED;
	return k->reports.failed > 0 ? -ECONNABORTED : 0;
}

static int send_block(
	struct kafka_sink *k, struct kafka_part *part, const struct wal_block_view *view)
{
	struct wal_row row;
	int r = 0;

	for (uint32_t i = 0; i < view->trailer->rows && r >= 0; i++) {
		wal_row_get(view, i, &row);
		if (row.listener != WAL_LISTENER_PROTOCOL)
			r = send_row(k, part, &row);
	}
	return r;
}

int kafka_send(struct kafka_sink *k, struct wal_batches *log, struct kafka_part *part)
{
	struct wal_block_view view;
	int r = kafka_topics_load(k, wal_batches_listeners(log));

	if (r == 0 && k->config->format == SINK_FORMAT_ARROW)
		return kafka_arrow_send(k, log, part);
	while (r == 0) {
		r = wal_batches_block(log, &view);
		if (r == 0)
			return 0;
		if (r < 0)
			kafka_why(k, "%s", wal_batches_why(log));
		else
			r = send_block(k, part, &view);
	}
	return r;
}
