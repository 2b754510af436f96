// SPDX-License-Identifier: BSD-3-Clause
// The API over a real server, with a core that does what a test says.

#include "../../lib/remove_tree.h"
#include "../http/client.h"
#include "common/clock.h"
#include "control/api.h"
#include "http/server.h"
#include "scripted_core.h"

#include <curl/curl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define READER "reader-secret-0123456789"
#define ADMIN "admin-secret-0123456789"
#define SOON_NS 15000000000u // far below the 30 s of a longest wait

static char dir[] = "/tmp/millrace-api-XXXXXX";
static struct conf conf;
static struct api *api;
static char answer[300000], why[HTTP_WHY_BYTES];

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
	(void)state;
	core_begin();
	core_set(true, "https://127.0.0.1:1", true, 200);
	return api_start(&api, &conf, &core_calls, why);
}

static int teardown(void **state)
{
	(void)state;
	api_stop(api);
	api = NULL;
	return 0;
}

// The status; headers and body in 'answer'.
static int ask(const char *method, const char *target, const char *body)
{
	return client_ask(conf.socket, method, target, body, answer, sizeof(answer), NULL);
}

// What comes in one piece, which is all of an answer that is small.
static void take_answer(int fd)
{
	ssize_t n = client_read(fd, answer, sizeof(answer) - 1);

	answer[n > 0 ? n : 0] = '\0';
	close(fd);
}

static void expect(const char *text)
{
	if (strstr(answer, text) == NULL)
		fail_msg("'%s' is not in: %s", text, answer);
}

static void the_leader_shows_each_view(void **state)
{
	static const struct {
		const char *path, *schema, *data;
	} cases[] = {{"status", "cluster-status/1", "[0]"},
		{"receivers", "cluster-receivers/1", "[1]"}, {"tasks", "cluster-tasks/1", "[2]"},
		{"spec", "cluster-spec/1", "[3]"}, {"events", "cluster-events/1", "[]"}};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "/api/v1/cluster/%s", cases[i].path);
		assert_int_equal(ask("GET", text, ""), 200);
		snprintf(text, sizeof(text), "\"schema\":\"millrace.%s\"", cases[i].schema);
		expect(text);
		snprintf(text, sizeof(text), "\"data\":%s", cases[i].data);
		expect(text);
		expect("\"receiver\":\"here\"");
	}
	assert_int_equal(ask("POST", "/api/v1/cluster/status", "{}"), 405);
	assert_int_equal(ask("GET", "/api/v1/cluster/scale", ""), 405);
	core.no_memory = true;
	assert_int_equal(ask("GET", "/api/v1/cluster/status", ""), 500);
}

static void each_process_says_how_it_is(void **state)
{
	(void)state;
	core_set(false, "", false, 0);
	assert_int_equal(ask("GET", "/healthz", ""), 200);
	expect("{\"health\":\"ok\",\"reasons\":[]}");
	core.healthy = false;
	assert_int_equal(ask("GET", "/healthz", ""), 503);
	expect("{\"health\":\"failed\",\"reasons\":[\"ZooKeeper is lost\"]}");
	assert_int_equal(ask("GET", "/metrics", ""), 200);
	expect("millrace_build_info{version=\"" MILLRACE_VERSION "\",receiver=\"here\"} 1");
	expect("millrace_http_requests_total 3");
	expect("# EOF");
	assert_int_equal(ask("GET", "/api/v1/drops", ""), 200);
	assert_int_equal(ask("GET", "/api/v1/cluster/leader", ""), 200);
	expect("{\"leader\":null,\"address\":null,\"here\":false}");
	core_set(true, "unix:/x", false, 0);
	assert_int_equal(ask("GET", "/api/v1/cluster/leader", ""), 200);
	expect("{\"leader\":\"one\",\"address\":\"unix:/x\",\"here\":true}");
}

