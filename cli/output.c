// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"
#include "common/json.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

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

int cli_print_account(const char *schema, json_t *data, json_t *warnings)
{
	char host[256] = "";
	json_t *envelope;

	if (data == NULL) {
		json_decref(warnings);
		return -ENOMEM;
	}
	gethostname(host, sizeof(host) - 1);
	envelope = json_envelope(schema, host, data, warnings);
	cli_print_json(envelope);
	json_decref(envelope);
	return 0;
}
