// SPDX-License-Identifier: BSD-3-Clause

#include "common/logmsg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int saved_stderr, pipe_read;

static int redirect_stderr(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	pipe_read = fds[0];
	return 0;
}

static int restore_stderr(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_read);
	unsetenv("JOURNAL_STREAM");
	return 0;
}

// What was written since the last call; a sentinel keeps the read from waiting when it is nothing.
static const char *written(void)
{
	static char buf[8192];
	ssize_t n;

	assert_int_equal(write(STDERR_FILENO, "$", 1), 1);
	n = read(pipe_read, buf, sizeof(buf) - 1);
	assert_true(n >= 1);
	buf[n - 1] = '\0';
	return buf;
}

static void a_message_is_one_line_with_the_name_before_it(void **state)
{
	(void)state;
	log_setup("millraced", LOG_LEVEL_INFO);
	log_info("port %d is up", 3);
	assert_string_equal(written(), "millraced: port 3 is up\n");
}

static void a_message_above_the_level_is_left_out(void **state)
{
	(void)state;
	log_setup("millraced", LOG_LEVEL_WARN);
	log_notice("not now");
	log_warn("but this");
	assert_string_equal(written(), "millraced: but this\n");
}

static void control_characters_cannot_forge_a_second_line(void **state)
{
	(void)state;
	log_setup("millraced", LOG_LEVEL_INFO);
	log_info("name '%s'", "x\nmillraced: all is well\x1b[2J");
	assert_string_equal(written(), "millraced: name 'x millraced: all is well [2J'\n");
}

static void a_long_message_is_cut_and_still_ends_its_line(void **state)
{
	char text[4000];
	const char *line;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_setup("m", LOG_LEVEL_INFO);
	log_info("%s", text);
	line = written();
	assert_int_equal(strlen(line), 2047);
	assert_int_equal(line[2046], '\n');
	assert_int_equal(line[2045], 'a');
}

static void the_journal_gets_a_priority_instead_of_the_name(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_setup("millraced", LOG_LEVEL_DEBUG);
	log_err("disk");
	log_debug("detail");
	assert_string_equal(written(), "<3>disk\n<7>detail\n");
}

static void another_stream_is_not_taken_for_the_journal(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_setup("millraced", LOG_LEVEL_INFO);
	log_err("disk");
	assert_string_equal(written(), "millraced: disk\n");
}

#define WITH_PIPE(f) cmocka_unit_test_setup_teardown(f, redirect_stderr, restore_stderr)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PIPE(a_message_is_one_line_with_the_name_before_it),
		WITH_PIPE(a_message_above_the_level_is_left_out),
		WITH_PIPE(control_characters_cannot_forge_a_second_line),
		WITH_PIPE(a_long_message_is_cut_and_still_ends_its_line),
		WITH_PIPE(the_journal_gets_a_priority_instead_of_the_name),
		WITH_PIPE(another_stream_is_not_taken_for_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
