// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: a TCP stream of any bytes that comes in pieces of any size: the messages are pieces of
// it in their order, none above the limit and none empty, and the same whatever the pieces are.

#include "cli/relay/framing.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#define MOST 200u

struct messages {
	uint8_t bytes[8192];
	size_t len; // of 'bytes': for each message two bytes of its length, and itself
	int end;    // what framing_next() said last
	uint32_t rest;
};

static void add(struct messages *m, const uint8_t *message, uint32_t len)
{
	expect(len > 0 && len <= MOST);
	expect(m->len + 2 + len <= sizeof(m->bytes));
	m->bytes[m->len++] = (uint8_t)(len >> 8);
	m->bytes[m->len++] = (uint8_t)len;
	memcpy(m->bytes + m->len, message, len);
	m->len += len;
}

static void take_all(struct framing *f, struct messages *ret)
{
	const uint8_t *message, *again;
	uint32_t len, len_again;

	while ((ret->end = framing_next(f, &message, &len)) == 1) {
		expect(framing_next(f, &again, &len_again) == 1);
		expect(again == message && len_again == len);
		add(ret, message, len);
		framing_take(f);
	}
}

// 'piece': bytes that come at once.
static void read_stream(const uint8_t *data, size_t size, size_t piece, struct messages *ret)
{
	struct framing f;

	ret->len = 0;
	ret->end = 0;
	expect(framing_init(&f, MOST) == 0);
	while (size > 0 && ret->end == 0) {
		uint32_t room, len = (uint32_t)(piece < size ? piece : size);
		uint8_t *to = framing_room(&f, &room);

		expect(room > 0);
		len = len < room ? len : room;
		memcpy(to, data, len);
		framing_filled(&f, len);
		data += len;
		size -= len;
		take_all(&f, ret);
	}
	if (ret->end == 0) {
		framing_end(&f);
		take_all(&f, ret);
	}
	ret->rest = framing_rest(&f);
	expect(ret->end == 0 || ret->end == -EMSGSIZE);
	framing_free(&f);
}

// The input: bytes of a piece, then the stream.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct messages whole, pieces;
	const uint8_t *at;

	if (size < 2 || size > 2048)
		return 0;
	at = data + 1;
	read_stream(data + 1, size - 1, size, &whole);
	read_stream(data + 1, size - 1, (size_t)data[0] + 1, &pieces);
	expect(whole.end == pieces.end && whole.len == pieces.len);
	expect(memcmp(whole.bytes, pieces.bytes, whole.len) == 0);
	expect(whole.end != 0 || whole.rest == pieces.rest);
	for (size_t i = 0; i < whole.len;) {
		size_t len = (size_t)whole.bytes[i] << 8 | whole.bytes[i + 1];

		at = memmem(at, (size_t)(data + size - at), whole.bytes + i + 2, len);
		expect(at != NULL);
		at += len;
		i += 2 + len;
	}
	return 0;
}
