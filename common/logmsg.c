// SPDX-License-Identifier: BSD-3-Clause

#include "common/logmsg.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const char *setup_name = "millrace";
static enum log_level setup_max = LOG_LEVEL_INFO;
static bool setup_journal;

// sd-daemon(3): the journal reads "<N>" at the start of a line as the syslog priority N.
static const int journal_priority[] = {
	[LOG_LEVEL_ERR] = 3,
	[LOG_LEVEL_WARN] = 4,
	[LOG_LEVEL_NOTICE] = 5,
	[LOG_LEVEL_INFO] = 6,
	[LOG_LEVEL_DEBUG] = 7,
};

// systemd.exec(5): JOURNAL_STREAM holds device:inode of the stream, so a redirected stderr is told
// from the journal's own.
static bool stderr_is_journal(void)
{
	unsigned long long dev, ino;
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;

	if (stream == NULL || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	if (fstat(STDERR_FILENO, &st) != 0)
		return false;
	return st.st_dev == dev && st.st_ino == ino;
}

void log_setup(const char *name, enum log_level max)
{
	setup_name = name;
	setup_max = max;
	setup_journal = stderr_is_journal();
}

// A message is one line: what came from outside could otherwise forge a second one.
static void flatten(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	size_t start, len;
	va_list ap;
	int n;

	if (level > setup_max)
		return;
	n = setup_journal ? snprintf(line, sizeof(line), "<%d>", journal_priority[level])
			  : snprintf(line, sizeof(line), "%s: ", setup_name);
	start = n < 0 ? 0 : (size_t)n;
	if (start > sizeof(line) / 2)
		start = sizeof(line) / 2;

	va_start(ap, fmt);
	n = vsnprintf(line + start, sizeof(line) - start, fmt, ap);
	va_end(ap);
	len = start + (n < 0 ? 0 : (size_t)n);
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2; // cut, and room for the line's end
	flatten(line + start, len - start);
	line[len++] = '\n';
	// One write keeps lines of several threads whole; nobody is left to be told if it fails.
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
