// SPDX-License-Identifier: BSD-3-Clause
// One thread serves all doors, so that handlers, streams and what they keep have one owner.

#include "http/server.h"

#include "common/clock.h"
#include "common/counters.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "http/internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAIT_POLL_MS 10u // how often who waits is looked at, while somebody does
#define TICK_NS 1000000000u

static const struct counter_def http_counters[] = {
#define X(name, kind, help) {#name, help, COUNTER_##kind, ROLE_NONE},
	HTTP_COUNTERS(X)
#undef X
};

static int timeout_ms(const struct http *http)
{
	uint64_t ret = INT_MAX, now = clock_monotonic_ns();
	MHD_UNSIGNED_LONG_LONG wanted;

	for (unsigned i = 0; i < DOORS; i++)
		if (http->doors[i].daemon != NULL &&
			MHD_get_timeout(http->doors[i].daemon, &wanted) == MHD_YES && wanted < ret)
			ret = wanted;
	if (http->waiting != NULL && ret > WAIT_POLL_MS)
		ret = WAIT_POLL_MS;
	if (http->tick != NULL) {
		uint64_t left = http->tick_at > now ? (http->tick_at - now) / 1000000u + 1 : 0;

		ret = left < ret ? left : ret;
	}
	return (int)ret;
}

static void wait_for_events(const struct http *http)
{
	struct pollfd fds[DOORS + 1] = {{.fd = http->wake_fd, .events = POLLIN}};

	for (unsigned i = 0; i < DOORS; i++) {
		const struct http_door *door = &http->doors[i];

		fds[i + 1].fd = door->daemon != NULL ? door->epoll_fd : -1;
		fds[i + 1].events = POLLIN;
	}
	poll(fds, DOORS + 1, timeout_ms(http));
}

static void tick(struct http *http)
{
	uint64_t now = clock_monotonic_ns();

	if (http->tick == NULL || now < http->tick_at)
		return;
	http->tick_at = now + TICK_NS;
	http->tick(http->tick_arg);
}

// Also while streams keep the thread busy, no more often than that.
static void look_at_waiting(struct http *http)
{
	uint64_t now = clock_monotonic_ns();

	if (http->waiting == NULL || now < http->look_at)
		return;
	http->look_at = now + WAIT_POLL_MS * 1000000u;
	http_wake_waiting(http, false);
}

static void *serve(void *arg)
{
	struct http *http = arg;

	while (!atomic_load(&http->stop)) {
		wait_for_events(http);
		look_at_waiting(http);
		for (unsigned i = 0; i < DOORS; i++)
			if (http->doors[i].daemon != NULL)
				MHD_run(http->doors[i].daemon);
		tick(http);
	}
	return NULL;
}

static void http_free(struct http *http)
{
	if (http->wake_fd >= 0)
		close(http->wake_fd);
	free(http->receiver);
	free(http->path);
	free(http);
}

static void register_counters(struct http *http)
{
	http->set = (struct counter_set){.subsystem = "http",
		.defs = http_counters,
		.values = http->values,
		.count = HTTP_COUNTER_COUNT};
	counters_register(&http->set);
}

static struct http *make(const struct http_options *options)
{
	struct http *http = calloc(1, sizeof(*http));

	if (http == NULL)
		return NULL;
	http->tables[0] = options->routes;
	http->tables[1] = options->more_routes;
	http->tick = options->tick;
	http->tick_arg = options->tick_arg;
	for (unsigned i = 0; i < DOORS; i++)
		http->doors[i].http = http;
	http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	http->receiver = strdup(options->receiver);
	http->path = strdup(options->socket_path);
	if (http->wake_fd < 0 || http->receiver == NULL || http->path == NULL) {
		http_free(http);
		return NULL;
	}
	return http;
}

static void close_doors(struct http *http)
{
	if (http->doors[DOOR_SOCKET].daemon != NULL)
		http_socket_unlink(&http->sock, http->path);
	http_wake_waiting(http, true);
	for (unsigned i = 0; i < DOORS; i++)
		http_close_door(&http->doors[i]);
}

int http_start_with(struct http **ret, const struct http_options *options, char *why)
{
	struct http *http = make(options);
	int err;

	snprintf(why, HTTP_WHY_BYTES, "%s", strerror(ENOMEM));
	if (http == NULL)
		return -ENOMEM;
	err = http_open_socket(http, options->socket_path, why);
	if (err == 0)
		err = http_open_tcp(http, options->api, why);
	if (err < 0)
		goto fail;
	register_counters(http);
	err = thread_start(&http->thread, "http", serve, http);
	if (err < 0) {
		snprintf(why, HTTP_WHY_BYTES, "no thread: %s", strerror(-err));
		counters_unregister(&http->set);
		goto fail;
	}
	*ret = http;
	return 0;
fail:
	atomic_store(&http->stop, true);
	close_doors(http);
	http_free(http);
	return err;
}

int http_start(struct http **ret, const char *socket_path, const char *receiver,
	const struct http_route *routes)
{
	struct http_options options = {
		.socket_path = socket_path, .receiver = receiver, .routes = routes};
	char why[HTTP_WHY_BYTES];

	return http_start_with(ret, &options, why);
}

void http_stop(struct http *http)
{
	uint64_t one = 1;

	if (http == NULL)
		return;
	atomic_store(&http->stop, true);
	if (write(http->wake_fd, &one, sizeof(one)) < 0)
		log_err("the API's thread can't be woken: %s", strerror(errno));
	pthread_join(http->thread, NULL);
	close_doors(http);
	counters_unregister(&http->set);
	http_free(http);
}

unsigned http_tcp_port(const struct http *http)
{
	return http->doors[DOOR_TCP].port;
}
