// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device.h"
#include "dataplane/netdev.h"
#include "dataplane/plan.h"
#include "dataplane/preflight_rows.h"

#include <net/if.h>
#include <string.h>
#include <unistd.h>

static const char *link_name(const struct checks *c, char *buf, size_t len, const char *pci)
{
	char path[512];
	ssize_t n;
	char *slash;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", c->root, pci);
	n = readlink(path, buf, len - 1);
	if (n < 0)
		return NULL;
	buf[n] = '\0';
	slash = strrchr(buf, '/');
	return slash != NULL ? slash + 1 : buf;
}

// Drivers under which DPDK reaches the device: the two user-space ones, and those that share it.
static bool is_dpdk_driver(const char *driver)
{
	static const char *const known[] = {
		"vfio-pci", "igb_uio", "uio_pci_generic", "mlx4_core", "mlx5_core"};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(driver, known[i]) == 0)
			return true;
	return false;
}

static void check_iommu(struct checks *c, const char *name)
{
	struct check_row *row;
	char line[16] = "";

	if (check_exists(c, "/sys/class/iommu/dmar0") ||
		check_exists(c, "/sys/class/iommu/ivhd0") ||
		check_exists(c, "/sys/kernel/iommu_groups/0")) {
		check_add(c, CHECK_OK, name, "an IOMMU guards the device's memory access");
		return;
	}
	if (check_read(c, line, sizeof(line),
		    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") &&
		line[0] == 'Y') {
		check_add(c, CHECK_WARN, name, "none: vfio runs in its unsafe mode");
		return;
	}
	row = check_add(c, CHECK_FAIL, name, "no IOMMU is active, so vfio can't take the device");
	check_mend(row, "boot with intel_iommu=on iommu=pt (AMD: iommu=pt), or use the device's "
			"network name instead (AF_XDP)");
}

static void check_pci(struct checks *c, const char *name, const struct device *device)
{
	char buf[256], iommu[96];
	const char *driver;
	struct check_row *row;

	if (!check_exists(c, "/sys/bus/pci/devices/%s", device->name)) {
		row = check_add(c, CHECK_FAIL, name, "no PCI device %s", device->name);
		check_mend(row, "scripts/setup.sh status   (lists the devices there are)");
		return;
	}
	driver = link_name(c, buf, sizeof(buf), device->name);
	if (driver == NULL || !is_dpdk_driver(driver)) {
		row = check_add(c, CHECK_FAIL, name, "%s is bound to %s", device->name,
			driver != NULL ? driver : "no driver");
		check_mend(row, "scripts/setup.sh bind %s", device->name);
		return;
	}
	check_add(c, CHECK_OK, name, "PCI device %s, driver %s", device->name, driver);
	if (strcmp(driver, "vfio-pci") == 0) {
		snprintf(iommu, sizeof(iommu), "IOMMU %s", name + strlen("port "));
		check_iommu(c, iommu);
	}
}

static void check_kernel_address(struct checks *c, const char *name, const struct device *device)
{
	struct config_address address;
	char text[INET6_ADDRSTRLEN];
	struct check_row *row;

	if (netdev_addresses(device->name, &address, 1) == 0)
		return;
	config_address_text(&address, text, sizeof(text));
	row = check_add(c, CHECK_WARN, name,
		"the kernel has %s on %s and answers its senders with port unreachable", text,
		device->name);
	check_mend(row, "ip address flush dev %s", device->name);
}

// The longest frame that a driver by sockets hands over, seen by sending: AF_XDP's has 256 bytes of
// each buffer for the kernel, AF_PACKET's a header before each frame of its ring.
#define XDP_FRAME_MAX 1792
#define PACKET_FRAME_MAX 1982

static void check_mtu(struct checks *c, const char *name, const struct device *device,
	const struct config_port *port)
{
	bool packet = device->forced == DRIVER_AF_PACKET;
	unsigned most = (packet ? PACKET_FRAME_MAX : XDP_FRAME_MAX) - FRAME_OVERHEAD;
	long long mtu = check_number(c, "/sys/class/net/%s/mtu", device->name);
	const char *driver = packet ? "AF_PACKET" : "AF_XDP";
	struct check_row *row;

	if (port->mtu > most) {
		row = check_add(c, CHECK_FAIL, name, "mtu is %u, and %s takes %u at most",
			port->mtu, driver, most);
		check_mend(row,
			"scripts/setup.sh bind %s, and its PCI address as 'device'   (or mtu: %u)",
			device->name, most);
	} else if (port->mtu != 0 && mtu != port->mtu) {
		row = check_add(
			c, CHECK_WARN, name, "mtu is %u, the device has %lld", port->mtu, mtu);
		check_mend(row, "ip link set dev %s mtu %u", device->name, port->mtu);
	} else if (mtu > (long long)most) {
		row = check_add(c, CHECK_WARN, name, "MTU %lld: %s drops packets above %u bytes",
			mtu, driver, most);
		check_mend(row, "ip link set dev %s mtu %u", device->name, most);
	}
}

static void check_queues(struct checks *c, const char *name, const struct device *device,
	const struct config_port *port)
{
	unsigned queues = 0;
	struct check_row *row;

	if (device->forced == DRIVER_AF_PACKET)
		return;
	while (check_exists(c, "/sys/class/net/%s/queues/rx-%u", device->name, queues))
		queues++;
	if (queues == 0 || port->rx_queues <= queues)
		return;
	row = check_add(c, device->forced == DRIVER_AF_XDP ? CHECK_FAIL : CHECK_WARN, name,
		"rx_queues is %u, %s has %u: AF_XDP can't take it", port->rx_queues, device->name,
		queues);
	check_mend(row, "ethtool -L %s combined %u   (or lower rx_queues)", device->name,
		port->rx_queues);
}

static void check_netdev(struct checks *c, const char *name, const struct device *device,
	const struct config_port *port)
{
	long long flags = check_number(c, "/sys/class/net/%s/flags", device->name);
	struct check_row *row;

	if (flags < 0) {
		row = check_add(c, CHECK_FAIL, name, "no network device %s here", device->name);
		check_mend(row, "ip link   (shows the devices of this network namespace)");
		return;
	}
	if ((flags & IFF_UP) == 0) {
		row = check_add(c, CHECK_FAIL, name, "network device %s is down", device->name);
		check_mend(row, "ip link set dev %s up", device->name);
		return;
	}
	check_add(c, CHECK_OK, name, "network device %s, up", device->name);
	check_queues(c, name, device, port);
	check_kernel_address(c, name, device);
	check_mtu(c, name, device, port);
}

// A pcap port reads a file: say early that it isn't there.
static void check_vdev(struct checks *c, const char *name, const struct device *device)
{
	const char *at = strstr(device->args, "rx_pcap=");
	char path[CONFIG_DEVICE_MAX];
	struct check_row *row;

	if (at != NULL) {
		at += strlen("rx_pcap=");
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(at, ","), at);
		if (access(path, R_OK) != 0) {
			row = check_add(c, CHECK_FAIL, name, "%.100s can't be read", path);
			check_mend(row, "give rx_pcap= a capture file that this user may read");
			return;
		}
	}
	check_add(c, CHECK_OK, name, "virtual device %.100s", device->name);
}

static void check_port(struct checks *c, const struct config_port *port)
{
	struct device device;
	struct check_row *row;
	char name[80];

	snprintf(name, sizeof(name), "port %s", port->name);
	if (device_parse(port->device, &device) != 0) {
		row = check_add(c, CHECK_FAIL, name, "'%.100s' names no device", port->device);
		check_mend(row, "give a PCI address, a network device, or a DPDK vdev (net_...)");
		return;
	}
	if (device.kind == DEVICE_PCI)
		check_pci(c, name, &device);
	else if (device.kind == DEVICE_NETDEV)
		check_netdev(c, name, &device, port);
	else
		check_vdev(c, name, &device);
}

void check_ports(struct checks *c)
{
	for (unsigned p = 0; p < c->config->port_count; p++)
		check_port(c, &c->config->ports[p]);
}
