// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cluster_client.h"

#include "cli/client.h"
#include "cli/exchange.h"
#include "common/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/millrace/control.sock"
#define HOPS_MAX 3
#define NS_PER_MS 1000000u
#define SECOND_NS 1000000000u
#define COMMAND_WAIT_MAX_MS 30000u // longer no command is waited for (control/api.h)

#define HTTPS "https://"

// One request and what became of it.
struct ask {
	const struct cluster *cluster;
	const char *path;
	const char *body;
	uint64_t timeout_ns;
	const char *socket; // who is asked now; NULL: by url
	char url[EXCHANGE_ADDRESS_BYTES];
	char where[EXCHANGE_ADDRESS_BYTES]; // the same for people
	char *error;                        // CLUSTER_ERROR_BYTES
};

__attribute__((format(printf, 3, 4))) static int fail(
	const struct ask *ask, int exit_code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ask->error, CLUSTER_ERROR_BYTES, fmt, ap);
	va_end(ap);
	return exit_code;
}

static int read_token(const char *path, char *ret)
{
	size_t len, end;
	char *text;
	int err = file_read(path, CLUSTER_TOKEN_BYTES, &text, &len);

	if (err < 0) {
		cli_error("--token %s: %s", path, strerror(-err));
		return EXIT_CLI_USAGE;
	}
	len = strcspn(text, "\r\n");
	for (end = 0; end < len && text[end] > ' ' && text[end] < 0x7f; end++)
		ret[end] = text[end];
	ret[end] = '\0';
	explicit_bzero(text, len);
	free(text);
	if (end == len && len > 0)
		return EXIT_CLI_OK;
	explicit_bzero(ret, CLUSTER_TOKEN_BYTES);
	cli_error("--token %s: wants the secret alone, in its first line", path);
	return EXIT_CLI_USAGE;
}

int cluster_open(struct cluster *ret, const struct cli *cli, const char *const *value)
{
	const char *control = value[CLUSTER_CONTROL];

	*ret = (struct cluster){.cli = cli, .ca = value[CLUSTER_CA]};
	if (control == NULL)
		control = DEFAULT_SOCKET;
	if (strncmp(control, HTTPS, strlen(HTTPS)) == 0)
		ret->url = control;
	else if (strstr(control, "://") == NULL)
		ret->socket = control;
	if ((ret->url == NULL && ret->socket == NULL) ||
		(ret->url != NULL && strpbrk(control + strlen(HTTPS), "/?#@ ") != NULL)) {
		cli_error("--control %s: wants a socket's path, or https://HOST:PORT", control);
		return EXIT_CLI_USAGE;
	}
	return value[CLUSTER_TOKEN] != NULL ? read_token(value[CLUSTER_TOKEN], ret->token)
					    : EXIT_CLI_OK;
}

void cluster_close(struct cluster *cluster)
{
	explicit_bzero(cluster->token, sizeof(cluster->token));
}

// The socket, or the URL without its path.
static void set_where(struct ask *ask)
{
	size_t len = strlen(HTTPS);

	if (ask->socket != NULL)
		snprintf(ask->where, sizeof(ask->where), "%s", ask->socket);
	else
		snprintf(ask->where, sizeof(ask->where), "%.*s",
			(int)(len + strcspn(ask->url + len, "/?")), ask->url);
}

static int unreachable(const struct ask *ask, const struct exchange_answer *answer)
{
	if (answer->code == CURLE_COULDNT_RESOLVE_HOST)
		return fail(ask, EXIT_CLI_UNREACHABLE,
			ask->socket != NULL ? "%s is too long for a socket" : "%s: no such host",
			ask->where);
	if (ask->socket != NULL && (answer->os_error == EACCES || answer->os_error == EPERM))
		return fail(ask, EXIT_CLI_UNREACHABLE,
			"no permission to open %s: use sudo, or join the group that owns it",
			ask->where);
	return fail(ask, EXIT_CLI_UNREACHABLE,
		"nobody listens on %s: start millrace-control there, or name another with "
		"--control",
		ask->where);
}

