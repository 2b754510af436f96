// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One request over HTTP and its answer: what asking a receiver and asking the control process
// share. Nothing is told; the caller has the words for it.

#include <curl/curl.h>
#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define EXCHANGE_ADDRESS_BYTES 1024

struct exchange {
	const char *url;
	const char *socket; // NULL: where the URL says
	const char *method; // NULL: GET, or POST with a body
	const char *body;   // JSON; NULL: none
	const char *token;  // NULL: none
	const char *ca;     // file of certificates; NULL: the system's
	uint64_t timeout_ns;
	bool interruptible; // CURLE_ABORTED_BY_CALLBACK when the command is interrupted
};

struct exchange_answer {
	CURLcode code; // CURLE_OK: there is an answer; the others have the system's errno
	long os_error;
	long status;
	char detail[CURL_ERROR_SIZE];          // curl's words for what failed; may be ""
	char location[EXCHANGE_ADDRESS_BYTES]; // where it redirects to; ""
	json_t *envelope;                      // NULL: the answer is none of Millrace's; owned
	const char *error; // the text of an error envelope, "refused" without one; NULL: it is none
};

// exchange_done() is due in any case.
void exchange_run(const struct exchange *exchange, struct exchange_answer *ret);
void exchange_done(struct exchange_answer *answer);
