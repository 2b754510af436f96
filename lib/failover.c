// SPDX-License-Identifier: BSD-3-Clause
// Which receiver the events go to. One that is alone is never given up, only asked for again where
// it is: another epoch at the same log would make events come twice.

#include "lib/io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull
#define ASKED_MAX 64u // receivers, one after another, that have no address

static uint64_t doubled(uint64_t ns, unsigned times, unsigned most)
{
	return ns << (times < most ? times : most);
}

static bool same_address(const struct target *a, const struct target *b)
{
	return a->address_len == b->address_len &&
	       memcmp(&a->address, &b->address, a->address_len) == 0;
}

// Its session, if it gets one, is another one in another epoch unless it is the same receiver that
// has moved: then it says itself whether it knows this one.
static int go_to(struct io *io, unsigned n, const struct target *target)
{
	bool other = io->had_receiver && n != io->receiver;
	int fd;

	if (io->fd >= 0 && same_address(target, &io->target)) {
		io->receiver = n;
		return 0;
	}
	fd = socket_open(target);
	if (fd < 0)
		return fd;
	if (io->fd >= 0)
		close(io->fd);
	io->fd = fd;
	io->out_at = io->out_n = 0;
	io->target = *target;
	io->receiver = n;
	io->had_receiver = true;
	io->planned = n == io->wish;
	if (other) {
		send_move(io->half, io->now);
		io->moves++;
	}
	return 0;
}

static unsigned next_of(const struct io *io, unsigned n)
{
	const struct millrace *m = io->m;

	_Static_assert(MILLRACE_NONE + 1 == 0, "behind none is the first");
	return m->next != NULL ? m->next(m->resolve_arg, n) : n + 1;
}

static int ask(struct io *io, unsigned n, struct target *target)
{
	const struct millrace *m = io->m;

	*target = (struct target){.address_len = sizeof(target->address)};
	if (n == MILLRACE_NONE)
		return -ENOENT;
	return m->resolve(m->resolve_arg, n, &target->address, &target->address_len, target->name);
}

// 0: it is there now, maybe it was before.
static int try(struct io *io, unsigned n)
{
	struct target target;
	int err = ask(io, n, &target);

	if (err == -ENOENT)
		return err;
	if (err != 0) {
		note(io, 0, "%.250s", target.name);
		return err;
	}
	err = go_to(io, n, &target);
	if (err != 0)
		note(io, -err, "%.150s: %s", target.name, strerrordesc_np(-err));
	return err;
}

// 0: there is a receiver now, maybe the same.
static int go_to_next(struct io *io)
{
	unsigned n = next_of(io, io->had_receiver ? io->receiver : MILLRACE_NONE);
	bool again = !io->had_receiver;
	int err = -ENOENT;

	for (unsigned asked = 0; asked < ASKED_MAX; asked++) {
		err = try(io, n);
		if (err == 0)
			return 0;
		if (err == -ENOENT) {
			io->rounds++;
			if (again)
				return err;
			again = true;
			n = MILLRACE_NONE;
		}
		n = next_of(io, n);
	}
	return err;
}

static void go_on(struct io *io)
{
	int err = go_to_next(io);

	io->since = io->progress = io->now;
	if (err != 0 && !io->had_receiver && err == -ENOENT && io->m->error[0] == '\0')
		note(io, 0, "there is no receiver");
	io->connect_due = io->now + doubled(SECOND_NS / 4, io->rounds, 5);
}

// Time passes only while something is kept. The handshake is no progress: a receiver may have
// challenges for everybody and room for nobody.
static void look_for_progress(struct io *io)
{
	uint64_t durable = send_durable(io->half);

	if (!io->busy)
		io->progress = io->now;
	else if (send_state(io->half) == SEND_OPEN && send_progress(io->half) > io->progress)
		io->progress = send_progress(io->half);
	if (durable > io->durable)
		io->rounds = 0;
	io->durable = durable;
	io->busy = send_kept(io->half) > 0 || !queue_is_empty(&io->queue);
}

uint64_t receiver_due(const struct io *io)
{
	uint64_t from = io->progress > io->since ? io->progress : io->since;

	if (io->fd < 0)
		return io->connect_due;
	if (!io->busy)
		return UINT64_MAX;
	if (send_state(io->half) != SEND_REFUSED)
		return from + doubled(io->failover_ns, io->rounds, 2);
	return io->since + (io->rounds == 0 ? 0 : doubled(SECOND_NS, io->rounds, 3));
}

static void say_why(struct io *io)
{
	if (io->fd < 0)
		return;
	if (send_state(io->half) == SEND_REFUSED)
		note(io, 0, "%.150s: refuses us: it has no room, or takes no event so large",
			io->target.name);
	else if (send_state(io->half) == SEND_OPEN)
		note(io, 0, "%.150s: nothing becomes durable", io->target.name);
	else if (io->noted == 0)
		note(io, 0, "%.150s: no answer", io->target.name);
}

static void go_as_wished(struct io *io)
{
	// Where it is not to be had, the present one stays.
	if (try(io, io->wish) == 0) {
		io->since = io->progress = io->now;
		io->rounds = 0;
	}
	io->wish = MILLRACE_NONE;
	send_go_on(io->half);
}

void watch_receiver(struct io *io)
{
	bool failed;

	look_for_progress(io);
	failed = io->now >= receiver_due(io);
	if (io->wish != MILLRACE_NONE && (failed || io->now >= wish_due(io))) {
		go_as_wished(io);
	} else if (failed) {
		say_why(io);
		go_on(io);
	}
}
