// SPDX-License-Identifier: BSD-3-Clause

#include "control/constraints.h"
#include "tests/unit/control/offers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SLAVES_MAX 8
#define ALLOW NULL // as the reason

// A slave is written as "hostname rack"; rack "-": it has none.
struct slaves {
	unsigned count;
	char hostnames[SLAVES_MAX][32];
	json_t *attributes[SLAVES_MAX];
	struct constraint_slave list[SLAVES_MAX];
};

static void add_slave(struct slaves *s, const char *text, size_t len)
{
	char rack[32], copy[64];
	unsigned i = s->count++;

	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	assert_int_equal(sscanf(copy, "%31s %31s", s->hostnames[i], rack), 2);
	s->attributes[i] =
		strcmp(rack, "-") == 0 ? json_object() : json_pack("{s:s}", "rack", rack);
	s->list[i].hostname = s->hostnames[i];
	s->list[i].attributes = s->attributes[i];
}

static void make_slaves(struct slaves *s, const char *text)
{
	memset(s, 0, sizeof(*s));
	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		add_slave(s, text, len);
		text += len + (text[len] == ',');
	}
}

static void free_slaves(struct slaves *s)
{
	for (unsigned i = 0; i < s->count; i++)
		json_decref(s->attributes[i]);
}

struct row {
	const char *field, *op, *value; // value NULL: none
	const char *placed;             // "h1 r1,h2 r2"
	const char *slave;
	const char *refusal; // in the reason; ALLOW
};

static const struct row rows[] = {
	{"hostname", "UNIQUE", NULL, "", "h1 r1", ALLOW},
	{"hostname", "UNIQUE", NULL, "h1 r1", "h1 r1", "hostname UNIQUE: 'h1' has one"},
	{"hostname", "UNIQUE", NULL, "h1 r1,h2 r1", "h3 r1", ALLOW},
	{"hostname", "UNIQUE", NULL, "h1 r1,h3 r1,h2 r1", "h3 r1", "'h3' has one"},
	{"rack", "UNIQUE", NULL, "h1 r1", "h2 r2", ALLOW},
	{"rack", "UNIQUE", NULL, "h1 r1", "h2 r1", "rack UNIQUE: 'r1' has one"},
	{"rack", "UNIQUE", NULL, "", "h1 -", "it has no such attribute"},
	{"rack", "UNIQUE", NULL, "h1 -", "h2 r1", ALLOW},
	{"rack", "UNIQUE", NULL, "h1 r11", "h2 r1", ALLOW}, // whole values
	{"rack", "CLUSTER", "r1", "", "h1 r1", ALLOW},
	{"rack", "CLUSTER", "r1", "h1 r2", "h1 r1", ALLOW},
	{"rack", "CLUSTER", "r1", "", "h1 r2", "rack CLUSTER r1: it is 'r2'"},
	{"rack", "CLUSTER", "r1", "", "h1 r12", "it is 'r12'"},
	{"rack", "CLUSTER", "r1", "", "h1 -", "it has no such attribute"},
	{"rack", "CLUSTER", NULL, "", "h1 r7", ALLOW},
	{"rack", "CLUSTER", NULL, "h1 r1", "h2 r1", ALLOW},
	{"rack", "CLUSTER", NULL, "h1 r1", "h2 r2", "it is 'r2', the others are on 'r1'"},
	{"rack", "CLUSTER", NULL, "h0 -,h1 r1", "h2 r2", "the others are on 'r1'"},
	{"rack", "CLUSTER", NULL, "", "h2 -", "it has no such attribute"},
	{"hostname", "CLUSTER", "h1", "h1 r1,h1 r1", "h1 r1", ALLOW},
	{"hostname", "CLUSTER", "h1", "", "h2 r1", "it is 'h2'"},
	{"rack", "GROUP_BY", NULL, "", "h1 r1", ALLOW},
	{"rack", "GROUP_BY", NULL, "h1 r1", "h2 r2", ALLOW},
	{"rack", "GROUP_BY", NULL, "h1 r1", "h2 r1", ALLOW}, // no other is known of
	{"rack", "GROUP_BY", NULL, "h1 r1,h2 r2", "h3 r1", ALLOW},
	{"rack", "GROUP_BY", NULL, "h1 r1,h2 r1,h3 r2", "h4 r1",
		"rack GROUP_BY: 'r1' has 2, another value only 1"},
	{"rack", "GROUP_BY", NULL, "h1 r1,h2 r1,h3 r2", "h4 r2", ALLOW},
	{"rack", "GROUP_BY", "2", "h1 r1", "h2 r1", "only 1 of the values are in use"},
	{"rack", "GROUP_BY", "2", "h1 r1", "h2 r2", ALLOW},
	{"rack", "GROUP_BY", "2", "h1 r1,h2 r2", "h3 r2", ALLOW},
	{"rack", "GROUP_BY", "3", "h1 r1,h2 r2", "h3 r2", "only 2 of the values are in use"},
	{"rack", "GROUP_BY", "3", "h1 r1,h2 r2", "h3 r3", ALLOW},
	{"rack", "GROUP_BY", "3", "h1 r1,h2 r2,h3 r3", "h3 r3", ALLOW},
	{"rack", "GROUP_BY", "1", "h1 r1,h2 r1,h3 r2", "h3 r2", ALLOW},
	{"rack", "GROUP_BY", "2", "h1 r1,h2 -", "h3 r1", "only 1 of the values"},
	{"rack", "GROUP_BY", "2", "", "h3 -", "it has no such attribute"},
	{"hostname", "GROUP_BY", NULL, "h1 r1,h2 r1,h2 r1", "h2 r1", "'h2' has 2"},
	{"hostname", "GROUP_BY", NULL, "h1 r1,h2 r1,h2 r1", "h1 r1", ALLOW},
	{"rack", "LIKE", "r[12]", "", "h1 r2", ALLOW},
	{"rack", "LIKE", "r[12]", "", "h1 r3", "rack LIKE r[12]: it is 'r3'"},
	{"rack", "LIKE", "r1", "", "h1 r12", "it is 'r12'"}, // the whole
	{"rack", "LIKE", "1", "", "h1 r1", "it is 'r1'"},
	{"rack", "LIKE", "r1|r12", "", "h1 r12", ALLOW}, // the longest
	{"rack", "LIKE", ".*", "", "h1 anything", ALLOW},
	{"rack", "LIKE", ".*", "", "h1 -", "it has no such attribute"},
	{"rack", "LIKE", "(a)b\\1", "", "h1 aba", ALLOW},
	{"hostname", "LIKE", "h[0-9]+", "", "h42 r1", ALLOW},
	{"hostname", "LIKE", "h[0-9]+", "", "g42 r1", "it is 'g42'"},
	{"rack", "UNLIKE", "r[12]", "", "h1 r3", ALLOW},
	{"rack", "UNLIKE", "r[12]", "", "h1 r1", "rack UNLIKE r[12]: it is 'r1'"},
	{"rack", "UNLIKE", "r1", "", "h1 r12", ALLOW},
	{"rack", "UNLIKE", ".*", "", "h1 -", ALLOW}, // the one that doesn't mind
	{"hostname", "UNLIKE", "h1", "", "h1 r1", "it is 'h1'"},
	{"rack", "MAX_PER", "2", "", "h1 r1", ALLOW},
	{"rack", "MAX_PER", "2", "h1 r1", "h2 r1", ALLOW},
	{"rack", "MAX_PER", "2", "h1 r1,h2 r1", "h3 r1", "rack MAX_PER 2: 'r1' has 2"},
	{"rack", "MAX_PER", "2", "h1 r1,h2 r1", "h3 r2", ALLOW},
	{"rack", "MAX_PER", "1", "h1 r1", "h3 r1", "'r1' has 1"},
	{"rack", "MAX_PER", "1", "", "h3 -", "it has no such attribute"},
	{"hostname", "MAX_PER", "2", "h1 r1,h1 r1", "h1 r1", "'h1' has 2"},
	{"Hostname", "UNIQUE", NULL, "", "h1 r1", "it has no such attribute"},
};