static void a_command_waits_for_its_outcome(void **state)
{
	int fd;

	(void)state;
	core_set(true, "", false, 200);
	fd = client_dial(conf.socket);
	client_send(fd, "POST", "/api/v1/cluster/scale", "{\"count\":3}");
	core_wait(&core.asked, 3);
	assert_string_equal(core.command, "scale");
	assert_string_equal(core.body, "{\"count\":3}");
	core_set(true, "", true, 200);
	take_answer(fd);
	expect("HTTP/1.1 200");
	expect("\"schema\":\"millrace.cluster-scale/1\"");
	expect("\"data\":{\"done\":\"scale\"}");
	assert_int_equal(core.submitted, 1);
	assert_int_equal(core.forgotten, 0);
}

static void what_the_core_refuses_is_refused(void **state)
{
	(void)state;
	core_set(true, "", true, 409);
	assert_int_equal(ask("POST", "/api/v1/cluster/drain", "{\"slave\":\"s1\"}"), 409);
	expect("\"text\":\"no, since it is a test\"");
	assert_int_equal(core.forgotten, 0);
	assert_int_equal(core.asked, 1);
}

static void who_waits_in_vain_is_told(void **state)
{
	uint64_t begin = clock_monotonic_ns();

	(void)state;
	core_set(true, "", false, 0);
	assert_int_equal(ask("POST", "/api/v1/cluster/reset?wait_ms=50", "{}"), 504);
	assert_true(clock_monotonic_ns() - begin < SOON_NS);
	expect("may still take effect");
	expect("millrace cluster status");
	assert_int_equal(core.forgotten, 1);
	assert_true(core.asked >= 2);
	assert_int_equal(ask("POST", "/api/v1/cluster/reset?wait_ms=30001", "{}"), 400);
	assert_int_equal(core.submitted, 1);
}

static void tickets_of_who_goes_are_given_up(void **state)
{
	int fd = client_dial(conf.socket);

	(void)state;
	core_set(true, "", false, 0);
	client_send(fd, "POST", "/api/v1/cluster/restart", "");
	core_wait(&core.asked, 2);
	close(fd);
	core_wait(&core.forgotten, 1);
	fd = client_dial(conf.socket);
	client_send(fd, "POST", "/api/v1/cluster/restart", "{\"receiver\":null}");
	core_wait(&core.submitted, 2);
	api_stop(api);
	api = NULL;
	assert_int_equal(core.forgotten, 2);
	close(fd);
}

static void a_body_is_judged_before_the_core_sees_it(void **state)
{
	static const struct {
		const char *command, *body, *said;
	} cases[] = {
		{"scale", "", "scale: 'count' wants a whole number from 0"},
		{"scale", "{", "scale: the body is no JSON object: "},
		{"scale", "[]", "scale: the body is no JSON object"},
		{"scale", "{\"count\":-1}", "scale: 'count' wants a whole number from 0"},
		{"scale", "{\"count\":1.5}", "'count' wants a whole number"},
		{"scale", "{\"count\":1,\"count\":2}", "the body is no JSON object: duplicate"},
		{"scale", "{\"count\":1,\"cuont\":2}", "scale: 'cuont' is none of its fields"},
		{"apply", "{\"spec\":[]}", "apply: 'spec' wants an object"},
		{"apply", "{\"spec\":{},\"dry_run\":1}", "apply: 'dry_run' wants true or false"},
		{"drain", "{\"slave\":\"\"}", "drain: 'slave' wants a text"},
		{"drain", "{\"off\":true}", "drain: 'slave' wants a text"},
		{"replace", "{\"slave\":null}", "replace: 'slave' wants a text"},
		{"restart", "{\"receiver\":1}", "restart: 'receiver' wants a text or null"},
		{"reset", "{\"yes\":true}", "reset: 'yes' is none of its fields"},
	};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(path, sizeof(path), "/api/v1/cluster/%s", cases[i].command);
		assert_int_equal(ask("POST", path, cases[i].body), 400);
		expect(cases[i].said);
	}
	assert_int_equal(core.submitted, 0);
}

