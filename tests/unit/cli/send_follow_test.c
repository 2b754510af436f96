// SPDX-License-Identifier: BSD-3-Clause
// A file that grows, is rotated and truncated under `millrace send --follow`, and the position.

#include "cli/send/follow.h"
#include "cli/send/wakeup.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
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

#define LOOKS 40 // of 100 ms, for a line that must come

static char dir[64];
static char told[4096];
static uint64_t quiet_ns;

// A follower, and who uses it as reliable.c does.
struct user {
	struct send_input *in;
	uint64_t seq;
	char why[SEND_INPUT_WHY_BYTES];
};

static void tell(const char *text)
{
	strncat(told, text, sizeof(told) - strlen(told) - 1);
}

static const char *path_of(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static int begin(struct user *u, const char *position)
{
	static char path[256], position_path[256];
	const struct follow_options options = {.path = path,
		.position = position != NULL ? position_path : NULL,
		.quiet_ns = quiet_ns,
		.tell = tell};

	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(position_path, sizeof(position_path), "%s/%s", dir,
		position != NULL ? position : "");
	*u = (struct user){0};
	told[0] = '\0';
	return follow_open(&u->in, &options, u->why);
}

static void finish(struct user *u)
{
	u->in->close(u->in);
}

static void put(const char *name, int flags, const char *text)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void append(const char *name, const char *text)
{
	put(name, O_APPEND, text);
}

static void rename_to(const char *from, const char *to)
{
	assert_int_equal(rename(path_of(from), path_of(to)), 0);
}

static void copy_to(const char *from, const char *to)
{
	char bytes[4096];
	int in = open(path_of(from), O_RDONLY);
	ssize_t n = read(in, bytes, sizeof(bytes) - 1);

	assert_true(n >= 0);
	close(in);
	bytes[n] = '\0';
	put(to, O_TRUNC, bytes);
}

static void expect_line(struct user *u, const char *text)
{
	const uint8_t *line;
	uint32_t len;
	int r = -EAGAIN;

	for (int i = 0; i < LOOKS && r == -EAGAIN; i++)
		r = u->in->next(u->in, &line, &len);
	assert_int_equal(r, 1);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(line, text, len);
	u->in->given(u->in, u->seq++);
}

static void expect_none(struct user *u)
{
	const uint8_t *line;
	uint32_t len;

	for (int i = 0; i < 4; i++)
		assert_int_equal(u->in->next(u->in, &line, &len), -EAGAIN);
}

static void settle(struct user *u, uint64_t durable)
{
	u->in->settle(u->in, durable, true);
}

static struct follow_tally tally_of(const struct user *u)
{
	struct follow_tally tally;

	follow_get_tally(u->in, &tally);
	return tally;
}

static int make_dir(void **state)
{
	(void)state;
	quiet_ns = 150000000;
	snprintf(dir, sizeof(dir), "/tmp/millrace-follow-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void lines_come_when_they_are_whole(void **state)
{
	struct user u;

	(void)state;
	put("log", 0, "one\ntwo\nthr");
	assert_int_equal(begin(&u, NULL), 0);
	expect_line(&u, "one");
	expect_line(&u, "two");
	expect_none(&u);
	assert_int_equal(tally_of(&u).unfinished_bytes, 3);
	append("log", "ee\n\nfour\n");
	expect_line(&u, "three");
	expect_line(&u, "");
	expect_line(&u, "four");
	assert_int_equal(tally_of(&u).unfinished_bytes, 0);
	finish(&u);
}

static uint64_t wait_after(struct wakeup *w, const char *name)
{
	uint64_t begin = clock_monotonic_ns();

	for (int i = 0; i < 10; i++) {
		append(name, "x\n");
		wakeup_wait(w);
		if (strcmp(name, "log") != 0)
			assert_int_equal(unlink(path_of(name)), 0);
	}
	return clock_monotonic_ns() - begin;
}

// Each wait without news takes 100 ms.
static void what_is_added_wakes_it(void **state)
{
	struct wakeup w, none = {.fd = -1, .file = -1};
	int fd;

	(void)state;
	put("log", 0, "");
	fd = open(path_of("log"), O_RDONLY);
	wakeup_init(&w);
	wakeup_watch(&w, dir, fd);
	assert_true(wait_after(&w, "log") < 900000000);
	assert_true(wait_after(&w, "another") < 900000000);
	wakeup_watch(&none, dir, fd);
	assert_true(wait_after(&none, "log") >= 990000000);
	wakeup_close(&w);
	close(fd);
}

static void it_waits_for_the_file_and_says_so_once(void **state)
{
	struct user u;

	(void)state;
	assert_int_equal(begin(&u, "position"), 0);
	expect_none(&u);
	expect_none(&u);
	assert_non_null(strstr(told, "/log: is not there yet, waiting for it"));
	assert_null(strstr(strstr(told, "waiting") + 1, "waiting"));
	put("log", 0, "here\n");
	expect_line(&u, "here");
	settle(&u, 1);
	finish(&u);
}

static void a_renamed_file_is_read_to_its_end_first(void **state)
{
	struct user u;

	(void)state;
	quiet_ns = 2000000000;
	put("log", 0, "one\n");
	assert_int_equal(begin(&u, NULL), 0);
	expect_line(&u, "one");
	append("log", "two\n");
	rename_to("log", "log.1");
	put("log", 0, "new\n");
	append("log.1", "three\n");
	expect_line(&u, "two");
	expect_line(&u, "three");
	expect_none(&u);
	append("log.1", "the last");
	expect_line(&u, "the last");
	expect_line(&u, "new");
	append("log", "er\n");
	expect_line(&u, "er");
	assert_int_equal(tally_of(&u).files, 2);
	assert_int_equal(tally_of(&u).truncations, 0);
	finish(&u);
}

// While the receiver is away nobody looks at the file for long.
static void files_of_several_rotations_are_read_in_turn(void **state)
{
	struct user u;

	(void)state;
	put("log", 0, "1\n");
	put("log.lock", 0, "not a line\n");
	assert_int_equal(begin(&u, NULL), 0);
	expect_line(&u, "1");
	rename_to("log", "log.3");
	usleep(20000);
	put("log.2", 0, "2\n");
	usleep(20000);
	put("log.1", 0, "3\n");
	usleep(20000);
	put("log", 0, "4\n");
	expect_line(&u, "2");
	expect_line(&u, "3");
	expect_line(&u, "4");
	expect_none(&u);
	finish(&u);
}

static void a_truncated_file_begins_again(void **state)
{
	struct user u;

	(void)state;
	put("log", 0, "one\ntwo\nunfin");
	assert_int_equal(begin(&u, NULL), 0);
	expect_line(&u, "one");
	expect_line(&u, "two");
	expect_none(&u);
	put("log", O_TRUNC, "1\n");
	expect_line(&u, "unfin");
	expect_line(&u, "1");
	// Longer than it was before anybody looked.
	put("log", O_TRUNC, "other\nlines\n");
	expect_line(&u, "other");
	expect_line(&u, "lines");
	assert_int_equal(tally_of(&u).truncations, 2);
	finish(&u);
}

static void what_was_not_read_is_taken_from_the_copy(void **state)
{
	struct user u;

	(void)state;
	put("log", 0, "one\ntwo\nthr");
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "one");
	expect_line(&u, "two");
	expect_none(&u);
	append("log", "ee\nfour\n");
	copy_to("log", "log.1");
	put("log", O_TRUNC, "five\n");
	expect_line(&u, "three");
	expect_line(&u, "four");
	expect_line(&u, "five");
	expect_none(&u);
	settle(&u, 3);
	finish(&u);
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "four");
	expect_line(&u, "five");
	finish(&u);
}

static void a_start_goes_on_behind_what_is_durable(void **state)
{
	struct user u;

	(void)state;
	put("log", 0, "one\ntwo\nthree\nfour\nfi");
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "one");
	expect_line(&u, "two");
	expect_line(&u, "three");
	settle(&u, 2);
	finish(&u);
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "three");
	expect_line(&u, "four");
	expect_none(&u);
	settle(&u, 2);
	finish(&u);
	append("log", "ve\n");
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "five");
	expect_none(&u);
	assert_string_equal(told, "");
	finish(&u);
}

