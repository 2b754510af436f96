// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/filter.h"

#include "common/clock.h"
#include "common/logmsg.h"
#include "dataplane/rate.h"
#include "dataplane/wire.h"

#include <rte_acl.h>
#include <rte_byteorder.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Sources that an lcore remembers: sets of a few, in which the one heard longest ago makes room.
// Who sends from more addresses than that is not held to a rate; nobody else suffers for it.
#define SOURCE_SETS 16384u
#define SOURCE_WAYS 4u

// What rte_acl compares: its first field must be of one byte, the rest in words of four.
struct key {
	uint8_t first;
	uint8_t pad[3];
	uint32_t listener; // network order, as all of it
	uint32_t address[4];
};

enum { FIELD_FIRST, FIELD_LISTENER, FIELD_ADDRESS, FIELD_COUNT = FIELD_ADDRESS + 4 };

struct filter {
	struct rte_acl_ctx *acl; // NULL: no listener has an allow-list
	bool rates;
};

struct source {
	uint64_t address[2];
	uint64_t used; // ticks up to which it has used what it is allowed
	uint16_t listener;
};

struct source_table {
	uint64_t per_second; // ticks
	struct source sources[SOURCE_SETS][SOURCE_WAYS];
};

RTE_ACL_RULE_DEF(rule, FIELD_COUNT);

static void define_fields(struct rte_acl_config *config)
{
	config->num_categories = 1;
	config->num_fields = FIELD_COUNT;
	config->defs[FIELD_FIRST] = (struct rte_acl_field_def){
		.type = RTE_ACL_FIELD_TYPE_BITMASK,
		.size = 1,
		.offset = offsetof(struct key, first),
	};
	for (unsigned i = FIELD_LISTENER; i < FIELD_COUNT; i++)
		config->defs[i] = (struct rte_acl_field_def){
			.type = RTE_ACL_FIELD_TYPE_MASK,
			.size = sizeof(uint32_t),
			.field_index = (uint8_t)i,
			.input_index = (uint8_t)i,
			.offset = (uint32_t)(offsetof(struct key, listener) +
					     (i - FIELD_LISTENER) * sizeof(uint32_t)),
		};
}

// A prefix is spread over the four words of an address: whole ones, part of one, none.
static void make_rule(struct rule *ret, unsigned listener, const struct config_address *prefix)
{
	unsigned bits = config_network_bits(prefix);

	memset(ret, 0, sizeof(*ret));
	ret->data.category_mask = 1;
	ret->data.priority = 1;
	ret->data.userdata = 1;
	ret->field[FIELD_LISTENER].value.u32 = listener;
	ret->field[FIELD_LISTENER].mask_range.u32 = 32;
	for (unsigned word = 0; word < 4; word++) {
		union rte_acl_field_types *value = &ret->field[FIELD_ADDRESS + word].value;
		unsigned here = bits > 32 * word ? bits - 32 * word : 0;

		value->u32 = get32(prefix->ip.s6_addr + word * 4);
		ret->field[FIELD_ADDRESS + word].mask_range.u32 = here < 32 ? here : 32;
	}
}

static unsigned count_rules(const struct config *config)
{
	unsigned count = 0;

	for (unsigned i = 0; i < config->listener_count; i++)
		count += config->listeners[i].allow_count;
	return count;
}

static int add_rules(struct filter *filter, const struct config *config)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		for (unsigned j = 0; err == 0 && j < listener->allow_count; j++) {
			struct rule rule;

			make_rule(&rule, i, &listener->allow[j]);
			err = rte_acl_add_rules(filter->acl, (const struct rte_acl_rule *)&rule, 1);
		}
	}
	return err;
}

static int make_acl(struct filter *filter, const struct config *config)
{
	struct rte_acl_param param = {
		.name = "allow",
		.socket_id = SOCKET_ID_ANY,
		.rule_size = RTE_ACL_RULE_SZ(FIELD_COUNT),
		.max_rule_num = count_rules(config),
	};
	struct rte_acl_config build = {0};
	int err;

	if (param.max_rule_num == 0)
		return 0;
	filter->acl = rte_acl_create(&param);
	if (filter->acl == NULL)
		return -ENOMEM;
	err = add_rules(filter, config);
	define_fields(&build);
	return err != 0 ? err : rte_acl_build(filter->acl, &build);
}

