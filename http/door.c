// SPDX-License-Identifier: BSD-3-Clause
// The places where clients come in: the Unix socket, and TCP with TLS.

#include "common/file.h"
#include "http/internal.h"

#include <errno.h>
#include <netdb.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_TIMEOUT_S 5u
#define CONNECTION_MEMORY ((size_t)128 << 10) // the most that a request's head takes, and a chunk
#define PEM_MAX (1u << 20)
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

// The library's only words for why it doesn't start.
static void note_why(void *arg, const char *fmt, va_list args)
{
	struct http_door *door = arg;

	if (door->why != NULL)
		vsnprintf(door->why, HTTP_WHY_BYTES, fmt, args);
}

// Without a thread of the library's: http/server.c calls MHD_run(). The socket is the daemon's.
static int start(
	struct http_door *door, int fd, const char *certificate, const char *key, char *why)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_VERSIONS},
		{MHD_OPTION_END, 0, NULL},
	};

	if (certificate != NULL)
		flags |= MHD_USE_TLS;
	else
		tls[0] = tls[3];
	door->why = why;
	why[0] = '\0';
	errno = 0;
	door->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_on_request, door,
		MHD_OPTION_EXTERNAL_LOGGER, note_why, door, MHD_OPTION_LISTEN_SOCKET,
		(MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT, HTTP_POOL_SLOTS,
		MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
		http_on_completed, door, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, door,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	door->why = NULL;
	why[strcspn(why, "\n")] = '\0';
	if (door->daemon == NULL)
		return errno > 0 ? -errno : -EIO;
	door->epoll_fd = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	return 0;
}

int http_open_socket(struct http *http, const char *path, char *why)
{
	struct http_door *door = &http->doors[DOOR_SOCKET];
	char words[HTTP_WHY_BYTES];
	int err = http_socket_listen(&http->sock, path, HTTP_POOL_SLOTS);

	if (err == 0) {
		err = start(door, http->sock.fd, NULL, NULL, words);
		if (err < 0) {
			http_socket_unlink(&http->sock, path);
			close(http->sock.fd);
		}
	}
	if (err < 0)
		snprintf(why, HTTP_WHY_BYTES, "%s: %s", path, strerror(-err));
	return err;
}

// "10.0.0.1:8443", "[::]:8443": numbers only, so that no name has to be resolved.
static int parse_listen(const char *text, struct addrinfo **ret, char *why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	const char *colon = strrchr(text, ':');
	char host[CONFIG_NAME_MAX] = "";
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';

	if (len > 0 && len < sizeof(host))
		snprintf(host, sizeof(host), "%.*s", (int)(brackets ? len - 2 : len),
			brackets ? text + 1 : text);
	if (host[0] != '\0' && (strchr(host, ':') != NULL) == brackets &&
		colon[1 + strspn(colon + 1, "0123456789")] == '\0' && colon[1] != '\0' &&
		strtoul(colon + 1, NULL, 10) <= UINT16_MAX &&
		getaddrinfo(host, colon + 1, &hints, ret) == 0)
		return 0;
	snprintf(why, HTTP_WHY_BYTES,
		"api.listen \"%s\": wants ADDRESS:PORT, \"10.0.0.1:8443\" or \"[::]:8443\"", text);
	return -EINVAL;
}

static int listen_on(const char *text, unsigned *ret_port, char *why)
{
	struct sockaddr_storage bound = {0};
	socklen_t len = sizeof(bound);
	struct addrinfo *address;
	char port[8] = "0";
	int on = 1, fd, err = parse_listen(text, &address, why);

	if (err < 0)
		return err;
	fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, address->ai_addr, address->ai_addrlen) < 0 ||
		listen(fd, HTTP_POOL_SLOTS) < 0 ||
		getsockname(fd, (struct sockaddr *)&bound, &len) < 0) {
		err = -errno;
		snprintf(why, HTTP_WHY_BYTES, "api.listen \"%s\": %s", text, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	freeaddrinfo(address);
	getnameinfo((struct sockaddr *)&bound, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
	*ret_port = (unsigned)strtoul(port, NULL, 10);
	return err < 0 ? err : fd;
}

static int read_pem(const char *path, const char *what, char **ret, char *why)
{
	size_t len;
	int err = file_read(path, PEM_MAX, ret, &len);

	if (err < 0)
		snprintf(why, HTTP_WHY_BYTES, "the API's %s %s: %s", what, path, strerror(-err));
	return err;
}

// What TCP needs, read: the key is the caller's to wipe by free_pems().
struct pems {
	char *certificate, *key;
};

static void free_pems(struct pems *pems)
{
	if (pems->key != NULL)
		sodium_memzero(pems->key, strlen(pems->key));
	free(pems->key);
	free(pems->certificate);
}

static int read_all(
	const struct config_api *api, struct pems *ret, struct http_tokens **ret_tokens, char *why)
{
	int err;

	if (api->certificate[0] == '\0' || api->key[0] == '\0' || api->tokens[0] == '\0') {
		snprintf(why, HTTP_WHY_BYTES,
			"api.listen wants api.certificate, api.key and api.tokens: TCP is served "
			"with "
			"TLS and tokens only");
		return -EINVAL;
	}
	err = http_tokens_open(ret_tokens, api->tokens, why);
	if (err == 0)
		err = read_pem(api->certificate, "certificate", &ret->certificate, why);
	if (err == 0)
		err = http_secret_file(api->key, "the API's key", why);
	if (err == 0)
		err = read_pem(api->key, "key", &ret->key, why);
	return err;
}

int http_tcp_check(const struct config_api *api, char *why)
{
	struct http_tokens *tokens = NULL;
	struct addrinfo *address = NULL;
	struct pems pems = {0};
	int err = 0;

	if (api->listen[0] == '\0')
		return 0;
	err = parse_listen(api->listen, &address, why);
	if (err == 0)
		err = read_all(api, &pems, &tokens, why);
	if (address != NULL)
		freeaddrinfo(address);
	http_tokens_close(tokens);
	free_pems(&pems);
	return err;
}

static int start_tls(
	struct http_door *door, const struct config_api *api, const struct pems *pems, char *why)
{
	char words[HTTP_WHY_BYTES];
	int fd = listen_on(api->listen, &door->port, why);
	int err = fd < 0 ? fd : start(door, fd, pems->certificate, pems->key, words);

	if (fd >= 0 && err < 0) {
		close(fd);
		snprintf(why, HTTP_WHY_BYTES,
			"the API's certificate %s and key %s can't be used: %.400s",
			api->certificate, api->key, words);
	}
	return err;
}

int http_open_tcp(struct http *http, const struct config_api *api, char *why)
{
	struct http_door *door = &http->doors[DOOR_TCP];
	struct pems pems = {0};
	int err;

	if (api == NULL || api->listen[0] == '\0')
		return 0;
	err = read_all(api, &pems, &door->tokens, why);
	if (err == 0)
		err = start_tls(door, api, &pems, why);
	free_pems(&pems);
	return err;
}

void http_close_door(struct http_door *door)
{
	if (door->daemon != NULL) {
		// Whoever was resumed must be let go by the library before it may stop.
		MHD_run(door->daemon);
		MHD_stop_daemon(door->daemon); // closes the socket
	}
	door->daemon = NULL;
	http_tokens_close(door->tokens);
	door->tokens = NULL;
}
