// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/bpf_log.h"

#include "common/logmsg.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// As libbpf and libxdp declare theirs; neither is linked here.
typedef int (*print_fn)(int level, const char *fmt, va_list args);
typedef print_fn (*set_print_fn)(print_fn fn);

#define LEVEL_WARN 0

static char last[128];

static int print(int level, const char *fmt, va_list args)
{
	char line[sizeof(last)];

	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	if (level == LEVEL_WARN)
		memcpy(last, line, sizeof(last));
	log_debug("%s", line);
	return 0;
}

static void take(const char *library, const char *function)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
	set_print_fn set_print;

	if (handle == NULL)
		return;
	set_print = (set_print_fn)dlsym(handle, function);
	if (set_print != NULL)
		set_print(print);
	dlclose(handle);
}

void bpf_log_take(void)
{
	last[0] = '\0';
	take("libbpf.so.1", "libbpf_set_print");
	take("libxdp.so.1", "libxdp_set_print");
}

const char *bpf_log_last(void)
{
	return last;
}
