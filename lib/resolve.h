// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The default resolver: a list in words, whose names the system is asked for.

#include "include/millrace.h"

struct receiver_list;

// "HOST:PORT,[IPv6]:PORT". -EINVAL with the reason in 'why' (MILLRACE_TEXT); -ENOMEM.
int receiver_list_make(struct receiver_list **ret, const char *text, char *why);
void receiver_list_free(struct receiver_list *list);

// A millrace_resolve of such a list.
int receiver_list_resolve(void *arg, unsigned n, struct sockaddr_storage *address,
	socklen_t *address_len, char name[MILLRACE_TEXT]);
