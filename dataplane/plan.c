// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/plan.h"

#include "dataplane/device.h"

#include <string.h>

// AF_XDP's fill and completion rings hold mbufs beyond the descriptors asked for.
#define AF_XDP_EXTRA 8192

static void place_queues(struct plan *plan, const struct config *config)
{
	unsigned next = 0;

	for (unsigned p = 0; p < config->port_count; p++)
		for (unsigned q = 0; q < config->ports[p].rx_queues && q < QUEUES_MAX; q++)
			plan->queue_lcore[p][q] = (uint8_t)(next++ % plan->rx_lcore_count);
}

static void place_partitions(struct plan *plan)
{
	unsigned first = plan->pipeline ? plan->rx_lcore_count : 0;

	for (unsigned i = 0; i < plan->partition_count; i++)
		plan->partition_lcore[i] = (uint8_t)(first + i % (plan->lcore_count - first));
}

static bool polls(const struct plan *plan, unsigned port, unsigned queues, unsigned lcore)
{
	for (unsigned q = 0; q < queues; q++)
		if (plan->queue_lcore[port][q] == lcore)
			return true;
	return false;
}

unsigned plan_port_lcores(const struct plan *plan, unsigned port, unsigned queues)
{
	unsigned n = 0;

	for (unsigned l = 0; l < plan->lcore_count; l++)
		n += polls(plan, port, queues, l);
	return n;
}

int plan_tx_queue(const struct plan *plan, unsigned port, unsigned queues, unsigned lcore)
{
	int before = 0;

	if (!polls(plan, port, queues, lcore))
		return -1;
	for (unsigned l = 0; l < lcore; l++)
		before += polls(plan, port, queues, l);
	return before;
}

// mbufs that may lie in the rings from the lcores that poll this port.
static uint32_t ring_mbufs(const struct plan *plan, const struct config *config, unsigned port)
{
	unsigned queues = config->ports[port].rx_queues;
	uint32_t rings = 0;

	for (unsigned l = 0; l < plan->lcore_count; l++) {
		if (!polls(plan, port, queues, l))
			continue;
		for (unsigned i = 0; i < plan->partition_count; i++)
			rings += plan->partition_lcore[i] != l;
	}
	return rings * config->ring_size;
}

uint32_t plan_frame_bytes(const struct config_port *port)
{
	return (port->mtu != 0 ? port->mtu : 1500u) + FRAME_OVERHEAD;
}

unsigned plan_frame_mbufs(const struct config_port *port)
{
	return (plan_frame_bytes(port) + MBUF_DATA - 1) / MBUF_DATA;
}

static uint32_t port_mbufs(const struct plan *plan, const struct config *config, unsigned port)
{
	const struct config_port *p = &config->ports[port];
	unsigned tx_queues = plan_port_lcores(plan, port, p->rx_queues);
	uint32_t n = (uint32_t)p->rx_queues * p->rx_descriptors + tx_queues * p->tx_descriptors;
	struct device device;

	n += ring_mbufs(plan, config, port) * plan_frame_mbufs(p);
	n += plan->lcore_count * 2 * BURST * plan_frame_mbufs(p);
	// Fragments that wait for others: as many as the tables can hold.
	n += plan_port_lcores(plan, port, p->rx_queues) * config->fragment_flows * PLAN_FRAGMENTS;
	// On their way to the host thread and back.
	n += plan_port_lcores(plan, port, p->rx_queues) * 2 * HOST_RING;
	// A mempool cache holds up to one and a half times its size before it flushes.
	n += plan->lcore_count * MBUF_CACHE * 3 / 2;
	if (device_parse(p->device, &device) == 0 && device.kind == DEVICE_NETDEV &&
		device.forced != DRIVER_AF_PACKET)
		n += p->rx_queues * AF_XDP_EXTRA;
	return n;
}

void plan_make(struct plan *ret, const struct config *config)
{
	memset(ret, 0, sizeof(*ret));
	ret->lcore_count = config->cpu_count;
	ret->partition_count = config->partitions;
	ret->pipeline = config->mode == MODE_PIPELINE;
	ret->rx_lcore_count = ret->pipeline ? config->rx_lcores : config->cpu_count;
	place_queues(ret, config);
	place_partitions(ret);
	for (unsigned p = 0; p < config->port_count; p++) {
		ret->mbufs_needed[p] = port_mbufs(ret, config, p);
		ret->mbufs[p] = ret->mbufs_needed[p];
		if (config->mbufs > ret->mbufs[p])
			ret->mbufs[p] = config->mbufs;
	}
}

uint64_t plan_pool_bytes(uint32_t mbufs)
{
	return (uint64_t)mbufs * (MBUF_OVERHEAD + MBUF_HEADROOM + MBUF_DATA);
}

void plan_leave_to_lcores(cpu_set_t *allowed, const struct config *config)
{
	cpu_set_t rest = *allowed;

	for (unsigned i = 0; i < config->cpu_count; i++)
		CPU_CLR(config->cpus[i], &rest);
	if (CPU_COUNT(&rest) > 0)
		*allowed = rest;
}

bool plan_has_reliable(const struct config *config)
{
	for (unsigned i = 0; i < config->listener_count; i++)
		if (config->listeners[i].kind == KIND_RELIABLE)
			return true;
	return false;
}

uint64_t plan_recent_bytes(const struct config *config)
{
	bool read = config->sink_count > 0 || config->api.listen[0] != '\0';

	return read ? config->recent_bytes : 0;
}
