// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Asking millraced's API on its Unix socket. Blocks, for a short time only.

#include <curl/curl.h>
#include <jansson.h>

#define ASK_WHY_BYTES 256

struct asker {
	CURL *curl;
	const char *socket; // the owner's
};

// -ENOMEM. Process-wide curl_global_init() is the caller's.
int ask_init(struct asker *asker, const char *socket);
void ask_free(struct asker *asker);

// The "data" of the answer's envelope, to be json_decref()ed; NULL with the reason in why
// (ASK_WHY_BYTES).
json_t *ask(struct asker *asker, const char *path, char *why);
