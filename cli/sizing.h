// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// How many slaves a load needs. Whole numbers throughout: a need that is exactly a slave's worth is
// one slave.

#include <stdint.h>

enum sizing_limit { SIZING_DISK, SIZING_NIC, SIZING_CPU, SIZING_LIMITS };

// Within the bounds below nothing overflows.
struct sizing_input {
	uint64_t rate;        // events/s, 1 to SIZING_RATE_MAX
	uint64_t event_bytes; // of a payload, 0 to SIZING_EVENT_MAX
	uint64_t nic;         // bit/s, 1 to SIZING_NIC_MAX
	uint64_t disk;        // bytes/s, 1 to SIZING_DISK_MAX
	uint64_t cores;       // SIZING_CORES_MIN to SIZING_CORES_MAX
	uint64_t compression; // thousandths, 1000 (none) to SIZING_COMPRESSION_MAX
	uint64_t spare;       // slaves, 0 to SIZING_SPARE_MAX
};

#define SIZING_RATE_MAX 100000000000u // 1e11
#define SIZING_EVENT_MAX 65507u       // what a UDP datagram takes
#define SIZING_NIC_MAX 10000000000000u
#define SIZING_DISK_MAX 10000000000000u
#define SIZING_CORES_MIN 2u // one lcore, and one for everything else
#define SIZING_CORES_MAX 1024u
#define SIZING_COMPRESSION_MAX 100000u
#define SIZING_SPARE_MAX 1000u

// What the load needs in a second, and what a slave has, in the limit's own unit.
struct sizing_part {
	uint64_t need, have;
};

struct sizing {
	struct sizing_part parts[SIZING_LIMITS];
	enum sizing_limit decides; // of which the load needs the most slaves, in fractions
	uint64_t by_load, all;     // slaves without and with the spare ones
};

struct sizing sizing_make(const struct sizing_input *input);

double sizing_slaves(const struct sizing_part *part); // fractions of slaves, to show
uint64_t sizing_events(
	const struct sizing_part *part, uint64_t rate); // events/s that a slave takes
