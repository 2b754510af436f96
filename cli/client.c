// SPDX-License-Identifier: BSD-3-Clause

#include "cli/client.h"

#include "cli/exchange.h"
#include "common/clock.h"
#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000u
#define SLEEP_SLICE_NS (50u * NS_PER_MS) // a signal between the check and the sleep costs so much

static int unreachable(const struct cli *cli, long os_error, char *error)
{
	if (os_error == EACCES || os_error == EPERM)
		snprintf(error, CLIENT_ERROR_BYTES,
			"no permission to open %s: use sudo, or join the group that owns it",
			cli->socket);
	else
		snprintf(error, CLIENT_ERROR_BYTES,
			"nobody listens on %s: start a receiver (systemctl start millraced@NAME) "
			"or "
			"name its socket with --socket",
			cli->socket);
	return EXIT_CLI_UNREACHABLE;
}

static int transfer_failed(const struct cli *cli, const struct exchange_answer *answer, char *error)
{
	switch (answer->code) {
	case CURLE_OUT_OF_MEMORY:
		snprintf(error, CLIENT_ERROR_BYTES, "%s", strerror(ENOMEM));
		return EXIT_CLI_DEGRADED;
	case CURLE_COULDNT_CONNECT:
		return unreachable(cli, answer->os_error, error);
	case CURLE_COULDNT_RESOLVE_HOST: // what curl calls a name that no socket can have
		snprintf(error, CLIENT_ERROR_BYTES, "%s is too long for a socket", cli->socket);
		return EXIT_CLI_UNREACHABLE;
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(error, CLIENT_ERROR_BYTES,
			"no answer on %s within %llu ms: wait longer with --timeout", cli->socket,
			(unsigned long long)(cli->timeout_ns / NS_PER_MS));
		return EXIT_CLI_TIMEOUT;
	default:
		snprintf(error, CLIENT_ERROR_BYTES, "%s: %s", cli->socket,
			curl_easy_strerror(answer->code));
		return EXIT_CLI_UNREACHABLE;
	}
}

// An answer with a status of 400 and above that is no error envelope (/healthz of a failed
// receiver) is an answer like others.
static int judge(struct exchange_answer *answer, const char *path, json_t **ret, char *error)
{
	if (answer->envelope == NULL) {
		snprintf(error, CLIENT_ERROR_BYTES, "%s: the answer (status %ld) is not Millrace's",
			path, answer->status);
		return EXIT_CLI_DEGRADED;
	}
	if (answer->error == NULL) {
		*ret = json_incref(answer->envelope);
		return EXIT_CLI_OK;
	}
	snprintf(error, CLIENT_ERROR_BYTES, "%s: %s%s", path, answer->error,
		answer->status == 404 ? "; the receiver may be of another version than this command"
				      : "");
	return answer->status == 400 ? EXIT_CLI_USAGE : EXIT_CLI_DEGRADED;
}

// 'method' NULL: GET.
static int ask(
	const struct cli *cli, const char *method, const char *path, json_t **ret, char *error)
{
	char url[512];
	struct exchange exchange = {
		.url = url, .socket = cli->socket, .method = method, .timeout_ns = cli->timeout_ns};
	struct exchange_answer answer;
	int err;

	snprintf(url, sizeof(url), "http://millrace%s", path);
	exchange_run(&exchange, &answer);
	if (answer.code != CURLE_OK)
		err = transfer_failed(cli, &answer, error);
	else
		err = judge(&answer, path, ret, error);
	exchange_done(&answer);
	return err;
}

int client_get(const struct cli *cli, const char *path, json_t **ret, char *error)
{
	return ask(cli, NULL, path, ret, error);
}

int client_delete(const struct cli *cli, const char *path, json_t **ret, char *error)
{
	return ask(cli, "DELETE", path, ret, error);
}

int cli_get(const struct cli *cli, const char *path, json_t **ret)
{
	char error[CLIENT_ERROR_BYTES];
	int err = client_get(cli, path, ret, error);

	if (err != EXIT_CLI_OK)
		cli_error("%s", error);
	return err;
}

void client_warn(const json_t *envelope)
{
	json_t *warning;
	size_t i;

	json_array_foreach(json_object_get(envelope, "warnings"), i, warning)
	{
		const char *text = json_string_value(json_object_get(warning, "text"));
		const char *mend = json_string_value(json_object_get(warning, "mend"));

		cli_error("warning: %s%s%s", text != NULL ? text : "?", mend != NULL ? ": " : "",
			mend != NULL ? mend : "");
	}
}

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	}
	return false;
}

static void disarm(json_t *value)
{
	const char *key;
	json_t *child;
	void *next;
	size_t i;

	json_array_foreach(value, i, child) disarm(child);
	json_object_foreach_safe(value, next, key, child) disarm(child);
	if (json_is_string(value) && has_control(json_string_value(value))) {
		char *text = strdup(json_string_value(value));

		for (char *p = text; p != NULL && *p != '\0'; p++) {
			if ((unsigned char)*p < ' ' || *p == 0x7f)
				*p = '?';
		}
		json_string_set(value, text != NULL ? text : "");
		free(text);
	}
}

json_t *client_data(json_t *envelope)
{
	disarm(envelope);
	return json_object_get(envelope, "data");
}

int client_show(const struct cli *cli, const char *path, void (*view)(const json_t *, FILE *))
{
	json_t *envelope;
	int err = cli_get(cli, path, &envelope);

	if (err != EXIT_CLI_OK)
		return err;
	if (cli->json) {
		cli_print_json(envelope);
	} else {
		json_t *data = client_data(envelope);

		client_warn(envelope);
		view(data, stdout);
	}
	json_decref(envelope);
	return EXIT_CLI_OK;
}

bool client_duration(const char *text, const char *option, uint64_t def, uint64_t *ret_ns)
{
	*ret_ns = def;
	if (text == NULL)
		return true;
	if (units_parse_duration(text, ret_ns) && *ret_ns >= NS_PER_MS)
		return true;
	cli_error("--%s %s: wants a time of 1ms and more, such as 1s or 500ms", option, text);
	return false;
}

void client_sleep_until(uint64_t then_ns, const volatile bool *wake)
{
	for (uint64_t now; (now = clock_monotonic_ns()) < then_ns;) {
		uint64_t left = then_ns - now;
		struct timespec slice = {
			.tv_nsec = (long)(left < SLEEP_SLICE_NS ? left : SLEEP_SLICE_NS)};

		if (cli_interrupted || (wake != NULL && *wake))
			return;
		nanosleep(&slice, NULL);
	}
}

int client_sample(const struct cli *cli, uint64_t interval_ns, struct client_samples *ret)
{
	uint64_t begin;
	int err;

	*ret = (struct client_samples){0};
	err = cli_get(cli, "/api/v1/stats", &ret->before);
	if (err != EXIT_CLI_OK)
		return err;
	begin = clock_monotonic_ns();
	client_sleep_until(begin + interval_ns, NULL);
	err = cli_interrupted ? EXIT_CLI_INTERRUPTED : cli_get(cli, "/api/v1/stats", &ret->after);
	ret->interval_ns = clock_monotonic_ns() - begin;
	if (err != EXIT_CLI_OK)
		client_samples_free(ret);
	return err;
}

void client_samples_free(struct client_samples *samples)
{
	json_decref(samples->before);
	json_decref(samples->after);
	*samples = (struct client_samples){0};
}
