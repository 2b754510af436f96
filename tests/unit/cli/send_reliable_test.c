// SPDX-License-Identifier: BSD-3-Clause
// `millrace send --reliable` with a receiver in this process.

#include "../lib/receiver.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/send/send.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct receiver_options plain = {.log = 1}, lossy = {.loss = 3, .log = 1};

// Runs "millrace --json send --reliable RECEIVER WORDS"; returns its data (the caller's) and exit
// code.
static json_t *run(const char *receiver, const char *words, int *ret_code)
{
	struct cli_request request;
	char line[512], *argv[32], *save = NULL;
	FILE *out = tmpfile();
	int argc = 0, keep = dup(STDOUT_FILENO);
	json_t *envelope, *data;

	snprintf(line, sizeof(line), "millrace --json send --reliable %s %s", receiver, words);
	for (char *word = strtok_r(line, " ", &save); word != NULL;
		word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	assert_int_equal(cli_parse_line(argc, argv, &request), 0);
	fflush(stdout);
	dup2(fileno(out), STDOUT_FILENO);
	*ret_code = request.command->run(&request.cli, &request.args);
	fflush(stdout);
	dup2(keep, STDOUT_FILENO);
	close(keep);
	rewind(out);
	envelope = json_loadf(out, 0, NULL);
	fclose(out);
	assert_non_null(envelope);
	assert_string_equal(
		json_string_value(json_object_get(envelope, "schema")), "millrace.send-reliable/1");
	data = json_incref(json_object_get(envelope, "data"));
	json_decref(envelope);
	return data;
}

static json_int_t number(const json_t *data, const char *name)
{
	const json_t *value = json_object_get(data, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

// The i-th of them is that of the receiver with this name and number.
static void check_log(const json_t *logs, size_t i, const char *receiver, unsigned log)
{
	const json_t *found = json_array_get(logs, i);
	char id[33];

	snprintf(id, sizeof(id), "%02x01%028x", log, 0);
	assert_string_equal(json_string_value(json_object_get(found, "receiver")), receiver);
	assert_string_equal(json_string_value(json_object_get(found, "log_id")), id);
	assert_int_equal(number(found, "epoch"), i + 1);
	assert_int_equal(json_is_null(json_object_get(found, "from")), i == 0);
}

static void each_generated_event_arrives_and_is_accounted_for(void **state)
{
	const json_t *latency;
	struct receiver r;
	uint8_t seen[2000] = {0};
	json_t *data;
	int code;

	(void)state;
	receiver_init(&r, &lossy);
	receiver_start(&r);
	data = run(r.name, "--count 2000 --rate max --size 18-1500 --id 0c0ffee0", &code);
	receiver_kill(&r);
	assert_int_equal(code, EXIT_CLI_OK);
	assert_int_equal(number(data, "sent"), 2000);
	assert_int_equal(number(data, "acknowledged"), 2000);
	assert_true(number(data, "retransmitted") > 0);
	assert_int_equal(number(data, "overlap"), 0);
	check_log(json_object_get(data, "logs"), 0, r.name, 1);
	assert_int_equal(json_array_size(json_object_get(data, "logs")), 1);
	latency = json_object_get(data, "ack_latency_ns");
	assert_true(number(latency, "p50") > 0);
	assert_true(number(latency, "p50") <= number(latency, "p99"));
	assert_true(number(latency, "max") <= number(data, "elapsed_ns"));
	for (unsigned i = 0; i < r.row_count; i++) {
		uint64_t seq;

		if (r.rows[i].is_opening)
			continue;
		assert_int_equal(
			send_payload_parse(r.rows[i].payload, r.rows[i].len, 0x0c0ffee0, &seq),
			SEND_PAYLOAD_OURS);
		assert_int_equal(seq, r.rows[i].seq);
		assert_int_equal(seen[seq]++, 0);
	}
	assert_int_equal(receiver_durable_events(&r), 2000);
	json_decref(data);
	receiver_free(&r);
}

static void a_rate_is_kept(void **state)
{
	struct receiver r;
	json_t *data;
	int code;

	(void)state;
	receiver_init(&r, &plain);
	receiver_start(&r);
	data = run(r.name, "--duration 300ms --rate 1000", &code);
	assert_int_equal(code, EXIT_CLI_OK);
	assert_int_equal(number(data, "acknowledged"), 300);
	assert_true(number(data, "elapsed_ns") >= 299000000);
	json_decref(data);
	receiver_free(&r);
}

static void lines_of_a_file_are_events(void **state)
{
	static const char *const lines[] = {"one", "", "three", "the last"};
	char path[] = "/tmp/millrace-lines-XXXXXX", words[64];
	int fd = mkstemp(path), code;
	unsigned found = 0;
	struct receiver r;
	json_t *data;

	(void)state;
	assert_int_equal(write(fd, "one\n\nthree\nthe last", 19), 19);
	close(fd);
	receiver_init(&r, &plain);
	receiver_start(&r);
	snprintf(words, sizeof(words), "--from %s", path);
	data = run(r.name, words, &code);
	unlink(path);
	receiver_kill(&r);
	assert_int_equal(code, EXIT_CLI_OK);
	assert_int_equal(number(data, "sent"), 4);
	assert_int_equal(number(data, "bytes"), 16);
	assert_true(json_is_null(json_object_get(data, "id")));
	for (unsigned i = 0; i < r.row_count; i++) {
		if (r.rows[i].is_opening)
			continue;
		assert_int_equal(r.rows[i].seq, found);
		assert_int_equal(r.rows[i].len, strlen(lines[found]));
		assert_memory_equal(r.rows[i].payload, lines[found], r.rows[i].len);
		found++;
	}
	assert_int_equal(found, 4);
	json_decref(data);
	receiver_free(&r);
}

static void what_nobody_acknowledges_is_exit_code_1(void **state)
{
	struct receiver r;
	json_t *data;
	int code;

	(void)state;
	receiver_init(&r, &plain);
	data = run(r.name, "--count 10 --rate max --wait 100ms", &code);
	assert_int_equal(code, EXIT_CLI_DEGRADED);
	assert_int_equal(number(data, "sent"), 10);
	assert_int_equal(number(data, "acknowledged"), 0);
	assert_int_equal(number(data, "failed"), 10);
	assert_int_equal(number(data, "uncertain"), 0);
	json_decref(data);
	receiver_free(&r);
}

static void an_interrupt_ends_it_with_the_account(void **state)
{
	struct receiver r;
	json_t *data;
	int code;

	(void)state;
	receiver_init(&r, &plain);
	receiver_start(&r);
	cli_interrupted = true;
	data = run(r.name, "--count 1000000000 --rate max", &code);
	cli_interrupted = false;
	assert_int_equal(code, EXIT_CLI_INTERRUPTED);
	assert_int_equal(number(data, "sent"), number(data, "acknowledged"));
	json_decref(data);
	receiver_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_generated_event_arrives_and_is_accounted_for),
		cmocka_unit_test(a_rate_is_kept),
		cmocka_unit_test(lines_of_a_file_are_events),
		cmocka_unit_test(what_nobody_acknowledges_is_exit_code_1),
		cmocka_unit_test(an_interrupt_ends_it_with_the_account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
