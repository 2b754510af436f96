// SPDX-License-Identifier: BSD-3-Clause

#include "control/conf.h"
#include "problem_cases.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Two lines.
#define LEAST "zookeeper: {servers: \"z1:2181,z2:2181\"}\nmesos: {master: \"zk://z1:2181/mesos\"}\n"

static struct conf conf;

int parse_case(const char *text)
{
	return conf_parse(text, strlen(text), &conf, &case_problems);
}

static void the_least_has_the_defaults(void **state)
{
	char host[CONFIG_NAME_MAX] = "";

	(void)state;
	assert_valid(LEAST);
	assert_int_equal(case_problems.count, 0);
	gethostname(host, sizeof(host) - 1);
	assert_string_equal(conf.name, host);
	assert_string_equal(conf.cluster, "default");
	assert_string_equal(conf.socket, "/run/millrace/control.sock");
	assert_string_equal(conf.zookeeper, "z1:2181,z2:2181");
	assert_string_equal(conf.mesos, "zk://z1:2181/mesos");
	assert_string_equal(conf.zookeeper_auth, "");
	assert_true(conf.session_timeout_ns == 10ull * 1000000000);
	assert_true(conf.failover_timeout_ns == 7ull * 86400 * 1000000000);
	assert_string_equal(conf.role, "*");
	assert_string_equal(conf.user, "root");
	assert_true(conf.supervisor[0] == '/');
	assert_string_equal(conf.api.listen, "");
	assert_string_equal(conf.advertise, "");
}

static void every_key_is_read(void **state)
{
	(void)state;
	assert_valid("name: c1\ncluster: prod\nsocket: /s\nsupervisor: /x/sup\n"
		     "advertise: c1.example:8443\n"
		     "zookeeper: {servers: \"[fd00::1]:2181,10.0.0.1:1\", auth: /a, "
		     "session_timeout: 2s}\n"
		     "mesos: {master: \"m1:5050,m2:5050\", principal: p, secret: /s, ca: /ca,\n"
		     "  role: a/b, user: mill, failover_timeout: 1h}\n"
		     "api: {listen: \"[::]:8443\", certificate: /c, key: /k, tokens: /t}\n");
	assert_int_equal(case_problems.count, 0);
	assert_string_equal(conf.name, "c1");
	assert_string_equal(conf.cluster, "prod");
	assert_string_equal(conf.socket, "/s");
	assert_string_equal(conf.supervisor, "/x/sup");
	assert_string_equal(conf.advertise, "c1.example:8443");
	assert_string_equal(conf.zookeeper, "[fd00::1]:2181,10.0.0.1:1");
	assert_string_equal(conf.zookeeper_auth, "/a");
	assert_true(conf.session_timeout_ns == 2000000000);
	assert_string_equal(conf.mesos, "m1:5050,m2:5050");
	assert_string_equal(conf.mesos_principal, "p");
	assert_string_equal(conf.mesos_secret, "/s");
	assert_string_equal(conf.mesos_ca, "/ca");
	assert_string_equal(conf.role, "a/b");
	assert_string_equal(conf.user, "mill");
	assert_true(conf.failover_timeout_ns == 3600ull * 1000000000);
	assert_string_equal(conf.api.listen, "[::]:8443");
	assert_string_equal(conf.api.tokens, "/t");
}

static void what_must_be_there_is_asked_for(void **state)
{
	(void)state;
	assert_int_equal(parse_case(""), -EINVAL);
	assert_int_equal(case_problems.errors, 2);
	assert_true(problems_have(false, 0, "zookeeper.servers: is missing"));
	assert_true(problems_have(false, 0, "mesos.master: is missing"));
	assert_int_equal(conf_load(NULL, &conf, &case_problems), -EINVAL);
	assert_int_equal(case_problems.errors, 2);
	assert_refused("mesos: {master: \"m:1\"}\nzookeeper:\n  auth: /a\n", 2,
		"zookeeper.servers: is missing");
	assert_refused(
		"mesos: {master: \"m:1\"}\nzookeeper:\n", 2, "zookeeper.servers: is missing");
	assert_refused("mesos: {master: \"m:1\"}\nzookeeper: 7\n", 2, "zookeeper: must be a map");
}

static void lists_of_servers_are_checked(void **state)
{
	static const char *const wrong[] = {"z1", "z1:", ":2181", "z1:0", "z1:65536", "z1:2181,",
		",z1:2181", "z1:2181,,z2:2181", "z1:2181 z2:2181", "z1:2181, z2:2181",
		"[fd00::1:2181", "[]:2181", "fd00::1:2181", "[z1]:2181", "z1:2181/chroot",
		"u:p@z1:2181", "z1:+1"};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text),
			"mesos: {master: \"m:1\"}\nzookeeper: {servers: \"%s\"}\n", wrong[i]);
		assert_refused(text, 2, "zookeeper.servers: '");
		snprintf(text, sizeof(text),
			"zookeeper: {servers: \"m:1\"}\nmesos: {master: \"%s\"}\n", wrong[i]);
		assert_refused(text, 2, "mesos.master: '");
		if (strchr(wrong[i], '/') != NULL) // more of the path
			continue;
		snprintf(text, sizeof(text),
			"zookeeper: {servers: \"m:1\"}\nmesos: {master: \"zk://%s/mesos\"}\n",
			wrong[i]);
		assert_refused(text, 2, "neither zk://HOST:PORT,…/PATH nor a list");
	}
}