// 64 KiB of a receiver's file, each of whose bytes needs two.
static void a_large_spec_is_taken(void **state)
{
	size_t len = 128u << 10;
	char *body = malloc(len + 64);
	int fd, n;

	(void)state;
	assert_non_null(body);
	n = snprintf(body, 64, "{\"spec\":{\"receiver\":\"");
	for (size_t i = 0; i < len; i += 2)
		memcpy(body + n + i, "\\n", 2);
	snprintf(body + n + len, 8, "\"}}");
	fd = client_dial(conf.socket);
	dprintf(fd, "POST /api/v1/cluster/apply HTTP/1.1\r\nHost: m\r\nContent-Length: %zu\r\n\r\n",
		strlen(body));
	dprintf(fd, "%s", body);
	take_answer(fd);
	expect("HTTP/1.1 200");
	assert_int_equal(core.body_bytes, strlen(body));
	free(body);
}

static void a_follower_names_the_leader(void **state)
{
	(void)state;
	core_set(false, "https://leader.example:8444", false, 0);
	assert_int_equal(ask("GET", "/api/v1/cluster/status?junk=%0d%0aX:1", ""), 307);
	expect("\r\nLocation: https://leader.example:8444/api/v1/cluster/status\r\n");
	expect("\"leader\":\"one\",\"address\":\"https://leader.example:8444\",\"here\":false");
	assert_int_equal(ask("GET", "/api/v1/cluster/events?wait_ms=20&from=5", ""), 307);
	expect("\r\nLocation: https://leader.example:8444/api/v1/cluster/events?from=5&wait_ms=20"
	       "\r\n");
	assert_int_equal(ask("POST", "/api/v1/cluster/scale?wait_ms=9", "{\"count\":1}"), 307);
	expect("\r\nLocation: https://leader.example:8444/api/v1/cluster/scale?wait_ms=9\r\n");
	core_set(false, "unix:/run/millrace/control.sock", false, 0);
	assert_int_equal(ask("POST", "/api/v1/cluster/scale", "{\"count\":1}"), 503);
	expect("one leads, and serves only the Unix socket /run/millrace/control.sock of its host");
	core_set(false, "", false, 0);
	assert_int_equal(ask("GET", "/api/v1/cluster/tasks", ""), 503);
	expect("no leader is known");
	assert_null(strstr(answer, "Location"));
	assert_int_equal(core.submitted, 0);
	assert_int_equal(core.shown, 0);
}

static void events_are_waited_for(void **state)
{
	uint64_t begin = clock_monotonic_ns();
	unsigned shown;
	int fd;

	(void)state;
	core_add_event();
	assert_int_equal(ask("GET", "/api/v1/cluster/events?from=0&wait_ms=30000", ""), 200);
	expect("\"data\":[{\"id\":1}]");
	assert_int_equal(ask("GET", "/api/v1/cluster/events?from=1", ""), 200);
	expect("\"data\":[]");
	assert_true(clock_monotonic_ns() - begin < SOON_NS);
	assert_int_equal(ask("GET", "/api/v1/cluster/events?from=1&wait_ms=60", ""), 200);
	expect("\"data\":[]");
	assert_true(clock_monotonic_ns() - begin >= 60000000u);
	fd = client_dial(conf.socket);
	client_send(fd, "GET", "/api/v1/cluster/events?from=1&wait_ms=30000", "");
	shown = core_count(&core.shown);
	core_wait(&core.shown, shown + 2);
	core_add_event();
	take_answer(fd);
	expect("\"data\":[{\"id\":2}]");
	assert_int_equal(ask("GET", "/api/v1/cluster/events?from=x", ""), 400);
}

