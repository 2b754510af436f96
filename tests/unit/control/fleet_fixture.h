// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A fleet with slaves that offer, and a clock that the test turns.

#include "control/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ll
#define SLAVES_MAX 8

struct scene {
	struct fleet fleet;
	int64_t now_ns;
	unsigned slaves;         // s1 … sN offer
	bool silent[SLAVES_MAX]; // ... but for these
	unsigned launches;
	char launched[32]; // the latest
};

// A desired state of so many receivers, at most one on a slave; unreachable_after 60 s, backoff 1 s
// up to 8 s, healthy_after 10 s.
void scene_open(struct scene *scene, unsigned slaves, unsigned count);
void scene_close(struct scene *scene);
struct spec scene_spec(unsigned count);

// Plans, lets the slaves offer, places, and does so again as long as something is placed.
void scene_step(struct scene *scene);
void scene_later(struct scene *scene, double seconds); // and steps

struct receiver *scene_of(struct scene *scene, const char *name); // fails when there is none

// What Mesos says of the receiver's task; false as fleet_update().
bool scene_status(struct scene *scene, const char *name, const char *state);

// All that are launching run, and register themselves in good health.
void scene_run_all(struct scene *scene);
void scene_live(struct scene *scene, const char *name, const char *health, int lag,
	double events_per_second);

// It was told to end, ends, and is no more.
void scene_end(struct scene *scene, const char *name);

// It was told to end: it is launched once more, takes nothing, has given all away, and is no more.
void scene_give_away(struct scene *scene, const char *name);

void expect_state(struct scene *scene, const char *name, enum receiver_state state);
unsigned scene_count(struct scene *scene, bool retiring);
bool scene_decided(struct scene *scene, const char *decision, const char *name);
