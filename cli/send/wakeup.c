// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/wakeup.h"

#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WAIT_MS 100
#define DIRECTORY_NEWS (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

void wakeup_init(struct wakeup *w)
{
	*w = (struct wakeup){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .file = -1};
}

void wakeup_close(struct wakeup *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void wakeup_watch(struct wakeup *w, const char *directory, int fd)
{
	char path[32];

	if (w->fd < 0)
		return;
	// The same watch again where it is there already.
	inotify_add_watch(w->fd, directory, DIRECTORY_NEWS);
	if (w->file >= 0)
		inotify_rm_watch(w->fd, w->file);
	w->file = -1;
	if (fd < 0)
		return;
	// This file, whatever its name has become.
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	w->file = inotify_add_watch(w->fd, path, IN_MODIFY);
}

void wakeup_wait(struct wakeup *w)
{
	struct pollfd p = {.fd = w->fd, .events = POLLIN};
	char events[4096];

	// What happened is looked for in the files themselves.
	if (poll(&p, 1, WAIT_MS) > 0)
		while (read(w->fd, events, sizeof(events)) > 0)
			;
}
