// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Messages for people: one line to stderr, or to the journal with its level prefix when stderr is
// the journal. Never on a hot path. An error is logged once, where it is handled.

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

// Messages above 'max' are left out. 'name' (static) leads each line: "millraced: ...".
void log_setup(const char *name, enum log_level max);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...) log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
