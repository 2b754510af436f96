// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/preflight.h"

#include "dataplane/preflight_rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct check_row *check_add(
	struct checks *c, enum check_result result, const char *name, const char *found, ...)
{
	unsigned at = c->out->count < PREFLIGHT_ROWS_MAX ? c->out->count++ : PREFLIGHT_ROWS_MAX - 1;
	struct check_row *row = &c->out->rows[at];
	va_list args;

	memset(row, 0, sizeof(*row));
	row->result = result;
	snprintf(row->name, sizeof(row->name), "%s", name);
	va_start(args, found);
	vsnprintf(row->found, sizeof(row->found), found, args);
	va_end(args);
	return row;
}

void check_mend(struct check_row *row, const char *mend, ...)
{
	va_list args;

	va_start(args, mend);
	vsnprintf(row->mend, sizeof(row->mend), mend, args);
	va_end(args);
}

static void full_path(const struct checks *c, char *ret, size_t len, const char *path, va_list args)
{
	int n = snprintf(ret, len, "%s", c->root);

	if (n >= 0 && (size_t)n < len)
		vsnprintf(ret + n, len - (size_t)n, path, args);
}

static bool read_line(const char *path, char *ret, size_t len)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (f == NULL)
		return false;
	ok = fgets(ret, (int)len, f) != NULL;
	fclose(f);
	if (ok)
		ret[strcspn(ret, "\n")] = '\0';
	return ok;
}

bool check_read(const struct checks *c, char *ret, size_t len, const char *path, ...)
{
	char full[512];
	va_list args;

	va_start(args, path);
	full_path(c, full, sizeof(full), path, args);
	va_end(args);
	return read_line(full, ret, len);
}

long long check_number(const struct checks *c, const char *path, ...)
{
	char full[512], text[64], *end;
	long long value;
	va_list args;

	va_start(args, path);
	full_path(c, full, sizeof(full), path, args);
	va_end(args);
	if (!read_line(full, text, sizeof(text)))
		return -1;
	errno = 0;
	value = strtoll(text, &end, 0);
	return errno != 0 || end == text ? -1 : value;
}

bool check_exists(const struct checks *c, const char *path, ...)
{
	char full[512];
	va_list args;

	va_start(args, path);
	full_path(c, full, sizeof(full), path, args);
	va_end(args);
	return access(full, F_OK) == 0;
}

void preflight_run(
	struct preflight *ret, const struct config *config, bool measure_disk, bool running)
{
	struct plan plan;
	struct checks checks = {
		.config = config,
		.plan = &plan,
		.root = "",
		.measure_disk = measure_disk,
		.running = running,
		.out = ret,
	};

	ret->count = 0;
	plan_make(&plan, config);
	check_permissions(&checks);
	check_memory(&checks);
	check_ports(&checks);
	check_disk(&checks);
	check_api(&checks);
}

bool preflight_receiver_runs(const struct config *config)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool runs;

	if (fd < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", config->socket);
	runs = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return runs;
}

enum check_result preflight_worst(const struct preflight *preflight)
{
	enum check_result worst = CHECK_OK;

	for (unsigned i = 0; i < preflight->count; i++) {
		enum check_result result = preflight->rows[i].result;
		if (result != CHECK_SKIP && result > worst)
			worst = result;
	}
	return worst;
}
