// SPDX-License-Identifier: BSD-3-Clause
#include "lib/cluster/members.h"

#include "lib/cluster/weight.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MS_NS 1000000ull
#define MOVE_AFTER_NS (5000 * MS_NS)
#define MOVE_AFTER_MAX_MS (24 * 3600 * 1000ull)
#define LIVE_SCHEMA "millrace.live/1"
#define SENDERS_SCHEMA "millrace.senders/1"

void members_init(struct members *ret, uint64_t source, const char *listener)
{
	*ret = (struct members){.source = source,
		.listener = listener,
		.move_after_ns = MOVE_AFTER_NS,
		.present = MEMBERS_NONE,
		.wish = MEMBERS_NONE};
}

void members_free(struct members *m)
{
	free(m->list);
	m->list = NULL;
	m->count = m->room = 0;
}

static struct member *find(const struct members *m, const char *name)
{
	for (unsigned i = 0; i < m->count; i++)
		if (strcmp(m->list[i].name, name) == 0)
			return &m->list[i];
	return NULL;
}

static struct member *add(struct members *m, const char *name)
{
	struct member *member;

	if (m->count == m->room) {
		unsigned room = m->room * 2 + 8;
		struct member *list;

		if (m->count >= MEMBERS_MAX)
			return NULL;
		list = realloc(m->list, room * sizeof(*list));
		if (list == NULL)
			return NULL;
		m->list = list;
		m->room = room;
	}
	member = &m->list[m->count++];
	*member = (struct member){.weight = cluster_weight(m->source, name)};
	memcpy(member->name, name, strlen(name) + 1);
	return member;
}

static bool has_schema(const json_t *json, const char *schema)
{
	const char *text = json_string_value(json_object_get(json, "schema"));

	return text != NULL && strcmp(text, schema) == 0;
}

static bool read_address(const json_t *json, uint16_t port, struct sockaddr_storage *ret)
{
	const char *text = json_string_value(json);
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(ret, 0, sizeof(*ret));
	if (text != NULL && inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		memcpy(ret, &v4, sizeof(v4));
	else if (text != NULL && inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		memcpy(ret, &v6, sizeof(v6));
	else
		return false;
	return true;
}

static bool is_ours(const struct members *m, const json_t *listener)
{
	const char *kind = json_string_value(json_object_get(listener, "kind"));
	const char *name = json_string_value(json_object_get(listener, "name"));

	return kind != NULL && strcmp(kind, "reliable") == 0 && name != NULL &&
	       (m->listener == NULL || strcmp(name, m->listener) == 0);
}

static unsigned read_addresses(
	const struct members *m, const json_t *live, struct sockaddr_storage *ret)
{
	json_t *listener, *address;
	unsigned count = 0;
	size_t i, k;

	json_array_foreach(json_object_get(live, "listeners"), i, listener)
	{
		json_int_t port = json_integer_value(json_object_get(listener, "udp_port"));

		if (!is_ours(m, listener))
			continue;
		json_array_foreach(json_object_get(listener, "addresses"), k, address)
		{
			if (count < MEMBER_ADDRESSES && port > 0 && port <= UINT16_MAX)
				count += read_address(address, (uint16_t)port, &ret[count]);
		}
		break;
	}
	return count;
}

// A word that a later version may have is none of an illness.
static enum member_health health_of(const json_t *live)
{
	const char *health = json_string_value(json_object_get(live, "health"));

	if (health == NULL || strcmp(health, "failed") == 0)
		return MEMBER_FAILED;
	return strcmp(health, "starting") == 0 ? MEMBER_STARTING : MEMBER_WELL;
}

void members_begin(struct members *m)
{
	for (unsigned i = 0; i < m->count; i++)
		m->list[i].seen = false;
}

int members_take(struct members *m, const json_t *live)
{
	const char *name = json_string_value(json_object_get(live, "receiver"));
	struct sockaddr_storage addresses[MEMBER_ADDRESSES];
	struct member *member;
	unsigned count;

	if (!has_schema(live, LIVE_SCHEMA) || name == NULL || name[0] == '\0' ||
		strlen(name) >= MEMBER_NAME)
		return -EINVAL;
	member = find(m, name);
	if (member == NULL)
		member = add(m, name);
	if (member == NULL)
		return -ENOMEM;
	count = read_addresses(m, live, addresses);
	if (count != member->address_count ||
		memcmp(addresses, member->addresses, count * sizeof(addresses[0])) != 0) {
		memcpy(member->addresses, addresses, count * sizeof(addresses[0]));
		member->address_count = count;
		m->readdressed |= m->present != MEMBERS_NONE && member == &m->list[m->present];
	}
	member->health = health_of(live);
	member->seen = true;
	return 0;
}

static void settle(struct member *member, uint64_t now)
{
	bool well = member->health == MEMBER_WELL && !member->leave && member->address_count > 0;

	if (well && !member->well)
		member->since = now;
	if (member->health != MEMBER_FAILED)
		member->failed_since = 0;
	else if (member->failed_since == 0)
		member->failed_since = now;
	member->well = well;
}

void members_end(struct members *m, uint64_t now)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (!m->list[i].seen)
			m->list[i].health = MEMBER_GONE;
		settle(&m->list[i], now);
	}
	m->read = true;
	m->read_at = now;
}

static bool is_named(const json_t *names, const char *name)
{
	json_t *each;
	size_t i;

	json_array_foreach(names, i, each)
	{
		if (json_is_string(each) && strcmp(json_string_value(each), name) == 0)
			return true;
	}
	return false;
}

// One that isn't known yet may be registered later.
static int add_leaving(struct members *m, const json_t *names)
{
	json_t *each;
	size_t i;

	json_array_foreach(names, i, each)
	{
		const char *name = json_string_value(each);

		if (name != NULL && name[0] != '\0' && strlen(name) < MEMBER_NAME &&
			find(m, name) == NULL && add(m, name) == NULL)
			return -ENOMEM;
	}
	return 0;
}

int members_told(struct members *m, const json_t *senders, uint64_t now)
{
	const json_t *leave = json_object_get(senders, "leave");
	const json_t *after = json_object_get(senders, "move_after_ms");
	json_int_t ms = json_integer_value(after);
	int err = 0;

	if (senders != NULL && (!has_schema(senders, SENDERS_SCHEMA) || !json_is_array(leave) ||
				       ms <= 0 || (uint64_t)ms > MOVE_AFTER_MAX_MS))
		return -EINVAL;
	m->move_after_ns = senders != NULL ? (uint64_t)ms * MS_NS : MOVE_AFTER_NS;
	err = add_leaving(m, leave);
	for (unsigned i = 0; i < m->count; i++) {
		bool to_leave = is_named(leave, m->list[i].name);

		if (to_leave && !m->list[i].leave)
			m->list[i].leave_since = now;
		m->list[i].leave = to_leave;
		settle(&m->list[i], now);
	}
	return err;
}
