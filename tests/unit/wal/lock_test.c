// SPDX-License-Identifier: BSD-3-Clause
#include "wal/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/millrace-lock.XXXXXX";
static char path[64];

static void a_second_holder_is_refused_until_the_first_is_gone(void **state)
{
	int first, second;

	(void)state;
	assert_int_equal(wal_lock_dir(dir, &first), 0);
	assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(wal_lock_dir(dir, &second), -EWOULDBLOCK);
	close(first);
	assert_int_equal(wal_lock_dir(dir, &second), 0);
	close(second);
}

static void *hold_shared_for_a_moment(void *arg)
{
	usleep(50000);
	close(*(int *)arg);
	return NULL;
}

static void who_only_asks_is_no_second_holder(void **state)
{
	int asking = open(path, O_RDONLY);
	pthread_t thread;
	int fd;

	(void)state;
	assert_int_equal(flock(asking, LOCK_SH), 0);
	assert_int_equal(pthread_create(&thread, NULL, hold_shared_for_a_moment, &asking), 0);
	assert_int_equal(wal_lock_dir(dir, &fd), 0);
	pthread_join(thread, NULL);
	close(fd);
}

static void a_missing_directory_is_told(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(wal_lock_dir("/nowhere/at/all", &fd), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_holder_is_refused_until_the_first_is_gone),
		cmocka_unit_test(who_only_asks_is_no_second_holder),
		cmocka_unit_test(a_missing_directory_is_told),
	};
	int r;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/lock", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return r;
}
