// SPDX-License-Identifier: BSD-3-Clause
// Consumers over a real log and the real server: fencing, what is stored, and who holds what.

#include "../../lib/remove_tree.h"
#include "client.h"
#include "common/file.h"
#include "pull_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_TURNS 3000 // of 10 ms

static struct pull_log_fixture f;
static char dir[64], log_dir[80], socket_path[80];
static char answer[16384];

static void serve(void)
{
	char why[HTTP_WHY_BYTES];

	if (pull_log_serve(&f, socket_path, why) < 0)
		fail_msg("%s", why);
}

static int setup_with(uint64_t retain_bytes)
{
	snprintf(dir, sizeof(dir), "/tmp/millrace-consumers-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(log_dir, sizeof(log_dir), "%s/0", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	f = (struct pull_log_fixture){0};
	f.api = (struct config_api){
		.consumers = 2, .consumer_ttl_ns = 3600000000000u, .consumer_hold_bytes = 8u << 20};
	pull_log_open(&f, log_dir, retain_bytes);
	for (int i = 0; i < 5; i++)
		pull_log_write(&f, 3, 8, true);
	serve();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(0);
}

static int setup_small(void **state)
{
	(void)state;
	return setup_with(2u << 20);
}

static int teardown(void **state)
{
	(void)state;
	pull_log_stop(&f);
	pull_log_close(&f);
	remove_tree(dir);
	return 0;
}

static void restart(void)
{
	pull_log_stop(&f);
	serve();
}

// The status; what was said is in 'answer'.
static int ask(const char *method, const char *target, const char *body)
{
	char path[256];

	snprintf(path, sizeof(path), "/api/v1/partitions/0/%s", target);
	return client_ask(socket_path, method, path, body, answer, sizeof(answer), NULL);
}

static json_t *body_of(void)
{
	const char *body = strstr(answer, "\r\n\r\n");
	json_t *ret;

	assert_non_null(body);
	ret = json_loads(body, 0, NULL);
	assert_non_null(ret);
	return ret;
}

static void field(const char *name, char ret[64])
{
	json_t *all = body_of();
	const json_t *value = json_object_get(json_object_get(all, "data"), name);

	assert_true(json_is_string(value));
	snprintf(ret, 64, "%s", json_string_value(value));
	json_decref(all);
}

static uint64_t field_number(const char *name)
{
	char text[64];

	field(name, text);
	return strtoull(text, NULL, 10);
}

static const char *state_of(const char *name)
{
	static char text[64];
	char target[128];

	snprintf(target, sizeof(target), "consumers/%s", name);
	assert_int_equal(ask("GET", target, ""), 200);
	field("state", text);
	return text;
}

static uint64_t take(const char *name, const char *body)
{
	char target[128];
	int status;

	snprintf(target, sizeof(target), "consumers/%s", name);
	status = ask("PUT", target, body);
	if (status != 200)
		fail_msg("%s", answer);
	return field_number("token");
}

static int commit(const char *name, uint64_t token, uint64_t batch, const char *more)
{
	char target[128], body[256], id[33];

	wal_id_text(&f.report.log_id, id);
	snprintf(target, sizeof(target), "consumers/%s/commit", name);
	snprintf(body, sizeof(body),
		"{\"token\":\"%llu\",\"log_id\":\"%s\",\"next_batch\":\"%llu\"%s}",
		(unsigned long long)token, id, (unsigned long long)batch, more);
	return ask("POST", target, body);
}

static void a_new_one_begins_where_it_is_told(void **state)
{
	(void)state;
	take("a", "");
	assert_int_equal(field_number("next_batch"), 0);
	assert_int_equal(field_number("next_seq"), 0);
	take("b", "{\"from\":\"next\"}");
	assert_int_equal(field_number("next_batch"), 5);
	assert_int_equal(field_number("next_seq"), 15);
	pull_log_write(&f, 3, 8, false);
	assert_int_equal(commit("a", take("a", ""), 5, ""), 200);
	assert_int_equal(field_number("next_seq"), 15); // before the rows that no seal covers
}

static void an_older_token_is_refused(void **state)
{
	uint64_t first, second;

	(void)state;
	first = take("a", "");
	assert_int_equal(commit("a", first, 1, ""), 200);
	second = take("a", "");
	assert_true(second > first);
	assert_int_equal(commit("a", first, 2, ""), 409);
	assert_non_null(strstr(answer, "taken the consumer over"));
	assert_int_equal(commit("a", second + 1, 2, ""), 409);
	assert_int_equal(commit("a", second, 2, ""), 200);
}

static void tokens_never_come_again(void **state)
{
	uint64_t last = take("a", ""), now;

	(void)state;
	assert_int_equal(ask("DELETE", "consumers/a", ""), 200);
	assert_int_equal(ask("GET", "consumers/a", ""), 404);
	now = take("a", "");
	assert_true(now > last);
	restart();
	assert_true(take("a", "") > now);
}

static void a_commit_is_stored_before_it_is_answered(void **state)
{
	char path[160], *text;
	uint64_t token = take("a", "");
	size_t len;

	(void)state;
	assert_int_equal(commit("a", token, 3, ""), 200);
	// as if killed now: nothing that comes later may write the file
	snprintf(path, sizeof(path), "%s/consumers.json", log_dir);
	assert_int_equal(file_read(path, 1 << 20, &text, &len), 0);
	pull_log_stop(&f);
	assert_int_equal(file_replace(log_dir, "consumers.json", text, len), 0);
	free(text);
	serve();
	assert_string_equal(state_of("a"), "active");
	assert_int_equal(field_number("next_batch"), 3);
	assert_int_equal(field_number("next_seq"), 9);
	assert_int_equal(commit("a", token, 4, ""), 200); // the holder goes on
}

static void a_place_is_judged(void **state)
{
	uint64_t token = take("a", "");
	char body[200];

	(void)state;
	assert_int_equal(commit("a", token, 6, ""), 409);
	assert_non_null(strstr(answer, "beyond what is sealed"));
	assert_int_equal(commit("a", token, 4, ""), 200);
	assert_int_equal(commit("a", token, 4, ""), 200); // once more is fine
	assert_int_equal(commit("a", token, 2, ""), 409);
	assert_int_equal(commit("a", token, 2, ",\"rewind\":true"), 200);
	assert_int_equal(field_number("next_seq"), 6);
	snprintf(body, sizeof(body),
		"{\"token\":%llu,\"log_id\":\"00000000000000000000000000000000\",\"next_batch\":3}",
		(unsigned long long)token);
	assert_int_equal(ask("POST", "consumers/a/commit", body), 409);
	assert_non_null(strstr(answer, "this log's id is"));
}

static void bad_requests_are_told(void **state)
{
	static const char *const bodies[] = {"[]", "{", "{\"ttl\":5}", "{\"ttl\":\"0s\"}",
		"{\"ttl\":\"2h\"}", "{\"max_bytes\":0}", "{\"max_bytes\":8388609}",
		"{\"from\":\"here\"}", "{\"other\":1}", "{\"ttl\":\"5s\",\"ttl\":\"6s\"}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(ask("PUT", "consumers/a", bodies[i]), 400);
	assert_int_equal(ask("PUT", "consumers/a%20b", ""), 400);
	assert_int_equal(ask("GET", "consumers/a", ""), 404); // none of these has made it
	take("a", "");
	assert_int_equal(ask("POST", "consumers/a/commit", "{}"), 400);
	assert_int_equal(ask("POST", "consumers/b/commit", "{}"), 404);
	assert_int_equal(ask("POST", "consumers/a", "{}"), 405);
	assert_non_null(strstr(answer, "Allow: GET, HEAD, PUT, DELETE"));
	take("b", "");
	assert_int_equal(ask("PUT", "consumers/c", ""), 409);
	assert_non_null(strstr(answer, "api.consumers"));
}

// Segments of 1 MiB; two are kept.
static void write_segments(unsigned count)
{
	for (unsigned i = 0; i < count * 10; i++)
		pull_log_write(&f, 100, 1000, true);
}

static bool is_there(unsigned batch)
{
	char target[64];

	snprintf(target, sizeof(target), "batches/%u", batch);
	return ask("HEAD", target, "") == 200;
}

static void wait_until_gone(unsigned batch)
{
	struct timespec nap = {.tv_nsec = 10000000};

	for (int i = 0; i < WAIT_TURNS; i++) {
		if (!is_there(batch))
			return;
		nanosleep(&nap, NULL);
	}
	fail_msg("batch %u is there still", batch);
}

static void wait_for_state(const char *name, const char *wanted)
{
	struct timespec nap = {.tv_nsec = 10000000};

	for (int i = 0; i < WAIT_TURNS; i++) {
		if (strcmp(state_of(name), wanted) == 0)
			return;
		nanosleep(&nap, NULL);
	}
	fail_msg("%s doesn't become %s", name, wanted);
}

static void its_place_is_held_until_it_commits(void **state)
{
	uint64_t token = take("a", "{\"max_bytes\":8388608}");

	(void)state;
	write_segments(5);
	assert_true(is_there(0));
	restart();
	write_segments(1);
	assert_true(is_there(0));
	assert_int_equal(commit("a", token, 30, ""), 200);
	write_segments(2);
	wait_until_gone(0);
	assert_true(is_there(30));
}

static void its_bound_of_bytes_gives_up(void **state)
{
	uint64_t token = take("a", "{\"max_bytes\":4194304}");

	(void)state;
	write_segments(8);
	wait_until_gone(0);
	wait_for_state("a", "overrun");
	assert_non_null(strstr(answer, "consumer_overrun"));
	assert_int_equal(commit("a", token, 1, ""), 200); // what it had read before
	assert_non_null(strstr(answer, "consumer_overrun"));
	assert_int_equal(ask("GET", "batches/1", ""), 410);
	assert_non_null(strstr(answer, "Millrace-Oldest-Batch: "));
	assert_int_equal(commit("a", token, 80, ""), 200);
	assert_non_null(strstr(answer, "consumer_overrun")); // a last time
	assert_string_equal(state_of("a"), "active");
	assert_null(strstr(answer, "consumer_overrun"));
	assert_int_equal(commit("a", token, 1, ",\"rewind\":true"), 410);
}

static void its_time_is_over(void **state)
{
	uint64_t token = take("a", "{\"ttl\":\"1s\"}");

	(void)state;
	wait_for_state("a", "expired");
	restart();
	assert_string_equal(state_of("a"), "expired");
	assert_int_equal(commit("a", token, 1, ""), 200); // it is back, and its place was there
	assert_string_equal(state_of("a"), "active");
	wait_for_state("a", "expired");
	write_segments(5);
	wait_until_gone(1);
	take("a", "");
	assert_non_null(strstr(answer, "consumer_overrun"));
}

static void rewrite(const char *from, const char *to)
{
	char path[160], *text, *at;
	size_t len;

	snprintf(path, sizeof(path), "%s/consumers.json", log_dir);
	assert_int_equal(file_read(path, 1 << 20, &text, &len), 0);
	at = strstr(text, from);
	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
	assert_int_equal(file_replace(log_dir, "consumers.json", text, len), 0);
	free(text);
}

static unsigned alarms(void)
{
	json_t *reasons = json_array();
	unsigned ret = pull_alarms(f.pull, reasons);

	assert_int_equal(ret, json_array_size(reasons));
	json_decref(reasons);
	return ret;
}

static void a_damaged_file_is_an_alarm(void **state)
{
	char path[160];

	(void)state;
	take("a", "");
	assert_int_equal(alarms(), 0);
	pull_log_stop(&f);
	rewrite("\"next_seq\": 0", "\"next_seq\": 3");
	serve();
	assert_int_equal(alarms(), 1);
	assert_int_equal(ask("PUT", "consumers/a", ""), 503);
	assert_int_equal(ask("GET", "consumers", ""), 200);
	assert_non_null(strstr(answer, "consumers_file_damaged"));
	snprintf(path, sizeof(path), "%s/consumers.json", log_dir);
	assert_int_equal(unlink(path), 0);
	take("a", "");
	assert_int_equal(alarms(), 0);
}

static void consumers_of_another_log_are_kept_apart(void **state)
{
	char other[80], path[160], *text;
	size_t len;

	(void)state;
	take("a", "");
	take("b", "");
	pull_log_stop(&f);
	pull_log_close(&f);
	snprintf(path, sizeof(path), "%s/consumers.json", log_dir);
	assert_int_equal(file_read(path, 1 << 20, &text, &len), 0);
	snprintf(other, sizeof(other), "%s/1", dir);
	pull_log_open(&f, other, 0);
	assert_int_equal(file_replace(other, "consumers.json", text, len), 0);
	free(text);
	serve();
	assert_int_equal(alarms(), 1);
	assert_string_equal(state_of("a"), "other_log");
	assert_int_equal(ask("PUT", "consumers/a", ""), 409);
	assert_int_equal(ask("PUT", "consumers/c", ""), 409);
	assert_int_equal(ask("DELETE", "consumers/a", ""), 200);
	assert_int_equal(ask("DELETE", "consumers/b", ""), 200);
	assert_int_equal(alarms(), 0);
	assert_true(take("a", "") > 2);
	restart();
	assert_string_equal(state_of("a"), "active");
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(setup, a_new_one_begins_where_it_is_told),
		WITH(setup, an_older_token_is_refused),
		WITH(setup, tokens_never_come_again),
		WITH(setup, a_commit_is_stored_before_it_is_answered),
		WITH(setup, a_place_is_judged),
		WITH(setup, bad_requests_are_told),
		WITH(setup_small, its_place_is_held_until_it_commits),
		WITH(setup_small, its_bound_of_bytes_gives_up),
		WITH(setup_small, its_time_is_over),
		WITH(setup, a_damaged_file_is_an_alarm),
		WITH(setup, consumers_of_another_log_are_kept_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
