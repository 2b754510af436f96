// SPDX-License-Identifier: BSD-3-Clause
#include "control/loop.h"

#include "common/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MS 1000000ull

// poll() counts no time while the machine sleeps, our timers do: it wakes so often to look.
#define POLL_MAX_MS 1000

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	CURLM *multi;
	struct loop_timer *timers; // soonest first
	atomic_bool stopped;

	pthread_mutex_t lock; // of what follows
	struct post *first, **last;
	size_t posted;
};

int loop_new(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return -ENOMEM;
	loop->multi = curl_multi_init();
	if (loop->multi == NULL) {
		free(loop);
		return -ENOMEM;
	}
	pthread_mutex_init(&loop->lock, NULL);
	loop->last = &loop->first;
	*ret = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	struct post *post;

	if (loop == NULL)
		return;
	while ((post = loop->first) != NULL) {
		loop->first = post->next;
		free(post);
	}
	curl_multi_cleanup(loop->multi);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct post *post = malloc(sizeof(*post));

	if (post == NULL)
		return -ENOMEM;
	*post = (struct post){.fn = fn, .arg = arg};
	pthread_mutex_lock(&loop->lock);
	*loop->last = post;
	loop->last = &post->next;
	loop->posted++;
	pthread_mutex_unlock(&loop->lock);
	curl_multi_wakeup(loop->multi);
	return 0;
}

static size_t posted(struct loop *loop)
{
	size_t ret;

	pthread_mutex_lock(&loop->lock);
	ret = loop->posted;
	pthread_mutex_unlock(&loop->lock);
	return ret;
}

static struct post *take_post(struct loop *loop)
{
	struct post *post;

	pthread_mutex_lock(&loop->lock);
	post = loop->first;
	loop->first = post->next;
	if (loop->first == NULL)
		loop->last = &loop->first;
	loop->posted--;
	pthread_mutex_unlock(&loop->lock);
	return post;
}

// What these post in turn has to wait for the next round, or timers and transfers might never come.
static void run_posts(struct loop *loop)
{
	size_t count = posted(loop);

	for (; count > 0 && !atomic_load(&loop->stopped); count--) {
		struct post post, *taken = take_post(loop);

		post = *taken;
		free(taken);
		post.fn(post.arg);
	}
}

uint64_t loop_now_ns(void)
{
	return clock_kernel_ns(CLOCK_BOOTTIME);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **at = &loop->timers;

	if (timer->due_ns == 0)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->next = NULL;
	timer->due_ns = 0;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns)
{
	struct loop_timer **at = &loop->timers;
	uint64_t now = loop_now_ns();

	loop_timer_cancel(loop, timer);
	timer->due_ns = delay_ns > UINT64_MAX - now ? UINT64_MAX : now + delay_ns;
	while (*at != NULL && (*at)->due_ns <= timer->due_ns)
		at = &(*at)->next;
	timer->next = *at;
	*at = timer;
}

static void run_timers(struct loop *loop)
{
	uint64_t now = loop_now_ns();

	while (loop->timers != NULL && loop->timers->due_ns <= now &&
		!atomic_load(&loop->stopped)) {
		struct loop_timer *timer = loop->timers;

		loop_timer_cancel(loop, timer);
		timer->fn(timer->arg);
	}
}

static int poll_ms(const struct loop *loop)
{
	uint64_t now = loop_now_ns(), left;

	if (loop->timers == NULL)
		return POLL_MAX_MS;
	left = loop->timers->due_ns > now ? (loop->timers->due_ns - now + MS - 1) / MS : 0;
	return left < POLL_MAX_MS ? (int)left : POLL_MAX_MS;
}

static int multi_error(CURLMcode code)
{
	switch (code) {
	case CURLM_OK:
		return 0;
	case CURLM_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLM_RECURSIVE_API_CALL:
		return -EBUSY;
	default:
		return -EINVAL;
	}
}

int loop_transfer_start(struct loop *loop, struct loop_transfer *transfer)
{
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	return multi_error(curl_multi_add_handle(loop->multi, transfer->easy));
}

void loop_transfer_cancel(struct loop *loop, struct loop_transfer *transfer)
{
	curl_multi_remove_handle(loop->multi, transfer->easy);
}

// One message at a time: done() may cancel the transfer whose message would be next.
static void reap(struct loop *loop)
{
	CURLMsg *msg;
	int left;

	while (!atomic_load(&loop->stopped) &&
		(msg = curl_multi_info_read(loop->multi, &left)) != NULL) {
		CURLcode code = msg->data.result;
		struct loop_transfer *transfer;
		CURL *easy = msg->easy_handle;

		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
		curl_multi_remove_handle(loop->multi, easy);
		transfer->done(transfer, code);
	}
}

void loop_run(struct loop *loop)
{
	int running;

	while (!atomic_load(&loop->stopped)) {
		run_timers(loop);
		run_posts(loop);
		curl_multi_perform(loop->multi, &running);
		reap(loop);
		if (!atomic_load(&loop->stopped))
			curl_multi_poll(loop->multi, NULL, 0, poll_ms(loop), NULL);
	}
	atomic_store(&loop->stopped, false);
}

void loop_stop(struct loop *loop)
{
	int saved = errno;

	atomic_store(&loop->stopped, true);
	curl_multi_wakeup(loop->multi);
	errno = saved;
}
