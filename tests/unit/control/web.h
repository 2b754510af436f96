// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A web server of one thread on a free port: /hang is never answered, all else gets "hello".

#include <pthread.h>
#include <stdint.h>

struct web {
	uint16_t port;
	int fd, wake[2];
	pthread_t thread;
};

void web_start(struct web *web);
void web_stop(struct web *web);
