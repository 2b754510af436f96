// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A client of HTTP on a Unix socket that sees every byte; it judges nothing.

#include <stddef.h>
#include <sys/types.h>

// A connection; reads give up after 30 s. What fails ends the program.
int client_dial(const char *socket_path);
// read(), begun again where a ring of the calling thread interrupts it.
ssize_t client_read(int fd, void *buf, size_t len);
void client_send(int fd, const char *method, const char *target, const char *body);

// Sends one request and reads until the server closes. The status, 0 without an answer; headers and
// body in 'answer', a zero byte behind them, *ret_len (NULL is fine) how many bytes came.
int client_ask(const char *socket_path, const char *method, const char *target, const char *body,
	char *answer, size_t room, size_t *ret_len);
