// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: a stream of any bytes gives the same records and the same end however it is cut into
// pieces, each record as its own line of digits says, and none larger than is allowed.

#include "control/mesos/recordio.h"
#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct records {
	unsigned count;
	size_t bytes; // of the stream, in records with their heads
	uint64_t sum; // of lengths and contents
	int end;      // as recordio_next() said last
};

static uint64_t mix(uint64_t sum, const char *data, size_t len)
{
	sum = (sum ^ len) * 0x100000001b3u;
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (uint8_t)data[i]) * 0x100000001b3u;
	return sum;
}

// The input: where it stands in the stream is what the head said, for lengths in their shortest
// form or with zeros before.
static void check_record(
	const char *stream, size_t size, struct records *ret, const char *data, size_t len)
{
	const char *head = stream + ret->bytes, *end;
	size_t said = 0;

	expect(len <= RECORDIO_RECORD_MAX);
	end = memchr(head, '\n', size - ret->bytes);
	expect(end != NULL && end > head && end - head <= RECORDIO_DIGITS_MAX);
	for (const char *at = head; at < end; at++)
		said = said * 10 + (size_t)(*at - '0');
	expect(said == len && (size_t)(stream + size - end) - 1 >= len);
	expect(memcmp(end + 1, data, len) == 0);
	ret->count++;
	ret->bytes += (size_t)(end - head) + 1 + len;
	ret->sum = mix(ret->sum, data, len);
}

// What no record was made of is the beginning of one, or is refused.
static void check_end(const char *rest, size_t size, int end)
{
	size_t digits = 0, said = 0;
	bool bad;

	for (; digits < size && rest[digits] >= '0' && rest[digits] <= '9'; digits++)
		said = digits < RECORDIO_DIGITS_MAX ? said * 10 + (size_t)(rest[digits] - '0')
						    : said;
	bad = digits > RECORDIO_DIGITS_MAX ||
	      (digits < size &&
		      (digits == 0 || rest[digits] != '\n' || said > RECORDIO_RECORD_MAX));
	expect(end == (bad ? -EBADMSG : 0));
}

// A copy of just that size: a read beyond it is noticed. One that is refused stays so.
static void feed(struct recordio *r, const char *data, size_t len, int before)
{
	char *copy = malloc(len > 0 ? len : 1);
	int err;

	expect(copy != NULL);
	memcpy(copy, data, len);
	err = recordio_feed(r, copy, len);
	expect(err == before || err == 0);
	free(copy);
}

// In pieces of the lengths that 'cuts' has, over and over; without cuts in one.
static struct records read_all(
	const uint8_t *cuts, size_t cut_count, const char *stream, size_t size)
{
	struct recordio r = {0};
	struct records ret = {0};
	size_t at = 0, piece, i = 0, len;
	const char *data;

	do {
		piece = cut_count > 0 ? cuts[i++ % cut_count] + 1u : size;
		if (piece > size - at)
			piece = size - at;
		feed(&r, stream + at, piece, ret.end);
		at += piece;
		while ((ret.end = recordio_next(&r, &data, &len)) == 1)
			check_record(stream, at, &ret, data, len);
		check_end(stream + ret.bytes, at - ret.bytes, ret.end);
	} while (at < size);
	recordio_done(&r);
	return ret;
}

// The input: how many cuts there are, those, and the stream.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records whole, cut;
	size_t cuts;

	if (size == 0 || size - 1 < data[0] % 8u)
		return 0;
	cuts = data[0] % 8u;
	whole = read_all(NULL, 0, (const char *)data + 1 + cuts, size - 1 - cuts);
	cut = read_all(data + 1, cuts, (const char *)data + 1 + cuts, size - 1 - cuts);
	expect(cut.count == whole.count && cut.bytes == whole.bytes && cut.sum == whole.sum);
	expect(cut.end == whole.end);
	return 0;
}
