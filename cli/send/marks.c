// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/marks.h"

#include "cli/send/input.h"

#include <errno.h>
#include <stdlib.h>

struct marked_file {
	struct marked_file *newer;
	struct place begin;
	uint64_t first; // seq of its first event, if there is one
};

int marks_init(struct marks *m)
{
	*m = (struct marks){.lock = PTHREAD_MUTEX_INITIALIZER};
	m->offsets = calloc(SEND_IN_FLIGHT, sizeof(*m->offsets));
	return m->offsets != NULL ? 0 : -ENOMEM;
}

static void forget_oldest(struct marks *m)
{
	struct marked_file *oldest = m->oldest;

	m->oldest = oldest->newer;
	free(oldest);
}

void marks_free(struct marks *m)
{
	while (m->oldest != NULL)
		forget_oldest(m);
	free(m->offsets);
	m->offsets = NULL;
}

int marks_file(struct marks *m, const struct place *place)
{
	struct marked_file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&m->lock);
	file->begin = *place;
	file->first = m->next;
	if (m->oldest == NULL)
		m->oldest = file;
	else
		m->newest->newer = file;
	m->newest = file;
	m->done = place->offset;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

void marks_head(struct marks *m, const struct place *place)
{
	pthread_mutex_lock(&m->lock);
	m->newest->begin.head_bytes = place->head_bytes;
	m->newest->begin.head_crc = place->head_crc;
	pthread_mutex_unlock(&m->lock);
}

void marks_given(struct marks *m, uint64_t seq, uint64_t offset)
{
	pthread_mutex_lock(&m->lock);
	m->offsets[seq % SEND_IN_FLIGHT] = offset;
	m->next = seq + 1;
	m->done = offset;
	pthread_mutex_unlock(&m->lock);
}

void marks_done(struct marks *m, uint64_t offset)
{
	pthread_mutex_lock(&m->lock);
	m->done = offset;
	pthread_mutex_unlock(&m->lock);
}

bool marks_place(struct marks *m, uint64_t durable, struct place *ret)
{
	bool found;

	pthread_mutex_lock(&m->lock);
	if (durable > m->next)
		durable = m->next;
	// With the last event of a file all of it is done, and the next one begins.
	while (m->oldest != m->newest && m->oldest->newer->first <= durable)
		forget_oldest(m);
	found = m->oldest != NULL;
	if (found) {
		*ret = m->oldest->begin;
		if (durable == m->next && m->oldest == m->newest)
			ret->offset = m->done;
		else if (durable > m->oldest->first)
			ret->offset = m->offsets[(durable - 1) % SEND_IN_FLIGHT];
	}
	pthread_mutex_unlock(&m->lock);
	return found;
}