static void who_waits_for_events_learns_of_another_leader(void **state)
{
	uint64_t begin = clock_monotonic_ns();
	unsigned shown;
	int fd = client_dial(conf.socket);

	(void)state;
	client_send(fd, "GET", "/api/v1/cluster/events?from=0&wait_ms=30000", "");
	shown = core_count(&core.shown);
	core_wait(&core.shown, shown + 1);
	core_set(false, "https://b.example:1", true, 200);
	take_answer(fd);
	expect("HTTP/1.1 307");
	assert_true(clock_monotonic_ns() - begin < SOON_NS);
}

static size_t drop(char *data, size_t size, size_t count, void *arg)
{
	(void)data, (void)arg;
	return size * count;
}

static long ask_tls(const char *method, const char *path, const char *token)
{
	CURL *curl = curl_easy_init();
	char url[128];
	long status = 0;

	snprintf(url, sizeof(url), "https://127.0.0.1:%u%s", api_tcp_port(api), path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CAINFO, conf.api.certificate);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
	if (token != NULL) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
	}
	if (strcmp(method, "POST") == 0)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{\"count\":1}");
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	return status;
}

static void a_role_may_what_it_may(void **state)
{
	(void)state;
	assert_int_equal(ask_tls("GET", "/api/v1/cluster/status", NULL), 401);
	assert_int_equal(ask_tls("GET", "/api/v1/cluster/status", READER), 200);
	assert_int_equal(ask_tls("GET", "/api/v1/cluster/events", READER), 200);
	assert_int_equal(ask_tls("GET", "/metrics", READER), 200);
	assert_int_equal(ask_tls("POST", "/api/v1/cluster/scale", READER), 403);
	assert_int_equal(core.submitted, 0);
	assert_int_equal(ask_tls("POST", "/api/v1/cluster/scale", ADMIN), 200);
	assert_int_equal(core.submitted, 1);
	// A follower's too: nobody learns from it who leads without a token.
	core_set(false, "https://leader.example:8444", false, 0);
	assert_int_equal(ask_tls("GET", "/api/v1/cluster/status", NULL), 401);
	assert_int_equal(ask_tls("POST", "/api/v1/cluster/scale", READER), 403);
	assert_int_equal(ask_tls("GET", "/api/v1/cluster/status", READER), 307);
}

static void what_keeps_it_from_starting_is_told(void **state)
{
	struct api *second = NULL;

	(void)state;
	assert_true(api_start(&second, &conf, &core_calls, why) < 0);
	assert_non_null(strstr(why, "socket"));
	assert_null(second);
}

static void configure(void)
{
	snprintf(conf.name, sizeof(conf.name), "here");
	snprintf(conf.socket, sizeof(conf.socket), "%s/socket", dir);
	snprintf(conf.api.listen, sizeof(conf.api.listen), "127.0.0.1:0");
	snprintf(conf.api.certificate, sizeof(conf.api.certificate), "%s/crt", dir);
	snprintf(conf.api.key, sizeof(conf.api.key), "%s/key", dir);
	snprintf(conf.api.tokens, sizeof(conf.api.tokens), "%s/tokens", dir);
	write_file(conf.api.tokens, "read someone " READER "\nadmin me " ADMIN "\n");
	chmod(conf.api.key, 0600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_leader_shows_each_view),
		TEST(each_process_says_how_it_is),
		TEST(a_command_waits_for_its_outcome),
		TEST(what_the_core_refuses_is_refused),
		TEST(who_waits_in_vain_is_told),
		TEST(tickets_of_who_goes_are_given_up),
		TEST(a_body_is_judged_before_the_core_sees_it),
		TEST(a_large_spec_is_taken),
		TEST(a_follower_names_the_leader),
		TEST(events_are_waited_for),
		TEST(who_waits_for_events_learns_of_another_leader),
		TEST(a_role_may_what_it_may),
		TEST(what_keeps_it_from_starting_is_told),
	};
	char command[256];
	int ret;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
		"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout %s/key -out "
		"%s/crt 2>/dev/null",
		dir, dir);
	if (system(command) != 0)
		return 1;
	configure();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	remove_tree(dir);
	return ret;
}
