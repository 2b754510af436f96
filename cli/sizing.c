// SPDX-License-Identifier: BSD-3-Clause
#include "cli/sizing.h"

#include "wal/format.h"

// Of an Ethernet frame on the wire: preamble 8, header 14, FCS 4, gap 12 (IEEE 802.3).
#define FRAME_BYTES 38u
#define FRAME_MIN 84u // with 64 bytes from header to FCS
#define IPV4_BYTES 20u
#define UDP_BYTES 8u
#define FRAGMENT_BYTES 1480u // of an MTU of 1500, behind the IPv4 header

// Of an lcore that runs to completion, above what docs/performance.md measured: 82 for the smallest
// frame, 450 with 600 bytes of payload.
#define CYCLES_EVENT 100u
#define CYCLES_BYTE 1u
#define LCORE_CYCLES 2500000000u // a second: 2.5 GHz

static uint64_t wire_bytes(uint64_t payload)
{
	uint64_t datagram = payload + UDP_BYTES;
	uint64_t frames = (datagram + FRAGMENT_BYTES - 1) / FRAGMENT_BYTES;
	uint64_t bytes = datagram + frames * (IPV4_BYTES + FRAME_BYTES);

	return bytes < FRAME_MIN ? FRAME_MIN : bytes;
}

static uint64_t whole(const struct sizing_part *part)
{
	return part->need / part->have + (part->need % part->have > 0);
}

// Whether a needs more slaves than b, in fractions.
static bool is_more(const struct sizing_part *a, const struct sizing_part *b)
{
	return (unsigned __int128)a->need * b->have > (unsigned __int128)b->need * a->have;
}

struct sizing sizing_make(const struct sizing_input *in)
{
	uint64_t rate = in->rate;
	struct sizing sizing = {
		.parts = {
			// The fixed bytes of a row; a block's own are a thousandth.
			[SIZING_DISK] = {rate * (in->event_bytes + WAL_ROW_BYTES) * 1000,
				in->disk * in->compression},
			[SIZING_NIC] = {rate * wire_bytes(in->event_bytes) * 8, in->nic},
			[SIZING_CPU] = {rate * (CYCLES_EVENT + CYCLES_BYTE * in->event_bytes),
				(in->cores - 1) * LCORE_CYCLES},
		}};

	for (unsigned i = 0; i < SIZING_LIMITS; i++) {
		uint64_t slaves = whole(&sizing.parts[i]);

		if (is_more(&sizing.parts[i], &sizing.parts[sizing.decides]))
			sizing.decides = i;
		if (slaves > sizing.by_load)
			sizing.by_load = slaves;
	}
	sizing.all = sizing.by_load + in->spare;
	return sizing;
}

double sizing_slaves(const struct sizing_part *part)
{
	return (double)part->need / (double)part->have;
}

uint64_t sizing_events(const struct sizing_part *part, uint64_t rate)
{
	return (uint64_t)((unsigned __int128)part->have * rate / part->need);
}
