// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: whatever bytes come by the control socket are answered or the connection is closed.
// The first answer to a GET is one of ours: a status that is known, and JSON that can be read. The
// receiver has a port (a device of DPDK's that brings nothing), and a log with some batches that
// can be pulled and may have consumers.

#include "../lib/remove_tree.h"
#include "common/clock.h"
#include "dataplane/receiver.h"
#include "fuzz.h"
#include "http/pull.h"

#include <rte_eal.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BATCHES 5
#define ANSWER_ROOM (1u << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct receiver receiver;
static struct pull *pull;
static char dir[64], path[96];
static char answer[ANSWER_ROOM];

static void stop(void)
{
	http_stop(receiver.http);
	pull_free(pull);
	wal_close(receiver.dp.partitions[0].wal);
	remove_tree(dir);
}

static void start_eal(void)
{
	static char name[] = "fuzz", huge[] = "--no-huge", alone[] = "--no-shconf",
		    memory[] = "-m64", pci[] = "--no-pci", device[] = "--vdev=net_null0",
		    quiet[] = "--log-level=lib.*:error", telemetry[] = "--no-telemetry",
		    address[] = "--iova-mode=va";
	char *args[] = {name, huge, alone, memory, pci, device, quiet, telemetry, address, NULL};

	expect(rte_eal_init(sizeof(args) / sizeof(args[0]) - 1, args) >= 0);
}

static void configure(void)
{
	static const char text[] = "{ports: [{device: net_null0, addresses: [192.0.2.1/24, "
				   "'2001:db8::1/64']}], listeners: [{port: 514}], cpus: '0', "
				   "receiver: fuzz, data: /nowhere}";
	static struct config_problems problems;

	expect(config_parse(text, sizeof(text) - 1, &receiver.config, &problems) == 0);
}

static void add_port(void)
{
	struct port *port = &receiver.dp.ports[0];

	port->config = &receiver.config.ports[0];
	snprintf(port->driver_name, sizeof(port->driver_name), "net_null");
	port->mode = "none";
	pthread_mutex_init(&port->lock, NULL);
	port->pool = rte_pktmbuf_pool_create("fuzz", 63, 0, 0, 2048, SOCKET_ID_ANY);
	expect(port->pool != NULL);
	port_counters_start(port);
	receiver.dp.port_count = 1;
}

static void add_batch(struct wal *wal, unsigned number)
{
	struct wal_fill fill = {.rows = 3, .seal = true, .opened_at = clock_ticks()};
	struct wal_block *block;

	while ((block = wal_block_get(wal)) == NULL)
		sched_yield(); // the keeper makes the first segment's file
	memset(block->mem, 0, block->size);
	wal_layout_init(&fill.layout, fill.rows, block->size);
	fill.received_min = fill.received_max = 1000 + number;
	expect(wal_submit(wal, block, &fill) == 0);
	while (wal_busy(wal))
		wal_poll(wal);
}

static void add_log(void)
{
	struct partition *partition = &receiver.dp.partitions[0];
	struct wal_options options = {.dir = dir,
		.receiver = "fuzz",
		.listeners = "{}",
		.lock_fd = -1,
		.log = {.segment_bytes = 16 << 20, .block_bytes = 128 << 10, .queue_depth = 4}};
	char why[512];

	expect(wal_open(&partition->wal, &options, &partition->recovery, why) == 0);
	expect(wal_attach(partition->wal) == 0);
	for (unsigned i = 0; i < BATCHES; i++)
		add_batch(partition->wal, i);
	expect(wal_detach(partition->wal) == 0);
	receiver.dp.partition_count = 1;
}

static void serve(void)
{
	static const struct config_api api = {.consumers = 4, .consumer_ttl_ns = 3600000000000u};
	struct wal_live partition = {.wal = receiver.dp.partitions[0].wal,
		.dir = dir,
		.log_id = receiver.dp.partitions[0].recovery.log_id};
	struct http_options options = {.socket_path = path,
		.receiver = "fuzz",
		.routes = api_routes(&receiver),
		.tick = pull_tick};
	char why[HTTP_WHY_BYTES];

	expect(pull_new(&pull, &api, "fuzz", &partition, 1) == 0);
	options.more_routes = pull_routes(pull);
	options.tick_arg = pull;
	expect(http_start_with(&receiver.http, &options, why) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	clock_init();
	snprintf(dir, sizeof(dir), "%s/millrace-fuzz-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	expect(mkdtemp(dir) != NULL);
	start_eal();
	configure();
	add_port();
	add_log();
	snprintf(path, sizeof(path), "%s/socket", dir);
	serve();
	atexit(stop);
	return 0;
}

static int connect_to(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect(fd >= 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	expect(connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

// An unfinished request would be waited for. The server has one thread: when it has answered
// somebody who asked later, it has done all it could with what came before.
static void wait_for_server(void)
{
	static const char ask[] =
		"GET /healthz HTTP/1.1\r\nHost: fuzz\r\nConnection: close\r\n\r\n";
	static char told[4096];
	int fd = connect_to();

	expect(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == sizeof(ask) - 1);
	while (recv(fd, told, sizeof(told), 0) > 0)
		;
	close(fd);
}

// Takes what has come so far. Length of all that has, up to what there is room for.
static size_t take(int fd, size_t len)
{
	static char spill[4096];

	for (;;) {
		bool full = len == sizeof(answer) - 1;
		ssize_t n = recv(fd, full ? spill : answer + len,
			full ? sizeof(spill) : sizeof(answer) - 1 - len, MSG_DONTWAIT);

		if (n <= 0)
			return len;
		len += full ? 0 : (size_t)n;
	}
}

// The server need not read on before its answers are taken. Length of what came back.
static size_t talk(int fd, const uint8_t *data, size_t size)
{
	size_t len = 0;

	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			break;
		if (n < 0)
			wait_for_server();
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
		len = take(fd, len);
	}
	shutdown(fd, SHUT_WR);
	wait_for_server();
	return take(fd, len);
}

static bool status_known(int status)
{
	static const int known[] = {200, 204, 400, 404, 405, 409, 410, 413, 503, 505, // ours
		100, 411, 414, 417, 431, 500, 501}; // the library's

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (status == known[i])
			return true;
	return false;
}

static void check_answer(size_t len)
{
	static const char json_type[] = "Content-Type: application/json";
	const char *body, *type;
	int status = 0;
	json_t *json;

	expect(sscanf(answer, "HTTP/1.%*1[01] %d ", &status) == 1 && status_known(status));
	body = memmem(answer, len, "\r\n\r\n", 4);
	expect(body != NULL);
	type = memmem(answer, (size_t)(body - answer), json_type, sizeof(json_type) - 1);
	if (type == NULL)
		return;
	body += 4;
	json = json_loadb(body, len - (size_t)(body - answer), JSON_DISABLE_EOF_CHECK, NULL);
	expect(json != NULL && json_is_string(json_object_get(json, "schema")));
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;
	int fd;

	if (size == 0)
		return 0;
	fd = connect_to();
	len = talk(fd, data, size);
	close(fd);
	if (len > 0 && len < sizeof(answer) - 1 && size > 4 && memcmp(data, "GET ", 4) == 0) {
		answer[len] = '\0';
		check_answer(len);
	}
	return 0;
}