// And then there is a position behind it.
static void one_of_two_is_durable(struct user *u)
{
	put("log", 0, "one\ntwo\n");
	assert_int_equal(begin(u, "position"), 0);
	expect_line(u, "one");
	settle(u, 1);
	finish(u);
}

static void a_start_finds_the_file_under_its_new_name(void **state)
{
	struct user u;

	(void)state;
	one_of_two_is_durable(&u);
	usleep(20000);
	rename_to("log", "log-20260101");
	put("log", 0, "three\n");
	usleep(20000);
	rename_to("log", "log-20260102");
	put("log", 0, "four\n");
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "two");
	expect_line(&u, "three");
	// Of a file that is done with, nothing need be found again.
	settle(&u, 1);
	assert_int_equal(unlink(path_of("log-20260101")), 0);
	finish(&u);
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "three");
	expect_line(&u, "four");
	assert_string_equal(told, "");
	finish(&u);
}

static void a_start_finds_the_copy(void **state)
{
	struct user u;

	(void)state;
	one_of_two_is_durable(&u);
	copy_to("log", "log.1");
	put("log", O_TRUNC, "3\nfour\nfive\n");
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "two");
	expect_line(&u, "3");
	assert_string_equal(told, "");
	finish(&u);
}

static void a_file_that_is_gone_is_told(void **state)
{
	struct user u;

	(void)state;
	one_of_two_is_durable(&u);
	// The same inode, as a new file may have it.
	put("log", O_TRUNC, "another file\n");
	assert_int_equal(begin(&u, "position"), 0);
	assert_non_null(strstr(told, "is gone"));
	expect_line(&u, "another file");
	finish(&u);
}

