// SPDX-License-Identifier: BSD-3-Clause

// crash [--from N] [--seeds N] | --seed N [--verbose]

#include "common/clock.h"
#include "common/logmsg.h"
#include "sim.h"
#include "story.h"

#include <getopt.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define SEEDS_DEFAULT 10000

bool sim_verbose;

static unsigned long long seed;

void sim_trace(const char *format, ...)
{
	va_list ap;

	if (!sim_verbose)
		return;
	va_start(ap, format);
	printf("       ");
	vprintf(format, ap);
	printf("\n");
	va_end(ap);
}

void sim_violated(const char *format, ...)
{
	va_list ap;

	printf("seed %llu, call %llu: ", seed, (unsigned long long)sim_calls());
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\nto see it: tests/sim/crash --seed %llu --verbose\n", seed);
	fflush(stdout);
	_exit(1); // perhaps on a fiber's stack
}

static void run(unsigned long long n)
{
	seed = n;
	sim_seed(n);
	log_story();
	replace_story();
	spool_story();
	files_story();
}

static unsigned long long number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text && !*end)
		return n;
	fprintf(stderr, "crash: %s is not a number\n", text);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
		{"seeds", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'},
		{"verbose", no_argument, NULL, 'v'}, {0}};
	unsigned long long from = 0, seeds = SEEDS_DEFAULT;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'f')
			from = number(optarg);
		else if (c == 'n')
			seeds = number(optarg);
		else if (c == 's')
			from = number(optarg), seeds = 1;
		else if (c == 'v')
			sim_verbose = true;
		else
			return 2;
	}
	// The big buffers of each boot are taken from the heap again and again, not from the
	// kernel.
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	log_setup("crash", sim_verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERR);
	clock_init();
	spool_setup();
	for (unsigned long long i = 0; i < seeds; i++)
		run(from + i);
	printf("%llu seeds from %llu on\n", seeds, from);
	return 0;
}