static void a_host_of_any_length_is_no_danger(void **state)
{
	char host[900], text[1024];

	(void)state;
	memset(host, 'h', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	snprintf(text, sizeof(text), "mesos: {master: \"m:1\"}\nzookeeper: {servers: \"%s:1\"}\n",
		host);
	assert_refused(text, 2, "zookeeper.servers: 'hhh");
}

static void a_url_of_zookeeper_is_split(void **state)
{
	static const char *const wrong[] = {"zk://z:1", "zk://z:1/", "zk:///mesos", "zk://z:1/a//b",
		"zk://z:1/a/", "http://z:1/a", "z:1/a", ""};
	char servers[32], path[32];

	(void)state;
	assert_true(conf_split_zk(
		"zk://a:1,[::1]:2/x/y", servers, sizeof(servers), path, sizeof(path)));
	assert_string_equal(servers, "a:1,[::1]:2");
	assert_string_equal(path, "/x/y");
	assert_false(conf_split_zk("zk://a:1/x", servers, 3, path, sizeof(path)));
	assert_false(conf_split_zk("zk://a:1/x", servers, sizeof(servers), path, 2));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(conf_split_zk(wrong[i], servers, sizeof(servers), path, sizeof(path)));
}

static void what_belongs_together_is_checked(void **state)
{
	static const struct {
		const char *key; // in line 3
		const char *part;
	} rows[] = {
		{"advertise: a:1", "advertise: needs api.listen"},
		{"cluster: ..", "cluster: '..' is no name in ZooKeeper"},
		{"cluster: a/b", "may hold letters, digits"},
		{"clustr: a", "clustr: unknown key; did you mean 'cluster'?"},
		{"servers: a", "servers: unknown key here; it belongs under 'zookeeper'"},
		{"api: {listen: \"10.0.0.1:1\", key: /k, tokens: /t}",
			"api.certificate: is missing"},
		{"api: {listen: \"10.0.0.1\", certificate: /c, key: /k, tokens: /t}",
			"api.listen: '10.0.0.1' is no ADDRESS:PORT"},
		{"api: {listen: \"[::]:1\", certificate: /c, key: /k, tokens: /t}",
			"advertise: is missing: others can't reach this process by '[::]:1'"},
		{"api: {listen: \"0.0.0.0:1\", certificate: /c, key: /k, tokens: /t}",
			"advertise: is missing"},
		{"api: {consumers: 3}", "api.consumers: unknown key"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), LEAST "%s\n", rows[i].key);
		assert_refused(text, 3, rows[i].part);
	}
	assert_refused("zookeeper: {servers: \"z:1\"}\nmesos:\n  master: \"m:1\"\n  secret: /s\n  "
		       "ca: /c\n",
		4, "mesos.secret: is of no use without mesos.principal");
	assert_refused("zookeeper: {servers: \"z:1\"}\nmesos:\n  master: \"m:1\"\n  role: -x\n", 4,
		"mesos.role: '-x' is no role");
	assert_refused(LEAST "advertise: a\napi: {listen: \"1.2.3.4:1\", certificate: /c, key: /k, "
			     "tokens: /t}\n",
		3, "advertise: 'a' is not HOST:PORT");
	assert_valid("zookeeper: {servers: \"z:1\"}\nmesos:\n  master: \"m:1\"\n  principal: p\n"
		     "  secret: /s\n");
	assert_true(problems_have(true, 5, "mesos.secret: is sent in the clear"));
	assert_refused("a: [\n", 2, "not YAML");
	assert_valid(LEAST "api: {key: /k}\n");
	assert_true(problems_have(true, 3, "api.key: means nothing without api.listen"));
}

static void api_listen_is_what_others_are_told(void **state)
{
	(void)state;
	assert_valid(
		LEAST "api: {listen: \"10.0.0.1:8443\", certificate: /c, key: /k, tokens: /t}\n");
	assert_string_equal(conf.advertise, "10.0.0.1:8443");
}

static void roles_are_those_of_mesos(void **state)
{
	static const char *const right[] = {"*", "a", "a/b", "a.b", "a-b"};
	static const char *const wrong[] = {
		"a b", "/a", "a/", "a//b", "..", "a/..", "-a", "a/-b", "a*"};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		snprintf(text, sizeof(text),
			"zookeeper: {servers: \"z:1\"}\nmesos: {master: \"m:1\", role: \"%s\"}\n",
			right[i]);
		assert_valid(text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text),
			"zookeeper: {servers: \"z:1\"}\nmesos: {master: \"m:1\", role: \"%s\"}\n",
			wrong[i]);
		assert_refused(text, 2, "is no role");
	}
}

// The sample as it stands, and with every key taken from its comment.
static void the_sample_is_right(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	conf_print_sample(out);
	fclose(out);
	assert_valid(text);
	assert_int_equal(case_problems.count, 0);
	for (char *c = text; (c = strchr(c, '#')) != NULL; c++)
		if (c[1] != ' ')
			memmove(c, c + 1, strlen(c));
	assert_valid(text);
	assert_int_equal(case_problems.count, 0);
	assert_string_equal(conf.advertise, "control1.example.net:8443");
	free(text);
}

static void a_file_is_loaded(void **state)
{
	char path[] = "/tmp/millrace-conf-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, LEAST, strlen(LEAST)), strlen(LEAST));
	close(fd);
	assert_int_equal(conf_load(path, &conf, &case_problems), 0);
	unlink(path);
	assert_int_equal(conf_load(path, &conf, &case_problems), -ENOENT);
	assert_int_equal(case_problems.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_has_the_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(what_must_be_there_is_asked_for),
		cmocka_unit_test(lists_of_servers_are_checked),
		cmocka_unit_test(a_host_of_any_length_is_no_danger),
		cmocka_unit_test(a_url_of_zookeeper_is_split),
		cmocka_unit_test(what_belongs_together_is_checked),
		cmocka_unit_test(api_listen_is_what_others_are_told),
		cmocka_unit_test(roles_are_those_of_mesos),
		cmocka_unit_test(the_sample_is_right),
		cmocka_unit_test(a_file_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
