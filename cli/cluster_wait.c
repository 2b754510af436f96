// SPDX-License-Identifier: BSD-3-Clause
// Waiting until the receivers are as they should be.

#include "cli/client.h"
#include "cli/cluster_client.h"
#include "cli/views.h"
#include "common/clock.h"

#include <math.h>
#include <unistd.h>

#define POLL_NS 1000000000u
#define TEXT_BYTES 128

static void progress(const char *text)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s\033[K", text);
}

// What keeps us from looking is told once, not each second.
static void tell_trouble(const char *error, bool *told)
{
	if (*told)
		return;
	progress("");
	cli_error("%s; still waiting", error);
	*told = true;
}

// 0: it is so; -1: not yet; else an exit code.
static int look(const struct cluster *cluster,
	unsigned (*left)(const json_t *receivers, void *arg, char *text), void *arg, char *text,
	bool *told)
{
	char error[CLUSTER_ERROR_BYTES];
	json_t *envelope;
	unsigned count;
	int err = cluster_try(cluster, "receivers", 0, &envelope, error);

	if (cluster_may_mend(err)) {
		tell_trouble(error, told);
		return -1;
	}
	if (err != EXIT_CLI_OK) {
		progress("");
		if (error[0] != '\0')
			cli_error("%s", error);
		return err;
	}
	*told = false;
	count = left(client_data(envelope), arg, text);
	json_decref(envelope);
	progress(count > 0 ? text : "");
	return count > 0 ? -1 : EXIT_CLI_OK;
}

int cluster_wait(const struct cluster *cluster,
	unsigned (*left)(const json_t *receivers, void *arg, char *text), void *arg,
	uint64_t limit_ns)
{
	uint64_t begin = clock_monotonic_ns(), now;
	char text[TEXT_BYTES] = "nothing was seen yet";
	bool told = false;

	while (!cli_interrupted) {
		int err = look(cluster, left, arg, text, &told);

		if (err >= 0)
			return err;
		now = clock_monotonic_ns();
		if (limit_ns != 0 && now - begin >= limit_ns) {
			progress("");
			cli_error("not done in the time of --for; it goes on: %s", text);
			return EXIT_CLI_TIMEOUT;
		}
		if (limit_ns != 0 && begin + limit_ns < now + POLL_NS)
			client_sleep_until(begin + limit_ns, NULL);
		else
			client_sleep_until(now + POLL_NS, NULL);
	}
	progress("");
	return EXIT_CLI_INTERRUPTED;
}

bool cluster_wait_options(
	const char *const *value, unsigned wait, unsigned limit, uint64_t *ret_limit_ns)
{
	*ret_limit_ns = 0;
	if (value[limit] != NULL && value[wait] == NULL) {
		cli_error("--for is how long --wait waits: give both");
		return false;
	}
	return client_duration(value[limit], "for", 0, ret_limit_ns);
}

const char *cluster_age(const json_t *object, const char *key, const char *time, char *buf)
{
	double age = view_seconds(time != NULL ? time : "") - view_seconds(view_text(object, key));

	if (age >= 1)
		return view_ns(age * 1e9, buf);
	snprintf(buf, VIEW_TEXT_BYTES, "%s", isnan(age) ? "-" : "0 s"); // clocks may differ
	return buf;
}

const char *cluster_names(const json_t *names, char *buf, size_t room)
{
	size_t i, len = 0;
	json_t *name;

	snprintf(buf, room, "-");
	json_array_foreach(names, i, name)
	{
		int n = snprintf(buf + len, room - len, "%s%s", i > 0 ? ", " : "",
			json_is_string(name) ? json_string_value(name) : "?");

		if (n < 0 || (size_t)n >= room - len)
			break;
		len += (size_t)n;
	}
	return buf;
}
