// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Who may send to a listener: its allow-list, by rte_acl, and its rate for each source address.

#include "dataplane/dataplane.h"

// Control thread: builds what the listeners ask for; nothing when none asks. Negative errno, told.
int filter_make(struct dataplane *dp);
void filter_free(struct dataplane *dp);
// The lcore's table of sources, where a listener has a rate. Freed by free().
int filter_give_lcore(struct lcore *lcore);

// Lcore: turns the datagrams of a burst that may not come in into drops.
void filter_burst(struct lcore *lcore, struct packet *packets, unsigned count);
