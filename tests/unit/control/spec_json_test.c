// SPDX-License-Identifier: BSD-3-Clause

#include "control/spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RECEIVER "ports: [{device: eth1}]\nlisteners: [{port: 5140}]\n"

static struct spec spec, other;
static struct config_problems problems;

static void parse(const char *text, struct spec *ret)
{
	char dir[] = "/tmp/millrace-spec-XXXXXX", path[64];
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/r.yaml", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(RECEIVER, f);
	fclose(f);
	if (spec_parse(text, strlen(text), dir, ret, &problems) != 0)
		fail_msg("%u: %s", problems.list[0].line, problems.list[0].text);
	unlink(path);
	rmdir(dir);
}

#define LEAST "count: 3\nreceiver: r.yaml\nlog: {attribute: log}\n"
#define ALL \
	"count: 5\nlcores: 3\nmem: 2GiB\nhugepages: 512\nnics: 2\nreceiver: r.yaml\n" \
	"log: {volume: 100GiB}\nconstraints: [[hostname, UNIQUE], [rack, LIKE, " \
	"\"r[12]\\\\.\\\"\"]]\n" \
	"unreachable_after: 20m\nbackoff: 1500ms\nbackoff_max: 10m\nhealthy_after: 90s\n" \
	"kill_grace: 1m\nmove_after: 7s\n"

static void what_is_written_is_read_back_to_the_same(void **state)
{
	static const char *const texts[] = {LEAST, ALL};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char *kept, *receiver;
		json_t *json, *again;

		parse(texts[i], &spec);
		json = spec_write(&spec);
		assert_string_equal(
			json_string_value(json_object_get(json, "schema")), "millrace.spec/1");
		kept = json_dumps(json, JSON_COMPACT);
		again = json_loads(kept, 0, NULL);
		if (spec_read_check(again, &other, &problems) != 0)
			fail_msg("%s: %s", problems.list[0].text, kept);
		assert_string_equal(spec.receiver, other.receiver);
		receiver = other.receiver;
		other.receiver = spec.receiver;
		assert_memory_equal(&spec, &other, sizeof(spec));
		other.receiver = receiver;
		assert_false(spec_needs_restart(&spec, &other));
		spec_free(&spec);
		spec_free(&other);
		json_decref(json);
		json_decref(again);
		free(kept);
	}
}

#define HEAD "{'schema':'millrace.spec/1','count':1,'log':{'attribute':'a'},"
#define BODY "'receiver':'ports: [{device: eth1}]\\nlisteners: [{port: 5140}]\\n'"

