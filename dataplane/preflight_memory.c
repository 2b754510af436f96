// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device.h"
#include "dataplane/preflight_rows.h"
#include "wal/wal.h"

#include <sched.h>
#include <string.h>

#define NODES_MAX 8
#define HUGEPAGE_BYTES (2ull << 20)
// What EAL itself takes per node: its heap grows in whole pages, memzones of the rings included.
#define EAL_BYTES (8ull << 20)

static unsigned node_or_first(long long node)
{
	return node < 0 || node >= NODES_MAX ? 0 : (unsigned)node;
}

unsigned check_port_node(const struct checks *c, unsigned port)
{
	struct device device;

	if (device_parse(c->config->ports[port].device, &device) != 0)
		return 0;
	if (device.kind == DEVICE_PCI)
		return node_or_first(
			check_number(c, "/sys/bus/pci/devices/%s/numa_node", device.name));
	if (device.kind == DEVICE_NETDEV)
		return node_or_first(
			check_number(c, "/sys/class/net/%s/device/numa_node", device.name));
	return 0;
}

static unsigned cpu_node(const struct checks *c, unsigned cpu)
{
	for (unsigned node = 0; node < NODES_MAX; node++)
		if (check_exists(c, "/sys/devices/system/cpu/cpu%u/node%u", cpu, node))
			return node;
	return 0;
}

// The node of all CPUs that the threads which don't poll may run on, the main lcore among them; -1:
// there are several. DPDK takes what its drivers share there.
static int main_node(const struct checks *c)
{
	cpu_set_t allowed;
	int node = -1;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	plan_leave_to_lcores(&allowed, c->config);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		if (node >= 0 && node != (int)cpu_node(c, cpu))
			return -1;
		node = (int)cpu_node(c, cpu);
	}
	return node;
}

static uint64_t in_pages(uint64_t bytes)
{
	return (bytes + HUGEPAGE_BYTES - 1) / HUGEPAGE_BYTES;
}

// Hugepages wanted on each node.
static void count_pages(const struct checks *c, uint64_t pages[NODES_MAX])
{
	memset(pages, 0, NODES_MAX * sizeof(pages[0]));
	for (unsigned p = 0; p < c->config->port_count; p++)
		pages[check_port_node(c, p)] +=
			in_pages(plan_pool_bytes(c->plan->mbufs[p]) + EAL_BYTES);
	for (unsigned i = 0; i < c->config->partitions; i++) {
		unsigned lcore = c->plan->partition_lcore[i];
		pages[cpu_node(c, c->config->cpus[lcore])] += in_pages(
			wal_memory_bytes(&c->config->log, i, plan_recent_bytes(c->config)));
	}
	if (plan_has_reliable(c->config))
		pages[main_node(c) >= 0 ? main_node(c) : 0] += in_pages(ANSWERS_BYTES);
	if (main_node(c) >= 0 && pages[main_node(c)] == 0)
		pages[main_node(c)] = in_pages(EAL_BYTES);
}

static void check_node(struct checks *c, unsigned node, uint64_t wanted)
{
	static const char dir[] = "/hugepages/hugepages-2048kB";
	long long free_pages, all;
	bool several = check_exists(c, "/sys/devices/system/node/node1");
	char name[48];
	struct check_row *row;

	snprintf(name, sizeof(name), "hugepages node %u", node);
	free_pages = check_number(c, "/sys/devices/system/node/node%u%s/free_hugepages", node, dir);
	all = check_number(c, "/sys/devices/system/node/node%u%s/nr_hugepages", node, dir);
	if (free_pages < 0 || all < 0) {
		row = check_add(c, CHECK_FAIL, name, "this kernel has no hugepages of 2 MiB");
		check_mend(row, "set 'memory.hugepages: false' in the configuration");
		return;
	}
	row = check_add(c, (uint64_t)free_pages >= wanted ? CHECK_OK : CHECK_FAIL, name,
		"%llu of 2 MiB needed, %lld free of %lld", (unsigned long long)wanted, free_pages,
		all);
	if ((uint64_t)free_pages < wanted)
		check_mend(row,
			"scripts/setup.sh hugepages %llu%s%s   (or memory.hugepages: false)",
			(unsigned long long)(wanted + (uint64_t)(all - free_pages)),
			several ? " --node " : "", several ? name + strlen("hugepages node ") : "");
}

static void check_hugepages(struct checks *c)
{
	uint64_t pages[NODES_MAX];

	if (!c->config->hugepages) {
		check_add(c, CHECK_SKIP, "hugepages", "not used (memory.hugepages: false)");
		return;
	}
	if (c->running) {
		check_add(c, CHECK_SKIP, "hugepages", "held by the running receiver");
		return;
	}
	count_pages(c, pages);
	for (unsigned node = 0; node < NODES_MAX; node++)
		if (pages[node] > 0)
			check_node(c, node, pages[node]);
}

static void check_pool(struct checks *c, unsigned port)
{
	const struct config_port *p = &c->config->ports[port];
	uint32_t needed = c->plan->mbufs_needed[port];
	bool low = c->config->mbufs > 0 && c->config->mbufs < needed;
	char name[80];
	struct check_row *row;

	snprintf(name, sizeof(name), "mempool %s", p->name);
	row = check_add(c, low ? CHECK_WARN : CHECK_OK, name,
		"%u mbufs, %.0f MiB; %u rx queues of %u, rings of %u, bursts and caches need %u",
		c->plan->mbufs[port], (double)plan_pool_bytes(c->plan->mbufs[port]) / MIB,
		p->rx_queues, p->rx_descriptors, c->config->ring_size, needed);
	if (low)
		check_mend(row, "set memory.mbufs to at least %u, or leave it out; %u are used now",
			needed, needed);
}

static void check_node_of_port(struct checks *c, unsigned port)
{
	const struct config_port *p = &c->config->ports[port];
	unsigned node = check_port_node(c, port);

	for (unsigned q = 0; q < p->rx_queues && q < QUEUES_MAX; q++) {
		unsigned cpu = c->config->cpus[c->plan->queue_lcore[port][q]];
		char name[80];
		struct check_row *row;

		if (cpu_node(c, cpu) == node)
			continue;
		snprintf(name, sizeof(name), "NUMA %s", p->name);
		row = check_add(c, CHECK_WARN, name,
			"the device is on node %u, cpu %u that polls it on node %u", node, cpu,
			cpu_node(c, cpu));
		check_mend(row, "list cpus of node %u under 'cpus'", node);
		return;
	}
}

void check_memory(struct checks *c)
{
	check_hugepages(c);
	for (unsigned p = 0; p < c->config->port_count; p++) {
		check_pool(c, p);
		check_node_of_port(c, p);
	}
}
