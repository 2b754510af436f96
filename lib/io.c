// SPDX-License-Identifier: BSD-3-Clause
#include "lib/io.h"

#include "common/clock.h"
#include "lib/spooling.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MS_NS 1000000ull
#define SECOND_NS 1000000000ull
#define BLOCKED_NS (20 * MS_NS)
#define EPOCH_AGAIN_NS (500 * MS_NS)
#define TIMER_SLACK_NS 5000ul // the kernel's 50 us are several round trips
#define SLEEP_MAX_NS (3600 * SECOND_NS)

int io_make(struct io **ret, struct millrace *m, const struct send_config *config)
{
	uint32_t room = config->mtu > config->mtu_probe ? config->mtu : config->mtu_probe;
	struct io *io = calloc(1, sizeof(*io));
	int err;

	if (io == NULL)
		return -ENOMEM;
	io->m = m;
	io->fd = -1;
	io->wish = MILLRACE_NONE;
	io->failover_ns = m->failover_ns;
	io->first_epoch = config->resumed && config->epoch.opened ? config->epoch.number : 0;
	io->now = clock_monotonic_ns();
	err = send_make(&io->half, config, io->now);
	if (err == 0 && m->spool != NULL) {
		io->epoch = *send_epoch_now(io->half);
		err = spool_reader_make(&io->reader, m->spool);
	}
	if (err == 0)
		err = socket_buffers_make(io, room);
	if (err != 0) {
		io_free(io);
		return err;
	}
	*ret = io;
	return 0;
}

void io_free(struct io *io)
{
	if (io == NULL)
		return;
	if (io->fd >= 0)
		close(io->fd);
	send_free(io->half);
	spool_reader_free(io->reader);
	socket_buffers_free(io);
	queue_free(&io->queue);
	free(io->empty);
	free(io);
}

