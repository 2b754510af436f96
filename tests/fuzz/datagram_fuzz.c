// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: whatever a datagram holds, nothing outside of it is read, and what its reader takes
// is, written again, the same bytes: so nothing in it was overlooked.

#include "../unit/transport/rewrite.h"
#include "fuzz.h"
#include "transport/wire.h"

#include <string.h>

static uint8_t again[WIRE_MTU_MAX + WIRE_HEADER];

// What every reader of events relies on.
static void walk(const uint8_t *body, uint32_t len)
{
	struct wire_events events;
	const uint8_t *event;
	uint32_t at = 0, size, count = 0;

	if (!wire_read_events(body, len, &events))
		return;
	while ((event = wire_next_event(&events, &at, &size)) != NULL) {
		expect(event >= body && size <= len && event + size <= body + len);
		count++;
	}
	expect(count == events.count && count > 0 && count <= WIRE_EVENTS_MAX);
}

static void check(const uint8_t *data, uint32_t len)
{
	struct wire_header header;
	uint32_t tag, body, written;

	if (!wire_read_header(data, len, &header))
		return;
	wire_write_header(again, &header);
	expect(memcmp(again, data, WIRE_HEADER) == 0);
	tag = header.key != 0 ? WIRE_TAG : 0;
	expect(len >= WIRE_HEADER + tag);
	body = len - WIRE_HEADER - tag;
	written = rewrite(header.type, data + WIRE_HEADER, body, again);
	expect(written == 0 || written == body);
	expect(memcmp(again, data + WIRE_HEADER, written) == 0);
	if (header.type == WIRE_EVENTS)
		walk(data + WIRE_HEADER, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size > UINT32_MAX)
		return 0;
	copy = malloc(size + 1);
	expect(copy != NULL);
	// At an odd address, and up to the last byte of a block.
	memcpy(copy + 1, data, size);
	check(copy + 1, (uint32_t)size);
	free(copy);
	return 0;
}
