// SPDX-License-Identifier: BSD-3-Clause
// pull_server DIR SOCKET RETAIN_BYTES [LISTEN CERTIFICATE KEY TOKENS]: a log that is written by
// what comes on stdin, one command a line, and the pull API on it. Each is answered by "ok".
//   batch ROWS PAYLOAD   a sealed batch of one block
//   rows ROWS PAYLOAD    a block that no seal covers yet
// It ends with stdin.

#include "pull_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pull_log_fixture f;

static void obey(const char *line)
{
	unsigned rows, payload;

	if (sscanf(line, "batch %u %u", &rows, &payload) == 2)
		pull_log_write(&f, rows, payload, true);
	else if (sscanf(line, "rows %u %u", &rows, &payload) == 2)
		pull_log_write(&f, rows, payload, false);
	else
		abort();
	puts("ok");
	fflush(stdout);
}

static void text(char *ret, size_t room, const char *from)
{
	snprintf(ret, room, "%s", from);
}

int main(int argc, char **argv)
{
	char line[256], why[HTTP_WHY_BYTES];

	if (argc != 4 && argc != 8)
		return 2;
	f.api = (struct config_api){.consumers = 3,
		.consumer_ttl_ns = 3600000000000u,
		.consumer_hold_bytes = 64u << 20};
	if (argc == 8) {
		text(f.api.listen, sizeof(f.api.listen), argv[4]);
		text(f.api.certificate, sizeof(f.api.certificate), argv[5]);
		text(f.api.key, sizeof(f.api.key), argv[6]);
		text(f.api.tokens, sizeof(f.api.tokens), argv[7]);
	}
	pull_log_open(&f, argv[1], strtoull(argv[3], NULL, 10));
	if (pull_log_serve(&f, argv[2], why) < 0) {
		fprintf(stderr, "%s\n", why);
		pull_log_close(&f);
		return 1;
	}
	printf("ready %u\n", http_tcp_port(f.http));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	pull_log_stop(&f);
	pull_log_close(&f);
	return 0;
}