static void each_operator_allows_and_refuses(void **state)
{
	struct slaves placed, slave;
	struct constraint c;
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		bool allowed;

		why[0] = '\0';
		if (!constraint_parse(r->field, r->op, r->value, &c, why, sizeof(why)))
			fail_msg("row %zu: %s", i, why);
		make_slaves(&placed, r->placed);
		make_slaves(&slave, r->slave);
		allowed = constraints_allow(
			&c, 1, slave.list, placed.list, placed.count, why, sizeof(why));
		if (allowed != (r->refusal == NULL) ||
			(!allowed && strstr(why, r->refusal) == NULL))
			fail_msg("row %zu: %s %s %s, placed '%s', on '%s': %s %s", i, r->field,
				r->op, r->value, r->placed, r->slave,
				allowed ? "allowed" : "refused", why);
		free_slaves(&placed);
		free_slaves(&slave);
	}
}

static void all_of_several_must_allow(void **state)
{
	struct constraint list[2];
	struct slaves placed, slave;
	char why[256];

	(void)state;
	assert_true(constraint_parse("hostname", "UNIQUE", NULL, &list[0], why, sizeof(why)));
	assert_true(constraint_parse("rack", "LIKE", "r1", &list[1], why, sizeof(why)));
	make_slaves(&placed, "h1 r1");
	make_slaves(&slave, "h2 r1,h2 r2,h1 r1");
	assert_true(constraints_allow(list, 2, &slave.list[0], placed.list, 1, why, sizeof(why)));
	assert_false(constraints_allow(list, 2, &slave.list[1], placed.list, 1, why, sizeof(why)));
	assert_non_null(strstr(why, "rack LIKE"));
	assert_false(constraints_allow(list, 2, &slave.list[2], placed.list, 1, why, sizeof(why)));
	assert_non_null(strstr(why, "hostname UNIQUE"));
	assert_true(constraints_allow(list, 0, &slave.list[2], placed.list, 1, why, sizeof(why)));
	free_slaves(&placed);
	free_slaves(&slave);
}

