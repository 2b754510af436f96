// SPDX-License-Identifier: BSD-3-Clause

#include "common/file.h"
#include "tests/lib/remove_tree.h"

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

static char top[64];
static int syncs, sync_fails_at, renames;

// The order of syncs and renames is what the contract is about; a power cut can't be had here.
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);

int __wrap_fsync(int fd)
{
	syncs++;
	if (syncs == sync_fails_at) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	renames++;
	assert_int_equal(syncs, 1); // the file's content, before its name
	return __real_renameat(from_fd, from, to_fd, to);
}

static const char *in_top(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int make_top(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/millrace-file-XXXXXX");
	assert_non_null(mkdtemp(top));
	syncs = sync_fails_at = renames = 0;
	return 0;
}

static int remove_top(void **state)
{
	(void)state;
	return remove_tree(top);
}

static void assert_content(const char *name, const char *expected)
{
	char *data;
	size_t len;

	assert_int_equal(file_read(in_top(name), 1000, &data, &len), 0);
	assert_string_equal(data, expected);
	assert_int_equal(len, strlen(expected));
	free(data);
}

static void replacing_creates_and_then_replaces_with_both_syncs(void **state)
{
	(void)state;
	assert_int_equal(file_replace(top, "a", "one", 3), 0);
	assert_content("a", "one");
	assert_int_equal(syncs, 2);
	syncs = 0;
	assert_int_equal(file_replace(top, "a", "second", 6), 0);
	assert_content("a", "second");
	assert_int_equal(syncs, 2);
	assert_int_equal(renames, 2);
	assert_int_equal(access(in_top(".a.new"), F_OK), -1);
}

static void a_failed_sync_leaves_the_old_content(void **state)
{
	(void)state;
	assert_int_equal(file_replace(top, "a", "old", 3), 0);
	syncs = 0;
	sync_fails_at = 1;
	assert_int_equal(file_replace(top, "a", "new", 3), -EIO);
	assert_content("a", "old");
	assert_int_equal(access(in_top(".a.new"), F_OK), -1);
}

static void a_failed_sync_of_the_directory_is_told(void **state)
{
	(void)state;
	sync_fails_at = 2;
	assert_int_equal(file_replace(top, "a", "new", 3), -EIO);
}

static void replacing_in_no_directory_or_by_a_long_name_fails(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(file_replace(in_top("none"), "a", "x", 1), -ENOENT);
	assert_int_equal(file_replace(top, name, "x", 1), -ENAMETOOLONG);
}

static void a_planted_link_is_not_followed(void **state)
{
	char target[256];

	(void)state;
	snprintf(target, sizeof(target), "%s/victim", top);
	assert_int_equal(symlink(target, in_top(".a.new")), 0);
	assert_int_equal(file_replace(top, "a", "x", 1), -ELOOP);
	assert_int_equal(access(target, F_OK), -1);
}

static void a_file_of_the_limit_is_read_and_one_byte_more_is_not(void **state)
{
	char data[10000], *ret;
	size_t len;

	(void)state;
	memset(data, 'd', sizeof(data));
	assert_int_equal(file_replace(top, "a", data, sizeof(data)), 0);
	assert_int_equal(file_read(in_top("a"), sizeof(data), &ret, &len), 0);
	assert_int_equal(len, sizeof(data));
	assert_int_equal(ret[len], '\0');
	assert_memory_equal(ret, data, len);
	free(ret);
	assert_int_equal(file_read(in_top("a"), sizeof(data) - 1, &ret, &len), -EFBIG);
	assert_int_equal(file_read("/dev/zero", 5000, &ret, &len), -EFBIG);
}

static void an_empty_file_a_directory_and_no_file(void **state)
{
	char *ret;
	size_t len;

	(void)state;
	assert_int_equal(file_replace(top, "a", "", 0), 0);
	assert_int_equal(file_read(in_top("a"), 10, &ret, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(ret, "");
	free(ret);
	assert_int_equal(file_read(top, 10, &ret, &len), -EISDIR);
	assert_int_equal(file_read(in_top("b"), 10, &ret, &len), -ENOENT);
}

// A directory that is there already may be that of a process killed before its sync.
static void directories_are_synced_in_their_parents_made_or_found(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(file_make_dirs(in_top("x//y/z/")), 0);
	assert_int_equal(syncs, 2 + 3);
	assert_int_equal(stat(in_top("x/y/z"), &st), 0);
	assert_int_equal(st.st_mode & 0027, 0);
	syncs = 0;
	assert_int_equal(file_make_dirs(in_top("x/y/z")), 0);
	assert_int_equal(syncs, 2 + 3);
}

static void a_relative_directory_is_synced_where_we_are(void **state)
{
	(void)state;
	assert_int_equal(chdir(top), 0);
	assert_int_equal(file_make_dirs("r/s"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(syncs, 2);
	assert_int_equal(access(in_top("r/s"), F_OK), 0);
}

static void a_file_in_the_way_or_an_endless_path_is_refused(void **state)
{
	char path[5000];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(file_replace(top, "f", "x", 1), 0);
	assert_int_equal(file_make_dirs(in_top("f/g")), -ENOTDIR);
	assert_int_equal(file_make_dirs(in_top("f")), -ENOTDIR);
	assert_int_equal(file_make_dirs(""), -ENOENT);
	assert_int_equal(file_make_dirs(path), -ENAMETOOLONG);
}

static void syncing_a_directory_that_is_none_fails(void **state)
{
	(void)state;
	assert_int_equal(file_sync_dir(top), 0);
	assert_int_equal(file_sync_dir(in_top("none")), -ENOENT);
	sync_fails_at = syncs + 1;
	assert_int_equal(file_sync_dir(top), -EIO);
}

#define IN_TOP(f) cmocka_unit_test_setup_teardown(f, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TOP(replacing_creates_and_then_replaces_with_both_syncs),
		IN_TOP(a_failed_sync_leaves_the_old_content),
		IN_TOP(a_failed_sync_of_the_directory_is_told),
		IN_TOP(replacing_in_no_directory_or_by_a_long_name_fails),
		IN_TOP(a_planted_link_is_not_followed),
		IN_TOP(a_file_of_the_limit_is_read_and_one_byte_more_is_not),
		IN_TOP(an_empty_file_a_directory_and_no_file),
		IN_TOP(directories_are_synced_in_their_parents_made_or_found),
		IN_TOP(a_relative_directory_is_synced_where_we_are),
		IN_TOP(a_file_in_the_way_or_an_endless_path_is_refused),
		IN_TOP(syncing_a_directory_that_is_none_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
