// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The API from within. All of it is the server's thread's.

#include "control/api.h"
#include "http/server.h"

#include <stdio.h>
#include <string.h>

#define API_NAME_BYTES 512
#define API_WAIT_MAX_MS 30000u
#define API_BODY_MAX (256u << 10) // a receiver's file of 64 KiB as a JSON text, and the rest
#define API_COMMANDS 6

struct api_page {
	struct api *api;
	enum api_view view; // of a read
	unsigned command;   // of a command
	char path[40], schema[40];
};

struct api {
	struct api_core core;
	struct http *http;
	struct api_page pages[API_VIEWS + API_COMMANDS];
	struct http_route routes[3 + API_VIEWS + API_COMMANDS]; // ends without a path
	unsigned route_count;
	uint64_t newest_event, look_at; // CLOCK_MONOTONIC: when it is asked for again
};

// True: this process leads. Else the reply says who does.
bool api_leads(struct api *api, const struct http_request *req, struct http_reply *reply);

// api_commands.c

const char *api_command_name(unsigned command);
void api_serve_command(const struct http_request *req, struct http_reply *reply, void *page);
