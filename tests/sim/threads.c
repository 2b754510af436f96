// SPDX-License-Identifier: BSD-3-Clause

// Threads, clocks, chance and what else would make two runs of a seed differ.

#include "common/counters.h"
#include "common/hist.h"
#include "sim.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define REAL(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

REAL(int, pthread_create, pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
	void *arg);
REAL(int, pthread_join, pthread_t thread, void **ret);
REAL(int, pthread_setname_np, pthread_t thread, const char *name);
REAL(int, pthread_sigmask, int how, const sigset_t *set, sigset_t *old);
REAL(int, usleep, useconds_t us);
REAL(int, clock_gettime, clockid_t clock, struct timespec *ret);
REAL(ssize_t, getrandom, void *buf, size_t len, unsigned flags);
REAL(FILE *, fopen64, const char *path, const char *mode);
REAL(void, counters_register, struct counter_set *set);
REAL(void, counters_unregister, struct counter_set *set);
REAL(void, hist_register, struct hist_entry *entry);
REAL(void, hist_unregister, struct hist_entry *entry);

int __wrap_pthread_create(
	pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	if (!sim_inside())
		return __real_pthread_create(ret, attr, fn, arg);
	sim_keeper_start(fn, arg);
	memset(ret, 0, sizeof(*ret));
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **ret)
{
	if (!sim_inside())
		return __real_pthread_join(thread, ret);
	while (sim_keeper_lives()) {
		sim_point("join");
		sim_wait();
	}
	return 0;
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
	return sim_inside() ? 0 : __real_pthread_setname_np(thread, name);
}

int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return sim_inside() ? 0 : __real_pthread_sigmask(how, set, old);
}

int __wrap_usleep(useconds_t us)
{
	if (!sim_inside())
		return __real_usleep(us);
	sim_point("usleep");
	sim_pass((int64_t)us * 1000);
	sim_wait();
	return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (!sim_inside())
		return __real_clock_gettime(clock, ret);
	ret->tv_sec = sim_now() / 1000000000;
	ret->tv_nsec = sim_now() % 1000000000;
	return 0;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	uint8_t *to = buf;

	if (!sim_inside())
		return __real_getrandom(buf, len, flags);
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)sim_random();
	return (ssize_t)len;
}

// /sys, where the keeper looks how busy the disk is: not there.
FILE *__wrap_fopen64(const char *path, const char *mode)
{
	return sim_inside() ? NULL : __real_fopen64(path, mode);
}

// A log that is killed can't take its counters off the list.
void __wrap_counters_register(struct counter_set *set)
{
	(void)set;
}

void __wrap_counters_unregister(struct counter_set *set)
{
	(void)set;
}

void __wrap_hist_register(struct hist_entry *entry)
{
	(void)entry;
}

void __wrap_hist_unregister(struct hist_entry *entry)
{
	(void)entry;
}
