// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/sinks/fake_log.h"

#include "wal/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (16u << 10)
#define PAYLOAD_MAX 400u

// Not assert(): it must act in every build.
#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

struct wal_batches {
	uint64_t wanted, present;
	unsigned block; // of the present one, the next
	bool has_present;
	bool fresh; // opened there, or brought there: begins with the oldest there is
	uint8_t mem[BLOCK_BYTES] __attribute__((aligned(64)));
};

struct fake_log fake_log;

static const struct wal_segment_header segment = {.version = WAL_FORMAT_VERSION};

void fake_log_reset(void)
{
	fake_log = (struct fake_log){
		.listeners_from = UINT64_MAX, .damaged = UINT64_MAX, .step = FAKE_STEP};
	memset(fake_log.log_id.bytes, 0xab, sizeof(fake_log.log_id.bytes));
}

static unsigned blocks_of(uint64_t number)
{
	return 1 + (unsigned)(number % 3);
}

// Batches have up to 3 blocks, and every fourth begins with a row of the protocol.
static uint64_t first_seq(uint64_t number)
{
	return number * 3 * FAKE_ROWS;
}

static bool has_protocol(uint64_t number, unsigned block)
{
	return number % 4 == 1 && block == 0;
}

uint32_t fake_batch_events(uint64_t number)
{
	return blocks_of(number) * FAKE_ROWS - has_protocol(number, 0);
}

static uint32_t fill_rows(
	uint8_t *mem, const struct wal_layout *layout, uint64_t number, unsigned block)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < FAKE_ROWS; i++) {
		uint64_t seq = first_seq(number) + block * FAKE_ROWS + i;
		int64_t received = (int64_t)(FAKE_RECEIVED + number * (uint64_t)fake_log.step);
		uint16_t listener =
			i == 0 && has_protocol(number, block) ? WAL_LISTENER_PROTOCOL : 0;
		char text[PAYLOAD_MAX + 1];
		uint32_t len = (uint32_t)(seq * 37 % PAYLOAD_MAX);

		snprintf(text, sizeof(text), "batch %llu, row %llu %*s", (unsigned long long)number,
			(unsigned long long)seq, (int)(PAYLOAD_MAX / 2), "");
		memcpy(mem + layout->at[COL_SEQ] + 8 * i, &seq, 8);
		memcpy(mem + layout->at[COL_RECEIVED_AT] + 8 * i, &received, 8);
		memcpy(mem + layout->at[COL_LISTENER] + 2 * i, &listener, 2);
		memcpy(mem + layout->at[COL_PAYLOAD] + 4 * i, &at, 4);
		len = len < strlen(text) ? len : (uint32_t)strlen(text);
		memcpy(mem + layout->payload + at, text, len);
		at += len;
	}
	memcpy(mem + layout->at[COL_PAYLOAD] + 4 * FAKE_ROWS, &at, 4);
	return at;
}

static void compose(uint8_t *mem, uint64_t number, unsigned block, struct wal_block_view *ret)
{
	struct wal_layout layout;
	struct wal_block_info info = {.first_seq = first_seq(number) + block * FAKE_ROWS,
		.rows = FAKE_ROWS,
		.flags = block + 1 == blocks_of(number) ? WAL_FLAG_SEALED : 0,
		.batch = number,
		.received_min = (int64_t)(FAKE_RECEIVED + number * (uint64_t)fake_log.step),
		.received_max = (int64_t)(FAKE_RECEIVED + number * (uint64_t)fake_log.step)};

	memset(mem, 0, BLOCK_BYTES);
	wal_layout_init(&layout, FAKE_ROWS + 3, BLOCK_BYTES);
	info.payload_bytes = fill_rows(mem, &layout, number, block);
	wal_block_close(mem, &layout, &info);
	must(wal_block_check(mem, BLOCK_BYTES, &segment, 0, ret) == WAL_BLOCK_GOOD);
}

static struct wal_batch describe(struct wal_batches *batches, uint64_t number)
{
	struct wal_batch ret = {.log_id = fake_log.log_id,
		.number = number,
		.first_seq = first_seq(number),
		.end_seq = first_seq(number) + (uint64_t)blocks_of(number) * FAKE_ROWS,
		.blocks = blocks_of(number)};
	struct wal_block_view view;

