// SPDX-License-Identifier: BSD-3-Clause
// The generator, and lines that end.

#include "cli/send/input.h"

#include "cli/send/lines.h"
#include "include/millrace.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct generator {
	struct send_input input;
	const struct send_plan *plan;
	uint64_t next;
	uint8_t event[];
};

static int generator_next(struct send_input *in, const uint8_t **event, uint32_t *len)
{
	struct generator *g = (struct generator *)in;
	uint32_t bytes;

	if (g->next >= g->plan->count)
		return 0;
	*len = send_datagram_write(g->plan, g->next++, g->event, &bytes);
	*event = g->event;
	return 1;
}

static void generator_close(struct send_input *in)
{
	free(in);
}

int send_input_generator(struct send_input **ret, const struct send_plan *plan)
{
	struct generator *g = calloc(1, sizeof(*g) + send_datagram_max(plan));

	if (g == NULL)
		return -ENOMEM;
	g->input = (struct send_input){
		.next = generator_next, .close = generator_close, .generated = true};
	g->plan = plan;
	*ret = &g->input;
	return 0;
}

struct lines {
	struct send_input input;
	struct line_reader reader;
	int fd;
};

static int lines_next(struct send_input *in, const uint8_t **event, uint32_t *len)
{
	return line_reader_next(&((struct lines *)in)->reader, event, len);
}

static void lines_close(struct send_input *in)
{
	struct lines *l = (struct lines *)in;

	line_reader_free(&l->reader);
	close(l->fd);
	free(l);
}

int send_input_lines(struct send_input **ret, int fd)
{
	struct lines *l = calloc(1, sizeof(*l));

	if (l == NULL || line_reader_init(&l->reader, fd, MILLRACE_EVENT_MAX) != 0) {
		close(fd);
		free(l);
		return -ENOMEM;
	}
	l->input = (struct send_input){.next = lines_next, .close = lines_close};
	l->fd = fd;
	*ret = &l->input;
	return 0;
}
