// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/reliable.h"

#include "common/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define MS_NS 1000000ull
#define PROGRESS_NS (250 * MS_NS)
#define STEP_MS 50    // how late an interrupt may be seen
#define GRACE_MS 1000 // for acknowledgements that are on their way when it is interrupted
#define REPORTS 512u

_Static_assert(SEND_WHY_BYTES >= MILLRACE_TEXT, "room for the library's words");

struct run {
	const struct send_plan *plan;
	const struct reliable_options *options;
	struct send_input *input;
	const volatile bool *stop;
	reliable_progress *progress;
	void *arg;
	struct send_handle handle;
	struct millrace *m;                   // of it
	uint64_t start, end;                  // ns; no event is given from 'end' on
	uint64_t *given_at;                   // ns, by seq modulo SEND_IN_FLIGHT
	uint64_t base;                        // seq of the first event that is given
	uint64_t found;                       // before it, in the spool
	atomic_uint_fast64_t given, reported; // the latter also of what was found
	atomic_bool gave_up, finish;
	// The giver's.
	uint64_t bytes, refused;
	int error;
	int failed; // errno of the spool's
	char reason[MILLRACE_TEXT];
	// The watcher's, until it has ended.
	struct reliable_tally *tally;
	uint64_t last_ack;
};

static void count_report(struct run *run, const struct millrace_report *report, uint64_t now)
{
	struct reliable_tally *tally = run->tally;

	switch (report->fate) {
	case MILLRACE_DURABLE:
		tally->acknowledged++;
		run->last_ack = now;
		if (report->seq >= run->base)
			hist_add(
				&tally->latency, now - run->given_at[report->seq % SEND_IN_FLIGHT]);
		break;
	case MILLRACE_SPOOLED:
		tally->spooled++;
		break;
	case MILLRACE_UNCERTAIN:
		tally->uncertain++;
		break;
	default:
		tally->failed++;
		break;
	}
}

// Of those that there is no room for the first ones are kept.
static void take_logs(struct run *run)
{
	struct reliable_tally *tally = run->tally;
	struct millrace_log log;

	while (millrace_logs(run->m, &log, 1) == 1) {
		if (tally->log_count < RELIABLE_LOGS)
			tally->logs[tally->log_count] = log;
		tally->log_count++;
	}
}

static void take_reports(struct run *run)
{
	struct millrace_report reports[REPORTS];
	unsigned n;

	do {
		uint64_t now;

		n = millrace_reports(run->m, reports, REPORTS);
		// Not before: an event may be given and acknowledged meanwhile.
		now = clock_monotonic_ns();
		for (unsigned i = 0; i < n; i++)
			count_report(run, &reports[i], now);
		run->reported += n;
	} while (n == REPORTS);
	take_logs(run);
}

static void tell_progress(struct run *run, uint64_t now)
{
	struct reliable_tally *tally = run->tally;

	tally->events = run->given;
	tally->elapsed_ns = now - run->start;
	millrace_get_stats(run->m, &tally->stats, sizeof(tally->stats));
	millrace_error_text(run->m, tally->reason);
	run->progress(tally, run->arg);
}

static void settle(struct run *run, bool last)
{
	uint64_t safe;

	if (run->input->settle == NULL)
		return;
	safe = run->options->to.spool != NULL ? millrace_spooled(run->m) : millrace_durable(run->m);
	run->input->settle(run->input, safe > run->base ? safe - run->base : 0, last);
}

static void *watch(void *arg)
{
	struct run *run = arg;
	struct pollfd p = {.fd = millrace_fd(run->m), .events = POLLIN};
	uint64_t news = run->start, told = run->start;

	while (!run->finish) {
		uint64_t before = run->reported, now;

		poll(&p, 1, STEP_MS);
		take_reports(run);
		settle(run, false);
		now = clock_monotonic_ns();
		if (run->reported != before || run->reported == run->found + run->given)
			news = now;
		if (now - news >= run->options->patience_ns)
			run->gave_up = true;
		if (run->progress != NULL && now - told >= PROGRESS_NS) {
			tell_progress(run, now);
			told = now;
		}
	}
	take_reports(run);
	return NULL;
}

static bool is_over(const struct run *run)
{
	return *run->stop || run->gave_up;
}

// False: no more are to be given.
static bool give(struct run *run, const uint8_t *event, uint32_t len)
{
	const struct timespec nap = {.tv_nsec = (long)MS_NS};
	uint64_t seq = run->base + run->given;
	int err;

	while (run->found + run->given - run->reported >= SEND_IN_FLIGHT && !is_over(run))
		nanosleep(&nap, NULL);
	run->given_at[seq % SEND_IN_FLIGHT] = clock_monotonic_ns();
	do
		err = millrace_send_wait(run->m, event, len, STEP_MS, &seq);
	while (err == -EAGAIN && !is_over(run) && clock_monotonic_ns() < run->end);
	if (err == 0) {
		run->given++;
		run->bytes += len;
		if (run->input->given != NULL)
			run->input->given(run->input, seq - run->base);
	} else if (err == -EMSGSIZE) {
		run->refused++;
	} else if (err != -EAGAIN) {
		run->failed = -err;
	}
	return (err == 0 || err == -EMSGSIZE) && !is_over(run);
}

