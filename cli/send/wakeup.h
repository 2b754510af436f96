// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// When to look at a file again: by inotify when it grows or its directory gets a new name, else
// after 100 ms, which does where inotify sees nothing or has no room.

struct wakeup {
	int fd;   // inotify; below 0: none
	int file; // watch descriptor
};

void wakeup_init(struct wakeup *w);
void wakeup_close(struct wakeup *w);

// From now on that directory, and that open file (below 0: none) instead of the one before.
void wakeup_watch(struct wakeup *w, const char *directory, int fd);

void wakeup_wait(struct wakeup *w);
