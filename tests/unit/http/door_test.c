// SPDX-License-Identifier: BSD-3-Clause
// TCP: TLS, tokens and roles, with libcurl for a client.

#include "../../lib/remove_tree.h"
#include "http/server.h"

#include <curl/curl.h>

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define READER "reader-secret-0123456789"
#define CONSUMER "consumer-secret-0123456789"
#define ADMIN "admin-secret-0123456789"

static char dir[] = "/tmp/millrace-door-XXXXXX";
static struct config_api api;
static struct http *http;
static char socket_path[64], why[HTTP_WHY_BYTES];
static char answer[8192];
static size_t answer_len;

static void serve(const struct http_request *req, struct http_reply *reply, void *arg)
{
	reply->schema = "millrace.echo/1";
	reply->data = json_pack("{s:s, s:s, s:I}", "what", (const char *)arg, "param",
		req->params[0], "body_bytes", (json_int_t)req->body_len);
}

static char read_it[] = "read", consume_it[] = "consume", admin_it[] = "admin";

static const struct http_route routes[] = {
	{"/read", serve, read_it},
	{"/consume/{x}", serve, consume_it, HTTP_GET, HTTP_CONSUME, false},
	{"/consume/{x}", serve, consume_it, HTTP_PUT, HTTP_CONSUME, true},
	{"/admin", serve, admin_it, HTTP_POST, HTTP_ADMIN, true},
	{NULL, NULL, NULL},
};

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void write_tokens(const char *text)
{
	write_file(api.tokens, text, 0640);
}

#define TOKENS \
	"# who may\n\nread\tprometheus " READER "\nread,consume  spark " CONSUMER \
	"\nadmin me " ADMIN "\n"

static int start(void)
{
	struct http_options options = {
		.socket_path = socket_path, .receiver = "test", .routes = routes, .api = &api};

	return http_start_with(&http, &options, why);
}

static int setup(void **state)
{
	(void)state;
	snprintf(api.listen, sizeof(api.listen), "127.0.0.1:0");
	snprintf(api.certificate, sizeof(api.certificate), "%s/crt", dir);
	snprintf(api.key, sizeof(api.key), "%s/key", dir);
	snprintf(api.tokens, sizeof(api.tokens), "%s/tokens", dir);
	chmod(api.key, 0600);
	write_tokens(TOKENS);
	return 0;
}

static int setup_started(void **state)
{
	int r = setup(state);

	return r == 0 ? start() : r;
}

static int teardown(void **state)
{
	(void)state;
	http_stop(http);
	http = NULL;
	return 0;
}

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	size_t len = size * count, room = sizeof(answer) - 1 - answer_len;

	(void)arg;
	memcpy(answer + answer_len, data, len < room ? len : room);
	answer_len += len < room ? len : room;
	answer[answer_len] = '\0';
	return len;
}

// The status; 0: no answer. What came is in 'answer', headers too.
static long ask(const char *method, const char *path, const char *token, const char *body)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	char url[128], line[128];
	long status = 0;

	snprintf(url, sizeof(url), "https://127.0.0.1:%u%s", http_tcp_port(http), path);
	snprintf(line, sizeof(line), "Authorization: %s", token);
	if (token[0] != '\0')
		headers = curl_slist_append(headers, line);
	answer_len = 0;
	answer[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CAINFO, api.certificate);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HEADER, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
	if (body != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	assert_null(strstr(answer, "-secret-")); // whatever was asked
	return status;
}

static void a_role_may_what_it_may(void **state)
{
	static const struct {
		const char *token, *method, *path;
		long status;
	} cases[] = {
		{"Bearer " READER, "GET", "/read", 200},
		{"Bearer " READER, "GET", "/metrics", 200},
		{"Bearer " READER, "GET", "/consume/x", 403},
		{"Bearer " READER, "PUT", "/consume/x", 403},
		{"Bearer " READER, "POST", "/admin", 403},
		{"Bearer " READER, "GET", "/admin", 405},
		{"Bearer " CONSUMER, "GET", "/read", 200},
		{"bearer  " CONSUMER, "GET", "/consume/x", 200},
		{"Bearer " CONSUMER, "PUT", "/consume/x", 200},
		{"Bearer " CONSUMER, "POST", "/admin", 403},
		{"Bearer " ADMIN, "POST", "/admin", 200},
		{"Bearer " ADMIN, "PUT", "/consume/x", 200},
		{"Bearer " ADMIN, "GET", "/nowhere", 404},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		long status = ask(cases[i].method, cases[i].path, cases[i].token,
			strcmp(cases[i].method, "GET") == 0 ? NULL : "{}");

		if (status != cases[i].status)
			fail_msg("case %zu: %ld %s", i, status, answer);
	}
}

static void who_has_no_token_learns_nothing(void **state)
{
	static const char *const tokens[] = {"", "Bearer", "Bearer ", "Bearer x",
		"Bearer " READER "x", "Basic " READER, READER, "Bearer " READER " " ADMIN};
	static const char *const paths[] = {"/read", "/admin", "/nowhere", "/metrics"};

	(void)state;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
		for (size_t k = 0; k < sizeof(paths) / sizeof(paths[0]); k++) {
			assert_int_equal(ask("GET", paths[k], tokens[i], NULL), 401);
			assert_non_null(strstr(answer, "WWW-Authenticate: Bearer"));
			assert_null(strstr(answer, "/consume"));
		}
	assert_int_equal(ask("BREW", "/read", "", NULL), 401);
	assert_int_equal(ask("PUT", "/consume/x", "", "{}"), 401);
}