void note(struct io *io, int reason, const char *fmt, ...)
{
	char text[MILLRACE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	io->noted = reason;
	pthread_mutex_lock(&io->m->lock);
	memcpy(io->m->error, text, sizeof(text));
	pthread_mutex_unlock(&io->m->lock);
}

static void publish_stats(const struct io *io, struct millrace_stats *ret)
{
	struct send_stats stats;

	send_stats(io->half, &stats);
	*ret = (struct millrace_stats){
		.sent = stats.events_sent,
		.again = stats.events_again,
		.datagrams = stats.datagrams,
		.datagram_bytes = stats.bytes,
		.answers = io->answers,
		.lost = stats.lost,
		.timeouts = stats.timeouts,
		.moves = io->moves,
		.epochs = stats.epochs,
		.rtt_ns = stats.rtt_ns,
		.cwnd = stats.cwnd,
		.receiver = io->receiver,
		.open = send_state(io->half) == SEND_OPEN,
		.overlap = io->overlap,
	};
}

// With the lock held.
static void publish(struct io *io)
{
	struct millrace *m = io->m;
	uint64_t durable = send_durable(io->half);
	uint64_t kept = send_kept(io->half) + io->queued;
	bool news = durable > m->durable || kept < m->kept;

	if (durable > m->durable) {
		m->durable = durable;
		m->error[0] = '\0';
		io->noted = 0;
		tell_callers(m);
	}
	if (news && m->spool_state == SPOOL_WAITS)
		pthread_cond_signal(&m->to_spool);
	m->kept = kept;
	m->event_max = send_event_max(io->half);
	publish_stats(io, &m->stats);
	if (news && m->waiters > 0)
		pthread_cond_broadcast(&m->changed);
}

static bool has_news(const struct io *io)
{
	const struct millrace *m = io->m;

	if (m->wish != MILLRACE_NONE)
		return true;
	return m->spool == NULL ? !queue_is_empty(&m->queue) : m->spooled > io->spooled;
}

// Tells callers and takes from them. True: there is time to sleep, and who gives an event now wakes
// this thread.
static bool exchange(struct io *io, bool may_sleep)
{
	struct millrace *m = io->m;

	pthread_mutex_lock(&m->lock);
	// What is durable in an epoch that isn't on disk is not told.
	if (io->epoch_due == 0)
		publish(io);
	m->asleep = may_sleep && !has_news(io) && !m->ending;
	may_sleep = m->asleep;
	if (m->spool == NULL) {
		take_queue(m, &io->queue, &io->empty);
		io->queued += m->queued;
		m->kept += m->queued;
		m->queued = 0;
	}
	take_wish(io);
	io->spooled = m->spooled;
	io->ending = m->ending;
	pthread_mutex_unlock(&m->lock);
	return may_sleep;
}

static int give_event(struct io *io, const uint8_t *event, uint32_t len)
{
	uint64_t seq;
	int err = send_event(io->half, event, len, &seq);

	// With a spool, and what is under way in memory.
	if (err == 0 || err == -EAGAIN)
		return err;
	io->blocked_until = io->now + BLOCKED_NS;
	note(io, -err, "%.150s: %s", io->target.name,
		err == -EMSGSIZE ? "takes no event so large" : "no memory");
	return err;
}

static void give_spooled(struct io *io)
{
	char why[SPOOL_TEXT];
	const uint8_t *event;
	uint32_t len;
	int err = 0, r = 0;

	if (!io->unreadable && send_is_outdated(io->half)) {
		r = -ESTALE;
		snprintf(why, sizeof(why),
			"%.100s has events that the spool doesn't know: it was put "
			"back to an earlier state; move it away, another one begins anew",
			io->target.name);
	}
	while (!io->unreadable && r >= 0 && err == 0) {
		r = spool_reader_first(io->reader, io->spooled, &event, &len, why);
		if (r <= 0)
			break;
		err = give_event(io, event, len);
		if (err == 0)
			spool_reader_next(io->reader);
	}
	if (r < 0) {
		io->unreadable = true;
		spooling_fail(io->m, r, why);
	}
}

static void give_queued(struct io *io)
{
	const uint8_t *event;
	uint32_t len;

	while ((event = queue_first(&io->queue, &len)) != NULL) {
		if (give_event(io, event, len) != 0)
			return;
		io->queued -= queued_cost(len);
		queue_remove(&io->queue, &io->empty);
	}
}

static void give_events(struct io *io)
{
	io->blocked_until = 0;
	if (io->reader != NULL)
		give_spooled(io);
	else
		give_queued(io);
}

// Before anything is sent in it: whoever resumes this spool goes on from it.
static void keep_epoch(struct io *io)
{
	const struct send_epoch *epoch = send_epoch_now(io->half);
	int err;

	if (io->reader == NULL || memcmp(&io->epoch, epoch, sizeof(*epoch)) == 0 ||
		io->now < io->epoch_due)
		return;
	err = spool_keep_epoch(io->m->spool, epoch);
	io->epoch_due = err == 0 ? 0 : io->now + EPOCH_AGAIN_NS;
	if (err == 0)
		io->epoch = *epoch;
	else
		note(io, -err, "the spool: %s", strerrordesc_np(-err));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t due(const struct io *io)
{
	uint64_t at = earlier(receiver_due(io), wish_due(io));

	if (io->epoch_due != 0)
		return io->epoch_due;
	if (io->blocked_until != 0)
		at = earlier(at, io->blocked_until);
	// Without a socket, or with one that is full, nothing can be sent whatever is due.
	if (io->fd >= 0 && io->out_at == io->out_n)
		at = earlier(at, send_due(io->half));
	return at;
}

static void wait_until(struct io *io, uint64_t until)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t left = until > now ? earlier(until - now, SLEEP_MAX_NS) : 0;
	const struct timespec t = {
		.tv_sec = (time_t)(left / SECOND_NS), .tv_nsec = (long)(left % SECOND_NS)};
	struct pollfd fds[] = {
		{.fd = io->fd, .events = POLLIN},
		{.fd = io->m->wake, .events = POLLIN},
	};
	eventfd_t value;

	if (io->out_at < io->out_n)
		fds[0].events |= POLLOUT;
	if (ppoll(fds, 2, &t, NULL) > 0 && fds[1].revents != 0)
		eventfd_read(io->m->wake, &value);
}

// Where all is durable the receiver needn't keep the session for us.
static void take_leave(struct io *io)
{
	uint32_t len = 0;

	if (io->fd >= 0 && queue_is_empty(&io->queue) && io->epoch_due == 0)
		len = send_close(io->half, io->out_bytes);
	if (len > 0)
		send(io->fd, io->out_bytes, len, MSG_DONTWAIT);
}

void *io_main(void *arg)
{
	struct io *io = arg;

	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	for (;;) {
		uint64_t until = due(io);

		if (exchange(io, until > io->now))
			wait_until(io, until);
		if (io->ending)
			break;
		io->now = clock_monotonic_ns();
		give_events(io);
		watch_receiver(io);
		take_datagrams(io);
		tell_log(io);
		keep_epoch(io);
		if (io->epoch_due == 0)
			give_datagrams(io);
	}
	take_leave(io);
	return NULL;
}
