// SPDX-License-Identifier: BSD-3-Clause
#include "cli/relay/relay.h"
#include "common/units.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ONE_BYTES 80u // "tcp:[" address "]:" port
#define UDP_BUFFER \
	(8 * 1024 * 1024) // bytes in the kernel, for what comes while the relay is not run
#define BACKLOG 128

// Splits "[ADDRESS:]PORT" into its halves; IPv6 in brackets, which go. No address: NULL. -EINVAL.
static int split(char *text, char **ret_host, char **ret_port, int *ret_family)
{
	char *colon = strrchr(text, ':');
	size_t len;

	*ret_host = NULL;
	*ret_port = text;
	*ret_family = AF_INET6;
	if (colon == NULL)
		return 0;
	*colon = '\0';
	*ret_port = colon + 1;
	*ret_host = text;
	if (text[0] != '[') {
		*ret_family = AF_INET;
		return 0;
	}
	len = strlen(text);
	if (text[len - 1] != ']')
		return -EINVAL;
	text[len - 1] = '\0';
	++*ret_host;
	return 0;
}

static int read_address(char *text, bool stream, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = stream ? SOCK_STREAM : SOCK_DGRAM};
	struct addrinfo *found;
	char *host, *port;
	uint64_t number;

	if (split(text, &host, &port, &hints.ai_family) != 0 || !units_parse_uint(port, &number) ||
		number == 0 || number > UINT16_MAX || getaddrinfo(host, port, &hints, &found) != 0)
		return -EINVAL;
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

// Best effort: more than the system's limit only root gets.
static void widen(int fd)
{
	int bytes = UDP_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

static int bind_socket(
	const struct sockaddr_storage *address, socklen_t len, bool stream, int *ret_fd)
{
	int kind = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int on = 1, off = 0, fd = socket(address->ss_family, kind, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (stream)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	else
		widen(fd);
	// Without an address it is all of them, IPv4 as well.
	if (address->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (const struct sockaddr *)address, len) != 0 ||
		(stream && listen(fd, BACKLOG) != 0))
		err = -errno;
	if (err != 0)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

static int listen_one(char *text, struct relay_listener *ret)
{
	struct sockaddr_storage address;
	char *where = text + 4;
	bool any = strchr(where, ':') == NULL;
	socklen_t len;
	int err;

	ret->stream = strncmp(text, "tcp:", 4) == 0;
	if (!ret->stream && strncmp(text, "udp:", 4) != 0)
		return -EINVAL;
	err = read_address(where, ret->stream, &address, &len);
	if (err == 0)
		err = bind_socket(&address, len, ret->stream, &ret->fd);
	// A machine without IPv6.
	if (any && (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)) {
		struct sockaddr_in all = {.sin_family = AF_INET,
			.sin_port = ((const struct sockaddr_in6 *)&address)->sin6_port};

		memset(&address, 0, sizeof(address));
		memcpy(&address, &all, sizeof(all));
		err = bind_socket(&address, sizeof(all), ret->stream, &ret->fd);
	}
	return err;
}

// The first of the list, 'len' characters.
static int listen_first(const char *list, size_t len, struct relay_listener *ret, char *why)
{
	char one[ONE_BYTES];
	int err = -EINVAL;

	snprintf(one, sizeof(one), "%.*s", (int)len, list);
	if (len < sizeof(one))
		err = listen_one(one, ret);
	if (err == -EINVAL)
		snprintf(why, RELAY_WHY_BYTES,
			"'%.*s': want udp:[ADDRESS:]PORT or tcp:[ADDRESS:]PORT", (int)len, list);
	else if (err != 0)
		snprintf(why, RELAY_WHY_BYTES, "%.*s: %s", (int)len, list, strerror(-err));
	return err;
}

int relay_listen(const char *list, struct relay_listener *ret, unsigned *ret_count, char *why)
{
	unsigned count = 0;
	size_t len;
	int err;

	do {
		len = strcspn(list, ",");
		if (count == RELAY_LISTENERS_MAX) {
			snprintf(why, RELAY_WHY_BYTES, "more than %u sockets", RELAY_LISTENERS_MAX);
			err = -EINVAL;
		} else {
			err = listen_first(list, len, &ret[count], why);
		}
		if (err == 0)
			count++;
		list += len + 1;
	} while (err == 0 && list[-1] == ',');
	while (err != 0 && count > 0)
		close(ret[--count].fd);
	*ret_count = count;
	return err;
}

uint64_t relay_listener_lost(const struct relay_listener *listener)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	if (listener->stream || listener->fd < 0 ||
		getsockopt(listener->fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}