static void a_token_can_be_withdrawn(void **state)
{
	(void)state;
	assert_int_equal(http_tcp_check(&api, why), 0);
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 200);
	write_tokens("read prometheus another-secret-0123456789\n");
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 401);
	assert_int_equal(ask("GET", "/read", "Bearer another-secret-0123456789", NULL), 200);
	write_tokens(TOKENS);
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 200);
}

static void a_bad_file_of_tokens_lets_nobody_in(void **state)
{
	(void)state;
	write_tokens(TOKENS "nonsense\n");
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 503);
	assert_int_equal(ask("GET", "/read", "", NULL), 503);
	write_tokens(TOKENS);
	assert_int_equal(chmod(api.tokens, 0644), 0);
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 503);
	assert_int_equal(chmod(api.tokens, 0640), 0);
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 200);
	assert_int_equal(unlink(api.tokens), 0);
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 503);
}

static void a_body_is_taken_up_to_its_bound(void **state)
{
	char *body = malloc(HTTP_BODY_MAX + 2);

	(void)state;
	assert_non_null(body);
	memset(body, 'x', HTTP_BODY_MAX + 1);
	body[HTTP_BODY_MAX + 1] = '\0';
	assert_int_equal(ask("PUT", "/consume/x", "Bearer " CONSUMER, body), 413);
	body[HTTP_BODY_MAX] = '\0';
	assert_int_equal(ask("PUT", "/consume/a%20b", "Bearer " CONSUMER, body), 200);
	assert_non_null(strstr(answer, "\"body_bytes\":65536"));
	assert_non_null(strstr(answer, "\"param\":\"a b\""));
	free(body);
}

// More than there is room for, and none of them begins a handshake.
static void silent_connections_keep_nobody_out(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_tcp_port(http)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fds[200];

	(void)state;
	for (int i = 0; i < 200; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof(to)), 0);
	}
	assert_int_equal(ask("GET", "/read", "Bearer " READER, NULL), 200);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
}

// By the start, and 'early' by the check before one.
static void refused(const char *said, bool early)
{
	assert_int_equal(http_tcp_check(&api, why) < 0, early);
	if (start() == 0)
		fail_msg("it started, without: %s", said);
	assert_non_null(strstr(why, said));
	assert_null(strstr(why, "-secret-"));
	assert_int_equal(access(socket_path, F_OK), -1);
}

static void what_is_not_safe_is_refused(void **state)
{
	(void)state;
	api.key[0] = '\0';
	refused("api.listen wants api.certificate, api.key and api.tokens", true);
	setup(NULL);
	chmod(api.key, 0604);
	refused("chmod o=", true);
	setup(NULL);
	chmod(api.tokens, 0604);
	refused("chmod o=", true);
	unlink(api.tokens);
	refused("No such file", true);
	setup(NULL);
	write_file(api.key, "no key", 0600);
	refused("can't be used", false);
	unlink(api.key);
}

static void bad_tokens_are_told_by_their_line(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"", "has no token"},
		{"# none\n", "has no token"},
		{"read name tiny\n", "line 1: the secret wants 16"},
		{"\nread name\n", "line 2: wants three words"},
		{"read name x-secret-0123456789 more\n", "line 1: wants three words"},
		{"write name x-secret-0123456789\n", "line 1: roles are"},
		{"read, name x-secret-0123456789\n", "line 1: roles are"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_tokens(cases[i].text);
		refused(cases[i].said, true);
	}
}

static void bad_addresses_are_told(void **state)
{
	static const char *const bad[] = {"8443", ":8443", "127.0.0.1", "127.0.0.1:", "::1:8443",
		"[::1]", "[127.0.0.1]:1", "localhost:8443", "127.0.0.1:99999", "127.0.0.1:x"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(api.listen, sizeof(api.listen), "%s", bad[i]);
		refused("wants ADDRESS:PORT", true);
	}
	snprintf(api.listen, sizeof(api.listen), "192.0.2.1:1");
	refused("192.0.2.1:1", false);
}

#define STARTED(test) cmocka_unit_test_setup_teardown(test, setup_started, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STARTED(a_role_may_what_it_may), STARTED(who_has_no_token_learns_nothing),
		STARTED(a_token_can_be_withdrawn), STARTED(a_bad_file_of_tokens_lets_nobody_in),
		STARTED(a_body_is_taken_up_to_its_bound),
		STARTED(silent_connections_keep_nobody_out),
		cmocka_unit_test_setup(bad_tokens_are_told_by_their_line, setup),
		cmocka_unit_test_setup(bad_addresses_are_told, setup),
		cmocka_unit_test_setup(
			what_is_not_safe_is_refused, setup), // the last: no key is left
	};
	char command[256];
	int ret;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	snprintf(command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
		"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout %s/key -out "
		"%s/crt "
		"2>/dev/null",
		dir, dir);
	if (system(command) != 0)
		return 1;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	remove_tree(dir);
	return ret;
}
