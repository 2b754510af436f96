// SPDX-License-Identifier: BSD-3-Clause
// make_log STATE DIR PARTITION: a log for the tests of `millrace log`.

#include "tests/unit/wal/logbuilder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void add_special_payloads(struct logbuilder *lb)
{
	static const uint8_t no_text[] = {0xff, 0x00, 'a'};
	static const char quotes[] = "say \"\xc3\xa4\"\n";

	lb_block_with(lb, no_text, sizeof(no_text));
	lb_block_with(lb, quotes, sizeof(quotes) - 1);
}

// A segment of 15 rows in 2 blocks.
static void closed(struct logbuilder *lb)
{
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb->durable_seq = lb->seq;
}

// Two segments, 30 rows in 4 blocks, closed cleanly.
static void whole(struct logbuilder *lb)
{
	closed(lb);
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb->durable_seq = lb->seq;
	lb_block(lb, 5, 0);
	lb_end(lb);
}

int main(int argc, char **argv)
{
	struct logbuilder lb;
	uint64_t bad;

	if (argc != 4)
		return 2;
	lb_init(&lb);
	lb.partition = (uint32_t)strtoul(argv[3], NULL, 10);
	if (strcmp(argv[1], "payloads") == 0) {
		lb_segment(&lb);
		add_special_payloads(&lb);
		lb_end(&lb);
	} else if (strcmp(argv[1], "whole") == 0) {
		whole(&lb);
	} else if (strcmp(argv[1], "three") == 0) {
		closed(&lb);
		whole(&lb);
	} else {
		lb_segment(&lb);
		lb_block(&lb, 10, WAL_FLAG_SEALED);
		bad = lb_block(&lb, 10, WAL_FLAG_SEALED);
		if (strcmp(argv[1], "damaged") == 0)
			lb.durable_seq = lb.seq;
		lb_block(&lb, 10, WAL_FLAG_SEALED);
		lb_flip(&lb, lb.name, bad + 1000);
	}
	return rename(lb.dir, argv[2]) < 0 || chmod(argv[2], 0750) < 0;
}
