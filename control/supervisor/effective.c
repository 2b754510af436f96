// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/effective.h"

#include "dataplane/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OF_TASK "the task's environment"
#define OF_RESULT "the receiver's millraced.yaml"
#define LIST_TEXT_MAX 4096
#define SUN_PATH_MAX 107

static int refuse(struct config_problems *problems, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(struct config_problems *problems, const char *fmt, ...)
{
	struct config_problem *problem = &problems->list[0];
	va_list list;

	*problems = (struct config_problems){.count = 1, .errors = 1};
	va_start(list, fmt);
	vsnprintf(problem->text, sizeof(problem->text), fmt, list);
	va_end(list);
	return -EINVAL;
}

// "net_af_packet0,iface=eth0,qpairs=1" with another iface.
static bool replace_iface(
	const struct device *device, const char *nic, char *ret, size_t size, char *why)
{
	const char *at = device->args;
	bool found = false;
	size_t used = (size_t)snprintf(ret, size, "%s", device->name);

	while (*at != '\0' && used < size) {
		int len = (int)strcspn(at, ",");
		bool is_iface = strncmp(at, "iface=", 6) == 0;

		found |= is_iface;
		if (is_iface)
			used += (size_t)snprintf(ret + used, size - used, ",iface=%s", nic);
		else
			used += (size_t)snprintf(ret + used, size - used, ",%.*s", len, at);
		at += len;
		at += *at == ',';
	}
	if (found && used < size)
		return true;
	snprintf(why, TASK_WHY_BYTES, "'%.60s' has no iface=, so no NIC can take its place",
		device->name);
	return false;
}

static bool put(
	char *ret, size_t size, char *why, const char *before, const char *nic, const char *after)
{
	if ((size_t)snprintf(
		    ret, size, "%s%s%s%s", before, nic, after[0] != '\0' ? "," : "", after) < size)
		return true;
	snprintf(why, TASK_WHY_BYTES, "'%.60s' makes the device's name too long", nic);
	return false;
}

bool effective_device(const char *file, const char *nic, char *ret, size_t size, char *why)
{
	static const char *const prefix[] = {
		[DRIVER_ANY] = "", [DRIVER_AF_XDP] = "af_xdp:", [DRIVER_AF_PACKET] = "af_packet:"};
	struct device old, new;
	bool is_netdev;

	if (device_parse(file, &old) != 0 || device_parse(nic, &new) != 0 ||
		new.kind == DEVICE_VDEV || new.args[0] != '\0') {
		snprintf(why, TASK_WHY_BYTES,
			"'%.60s' is no network device (eth1) and no PCI address (0000:03:00.0)",
			nic);
		return false;
	}
	is_netdev = new.kind == DEVICE_NETDEV;
	if (old.kind == DEVICE_VDEV && is_netdev && new.forced == DRIVER_ANY)
		return replace_iface(&old, nic, ret, size, why);
	if (old.kind == DEVICE_NETDEV && is_netdev)
		return put(ret, size, why, new.forced == DRIVER_ANY ? prefix[old.forced] : "", nic,
			"");
	if (old.kind == DEVICE_PCI && !is_netdev)
		return put(ret, size, why, "", nic, old.args);
	if (old.kind != DEVICE_VDEV && old.forced == DRIVER_ANY && old.args[0] == '\0')
		return put(ret, size, why, "", nic, "");
	snprintf(why, TASK_WHY_BYTES,
		"'%.60s' is a %s and can't take the place of '%.60s', which says how another kind "
		"is "
		"driven",
		nic, device_kind_text(new.kind), file);
	return false;
}

// Takes the next piece of a list into 'piece'; NULL when it is none.
static const char *take_piece(const char *list, char end, char *piece, size_t size)
{
	size_t len = (size_t)(strchrnul(list, end) - list);

	if (len >= size)
		return NULL;
	memcpy(piece, list, len);
	piece[len] = '\0';
	return list + len + (list[len] == end);
}

static unsigned count_pieces(const char *list, char end)
{
	unsigned count = list[0] != '\0';

	for (; *list != '\0'; list++)
		count += *list == end;
	return count;
}

static int replace_devices(
	const struct task *task, struct config *config, struct config_problems *problems)
{
	const char *rest = task->nics;
	unsigned count = count_pieces(task->nics, ',');

	if (count == 0)
		return 0;
	if (count != config->port_count)
		return refuse(problems,
			TASK_NICS " '%.60s': %u NICs for %u ports of the receiver's "
				  "file; ask for as many 'nics' as it has ports",
			task->nics, count, config->port_count);
	for (unsigned i = 0; i < count; i++) {
		char nic[CONFIG_DEVICE_MAX], device[CONFIG_DEVICE_MAX], why[TASK_WHY_BYTES];

		rest = take_piece(rest, ',', nic, sizeof(nic));
		if (rest == NULL)
			return refuse(problems, TASK_NICS ": a name has more than %d bytes",
				CONFIG_DEVICE_MAX - 1);
		if (!effective_device(config->ports[i].device, nic, device, sizeof(device), why))
			return refuse(problems, TASK_NICS ": port %s: %.180s",
				config->ports[i].name, why);
		memcpy(config->ports[i].device, device, sizeof(device));
	}
	return 0;
}

// One port of the overlay, with the addresses up to the next semicolon.
static const char *overlay_port(const char *addresses, unsigned number, FILE *out)
{
	char port[LIST_TEXT_MAX], address[LIST_TEXT_MAX];
	const char *rest = take_piece(addresses, ';', port, sizeof(port));
	const char *at = port;

	if (rest == NULL)
		return NULL;
	fprintf(out, "- device: \"eth%u\"\n  addresses: [", number);
	while (*at != '\0') {
		at = take_piece(at, ',', address, sizeof(address));
		fprintf(out, "\"%s\"%s", address, *at != '\0' ? ", " : "");
	}
	fputs("]\n", out);
	return rest;
}

// The lists are read by the configuration's own reader, so that ranges and messages are the same.
static char *overlay_text(const struct task *task, const struct config *config, size_t *len)
{
	char *text = NULL;
	const char *rest = task->addresses;
	FILE *out = open_memstream(&text, len);

	if (out == NULL)
		return NULL;
	if (task->lcores[0] != '\0')
		fprintf(out, "cpus: \"%s\"\n", task->lcores);
	fputs("partitions: 1\nlisteners:\n- port: 1\nports:\n", out);
	if (rest[0] == '\0')
		fputs("- device: eth0\n", out);
	for (unsigned i = 0; rest != NULL && task->addresses[0] != '\0' && i < config->port_count;
		i++)
		rest = overlay_port(rest, i, out);
	if (fclose(out) != 0 || rest == NULL) {
		free(text);
		return NULL;
	}
	return text;
}

static void take_overlay(
	const struct task *task, const struct config *overlay, struct config *config)
{
	if (task->lcores[0] != '\0') {
		config->cpu_count = overlay->cpu_count;
		memcpy(config->cpus, overlay->cpus, sizeof(config->cpus));
	}
	for (unsigned i = 0; task->addresses[0] != '\0' && i < config->port_count; i++) {
		config->ports[i].address_count = overlay->ports[i].address_count;
		memcpy(config->ports[i].addresses, overlay->ports[i].addresses,
			sizeof(config->ports[i].addresses));
	}
}

static int replace_lists(
	const struct task *task, struct config *config, struct config_problems *problems)
{
	unsigned count = count_pieces(task->addresses, ';');
	struct config *overlay;
	size_t len = 0;
	char *text;
	int err;

	if (strpbrk(task->lcores, "\"\\\n") != NULL || strpbrk(task->addresses, "\"\\\n") != NULL)
		return refuse(
			problems, TASK_LCORES ", " TASK_ADDRESSES ": a quote or an end of line");
	if (count != 0 && count != config->port_count)
		return refuse(problems,
			TASK_ADDRESSES " '%.60s': of %u ports, but the receiver's file "
				       "has %u",
			task->addresses, count, config->port_count);
	overlay = malloc(sizeof(*overlay));
	text = overlay_text(task, config, &len);
	err = overlay != NULL && text != NULL ? config_parse(text, len, overlay, problems)
					      : -ENOMEM;
	if (err == 0)
		take_overlay(task, overlay, config);
	free(overlay);
	free(text);
	return err;
}

// To each listener nobody may send: this is no packet's source (RFC 1122, 3.2.1.3). Packets that
// come are counted as others that may not be sent.
static void close_listeners(struct config *config)
{
	static const struct config_address nobody = {
		.ip.s6_addr = {[10] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.prefix_len = 32,
		.is_ip4 = true};

	for (unsigned i = 0; i < config->listener_count; i++) {
		config->listeners[i].allow_count = 1;
		config->listeners[i].allow[0] = nobody;
	}
}

static int set_names(
	const struct task *task, struct config *config, struct config_problems *problems)
{
	const char *cluster = strrchr(task->root, '/') + 1;
	int len = snprintf(config->socket, sizeof(config->socket),
		EFFECTIVE_SOCKET_DIR "/%s.%s.sock", cluster, task->receiver);

	if (len > SUN_PATH_MAX)
		return refuse(problems,
			"the cluster's and the receiver's name make a socket of %d bytes, and at "
			"most %d "
			"can be: give the cluster a shorter name",
			len, SUN_PATH_MAX);
	memcpy(config->receiver, task->receiver, sizeof(config->receiver));
	memcpy(config->data, task->log, sizeof(config->data));
	return 0;
}

// What was replaced is checked with all the rest: as millraced will read it.
static int check_result(struct config *config, struct config_problems *problems)
{
	size_t len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);
	int err;

	if (out == NULL)
		return -ENOMEM;
	config_print(config, out);
	err = fclose(out) == 0 ? config_parse(text, len, config, problems) : -ENOMEM;
	free(text);
	return err;
}

int effective_make(const struct task *task, struct config *ret, struct config_problems *problems,
	const char **ret_of)
{
	int err;

	*ret_of = TASK_CONFIG;
	err = config_parse(task->config, strlen(task->config), ret, problems);
	if (err != 0)
		return err;
	*ret_of = OF_TASK;
	err = replace_devices(task, ret, problems);
	if (err == 0)
		err = replace_lists(task, ret, problems);
	if (err == 0)
		err = set_names(task, ret, problems);
	if (err != 0)
		return err;
	if (task->closed)
		close_listeners(ret);
	*ret_of = OF_RESULT;
	return check_result(ret, problems);
}

int effective_store(const struct config *config, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *out;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) != 0 || (out = fdopen(fd, "w")) == NULL) {
		err = -errno;
		close(fd);
		return err;
	}
	config_print(config, out);
	if (ferror(out))
		err = -EIO;
	if (fclose(out) != 0 && err == 0)
		err = -errno;
	return err;
}
