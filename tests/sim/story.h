// SPDX-License-Identifier: BSD-3-Clause
#pragma once

struct wal_options;

void log_story(void);                              // a log, its crashes and recoveries
void rot_story(const struct wal_options *options); // ... and bit rot
void replace_story(void);                          // a file that file_replace() replaces
void files_story(void);                            // batches that a sink writes as files
void spool_setup(void);                            // before all seeds
void spool_story(void);                            // a sender's spool
