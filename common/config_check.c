// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_check.h"

#include "common/units.h"

#include <sched.h>
#include <string.h>

static const struct config_node *value_or_null(const struct config_node *node)
{
	return node == NULL ? NULL : node_value(node);
}

unsigned line_of(const struct checking *c, const char *section, const char *name)
{
	return config_key_line(c->root, section, name);
}

unsigned item_line(const struct checking *c, const char *list, unsigned index)
{
	const struct config_node *outer = value_or_null(node_get(c->root, list));
	const struct config_node *node = outer != NULL ? outer->child : NULL;

	while (node != NULL && index-- > 0)
		node = node->next;
	return node != NULL ? node->line : 0;
}

static unsigned workers(const struct config *config)
{
	if (config->mode == MODE_RUN_TO_COMPLETION)
		return config->cpu_count;
	return config->cpu_count > config->rx_lcores ? config->cpu_count - config->rx_lcores : 0;
}

static void check_workers(const struct checking *c)
{
	const struct config *config = c->config;
	unsigned line = line_of(c, NULL, "cpus");
	bool pipeline = config->mode == MODE_PIPELINE;

	if (config->cpu_count == 0) // refused already
		return;
	if (line == 0)
		line = line_of(c, NULL, pipeline ? "mode" : "partitions");
	if (pipeline && config->rx_lcores >= config->cpu_count)
		ERROR(c, line,
			"cpus: pipeline mode needs more CPUs (%u) than rx_lcores (%u), for the "
			"partitions",
			config->cpu_count, config->rx_lcores);
	else if (config->partitions > workers(config))
		WARN(c, line,
			"cpus: %u partitions share %u CPUs%s: each waits for the others of its CPU",
			config->partitions, workers(config),
			pipeline ? " besides the rx_lcores" : "");
	else if (config->partitions < workers(config) && pipeline)
		WARN(c, line, "cpus: %u CPUs for %u partitions; the others have nothing to do",
			workers(config), config->partitions);
	if (!pipeline && config->rx_lcores != 1)
		WARN(c, line_of(c, NULL, "rx_lcores"),
			"rx_lcores: means nothing but in pipeline "
			"mode");
}

// Only a warning: the file may be for another machine.
static void check_allowed(const struct checking *c)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (unsigned i = 0; i < c->config->cpu_count; i++)
		if (!CPU_ISSET(c->config->cpus[i], &set))
			WARN(c, line_of(c, NULL, "cpus"),
				"cpus: CPU %u is not one that this process may use",
				c->config->cpus[i]);
}

static void check_log(const struct checking *c)
{
	const struct config_log *log = &c->config->log;
	uint64_t least = 4ull * log->queue_depth * log->block_bytes;
	char text[UNITS_TEXT_BYTES];

	if (log->segment_bytes < least)
		ERROR(c, line_of(c, "log", "segment_size"),
			"log.segment_size: must be at least 4 x queue_depth x block_size, here %s",
			units_size_text(least, text));
	if (log->retain_bytes != 0 && log->retain_bytes < 2 * log->segment_bytes)
		ERROR(c, line_of(c, "log", "retain_size"),
			"log.retain_size: must be 0 or at least two segments, here %s",
			units_size_text(2 * log->segment_bytes, text));
}

static void check_compression(const struct checking *c)
{
	const struct config_log *log = &c->config->log;
	unsigned line = line_of(c, "log", "compressed_partitions");

	if (log->compressed_partitions == CONFIG_ALL_PARTITIONS)
		return;
	if (c->config->partitions < CONFIG_PARTITIONS_MAX &&
		log->compressed_partitions >> c->config->partitions != 0)
		ERROR(c, line, "log.compressed_partitions: there are %u partitions, from 0 to %u",
			c->config->partitions, c->config->partitions - 1);
	else if (log->compression == COMPRESSION_NONE)
		WARN(c, line,
			"log.compressed_partitions: means nothing without log.compression: lz4");
}

// A router is reached without a router (a link-local one by every IPv6 host).
static void check_port(const struct checking *c, unsigned p)
{
	const struct config_port *port = &c->config->ports[p];

	// The least that carries IPv6 (RFC 8200, 5).
	if (port->mtu != 0 && port->mtu < 1280)
		ERROR(c, item_line(c, "ports", p), "ports[%u].mtu: %u is less than 1280", p,
			port->mtu);
	for (unsigned i = 0; i < port->gateway_count; i++) {
		const struct config_address *gateway = &port->gateways[i];
		bool reached = IN6_IS_ADDR_LINKLOCAL(&gateway->ip), own = false;
		char text[INET6_ADDRSTRLEN];

		for (unsigned j = 0; j < port->address_count; j++) {
			reached |= config_covers(&port->addresses[j], gateway->ip.s6_addr);
			own |= address_equal(&port->addresses[j], gateway);
		}
		if (!reached || own)
			ERROR(c, item_line(c, "ports", p), "ports[%u].gateways: %s is %s", p,
				config_address_text(gateway, text, sizeof(text)),
				own ? "an address of the port itself"
				    : "on none of the networks of 'addresses'");
	}
}

