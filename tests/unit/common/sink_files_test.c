// SPDX-License-Identifier: BSD-3-Clause
#include "common/sink_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef"
#define NEEDED "{partition}-{first}-{log_id}"

static const struct sink_files_values values = {
	.received_at = 1700000000123456789, // 2023-11-14T22:13:20Z
	.receiver = "slave-1",
	.partition = 3,
	.first = 17,
	.last = UINT64_MAX,
	.log_id = ID,
};

static void expect(const char *template, const struct sink_files_values *v, const char *want)
{
	char name[SINK_FILES_NAME_MAX];

	assert_int_equal(sink_files_name(template, v, name, sizeof(name)), 0);
	assert_string_equal(name, want);
}

static void test_names(void **state)
{
	struct sink_files_values v = values;

	(void)state;
	expect("{date}/{hour}/{receiver}-{partition}-{first}-{last}-{log_id}.arrow", &v,
		"2023-11-14/22/slave-1-3-00000000000000000017-18446744073709551615-" ID ".arrow");
	expect("{first}{first}", &v, "0000000000000000001700000000000000000017");
	v.received_at = -1; // the last nanosecond of 1969
	expect("{date} {hour}", &v, "1969-12-31 23");
	v.receiver = "../a b/c";
	expect("{receiver}", &v, "_._a_b_c");
}

static void test_no_room(void **state)
{
	char name[8];

	(void)state;
	assert_int_equal(sink_files_name("1234567", &values, name, sizeof(name)), 0);
	assert_int_equal(sink_files_name("12345678", &values, name, sizeof(name)), -ENAMETOOLONG);
	assert_int_equal(sink_files_name("{first}", &values, name, sizeof(name)), -ENAMETOOLONG);
}

static void test_good(void **state)
{
	static const char *const good[] = {
		"{date}/{hour}/{receiver}-{partition}-{first}-{last}-{log_id}.arrow",
		NEEDED,
		"log_id={log_id}/partition={partition}/{first}.arrow",
		("a..b/" NEEDED),
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(sink_files_check(good[i]));
}

static void refused(const char *template, const char *why)
{
	const char *said = sink_files_check(template);

	if (said == NULL)
		said = "taken";
	if (strstr(said, why) == NULL)
		print_error("%s: %s\n", template, said);
	assert_non_null(strstr(said, why));
}

static void test_refused(void **state)
{
	char longer[256];

	(void)state;
	refused("", "must have");
	refused("{first}-{log_id}", "must have {partition}");
	refused("{partition}-{log_id}", "{first}");
	refused("{partition}-{first}", "{log_id}");
	refused(NEEDED "{batch}", "no other");
	refused(NEEDED "{", "no other");
	refused(NEEDED "}", "no other");
	refused("{first" NEEDED, "no other");
	refused("/" NEEDED, "'/'");
	refused(NEEDED "/", "'/'");
	refused("a//" NEEDED, "'/'");
	refused("../" NEEDED, "'.'");
	refused("a/../" NEEDED, "'.'");
	refused("a/" NEEDED "/..", "'.'");
	refused("./" NEEDED, "'.'");
	refused("." NEEDED, "'.'");
	refused("a\n" NEEDED, "control");
	snprintf(longer, sizeof(longer), "%0200d" NEEDED, 0);
	refused(longer, "too long");
	// Long in all, but no part of it is.
	snprintf(longer, sizeof(longer), "%s", NEEDED);
	for (unsigned i = 0; i < 27; i++)
		snprintf(longer + strlen(longer), sizeof(longer) - strlen(longer), "/{last}");
	assert_null(sink_files_check(longer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
