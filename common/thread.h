// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pthread.h>

// Starts a thread that signals don't come to; 'name': at most 15 characters. It runs where its
// maker may, which keeps it off the lcores' CPUs. Negative errno.
int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg), void *arg);
