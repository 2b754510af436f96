// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device.h"
#include "dataplane/preflight_rows.h"
#include "wal/wal.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

static uint64_t effective_capabilities(const struct checks *c)
{
	char path[512], line[128];
	uint64_t bits = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/status", c->root);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "CapEff: %" SCNx64, &bits) == 1)
			break;
	fclose(f);
	return bits;
}

static bool has(uint64_t bits, int capability)
{
	return (bits >> capability & 1) != 0;
}

static void check_packet_sockets(struct checks *c, uint64_t bits)
{
	bool ok = has(bits, CAP_NET_RAW);
	struct check_row *row = check_add(c, ok ? CHECK_OK : CHECK_FAIL, "packet sockets",
		ok ? "CAP_NET_RAW" : "no CAP_NET_RAW, which a network device needs");

	if (!ok)
		check_mend(row,
			"run as root, by millraced@.service, or "
			"setcap cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock+ep millraced");
}

static void check_xdp(struct checks *c, uint64_t bits, bool forced)
{
	bool load = has(bits, CAP_BPF) || has(bits, CAP_SYS_ADMIN);
	bool ok = load && has(bits, CAP_NET_ADMIN);
	struct check_row *row;

	if (ok) {
		check_add(c, CHECK_OK, "AF_XDP", "CAP_NET_ADMIN and CAP_BPF or CAP_SYS_ADMIN");
		return;
	}
	row = check_add(c, forced ? CHECK_FAIL : CHECK_WARN, "AF_XDP", "%s",
		forced ? "needs CAP_NET_ADMIN and CAP_BPF"
		       : "needs CAP_NET_ADMIN and CAP_BPF; AF_PACKET will be used");
	check_mend(row, "run as root, or by millraced@.service");
}

static void check_socket_rights(struct checks *c, uint64_t bits)
{
	bool any = false, xdp = false, forced = false;

	for (unsigned p = 0; p < c->config->port_count; p++) {
		struct device device;
		if (device_parse(c->config->ports[p].device, &device) != 0 ||
			device.kind != DEVICE_NETDEV)
			continue;
		any = true;
		xdp |= device.forced != DRIVER_AF_PACKET;
		forced |= device.forced == DRIVER_AF_XDP;
	}
	if (any)
		check_packet_sockets(c, bits);
	if (xdp)
		check_xdp(c, bits, forced);
}

// A TAP: made by us, or there already and given to this user by `ip tuntap add`.
static void check_exception(struct checks *c, uint64_t bits, const struct config_port *port)
{
	bool ours = has(bits, CAP_NET_ADMIN);
	struct check_row *row;
	char name[80];

	snprintf(name, sizeof(name), "exception %s", port->exception);
	if (!check_exists(c, "/dev/net/tun")) {
		row = check_add(c, CHECK_FAIL, name, "this kernel has no /dev/net/tun");
		check_mend(row, "modprobe tun   (or leave ports[].exception out)");
	} else if (ours) {
		check_add(c, CHECK_OK, name, "CAP_NET_ADMIN makes the device");
	} else if (check_exists(c, "/sys/class/net/%s/tun_flags", port->exception)) {
		check_add(c, CHECK_OK, name, "the device is there");
	} else {
		row = check_add(c, CHECK_FAIL, name, "no CAP_NET_ADMIN to make the device");
		check_mend(row, "ip tuntap add dev %s mode tap user $USER", port->exception);
	}
}

// io_uring's registered buffers and AF_XDP's memory count against RLIMIT_MEMLOCK.
static void check_locked_memory(struct checks *c, uint64_t bits)
{
	struct rlimit limit = {0};
	struct check_row *row;
	uint64_t need = 0;

	for (unsigned i = 0; i < c->config->partitions; i++)
		need += wal_memory_bytes(&c->config->log, i, plan_recent_bytes(c->config));
	for (unsigned p = 0; p < c->config->port_count; p++) {
		struct device device;
		if (device_parse(c->config->ports[p].device, &device) == 0 &&
			device.kind == DEVICE_NETDEV && device.forced != DRIVER_AF_PACKET)
			need += plan_pool_bytes(c->plan->mbufs[p]) * c->config->ports[p].rx_queues;
	}
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (has(bits, CAP_IPC_LOCK) || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= need) {
		check_add(c, CHECK_OK, "locked memory", "%.0f MiB needed, %s", (double)need / MIB,
			has(bits, CAP_IPC_LOCK) ? "CAP_IPC_LOCK" : "within RLIMIT_MEMLOCK");
		return;
	}
	row = check_add(c, CHECK_FAIL, "locked memory", "%.0f MiB needed, RLIMIT_MEMLOCK is %.0f",
		(double)need / MIB, (double)limit.rlim_cur / MIB);
	check_mend(row, "ulimit -l unlimited   (systemd: LimitMEMLOCK=infinity)");
}

static void check_cpus(struct checks *c)
{
	cpu_set_t allowed;
	struct check_row *row;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (unsigned i = 0; i < c->config->cpu_count; i++) {
		if (CPU_ISSET(c->config->cpus[i], &allowed))
			continue;
		row = check_add(c, CHECK_FAIL, "cpus", "cpu %u is not there or not allowed here",
			c->config->cpus[i]);
		check_mend(row, "leave cpu %u out of 'cpus' (nproc says %d); systemd: CPUAffinity=",
			c->config->cpus[i], CPU_COUNT(&allowed));
		return;
	}
	check_add(c, CHECK_OK, "cpus", "%u lcores, all allowed", c->config->cpu_count);
}

void check_permissions(struct checks *c)
{
	uint64_t bits = effective_capabilities(c);

	if (!c->running)
		check_cpus(c);
	check_socket_rights(c, bits);
	for (unsigned p = 0; p < c->config->port_count; p++)
		if (c->config->ports[p].exception[0] != '\0')
			check_exception(c, bits, &c->config->ports[p]);
	check_locked_memory(c, bits);
}
