// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A real log of one partition that a test writes batch by batch, and the pull API on it.

#include "http/pull.h"
#include "http/server.h"
#include "wal/wal.h"

#define PULL_LOG_BLOCK (128u << 10)
#define PULL_LOG_SEGMENT (1u << 20)

struct pull_log_fixture {
	char dir[128];
	struct wal_options options;
	struct wal_recovery report;
	struct wal *wal;
	struct config_api api;
	struct pull *pull;
	struct http *http;
	uint64_t written; // rows
};

// Opens the log in the directory, made if missing; its writer is the calling thread. Retention
// keeps so many bytes; 0: all. What fails ends the program.
void pull_log_open(struct pull_log_fixture *f, const char *dir, uint64_t retain_bytes);
// A block of so many rows; payloads are the row's seq in 8 bytes, and zeros up to 'payload'.
// Returns when it is durable.
void pull_log_write(struct pull_log_fixture *f, uint32_t rows, uint32_t payload, bool seal);
void pull_log_close(struct pull_log_fixture *f);

// Serves it. f->api may be set before; negative errno and 'why' as http_start_with().
int pull_log_serve(struct pull_log_fixture *f, const char *socket_path, char *why);
void pull_log_stop(struct pull_log_fixture *f);