int filter_make(struct dataplane *dp)
{
	const struct config *config = dp->config;
	struct filter *filter;
	bool rates = false;
	int err;

	for (unsigned i = 0; i < config->listener_count; i++)
		rates |= config->listeners[i].source_rate != 0;
	if (!rates && count_rules(config) == 0)
		return 0;
	filter = dp->filter = calloc(1, sizeof(*filter));
	if (filter == NULL)
		return -ENOMEM;
	filter->rates = rates;
	err = make_acl(filter, config);
	if (err != 0)
		log_err("the listeners' allow-lists can't be built: %s", strerror(-err));
	return err;
}

void filter_free(struct dataplane *dp)
{
	if (dp->filter == NULL)
		return;
	rte_acl_free(dp->filter->acl);
	free(dp->filter);
	dp->filter = NULL;
}

int filter_give_lcore(struct lcore *lcore)
{
	if (lcore->dp->filter == NULL || !lcore->dp->filter->rates)
		return 0;
	lcore->sources = calloc(1, sizeof(*lcore->sources));
	if (lcore->sources == NULL)
		return -ENOMEM;
	lcore->sources->per_second = clock_ns_to_ticks(1000000000);
	return 0;
}

static void deny(struct packet *packet, enum pkt_drop drop)
{
	packet->kind = PACKET_DROP;
	packet->drop = drop;
}

static void make_key(struct key *key, const struct packet *packet)
{
	memset(key, 0, sizeof(*key));
	key->listener = rte_cpu_to_be_32(packet->listener);
	memcpy(key->address, packet->src_addr, sizeof(key->address));
}

static void check_allowed(struct lcore *lcore, struct packet *packets, unsigned count)
{
	const struct config_listener *listeners = lcore->dp->config->listeners;
	struct packet *asked[BURST];
	struct key keys[BURST];
	const uint8_t *data[BURST];
	uint32_t results[BURST];
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!packet_is_datagram(&packets[i]) ||
			listeners[packets[i].listener].allow_count == 0)
			continue;
		make_key(&keys[n], &packets[i]);
		data[n] = (const uint8_t *)&keys[n];
		asked[n++] = &packets[i];
	}
	if (n == 0)
		return;
	rte_acl_classify(lcore->dp->filter->acl, data, results, n, 1);
	for (unsigned i = 0; i < n; i++)
#ifndef MUTANT_ALLOW_IGNORED
		if (results[i] == 0)
			deny(asked[i], DROP_source_denied);
#else
		(void)asked[i];
#endif
}

static struct source *source_of(struct source_table *table, const struct packet *packet)
{
	uint64_t address[2];
	struct source *set, *oldest;

	memcpy(address, packet->src_addr, sizeof(address));
	set = table->sources[((address[0] ^ address[1] ^ packet->listener) * 0x9e3779b97f4a7c15u) >>
				     32 &
			     (SOURCE_SETS - 1)];
	oldest = set;
	for (unsigned i = 0; i < SOURCE_WAYS; i++) {
		if (set[i].address[0] == address[0] && set[i].address[1] == address[1] &&
			set[i].listener == packet->listener)
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	*oldest = (struct source){{address[0], address[1]}, 0, packet->listener};
	return oldest;
}

static void check_rates(struct lcore *lcore, struct packet *packets, unsigned count)
{
	const struct config_listener *listeners = lcore->dp->config->listeners;
	uint64_t now = clock_ticks();

	for (unsigned i = 0; i < count; i++) {
		uint32_t rate;

		if (!packet_is_datagram(&packets[i]))
			continue;
		rate = listeners[packets[i].listener].source_rate;
		if (rate != 0 && !rate_take(&source_of(lcore->sources, &packets[i])->used,
					 lcore->sources->per_second / rate, now))
			deny(&packets[i], DROP_source_rate);
	}
}

void filter_burst(struct lcore *lcore, struct packet *packets, unsigned count)
{
	if (lcore->dp->filter->acl != NULL)
		check_allowed(lcore, packets, count);
	if (lcore->sources != NULL)
		check_rates(lcore, packets, count);
}
