// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the server makes by itself out of the registries of counters and histograms.

#include "common/counters.h"
#include "common/hist.h"

#include <jansson.h>

#include <stddef.h>

// OpenMetrics text; the caller's to free(). NULL on lack of memory.
char *metrics_render(const char *receiver, size_t *ret_len);

// Data of millrace.stats/1 and millrace.drops/1. NULL on lack of memory.
json_t *stats_json(void);
json_t *drops_json(void);

// 'port="eth0",lcore="1"', escaped as OpenMetrics wants it, as an object of strings; what doesn't
// parse is left out.
json_t *labels_json(const char *labels);
