// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/eal.h"

#include "common/logmsg.h"
#include "dataplane/device.h"
#include "dataplane/steer.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool started;
static struct eal_args *kept; // EAL reorders the list and keeps the texts

static int add(struct eal_args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int add(struct eal_args *args, const char *fmt, ...)
{
	size_t room = sizeof(args->text) - args->used;
	va_list list;
	int n;

	va_start(list, fmt);
	n = vsnprintf(args->text + args->used, room, fmt, list);
	va_end(list);
	if (n < 0 || (size_t)n >= room || args->count + 1 >= EAL_ARGS_MAX)
		return -E2BIG;
	args->list[args->count++] = args->text + args->used;
	args->list[args->count] = NULL;
	args->used += (size_t)n + 1;
	return 0;
}

// FNV-1a. The lock of the data directory makes it this process's alone.
static uint32_t name_hash(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}

// "0@(2,3),1@0,2@1": the main lcore and what it starts where there is room, the others pinned.
static int add_lcores(struct eal_args *args, const struct config *config)
{
	char text[CONFIG_CPUS_MAX * 12 + CPU_SETSIZE * 5];
	size_t used = 0;
	cpu_set_t allowed;
	bool first = true;

	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return -errno;
	plan_leave_to_lcores(&allowed, config);
	used += (size_t)snprintf(text, sizeof(text), "--lcores=0@(");
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%u", first ? "" : ",", cpu);
		first = false;
	}
	used += (size_t)snprintf(text + used, sizeof(text) - used, ")");
	for (unsigned i = 0; i < config->cpu_count; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, ",%u@%u", eal_lcore(i), config->cpus[i]);
	return add(args, "%s", text);
}

// Without hugepages all memory is taken at start, so its size must be said.
static unsigned memory_mib(const struct config *config, const struct plan *plan)
{
	uint64_t bytes = 64ull << 20;

	for (unsigned p = 0; p < config->port_count; p++)
		bytes += plan_pool_bytes(plan->mbufs[p]) * 5 / 4;
	bytes += (uint64_t)plan->lcore_count * plan->partition_count * config->ring_size *
		 sizeof(struct steered);
	return (unsigned)(bytes >> 20);
}

// PCI devices that may be probed; returns how many there are, or -E2BIG.
static int add_pci(struct eal_args *args, const struct config *config)
{
	int n = 0;

	for (unsigned p = 0; p < config->port_count; p++) {
		struct device device;
		if (device_parse(config->ports[p].device, &device) != 0 ||
			device.kind != DEVICE_PCI)
			continue;
		if (add(args, "--allow=%s%s%s", device.name, device.args[0] != '\0' ? "," : "",
			    device.args) != 0)
			return -E2BIG;
		n++;
	}
	return n;
}

// A memif client shares its memory with the peer by one file per list of segments.
static bool wants_single_files(const struct config *config)
{
	for (unsigned p = 0; p < config->port_count; p++) {
		struct device device;
		if (device_parse(config->ports[p].device, &device) == 0 &&
			device_has_arg(&device, "zero-copy", "yes"))
			return true;
	}
	return false;
}

static int add_memory(struct eal_args *args, const struct config *config, const struct plan *plan)
{
	int err;

	// EAL refuses --in-memory with --no-huge.
	if (!config->hugepages)
		return add(args, "--no-huge") | add(args, "--no-shconf") |
		       add(args, "-m%u", memory_mib(config, plan));
	// No mount of hugetlbfs needed, and nothing of it left behind by a killed process.
	err = add(args, "--in-memory");
	if (wants_single_files(config))
		err |= add(args, "--single-file-segments");
	return err;
}

int eal_args_make(struct eal_args *ret, const struct config *config, const struct plan *plan)
{
	int pci, err = 0;

	memset(ret, 0, sizeof(*ret));
	err |= add(ret, "millraced");
	err |= add(ret, "--file-prefix=millrace-%08x", name_hash(config->data));
	err |= add(ret, "--main-lcore=0");
	err |= add_lcores(ret, config);
	err |= add(ret, "--log-level=lib.*:warning");
	err |= add(ret, "--log-level=pmd.*:warning");
	pci = add_pci(ret, config);
	if (pci < 0)
		return pci;
	if (pci == 0) {
		err |= add(ret, "--no-pci");
		// Pools may then be one piece whatever their pages, which AF_XDP asks for.
		err |= add(ret, "--iova-mode=va");
	}
	err |= add_memory(ret, config, plan);
	return err != 0 ? -E2BIG : 0;
}

// Lines that say nothing to whoever runs this: no page of 1 GiB is ever asked for, and hugetlbfs
// is not needed, nor the telemetry socket of old, nor a secondary process.
static bool is_noise(const char *line)
{
	return strstr(line, "No free 1048576 kB hugepages") != NULL ||
	       strstr(line, "no mounted hugetlbfs found") != NULL ||
	       strstr(line, "legacy socket not created") != NULL ||
	       strstr(line, "mp action callback") != NULL;
}

static ssize_t write_log(void *cookie, const char *buf, size_t size)
{
	int level = rte_log_cur_msg_loglevel();
	char line[512];

	(void)cookie;
	snprintf(line, sizeof(line), "%.*s", (int)size, buf);
	line[strcspn(line, "\n")] = '\0';
	if (line[0] != '\0' && !is_noise(line))
		log_write(level > 0 && level <= (int)RTE_LOG_ERR ? LOG_LEVEL_ERR : LOG_LEVEL_WARN,
			"%s", line);
	return (ssize_t)size;
}

static void route_log(void)
{
	static const cookie_io_functions_t functions = {.write = write_log};
	FILE *stream = fopencookie(NULL, "w", functions);

	if (stream == NULL)
		return;
	setvbuf(stream, NULL, _IOLBF, BUFSIZ);
	rte_openlog_stream(stream);
}

int eal_start(const struct config *config, const struct plan *plan)
{
	struct eal_args *args = kept = malloc(sizeof(*args));
	int err = args != NULL ? eal_args_make(args, config, plan) : -ENOMEM;

	if (err == 0) {
		route_log();
		rte_log_set_global_level(RTE_LOG_WARNING);
		if (rte_eal_init(args->count, args->list) < 0)
			err = -rte_errno;
		started = err == 0;
	}
	if (err != 0) {
		log_err("DPDK's EAL did not start: %s", strerror(-err));
		free(kept);
		kept = NULL;
	}
	return err;
}

void eal_stop(void)
{
	if (started) {
		rte_eal_cleanup();
		// EAL leaves its directory behind; one that is not empty stays.
		rmdir(rte_eal_get_runtime_dir());
	}
	free(kept);
	kept = NULL;
	started = false;
}
