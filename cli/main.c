// SPDX-License-Identifier: BSD-3-Clause

#include "cli/help.h"
#include "cli/options.h"

#include <signal.h>
#include <string.h>

static void interrupt(int number)
{
	(void)number;
	cli_interrupted = true;
}

// The second signal ends the process: a command that is stuck can still be stopped. No SA_RESTART,
// so that waiting calls return.
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int run(struct cli_request *request)
{
	static const struct cli_args none;

	if (request->version)
		return cli_find("version")->run(&request->cli, &none);
	if (request->help && request->command != NULL) {
		help_command(request->command, stdout);
		return EXIT_CLI_OK;
	}
	if (request->help) {
		help_all(stdout);
		return EXIT_CLI_OK;
	}
	catch_signals();
	return request->command->run(&request->cli, &request->args);
}

int main(int argc, char **argv)
{
	struct cli_request request;
	int rc = cli_parse_line(argc, argv, &request);

	if (rc != 0) {
		cli_error("%s", request.error);
		if (request.command != NULL) {
			fputs("usage: ", stderr);
			help_synopsis(request.command, stderr);
			fputc('\n', stderr);
		}
		return rc;
	}
	rc = run(&request);
	// What was printed into a full disk is not printed.
	if (fflush(stdout) != 0 || ferror(stdout)) {
		cli_error("cannot write the output: %m");
		return rc == EXIT_CLI_OK ? EXIT_CLI_DEGRADED : rc;
	}
	return rc;
}
