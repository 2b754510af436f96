// SPDX-License-Identifier: BSD-3-Clause
// The command line of `millrace send`: what is refused, and what its JSON says.

#include "cli/cli.h"
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// Runs "millrace send WORDS" with its output in *ret_out (allocated; may be NULL).
static int run(const char *words, char **ret_out)
{
	struct cli_request request;
	char line[512], *argv[32], *save = NULL;
	FILE *out = tmpfile();
	int argc = 0, code, keep = dup(STDOUT_FILENO);
	long size;

	snprintf(line, sizeof(line), "millrace send %s", words);
	for (char *word = strtok_r(line, " ", &save); word != NULL;
		word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	assert_int_equal(cli_parse_line(argc, argv, &request), 0);
	fflush(stdout);
	dup2(fileno(out), STDOUT_FILENO);
	code = request.command->run(&request.cli, &request.args);
	fflush(stdout);
	dup2(keep, STDOUT_FILENO);
	close(keep);
	size = lseek(fileno(out), 0, SEEK_END);
	if (ret_out != NULL) {
		*ret_out = calloc(1, (size_t)size + 1);
		assert_int_equal(pread(fileno(out), *ret_out, (size_t)size, 0), size);
	}
	fclose(out);
	return code;
}

static void what_makes_no_sense_is_a_usage_error(void **state)
{
	static const char *const bad[] = {
		"",
		"127.0.0.1:9 --port net_null0 --to 1.2.3.4:5",
		"--port net_null0",
		"127.0.0.1:9 --to 1.2.3.4:5",
		"127.0.0.1:9 --no-huge",
		"127.0.0.1:9 --rate 0",
		"127.0.0.1:9 --rate fast",
		"127.0.0.1:9 --rate 1x",
		"127.0.0.1:9 --rate -5",
		"127.0.0.1:9 --rate 1e300",
		"127.0.0.1:9 --rate nan",
		"127.0.0.1:9 --size 17",
		"127.0.0.1:9 --size 100-50",
		"127.0.0.1:9 --size 100-",
		"127.0.0.1:9 --size 65508",
		"127.0.0.1:9 --count 0",
		"127.0.0.1:9 --count 11G",
		"127.0.0.1:9 --duration 0s",
		"127.0.0.1:9 --duration soon",
		"127.0.0.1:9 --id 12345",
		"127.0.0.1:9 --id 1234567g",
		"127.0.0.1:9 --burst 65",
		"127.0.0.1:9 --flows 1025",
		"127.0.0.1:9 --batch-lines 0",
		"127.0.0.1:9 --batch-lines 5000",
		"127.0.0.1",
		"--port net_null0 --to 1.2.3.4:5 --size 1473",
		"127.0.0.1:9 --from 1.2.3.4:5",
		"127.0.0.1:9 --wait 5s",
		"127.0.0.1:9 --key 1:/dev/null",
		"--reliable 127.0.0.1:9 127.0.0.1:9",
		"--reliable 127.0.0.1:9 --port net_null0 --to 1.2.3.4:5",
		"--reliable 127.0.0.1",
		"--reliable 127.0.0.1:9 --to 1.2.3.4:5",
		"--reliable 127.0.0.1:9 --flows 2",
		"--reliable 127.0.0.1:9 --batch-lines 2",
		"--reliable 127.0.0.1:9 --wait 0s",
		"--reliable 127.0.0.1:9 --key 0:/dev/null",
		"--reliable 127.0.0.1:9 --key 1:/dev/null",
		"--reliable 127.0.0.1:9 --cipher aes-256-gcm",
		"--reliable 127.0.0.1:9 --from /no/such/file",
		"--reliable 127.0.0.1:9 --from /dev/null --size 20",
		"--reliable 127.0.0.1:9 --from /dev/null --id 01234567",
		"--cluster c",
		"--cluster c --zookeeper 127.0.0.1",
		"--cluster c/d --zookeeper 127.0.0.1:9",
		"--cluster c --zookeeper 127.0.0.1:9 --listener a/b",
		"--cluster c --zookeeper 127.0.0.1:9 127.0.0.1:9",
		"--cluster c --zookeeper 127.0.0.1:9 --reliable 127.0.0.1:9",
		"--cluster c --zookeeper 127.0.0.1:9 --flows 2",
		"--zookeeper 127.0.0.1:9 --reliable 127.0.0.1:9",
		"--listener a --reliable 127.0.0.1:9",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (run(bad[i], NULL) != EXIT_CLI_USAGE)
			fail_msg("'%s' was not refused", bad[i]);
	}
}

static void the_account_is_complete_in_json(void **state)
{
	json_t *envelope, *data;
	char *out;
	int code;

	// Nobody listens there, or somebody does: the events are accounted for either way.
	(void)state;
	code = run("--json 127.0.0.1:9 --count 7 --rate max --size 20 --id 00ABCDEF", &out);
	assert_true(code == EXIT_CLI_OK || code == EXIT_CLI_DEGRADED);
	envelope = json_loads(out, 0, NULL);
	assert_non_null(envelope);
	assert_string_equal(
		json_string_value(json_object_get(envelope, "schema")), "millrace.send/1");
	data = json_object_get(envelope, "data");
	assert_string_equal(json_string_value(json_object_get(data, "id")), "00abcdef");
	assert_string_equal(json_string_value(json_object_get(data, "last_seq")), "6");
	assert_int_equal(json_integer_value(json_object_get(data, "sent")) +
				 json_integer_value(json_object_get(data, "refused")),
		7);
	assert_int_equal(json_integer_value(json_object_get(data, "refused")) > 0,
		code == EXIT_CLI_DEGRADED);
	assert_int_equal(json_integer_value(json_object_get(data, "bytes")),
		20 * json_integer_value(json_object_get(data, "sent")));
	json_decref(envelope);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_makes_no_sense_is_a_usage_error),
		cmocka_unit_test(the_account_is_complete_in_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