static void check_port_pair(const struct checking *c, unsigned i, unsigned j)
{
	const struct config_port *a = &c->config->ports[i], *b = &c->config->ports[j];

	if (strcmp(a->name, b->name) == 0)
		ERROR(c, item_line(c, "ports", j), "ports[%u].name: '%s' is also ports[%u]", j,
			b->name, i);
	if (b->device[0] != '\0' && strcmp(a->device, b->device) == 0)
		ERROR(c, item_line(c, "ports", j), "ports[%u].device: '%.60s' is also ports[%u]", j,
			b->device, i);
	if (b->exception[0] != '\0' && strcmp(a->exception, b->exception) == 0)
		ERROR(c, item_line(c, "ports", j), "ports[%u].exception: '%s' is also ports[%u]", j,
			b->exception, i);
}

static void check_listener_pair(const struct checking *c, unsigned i, unsigned j)
{
	const struct config_listener *a = &c->config->listeners[i], *b = &c->config->listeners[j];
	unsigned line = item_line(c, "listeners", j);

	if (strcmp(a->name, b->name) == 0)
		ERROR(c, line, "listeners[%u].name: '%s' is also listeners[%u]", j, b->name, i);
	if (b->udp_port == 0 || a->udp_port != b->udp_port)
		return;
	if (a->any_address == b->any_address &&
		(a->any_address || address_equal(&a->address, &b->address)))
		ERROR(c, line,
			"listeners[%u].port: %u is also that of listeners[%u], with the "
			"same address",
			j, b->udp_port, i);
	else if (a->any_address)
		ERROR(c, line,
			"listeners[%u]: gets nothing, because listeners[%u] before it takes port "
			"%u on any address; put it first",
			j, i, b->udp_port);
}

static void check_listener(const struct checking *c, unsigned i)
{
	const struct config_listener *listener = &c->config->listeners[i];

	if (listener->kind != KIND_RELIABLE)
		return;
	if (listener->split != SPLIT_DATAGRAM)
		ERROR(c, item_line(c, "listeners", i),
			"listeners[%u].split: the events of a reliable listener are its senders'",
			i);
	if (!listener->any_address && config_is_multicast(&listener->address))
		ERROR(c, item_line(c, "listeners", i),
			"listeners[%u].address: a reliable listener answers, so it has no "
			"multicast address",
			i);
}

// An event and its columns must fit a block.
static void check_reliable(const struct checking *c)
{
	const struct config *config = c->config;

	if (config->reliable.event_bytes > config->log.block_bytes / 2)
		ERROR(c, line_of(c, "reliable", "event_size"),
			"reliable.event_size: must be at most half of log.block_size");
}

// Said unless the list was refused already because it is none.
static void check_any(const struct checking *c, const char *list, unsigned count)
{
	const struct config_node *node = value_or_null(node_get(c->root, list));
	bool refused = node != NULL && node->kind != NODE_LIST && !node->null;

	if (count == 0 && !refused)
		problem_add(c->problems, line_of(c, NULL, list), c->root == NULL,
			"%s: there must be at least one", list);
}

static unsigned addresses_of(const struct config *config, bool ip4)
{
	unsigned count = 0;

	for (unsigned p = 0; p < config->port_count; p++)
		for (unsigned i = 0; i < config->ports[p].address_count; i++)
			count += config->ports[p].addresses[i].is_ip4 == ip4;
	return count;
}

// To join a group a port needs an address to say so from. Promiscuous ports take what they get.
static void check_groups(const struct checking *c)
{
	const struct config *config = c->config;
	unsigned groups = 0;

	for (unsigned i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		if (listener->any_address || !config_is_multicast(&listener->address))
			continue;
		if (++groups > CONFIG_GROUPS_MAX)
			ERROR(c, item_line(c, "listeners", i),
				"listeners[%u].address: there are more than %u multicast groups", i,
				CONFIG_GROUPS_MAX);
		else if (addresses_of(config, listener->address.is_ip4) == 0)
			WARN(c, item_line(c, "listeners", i),
				"listeners[%u].address: no port has an IPv%c address, so this "
				"group "
				"can't be joined; give one under ports[].addresses",
				i, listener->address.is_ip4 ? '4' : '6');
	}
}

static void check_lists(const struct checking *c)
{
	const struct config *config = c->config;

	check_any(c, "ports", config->port_count);
	check_any(c, "listeners", config->listener_count);
	for (unsigned i = 0; i < config->port_count; i++)
		check_port(c, i);
	for (unsigned j = 1; j < config->port_count; j++)
		for (unsigned i = 0; i < j; i++)
			check_port_pair(c, i, j);
	for (unsigned i = 0; i < config->listener_count; i++)
		check_listener(c, i);
	for (unsigned j = 1; j < config->listener_count; j++)
		for (unsigned i = 0; i < j; i++)
			check_listener_pair(c, i, j);
}

void config_cross_check(const struct config *config, const struct config_node *root, bool here,
	struct config_problems *problems)
{
	struct checking c = {.config = config, .root = root, .problems = problems};

	check_workers(&c);
	if (here)
		check_allowed(&c);
	check_log(&c);
	check_reliable(&c);
	check_compression(&c);
	check_lists(&c);
	check_groups(&c);
	check_sinks(&c);
}