static json_t *json_of(const char *single_quoted)
{
	char *copy = strdup(single_quoted);
	json_t *json;

	for (char *c = copy; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	json = json_loads(copy, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	if (json == NULL)
		fail_msg("no JSON: %s", copy);
	free(copy);
	return json;
}

static void what_is_malformed_is_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{"7", "schema: must be"},
		{"[]", "schema: must be"},
		{"{}", "schema: must be"},
		{"{'schema':'millrace.spec/2','count':1,'log':{'attribute':'a'}," BODY "}",
			"schema:"},
		{"{'schema':1}", "schema:"},
		{HEAD "'lcores':1}", "receiver: is missing"},
		{HEAD "'receiver':null}", "receiver: is of another type"},
		{HEAD "'receiver':''}", "receiver: ports: there must be"},
		{HEAD "'receiver':'partitions: 0'}", "receiver:1: partitions: '0' is out of range"},
		{HEAD "'receiver':'ports: \\u0000'}", "receiver: is no text"},
		{HEAD "'lcores':'1'," BODY "}", "lcores: is of another type"},
		{HEAD "'lcores':1.0," BODY "}", "lcores: is of another type"},
		{HEAD "'lcores':null," BODY "}", "lcores: is of another type"},
		{HEAD "'lcores':[1]," BODY "}", "lcores: is of another type"},
		{HEAD "'lcores':-1," BODY "}", "lcores: '-1' is not a whole number"},
		{HEAD "'lcores':0," BODY "}", "lcores: '0' is out of range"},
		{HEAD "'lcores':129," BODY "}", "lcores: '129' is out of range"},
		{HEAD "'lcores':9223372036854775807," BODY "}", "is out of range"},
		{HEAD "'mem':1073741824," BODY "}", "mem: is of another type"},
		{HEAD "'mem':'1GiB\\u0000'," BODY "}", "holds what no desired state has"},
		{HEAD "'mem':'1MiB'," BODY "}", "mem: '1MiB' is out of range"},
		{HEAD "'moves_after':'1s'," BODY "}", "moves_after: unknown key"},
		{HEAD "'x':true," BODY "}", "holds what no desired state has"},
		{HEAD "'constraints':{}," BODY "}", "constraints: is of another type"},
		{HEAD "'constraints':[['a']]," BODY "}", "constraints[0]: must be"},
		{HEAD "'constraints':[['a','LIKE','(']]," BODY "}", "no regular expression"},
		{HEAD "'constraints':[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]," BODY "}",
			"holds what"},
		{"{'schema':'millrace.spec/1','count':1," BODY "}", "log: needs"},
		{"{'schema':'millrace.spec/1','count':1,'log':[]," BODY "}", "log: is of another"},
		{"{'schema':'millrace.spec/1','log':{'attribute':'a'}," BODY "}",
			"count: is missing"},
		{"{'schema':'millrace.spec/"
		 "1','count':1,'log':{'attribute':'a','volume':'1GiB'}," BODY "}",
			"log.volume: there is log.attribute, too"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *json = json_of(rows[i].text);
		bool found = false;
		int rc = spec_read_check(json, &spec, &problems);

		for (unsigned p = 0; p < problems.count; p++)
			found |= strstr(problems.list[p].text, rows[i].part) != NULL;
		if (rc != -EINVAL || !found || spec.receiver != NULL)
			fail_msg("%s: %d %s", rows[i].text, rc, problems.list[0].text);
		assert_int_equal(spec_read(json, &spec), -EINVAL);
		json_decref(json);
	}
	assert_int_equal(spec_read(NULL, &spec), -EINVAL);
}

static void what_is_left_out_has_its_default(void **state)
{
	json_t *json = json_of(HEAD BODY "}");

	(void)state;
	assert_int_equal(spec_read(json, &spec), 0);
	assert_int_equal(spec.lcores, 1);
	assert_true(spec.move_after_ns == 5ull * 1000000000);
	spec_free(&spec);
	json_decref(json);
}

static void a_larger_receivers_text_is_refused(void **state)
{
	json_t *json = json_of(HEAD BODY "}");
	char *text = malloc(SPEC_CONFIG_MAX + 2);

	(void)state;
	memset(text, '#', SPEC_CONFIG_MAX + 1);
	text[SPEC_CONFIG_MAX + 1] = '\0';
	json_object_set_new(json, "receiver", json_string(text));
	assert_int_equal(spec_read_check(json, &spec, &problems), -EINVAL);
	assert_non_null(strstr(problems.list[0].text, "larger than 64KiB"));
	free(text);
	json_decref(json);
}

static void assert_row(const json_t *diff, const char *key, const char *from, const char *to)
{
	const json_t *row;
	char wanted[256], *text;
	size_t i;

	snprintf(wanted, sizeof(wanted), "{\"key\":\"%s\",\"from\":%s,\"to\":%s}", key, from, to);
	json_array_foreach(diff, i, row)
	{
		text = json_dumps(row, JSON_COMPACT);
		if (strcmp(text, wanted) == 0) {
			free(text);
			return;
		}
		free(text);
	}
	text = json_dumps(diff, JSON_COMPACT);
	fail_msg("no %s in %s", wanted, text);
}

static void a_diff_has_what_changed(void **state)
{
	json_t *diff;

	(void)state;
	parse(LEAST, &spec);
	parse("count: 4\nreceiver: r.yaml\nlog: {volume: 1GiB}\nmem: 2GiB\n"
	      "constraints: [[hostname, UNIQUE]]\n",
		&other);
	diff = spec_diff(&spec, &spec);
	assert_int_equal(json_array_size(diff), 0);
	json_decref(diff);
	other.receiver[0] = '#';
	diff = spec_diff(&spec, &other);
	assert_int_equal(json_array_size(diff), 6);
	assert_row(diff, "count", "3", "4");
	assert_row(diff, "mem", "\"1GiB\"", "\"2GiB\"");
	assert_row(diff, "constraints", "[]", "[[\"hostname\",\"UNIQUE\"]]");
	assert_row(diff, "log.attribute", "\"log\"", "null");
	assert_row(diff, "log.volume", "\"0\"", "\"1GiB\"");
	assert_row(diff, "receiver", "null", "\"(changed)\"");
	json_decref(diff);
	diff = spec_diff(NULL, &spec);
	assert_row(diff, "count", "null", "3");
	assert_row(diff, "log.attribute", "null", "\"log\"");
	assert_row(diff, "receiver", "null", "\"(changed)\"");
	json_decref(diff);
	spec_free(&spec);
	spec_free(&other);
}

static void only_some_changes_need_a_restart(void **state)
{
	static const struct {
		const char *key;
		bool restart;
	} rows[] = {{"lcores: 2", true}, {"mem: 2GiB", true}, {"hugepages: 1", true},
		{"nics: 1", true}, {"constraints: [[rack, UNIQUE]]", false},
		{"unreachable_after: 1m", false}, {"backoff: 3s", false},
		{"backoff_max: 1h", false}, {"healthy_after: 2m", false},
		{"kill_grace: 10s", false}, {"move_after: 6s", false}};
	char text[256];

	(void)state;
	parse(LEAST, &spec);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), LEAST "%s\n", rows[i].key);
		parse(text, &other);
		if (spec_needs_restart(&spec, &other) != rows[i].restart)
			fail_msg("%s", rows[i].key);
		spec_free(&other);
	}
	parse("count: 9\nreceiver: r.yaml\nlog: {attribute: log}\n", &other);
	assert_false(spec_needs_restart(&spec, &other));
	other.receiver[0] = '#';
	assert_true(spec_needs_restart(&spec, &other));
	spec_free(&other);
	parse("count: 3\nreceiver: r.yaml\nlog: {attribute: elsewhere}\n", &other);
	assert_true(spec_needs_restart(&spec, &other));
	spec_free(&other);
	spec_free(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back_to_the_same),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(a_larger_receivers_text_is_refused),
		cmocka_unit_test(a_diff_has_what_changed),
		cmocka_unit_test(only_some_changes_need_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
