// SPDX-License-Identifier: BSD-3-Clause
#include "lib/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct receiver_name {
	char *text; // as it was given
	char *host;
	const char *port; // in host's memory
};

struct receiver_list {
	unsigned count;
	struct receiver_name names[];
};

// Cuts "HOST:PORT" or "[IPv6]:PORT" into the two, in place.
static bool split(struct receiver_name *name)
{
	char *colon = strrchr(name->host, ':');
	size_t len;

	if (colon == NULL || colon[1] == '\0' || colon == name->host)
		return false;
	name->port = colon + 1;
	*colon = '\0';
	if (name->host[0] != '[')
		return strchr(name->host, ':') == NULL;
	len = (size_t)(colon - name->host);
	if (len < 3 || colon[-1] != ']')
		return false;
	colon[-1] = '\0';
	memmove(name->host, name->host + 1, len - 1);
	return true;
}

static bool is_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && port >= 1 && port <= 65535;
}

static int add_name(struct receiver_list *list, const char *text, size_t len, char *why)
{
	struct receiver_name *name = &list->names[list->count++];

	name->text = strndup(text, len);
	name->host = strndup(text, len);
	if (name->text == NULL || name->host == NULL)
		return -ENOMEM;
	if (split(name) && is_port(name->port))
		return 0;
	snprintf(why, MILLRACE_TEXT, "'%.200s' is not HOST:PORT", name->text);
	return -EINVAL;
}

int receiver_list_make(struct receiver_list **ret, const char *text, char *why)
{
	struct receiver_list *list;
	unsigned count = 1;
	int err = 0;

	for (const char *c = text; *c != '\0'; c++)
		count += *c == ',';
	list = calloc(1, sizeof(*list) + count * sizeof(list->names[0]));
	if (list == NULL)
		return -ENOMEM;
	while (err == 0 && list->count < count) {
		size_t len = strcspn(text, ",");

		err = add_name(list, text, len, why);
		text += len + 1;
	}
	if (err != 0) {
		receiver_list_free(list);
		return err;
	}
	*ret = list;
	return 0;
}

void receiver_list_free(struct receiver_list *list)
{
	if (list == NULL)
		return;
	for (unsigned i = 0; i < list->count; i++) {
		free(list->names[i].text);
		free(list->names[i].host);
	}
	free(list);
}

int receiver_list_resolve(void *arg, unsigned n, struct sockaddr_storage *address,
	socklen_t *address_len, char name[MILLRACE_TEXT])
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV};
	const struct receiver_list *list = arg;
	struct addrinfo *found;
	int r;

	if (n >= list->count)
		return -ENOENT;
	r = getaddrinfo(list->names[n].host, list->names[n].port, &hints, &found);
	if (r != 0) {
		snprintf(name, MILLRACE_TEXT, "%.160s: %s", list->names[n].text, gai_strerror(r));
		return -EHOSTUNREACH;
	}
	snprintf(name, MILLRACE_TEXT, "%.200s", list->names[n].text);
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