static int transfer_failed(const struct ask *ask, const struct exchange_answer *answer)
{
	switch (answer->code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return unreachable(ask, answer);
	case CURLE_OPERATION_TIMEDOUT:
		return fail(ask, EXIT_CLI_TIMEOUT,
			"no answer from %s within %llu ms%s: wait longer with --timeout",
			ask->where, (unsigned long long)(ask->timeout_ns / NS_PER_MS),
			ask->body != NULL ? "; the command may still take effect" : "");
	case CURLE_ABORTED_BY_CALLBACK:
		return fail(ask, EXIT_CLI_INTERRUPTED, "%s", "");
	case CURLE_PEER_FAILED_VERIFICATION:
		return fail(ask, EXIT_CLI_UNREACHABLE,
			"%s: its certificate isn't trusted: name that of its CA with --ca FILE "
			"(%s)",
			ask->where, answer->detail);
	case CURLE_SSL_CACERT_BADFILE:
		return fail(ask, EXIT_CLI_USAGE, "--ca %s: no certificates can be read from it",
			ask->cluster->ca);
	default:
		return fail(ask, EXIT_CLI_UNREACHABLE, "%s: %s", ask->where,
			answer->detail[0] != '\0' ? answer->detail
						  : curl_easy_strerror(answer->code));
	}
}

static int exit_of(long status)
{
	static const struct {
		long status;
		enum cli_exit code;
	} codes[] = {{400, EXIT_CLI_USAGE}, {401, EXIT_CLI_REFUSED}, {403, EXIT_CLI_REFUSED},
		{409, EXIT_CLI_REFUSED}, {413, EXIT_CLI_INVALID}, {422, EXIT_CLI_INVALID},
		{503, EXIT_CLI_UNREACHABLE}, {504, EXIT_CLI_TIMEOUT}};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].status == status)
			return codes[i].code;
	return EXIT_CLI_DEGRADED;
}

static const char *mend_of(const struct ask *ask, const struct exchange_answer *answer)
{
	const json_t *data = json_object_get(answer->envelope, "data");

	if (answer->status == 401)
		return ask->cluster->token[0] == '\0' ? "; give it with --token FILE"
						      : "; that of --token is none";
	if (answer->status == 404 && json_is_array(json_object_get(data, "paths")))
		return "; millrace-control may be of another version than this command";
	return "";
}

static int judge(const struct ask *ask, const struct exchange_answer *answer, json_t **ret)
{
	if (answer->envelope == NULL)
		return fail(ask, EXIT_CLI_DEGRADED,
			"%s: the answer (status %ld) is not millrace-control's", ask->where,
			answer->status);
	if (answer->error != NULL)
		return fail(ask, exit_of(answer->status), "cluster %.*s: %s%s",
			(int)strcspn(ask->path, "?"), ask->path, answer->error,
			mend_of(ask, answer));
	*ret = json_incref(answer->envelope);
	return EXIT_CLI_OK;
}

// The token goes over TLS only.
static void run(const struct ask *ask, struct exchange_answer *ret)
{
	const struct cluster *cluster = ask->cluster;
	struct exchange exchange = {.url = ask->url,
		.socket = ask->socket,
		.body = ask->body,
		.token = ask->socket == NULL && cluster->token[0] != '\0' ? cluster->token : NULL,
		.ca = cluster->ca,
		.timeout_ns = ask->timeout_ns,
		.interruptible = true};

	exchange_run(&exchange, ret);
}

// 0, or an exit code.
static int go_on_there(struct ask *ask, const char *location)
{
	if (strncmp(location, HTTPS, strlen(HTTPS)) != 0)
		return fail(ask, EXIT_CLI_REFUSED,
			"%s redirects to '%s', which is no https address: not followed", ask->where,
			location);
	ask->socket = NULL;
	memcpy(ask->url, location, strlen(location) + 1); // both EXCHANGE_ADDRESS_BYTES
	set_where(ask);
	return EXIT_CLI_OK;
}

static int follow(struct ask *ask, json_t **ret)
{
	struct exchange_answer answer;
	int err;

	for (unsigned hops = 0;; hops++) {
		run(ask, &answer);
		if (answer.code != CURLE_OK) {
			err = transfer_failed(ask, &answer);
			break;
		}
		if (answer.status != 307) {
			err = judge(ask, &answer, ret);
			break;
		}
		err = hops < HOPS_MAX ? go_on_there(ask, answer.location)
				      : fail(ask, EXIT_CLI_UNREACHABLE,
						"redirected more than %d times: who leads is not "
						"settled, try again",
						HOPS_MAX);
		if (err != EXIT_CLI_OK)
			break;
		exchange_done(&answer);
	}
	exchange_done(&answer);
	return err;
}