static void lines_that_are_not_given_are_passed_over(void **state)
{
	struct user u;
	const uint8_t *line;
	uint32_t len;

	(void)state;
	put("log", 0, "one\nrefused\n");
	assert_int_equal(begin(&u, "position"), 0);
	expect_line(&u, "one");
	assert_int_equal(u.in->next(u.in, &line, &len), 1);
	expect_none(&u);
	settle(&u, 1);
	finish(&u);
	assert_int_equal(begin(&u, "position"), 0);
	expect_none(&u);
	finish(&u);
}

static void expect_refused(const char *content, const char *words)
{
	struct user u;

	put("position", O_TRUNC, content);
	assert_int_equal(begin(&u, "position"), -EINVAL);
	if (strstr(u.why, words) == NULL)
		fail_msg("'%s' has not '%s'", u.why, words);
	assert_non_null(strstr(u.why, path_of("position")));
	assert_non_null(strstr(u.why, "remove it to begin"));
}

static void a_position_that_is_none_is_refused(void **state)
{
	char big[20000];
	struct user u;

	(void)state;
	put("log", 0, "one\n");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	expect_refused("", "no position");
	expect_refused("one\ntwo\n", "no position");
	expect_refused("{\"format\":\"other\",\"version\":1}", "no position");
	expect_refused(big, "no position");
	expect_refused("{\"format\":\"millrace-position\",\"version\":2}", "format 2, newer");
	expect_refused("{\"format\":\"millrace-position\",\"version\":1,\"file\":\"/x\"}",
		"a damaged position");
	expect_refused("{\"format\":\"millrace-position\",\"version\":1,\"file\":\"/other\","
		       "\"device\":\"1\",\"inode\":\"2\",\"offset\":\"3\",\"head_bytes\":\"1\","
		       "\"head_crc32c\":\"5\"}",
		"the position in /other, not in ");
	expect_refused("{\"format\":\"millrace-position\",\"version\":1,\"file\":\"/other\","
		       "\"device\":\"1\",\"inode\":\"2\",\"offset\":\"-3\",\"head_bytes\":\"1\","
		       "\"head_crc32c\":\"5\"}",
		"a damaged position");
	assert_int_equal(begin(&u, "no/such/position"), -ENOENT);
	assert_non_null(strstr(u.why, "give a file in a directory that can be written to"));
}

static void only_regular_files_are_followed(void **state)
{
	struct user u;

	(void)state;
	assert_int_equal(mkfifo(path_of("log"), 0600), 0);
	assert_int_equal(begin(&u, NULL), -EINVAL);
	assert_non_null(strstr(u.why, "no regular file"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(lines_come_when_they_are_whole),
		TEST(what_is_added_wakes_it),
		TEST(it_waits_for_the_file_and_says_so_once),
		TEST(a_renamed_file_is_read_to_its_end_first),
		TEST(files_of_several_rotations_are_read_in_turn),
		TEST(a_truncated_file_begins_again),
		TEST(what_was_not_read_is_taken_from_the_copy),
		TEST(a_start_goes_on_behind_what_is_durable),
		TEST(a_start_finds_the_file_under_its_new_name),
		TEST(a_start_finds_the_copy),
		TEST(a_file_that_is_gone_is_told),
		TEST(lines_that_are_not_given_are_passed_over),
		TEST(a_position_that_is_none_is_refused),
		TEST(only_regular_files_are_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
