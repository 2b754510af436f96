// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Where Mesos' leading master is: from its own election in ZooKeeper (the lowest json.info_ node of
// "zk://host:port,…/path"), or as a list that is simply told.

#include "control/loop.h"

#include <stdbool.h>

struct leading;

// 'found' is called in the loop with "host:port[,…]", at each change; "" when there is none. In
// ZooKeeper a master has an address and a name: 'named' gives the name, too, and first, for a
// certificate may be for either; without it the name is left out, which need not resolve here.
int leading_new(struct leading **ret, struct loop *loop, const char *where, bool named,
	void (*found)(void *arg, const char *masters), void *arg);
void leading_close(struct leading *masters); // ends its session; NULL is fine
void leading_free(struct leading *masters);  // after the loop's last turn; NULL is fine