static int start(struct ask *ask, json_t **ret)
{
	const struct cluster *cluster = ask->cluster;
	int len;

	*ret = NULL;
	ask->socket = cluster->socket;
	len = snprintf(ask->url, sizeof(ask->url), "%s/api/v1/cluster/%s",
		ask->socket != NULL ? "http://millrace" : cluster->url, ask->path);
	if (len < 0 || (size_t)len >= sizeof(ask->url))
		return fail(ask, EXIT_CLI_USAGE, "--control: the address is too long");
	set_where(ask);
	return follow(ask, ret);
}

int cluster_try(const struct cluster *cluster, const char *path, uint64_t hold_ns, json_t **ret,
	char *error)
{
	struct ask ask = {.cluster = cluster,
		.path = path,
		.timeout_ns = cluster->cli->timeout_ns + hold_ns,
		.error = error};

	return start(&ask, ret);
}

bool cluster_may_mend(int exit_code)
{
	return exit_code == EXIT_CLI_UNREACHABLE || exit_code == EXIT_CLI_TIMEOUT;
}

int cluster_get(const struct cluster *cluster, const char *path, json_t **ret)
{
	char error[CLUSTER_ERROR_BYTES];
	int err = cluster_try(cluster, path, 0, ret, error);

	if (err != EXIT_CLI_OK && error[0] != '\0')
		cli_error("%s", error);
	return err;
}

// The control process is told how long we wait, so that it has the last word about it.
int cluster_post(const struct cluster *cluster, const char *command, json_t *body, json_t **ret)
{
	uint64_t wait_ms = cluster->cli->timeout_ns / NS_PER_MS;
	char *text = json_dumps(body, JSON_COMPACT);
	char error[CLUSTER_ERROR_BYTES], path[64];
	struct ask ask = {.cluster = cluster,
		.path = path,
		.body = text,
		.timeout_ns = cluster->cli->timeout_ns + SECOND_NS,
		.error = error};
	int err = EXIT_CLI_DEGRADED;

	snprintf(path, sizeof(path), "%s?wait_ms=%u", command,
		wait_ms < COMMAND_WAIT_MAX_MS ? (unsigned)wait_ms : COMMAND_WAIT_MAX_MS);
	snprintf(error, sizeof(error), "cluster %s: an argument isn't UTF-8 text", command);
	if (text != NULL)
		err = start(&ask, ret);
	if (err != EXIT_CLI_OK && error[0] != '\0')
		cli_error("%s", error);
	free(text);
	json_decref(body);
	return err;
}

void cluster_print(const struct cluster *cluster, json_t *envelope, cluster_view view)
{
	if (cluster->cli->json) {
		cli_print_json(envelope);
	} else {
		const json_t *data = client_data(envelope);

		client_warn(envelope);
		view(data, json_string_value(json_object_get(envelope, "time")), stdout);
	}
	json_decref(envelope);
}

int cluster_show(
	const struct cli *cli, const struct cli_args *args, const char *path, cluster_view view)
{
	struct cluster cluster;
	json_t *envelope;
	int err = cluster_open(&cluster, cli, args->value);

	if (err == EXIT_CLI_OK)
		err = cluster_get(&cluster, path, &envelope);
	if (err == EXIT_CLI_OK)
		cluster_print(&cluster, envelope, view);
	cluster_close(&cluster);
	return err;
}

int cluster_command(const struct cli *cli, const struct cli_args *args, const char *command,
	json_t *body, cluster_view view)
{
	struct cluster cluster;
	json_t *envelope;
	int err = cluster_open(&cluster, cli, args->value);

	if (err != EXIT_CLI_OK)
		json_decref(body);
	else
		err = cluster_post(&cluster, command, body, &envelope);
	if (err == EXIT_CLI_OK)
		cluster_print(&cluster, envelope, view);
	cluster_close(&cluster);
	return err;
}
