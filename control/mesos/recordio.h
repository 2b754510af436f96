// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// RecordIO: "<bytes>\n", then so many bytes. Takes a stream in pieces of any size, and gives
// records.

#include <stddef.h>

#define RECORDIO_RECORD_MAX (16u << 20)
#define RECORDIO_DIGITS_MAX 10

// Zeroed before first use.
struct recordio {
	char *buf;
	size_t start, end, size; // what is not yet given lies from start to end
	int error;
};

void recordio_done(struct recordio *r); // empty again, and without an error

// -ENOMEM; -EBADMSG: the stream was malformed before.
int recordio_feed(struct recordio *r, const char *data, size_t len);

// 1 and a record, which is good until the next recordio_feed() or recordio_done(); 0: there is no
// whole one yet; -EBADMSG: what comes next is no record, and nothing after it can be trusted.
int recordio_next(struct recordio *r, const char **ret_data, size_t *ret_len);
