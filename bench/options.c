// SPDX-License-Identifier: BSD-3-Clause
#include "bench/options.h"

#include <getopt.h>
#include <stdlib.h>

bool bench_options_read(
	struct bench_options *ret, unsigned words, uint32_t event_max, int argc, char **argv)
{
	static const struct option options[] = {
		{"cpu", required_argument, NULL, 'c'},
		{"rate", required_argument, NULL, 'r'},
		{"size", required_argument, NULL, 's'},
		{"id", required_argument, NULL, 'i'},
		{0},
	};
	struct send_plan plan = {.size_min = 600, .size_max = 600, .lines = 1, .flows = 1};
	char why[SEND_WHY_BYTES];
	int c;

	ret->cpu = "0";
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			ret->cpu = optarg;
		else if (c == 'r')
			plan.rate = strtoull(optarg, NULL, 10);
		else if (c == 's')
			plan.size_min = plan.size_max = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 'i')
			plan.id = (uint32_t)strtoul(optarg, NULL, 16);
		else
			return false;
	}
	if (argc - optind != (int)words + 1)
		return false;
	plan.duration_ns = (uint64_t)(strtod(argv[argc - 1], NULL) * 1e9);
	if (plan.duration_ns == 0 || send_plan_settle(&plan, event_max, why) != 0)
		return false;
	ret->words = argv + optind;
	ret->plan = plan;
	return true;
}
