// SPDX-License-Identifier: BSD-3-Clause

// reliable [--from N] [--seeds N] | --seed N [--trace], each [--events N] [--no CLASS,...]

#include "reliable.h"

#include <getopt.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_DEFAULT 2000

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = text ? strtoull(text, &end, 10) : 0;

	if (text && *text && !*end)
		return n;
	fprintf(stderr, "reliable: %s is not a number\n", text ? text : "nothing");
	exit(2);
}

static bool take_off(struct plan_wish *wish, const char *name, size_t len)
{
	for (unsigned i = 0; i < FAULT_COUNT; i++) {
		const char *fault = plan_fault_name((enum fault)i);

		if (strlen(fault) == len && memcmp(fault, name, len) == 0) {
			wish->off[i] = true;
			return true;
		}
	}
	return false;
}

static void take_off_all(struct plan_wish *wish, const char *names)
{
	while (*names) {
		size_t len = strcspn(names, ",");

		if (!take_off(wish, names, len)) {
			fprintf(stderr, "reliable: no fault %.*s\n", (int)len, names);
			exit(2);
		}
		names += len + (names[len] == ',');
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: reliable [--from N] [--seeds N] | --seed N [--trace], each "
			"[--events N] [--no CLASS,...]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"events", required_argument, NULL, 'e'},
		{"no", required_argument, NULL, 'n'}, {"from", required_argument, NULL, 'f'},
		{"seeds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'o'},
		{"trace", no_argument, NULL, 't'}, {0}};
	enum trace_mode mode = TRACE_OFF;
	struct plan_wish wish = {0};
	uint64_t from = 0, count = SEEDS_DEFAULT;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'e')
			wish.events = (uint32_t)number(optarg);
		else if (c == 'n')
			take_off_all(&wish, optarg);
		else if (c == 'f')
			from = number(optarg);
		else if (c == 's')
			count = number(optarg);
		else if (c == 'o')
			from = number(optarg), count = 1,
			mode = mode == TRACE_ALL ? mode : TRACE_TAIL;
		else if (c == 't')
			mode = TRACE_ALL;
		else
			return usage();
	}
	if (argc != optind)
		return usage();
	// What each run takes and gives back again stays here.
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	draw_sodium_setup();
	if (sodium_init() < 0)
		return 2;
	for (uint64_t i = 0; i < count; i++)
		story_run(from + i, &wish, mode);
	tally_print();
	return 0;
}
