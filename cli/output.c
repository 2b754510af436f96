// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"

#include <stdarg.h>

volatile bool cli_interrupted;

void cli_error(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fflush(stdout); // keeps the order where both go to one place
	fprintf(stderr, "millrace: %s\n", line);
}

void cli_print_json(json_t *envelope)
{
	if (envelope == NULL || json_dumpf(envelope, stdout, JSON_COMPACT) != 0)
		cli_error("cannot print the answer as JSON");
	putchar('\n');
	fflush(stdout);
}