	for (unsigned i = 0; i < ret.blocks; i++) {
		compose(batches->mem, number, i, &view);
		ret.bytes += view.len;
		ret.crc = view.trailer->crc;
	}
	ret.received_min = view.trailer->received_min;
	ret.received_max = view.trailer->received_max;
	return ret;
}

uint64_t fake_batch_bytes(uint64_t number)
{
	static struct wal_batches batches;

	return describe(&batches, number).bytes;
}

int wal_batches_open(
	struct wal_batches **ret, const char *dir, const struct wal *wal, uint64_t number)
{
	(void)dir, (void)wal;
	*ret = aligned_alloc(64, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	memset(*ret, 0, sizeof(**ret));
	(*ret)->wanted = number;
	(*ret)->fresh = true;
	return 0;
}

void wal_batches_close(struct wal_batches *batches)
{
	free(batches);
}

static int fault(void)
{
	return fake_log.fails != NULL ? fake_log.fails() : 0;
}

int wal_batches_next(struct wal_batches *batches, struct wal_batch *ret)
{
	bool fresh = batches->fresh;
	int r = fault();

	if (r < 0)
		return r;
	batches->fresh = false;
	if (batches->wanted < fake_log.oldest) {
		batches->wanted = fake_log.oldest;
		if (!fresh)
			return -ESTALE;
	}
	if (batches->wanted >= fake_log.sealed)
		return 0;
	batches->present = batches->wanted++;
	batches->block = 0;
	batches->has_present = true;
	*ret = describe(batches, batches->present);
	return 1;
}

int wal_batches_block(struct wal_batches *batches, struct wal_block_view *ret)
{
	int r = fault();

	must(batches->has_present);
	if (r < 0)
		return r;
	if (batches->present < fake_log.oldest)
		return -ESTALE;
	if (batches->present == fake_log.damaged)
		return -EBADMSG;
	if (batches->block == blocks_of(batches->present))
		return 0;
	compose(batches->mem, batches->present, batches->block++, ret);
	return 1;
}

void wal_batches_seek(struct wal_batches *batches, uint64_t number)
{
	batches->wanted = number;
	batches->has_present = false;
	batches->fresh = true;
}

uint64_t wal_batches_wanted(const struct wal_batches *batches)
{
	return batches->wanted;
}

const char *wal_batches_listeners(const struct wal_batches *batches)
{
	must(batches->has_present);
	return batches->present < fake_log.listeners_from ? "{\"0\":{}}" : "{\"0\":{},\"1\":{}}";
}

const char *wal_batches_why(const struct wal_batches *batches)
{
	(void)batches;
	return "the log says why";
}

struct wal_batches_reads wal_batches_reads(const struct wal_batches *batches)
{
	(void)batches;
	return (struct wal_batches_reads){0};
}

// --- what must come

struct growing {
	uint8_t *bytes;
	size_t len;
};

static int grow(void *arg, const void *data, size_t len)
{
	struct growing *g = arg;

	g->bytes = realloc(g->bytes, g->len + len);
	must(g->bytes != NULL);
	memcpy(g->bytes + g->len, data, len);
	g->len += len;
	return 0;
}

uint8_t *fake_export(
	uint64_t first, uint64_t last, const char *receiver, unsigned partition, size_t *ret_len)
{
	struct wal_batches batches = {.present = first, .has_present = true};
	struct wal_export_info info = {.receiver = receiver,
		.partition = partition,
		.log_id = fake_log.log_id,
		.listeners = wal_batches_listeners(&batches),
		.first_batch = first,
		.last_batch = last};
	struct wal_block_view view;
	struct wal_export *export;
	struct growing g = {0};

	must(wal_export_new(&export, WAL_EXPORT_FILE, grow, &g) == 0);
	must(wal_export_begin(export, &info) == 0);
	for (uint64_t n = first; n <= last; n++)
		for (unsigned i = 0; i < blocks_of(n); i++) {
			compose(batches.mem, n, i, &view);
			must(wal_export_block(export, &view, NULL) == 0);
		}
	must(wal_export_end(export) == 0);
	wal_export_free(export);
	*ret_len = g.len;
	return g.bytes;
}