// Until the burst that begins with event i is due. False: there is none.
static bool wait_for_turn(struct run *run, uint64_t i)
{
	const struct send_plan *plan = run->plan;
	// It is the digits of generated events that end there.
	uint64_t count = plan->count < SEND_COUNT_MAX ? plan->count : UINT64_MAX;
	uint64_t last = i + plan->burst - 1;

	if (i >= count || is_over(run))
		return false;
	if (i % plan->burst != 0)
		return true;
	if (last >= count)
		last = count - 1;
	return send_wait_until(run->start + send_due_ns(plan, last), run->stop) < run->end;
}

static void give_all(struct run *run)
{
	const uint8_t *event;
	uint32_t len;
	uint64_t i = 0;

	while (wait_for_turn(run, i)) {
		int r = run->input->next(run->input, &event, &len);

		if (r == -EAGAIN && clock_monotonic_ns() < run->end)
			continue;
		if (r == -EMSGSIZE) {
			run->refused++;
			continue;
		}
		if (r < 0 && r != -EAGAIN)
			run->error = -r;
		if (r <= 0 || !give(run, event, len))
			return;
		i++;
	}
}

// Waits for what is not acknowledged yet.
static void finish(struct run *run)
{
	int err = -ETIMEDOUT;

	while (err == -ETIMEDOUT && !is_over(run))
		err = millrace_flush(run->m, STEP_MS);
	millrace_error_text(run->m, run->reason);
	millrace_stop(run->m, *run->stop ? GRACE_MS : 0);
}

static void fill_tally(struct run *run)
{
	struct reliable_tally *tally = run->tally;

	tally->source = millrace_source(run->m);
	tally->first_seq = run->base;
	tally->found = run->found;
	tally->failure = run->failed;
	tally->events = run->given;
	tally->bytes = run->bytes;
	tally->refused = run->refused;
	tally->elapsed_ns = run->last_ack - run->start;
	tally->interrupted = *run->stop;
	tally->gave_up = run->gave_up;
	tally->error = run->error;
	memcpy(tally->reason, run->reason, sizeof(tally->reason));
	if (tally->acknowledged == tally->found + tally->events && run->failed == 0)
		tally->reason[0] = '\0';
	millrace_get_stats(run->m, &tally->stats, sizeof(tally->stats));
}

// A generator with a rate ends by its count: what is late is sent.
static uint64_t end_of(const struct run *run)
{
	const struct send_plan *plan = run->plan;

	if (plan->duration_ns == 0 || (plan->rate != 0 && run->input->generated))
		return UINT64_MAX;
	return run->start + plan->duration_ns;
}

static int give_and_watch(struct run *run)
{
	pthread_t watcher;
	int err;

	millrace_get_stats(run->m, &run->tally->stats, sizeof(run->tally->stats));
	run->found = run->tally->stats.events;
	run->base = run->options->to.spool != NULL ? millrace_spooled(run->m) : 0;
	run->start = run->last_ack = clock_monotonic_ns();
	run->end = end_of(run);
	prctl(PR_SET_TIMERSLACK, 1ul);
	err = -pthread_create(&watcher, NULL, watch, run);
	if (err != 0)
		return err;
	give_all(run);
	finish(run);
	run->finish = true;
	pthread_join(watcher, NULL);
	settle(run, true);
	fill_tally(run);
	return 0;
}

int reliable_run(const struct send_plan *plan, const struct reliable_options *options,
	const volatile bool *stop, reliable_progress *progress, void *arg,
	struct reliable_tally *ret, char *why)
{
	struct run run = {.plan = plan,
		.options = options,
		.input = options->input,
		.stop = stop,
		.progress = progress,
		.arg = arg,
		.tally = ret};
	int err = -ENOMEM;

	memset(ret, 0, sizeof(*ret));
	why[0] = '\0';
	run.given_at = calloc(SEND_IN_FLIGHT, sizeof(*run.given_at));
	if (run.given_at != NULL)
		err = send_target_open(&run.handle, &options->to, MILLRACE_REPORTS, why);
	run.m = run.handle.m;
	if (err == 0)
		err = give_and_watch(&run);
	if (err != 0 && why[0] == '\0')
		snprintf(why, SEND_WHY_BYTES, "%s", strerror(-err));
	send_target_close(&run.handle);
	free(run.given_at);
	return err;
}
