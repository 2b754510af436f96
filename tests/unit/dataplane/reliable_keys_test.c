// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/reliable_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// cmocka.h needs these before it.
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define XCHACHA "xchacha20-poly1305"

static char path[] = "/tmp/millrace-keys-XXXXXX";
static struct seal_key keys[RECEIVE_KEYS];
static unsigned count;
static char why[256];

static int read_text(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
	return reliable_read_keys(path, keys, &count, why);
}

static void keys_are_read_with_their_ids(void **state)
{
	(void)state;
	assert_int_equal(read_text("# a comment\n\n 7\t" XCHACHA " " HEX
				   " # the old\n65535 " XCHACHA " " HEX "\n",
				 0600),
		0);
	assert_int_equal(count, 2);
	assert_int_equal(keys[0].id, 7);
	assert_int_equal(keys[0].cipher, SEAL_XCHACHA20_POLY1305);
	assert_true(keys[0].secret[0] == 0 && keys[0].secret[31] == 0xff);
	assert_int_equal(keys[1].id, 65535);
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{"", "holds no key"},
		{"# none\n", "holds no key"},
		{"\n7 " XCHACHA "\n", "line 2: must be: ID CIPHER KEY"},
		{"7 " XCHACHA " " HEX " more\n", "line 1: must be: ID CIPHER KEY"},
		{"0 " XCHACHA " " HEX "\n", "the id must be 1 to 65535"},
		{"65536 " XCHACHA " " HEX "\n", "the id must be 1 to 65535"},
		{"x " XCHACHA " " HEX "\n", "the id must be 1 to 65535"},
		{"7 rot13 " HEX "\n", "the cipher must be"},
		{"7 " XCHACHA " " HEX "0\n", "64 hex digits"},
		{"7 " XCHACHA " 0g112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
			"64 hex digits"},
		{"7 " XCHACHA " " HEX "\n7 " XCHACHA " " HEX "\n", "line 2: the id stands on an"},
		{"1 " XCHACHA " " HEX "\n2 " XCHACHA " " HEX "\n3 " XCHACHA " " HEX "\n4 " XCHACHA
		 " " HEX "\n5 " XCHACHA " " HEX "\n",
			"line 5: there are more keys than 4"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_text(rows[i].text, 0600), -EINVAL);
		if (strstr(why, rows[i].part) == NULL)
			fail_msg("'%s' instead of '%s'", why, rows[i].part);
	}
}

static void a_file_that_others_may_read_is_refused(void **state)
{
	(void)state;
	assert_int_equal(read_text("7 " XCHACHA " " HEX "\n", 0640), -EACCES);
	assert_non_null(strstr(why, "mend: chmod 600"));
	assert_int_equal(reliable_read_keys("/nowhere/keys", keys, &count, why), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_read_with_their_ids),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(a_file_that_others_may_read_is_refused),
	};
	int failed, fd = mkstemp(path);

	if (sodium_init() < 0 || fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
