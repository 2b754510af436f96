// SPDX-License-Identifier: BSD-3-Clause
#pragma once

void log_story(void);     // a log, its crashes and recoveries
void replace_story(void); // a file that file_replace() replaces
