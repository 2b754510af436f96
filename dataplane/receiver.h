// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One running millraced: what main() starts and stops, and what the API shows.

#include "common/config.h"
#include "dataplane/dataplane.h"
#include "http/pull.h"
#include "http/server.h"
#include "sinks/sinks.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct receiver {
	struct config config;
	const char *config_path; // NULL: run by defaults
	struct dataplane dp;
	int lock_fd;        // -1: not taken
	int64_t started_at; // real time, ns
	uint64_t started_ticks;
	struct http *http;
	struct sinks *sinks;
	struct pull *pull;
	unsigned undelivered_partitions; // more than 'partitions', with batches a sink doesn't have
	bool print_durable;              // for tests: "durable PARTITION SEQ" lines on stdout
	uint64_t printed[CONFIG_PARTITIONS_MAX];
	int told_failed[CONFIG_PARTITIONS_MAX];
};

enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_FAILED };

// Adds a line for each cause to reasons, the worst first. Any thread.
enum health receiver_health(const struct receiver *receiver, json_t *reasons);
const char *health_text(enum health health);

// Until SIGTERM or SIGINT, which must be blocked: link states, clock, systemd's status. Returns the
// signal.
int control_loop(struct receiver *receiver);
// Prints what became durable since the last call, when asked to.
void control_print_durable(struct receiver *receiver);

// Sinks and consumers: made when the logs are open, before anything is acknowledged; started when
// the lcores run.
int delivery_make(struct receiver *receiver);
int delivery_start(struct receiver *receiver);
void delivery_free(struct receiver *receiver);

// The routes of the API; they live as long as the receiver.
const struct http_route *api_routes(struct receiver *receiver);

// Route handlers, arg is the receiver.
void api_health(const struct http_request *req, struct http_reply *reply, void *arg);
void api_status(const struct http_request *req, struct http_reply *reply, void *arg);
void api_ports(const struct http_request *req, struct http_reply *reply, void *arg);
void api_partitions(const struct http_request *req, struct http_reply *reply, void *arg);
void api_batches(const struct http_request *req, struct http_reply *reply, void *arg);
void api_log(const struct http_request *req, struct http_reply *reply, void *arg);
void api_sinks(const struct http_request *req, struct http_reply *reply, void *arg);
void api_config(const struct http_request *req, struct http_reply *reply, void *arg);

// The value of one counter of a partition, 0 where there is none by that name.
uint64_t api_partition_counter(unsigned partition, const char *name);
