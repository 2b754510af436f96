// SPDX-License-Identifier: BSD-3-Clause

// What is known of the sources, saved a few at a time while events go on being appended, kept when
// all that it may tell of is durable, and loaded at the next start: as millraced does it.

#include "reliable.h"

#include <stdlib.h>
#include <string.h>

enum { SAVING_IDLE, SAVING_COPYING, SAVING_WAITING };

void saving_free(struct saving *saving)
{
	free(saving->copy);
	free(saving->kept);
	memset(saving, 0, sizeof(*saving));
}

void saving_forget(struct saving *saving)
{
	saving->state = SAVING_IDLE;
}

static void begin(struct saving *saving, const struct receive *r, const struct log *log)
{
	free(saving->copy);
	saving->room = receive_save_room(r);
	saving->copy = malloc(saving->room);
	if (!saving->copy)
		abort();
	saving->state = SAVING_COPYING;
	saving->at = 0;
	saving->len = 0;
	saving->from = log->submitted;
}

static void keep(struct saving *saving, const struct log *log)
{
	free(saving->kept);
	saving->kept = saving->copy;
	saving->kept_len = saving->len;
	saving->kept_from = saving->from;
	memcpy(saving->kept_log, log->id, sizeof(saving->kept_log));
	saving->copy = NULL;
	saving->state = SAVING_IDLE;
	tally(TALLY_saves);
}

void saving_step(struct saving *saving, struct receive *r, const struct log *log)
{
	int saved;

	if (!plan.saves)
		return;
	switch (saving->state) {
	case SAVING_IDLE:
		if (draw_chance(DRAW_RECEIVER, 50))
			begin(saving, r, log);
		break;
	case SAVING_COPYING:
		saved = receive_save(r, &saving->at, 1 + draw_below(DRAW_RECEIVER, 3), saving->copy,
			&saving->len, saving->room);
		if (saved < 0)
			saving->state = SAVING_IDLE;
		if (saved <= 0)
			break;
		saving->until = log->count;
		saving->state = SAVING_WAITING;
		break;
	default:
		if (log->durable >= saving->until)
			keep(saving, log);
	}
}

uint64_t saving_load(const struct saving *saving, struct receive *r, const struct log *log)
{
	int err;

	if (!saving->kept || memcmp(saving->kept_log, log->id, sizeof(saving->kept_log)) != 0)
		return 0;
	require(saving->kept_from <= log->count, "saving", "more was kept than is durable");
	err = receive_load(r, saving->kept, saving->kept_len, (uint32_t)(world_now() / SEC));
	require(err == 0, "saving", "what was saved is not loaded: %s", strerror(-err));
	tally(TALLY_loads);
	return saving->kept_from;
}