static void what_is_no_constraint_is_refused(void **state)
{
	static const struct {
		const char *field, *op, *value, *part;
	} wrong[] = {
		{"", "UNIQUE", NULL, "the field is empty"},
		{"rack", "unique", NULL, "'unique' is no operator"},
		{"rack", "GROUPBY", NULL, "did you mean 'GROUP_BY'?"},
		{"rack", "SOMEWHERE", NULL, "UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE or MAX_PER"},
		{"rack", "UNIQUE", "x", "UNIQUE takes no value"},
		{"rack", "LIKE", NULL, "LIKE needs a regular expression"},
		{"rack", "UNLIKE", "", "UNLIKE needs a regular expression"},
		{"rack", "LIKE", "(", "'(' is no regular expression"},
		{"rack", "LIKE", "[", "is no regular expression"},
		{"rack", "MAX_PER", NULL, "MAX_PER needs a number"},
		{"rack", "MAX_PER", "0", "'0' is no whole number of at least 1"},
		{"rack", "MAX_PER", "-1", "is no whole number"},
		{"rack", "MAX_PER", "1.5", "is no whole number"},
		{"rack", "GROUP_BY", "two", "'two' is no whole number"},
		{"rack", "GROUP_BY", "99999999999999999999", "is no whole number"},
		{"ra\nck", "UNIQUE", NULL, "holds control characters"},
	};
	struct constraint c;
	char why[256], text[CONSTRAINT_VALUE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (constraint_parse(
			    wrong[i].field, wrong[i].op, wrong[i].value, &c, why, sizeof(why)) ||
			strstr(why, wrong[i].part) == NULL)
			fail_msg("row %zu: %s", i, why);
	}
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(constraint_parse("rack", "LIKE", text, &c, why, sizeof(why)));
	assert_non_null(strstr(why, "longer than 255 bytes"));
	assert_false(constraint_parse(text, "UNIQUE", NULL, &c, why, sizeof(why)));
	assert_true(constraint_parse("rack", "LIKE", text + 1, &c, why, sizeof(why)));
}

static void attributes_are_texts(void **state)
{
	json_t *json = json_loads(offer_attributes, 0, NULL), *texts = constraint_attributes(json);
	static const char *const wanted[][2] = {{"rack", "r1"}, {"generation", "4"},
		{"speed", "2.5"}, {"millrace_log", "/var/lib/millrace"}, {"slots", "[1-3,5-6]"}};

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_string_equal(
			json_string_value(json_object_get(texts, wanted[i][0])), wanted[i][1]);
	assert_int_equal(json_object_size(texts), 5);
	json_decref(texts);
	json_decref(json);
	json = json_loads("[{\"name\":\"s\",\"set\":{\"item\":[\"a\",\"b\"]}},{\"x\":1},"
			  "{\"name\":\"s\",\"text\":{\"value\":\"second\"}},"
			  "{\"name\":\"n\",\"scalar\":{\"value\":1024.050}},"
			  "{\"name\":\"t\",\"scalar\":{\"value\":0.125}}]",
		0, NULL);
	texts = constraint_attributes(json);
	assert_string_equal(json_string_value(json_object_get(texts, "s")), "{a,b}");
	assert_string_equal(json_string_value(json_object_get(texts, "n")), "1024.05");
	assert_string_equal(json_string_value(json_object_get(texts, "t")), "0.125");
	json_decref(texts);
	json_decref(json);
	texts = constraint_attributes(NULL);
	assert_int_equal(json_object_size(texts), 0);
	json_decref(texts);
}

static void numbers_are_compared_as_texts(void **state)
{
	json_t *json = json_loads(offer_attributes, 0, NULL), *texts = constraint_attributes(json);
	const struct constraint_slave slave = {"h1", texts};
	struct constraint c;
	char why[256];

	(void)state;
	assert_true(constraint_parse("generation", "CLUSTER", "4", &c, why, sizeof(why)));
	assert_true(constraints_allow(&c, 1, &slave, NULL, 0, why, sizeof(why)));
	assert_true(constraint_parse("generation", "CLUSTER", "4.0", &c, why, sizeof(why)));
	assert_false(constraints_allow(&c, 1, &slave, NULL, 0, why, sizeof(why)));
	assert_true(constraint_parse("speed", "LIKE", "[23]\\.5", &c, why, sizeof(why)));
	assert_true(constraints_allow(&c, 1, &slave, NULL, 0, why, sizeof(why)));
	assert_true(constraint_parse("slots", "CLUSTER", "[1-3,5-6]", &c, why, sizeof(why)));
	assert_true(constraints_allow(&c, 1, &slave, NULL, 0, why, sizeof(why)));
	json_decref(texts);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operator_allows_and_refuses),
		cmocka_unit_test(all_of_several_must_allow),
		cmocka_unit_test(what_is_no_constraint_is_refused),
		cmocka_unit_test(attributes_are_texts),
		cmocka_unit_test(numbers_are_compared_as_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
