// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "lib/cluster/cluster.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static socklen_t length_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in);
}

// Whether this host has a way there; nothing is sent.
static bool is_reachable(const struct sockaddr_storage *address)
{
	int fd = socket(address->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found;

	if (fd < 0)
		return false;
	found = connect(fd, (const struct sockaddr *)address, length_of(address)) == 0;
	close(fd);
	return found;
}

static void choose(const struct member *member, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	unsigned chosen = 0;

	for (unsigned i = 0; i < member->address_count; i++)
		if (is_reachable(&member->addresses[i])) {
			chosen = i;
			break;
		}
	*ret = member->addresses[chosen];
	*ret_len = length_of(ret);
}

static const char *why_not(const struct millrace_cluster *c, const struct member *member)
{
	if (member->leave)
		return "is to be left";
	if (member->health == MEMBER_GONE)
		return "isn't registered";
	if (member->health == MEMBER_FAILED)
		return "has failed";
	return c->listener != NULL ? "has no such listener, or no address of it"
				   : "has no reliable listener, or no address of it";
}

int place_resolve(void *arg, unsigned n, struct sockaddr_storage *address, socklen_t *address_len,
	char name[MILLRACE_TEXT])
{
	struct millrace_cluster *c = arg;
	int err = -EHOSTDOWN;

	pthread_mutex_lock(&c->lock);
	// A reading under way may not have come to the source's own yet.
	if (!c->members.read || n >= c->members.count) {
		snprintf(name, MILLRACE_TEXT, "cluster %.60s: %.180s", c->name,
			c->why[0] != '\0' ? c->why : "no receiver is registered");
	} else if (!members_may_go_to(&c->members, n)) {
		snprintf(name, MILLRACE_TEXT, "%.63s: %s", c->members.list[n].name,
			why_not(c, &c->members.list[n]));
	} else {
		snprintf(name, MILLRACE_TEXT, "%s", c->members.list[n].name);
		choose(&c->members.list[n], address, address_len);
		members_came(&c->members, n, clock_monotonic_ns());
		pthread_cond_signal(&c->changed);
		err = 0;
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

// Where there is none it names one all the same, whose resolving says why.
unsigned place_next(void *arg, unsigned n)
{
	struct millrace_cluster *c = arg;
	unsigned found;

	pthread_mutex_lock(&c->lock);
	found = members_next(&c->members, n);
	if (found == MILLRACE_NONE && n == MILLRACE_NONE)
		found = 0;
	pthread_mutex_unlock(&c->lock);
	return found;
}
