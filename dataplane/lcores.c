// SPDX-License-Identifier: BSD-3-Clause
// Builds the lcores, the rings between them, and starts and ends their threads. Control thread.

#include "common/logmsg.h"
#include "dataplane/dataplane.h"
#include "dataplane/eal.h"
#include "dataplane/filter.h"
#include "dataplane/fragments.h"
#include "dataplane/host/host.h"
#include "dataplane/reliable.h"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_ring.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct counter_def lcore_defs[LCORE_COUNTER_COUNT] = {
#define X(name, kind, role, help) {#name, help, COUNTER_##kind, ROLE_##role},
	LCORE_COUNTERS(X)
#undef X
#define PKT_DROP(name, help) {#name, help, COUNTER_TOTAL, ROLE_PKT_DROP},
#include "common/drops.def"
};

static const struct counter_def ring_defs[] = {
	{"used_packets", "packets in the ring", COUNTER_GAUGE, ROLE_PKT_FLIGHT},
	{"size_packets", "packets that the ring holds", COUNTER_GAUGE, ROLE_NONE},
};

static void refresh_ring(void *arg)
{
	struct steer_ring *ring = arg;

	counter_set(&ring->values[0], rte_ring_count(ring->ring));
	counter_set(&ring->values[1], rte_ring_get_capacity(ring->ring));
}

static struct steer_ring *make_ring(struct lcore *lcore, struct partition *partition)
{
	struct steer_ring *ring = calloc(1, sizeof(*ring));
	char name[RTE_RING_NAMESIZE];

	if (ring == NULL)
		return NULL;
	snprintf(name, sizeof(name), "steer_%u_%u", lcore->index, partition->number);
	ring->ring = rte_ring_create_elem(name, sizeof(struct steered),
		lcore->dp->config->ring_size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (ring->ring == NULL) {
		free(ring);
		return NULL;
	}
	ring->partition = partition;
	ring->set = (struct counter_set){
		.subsystem = "ring",
		.defs = ring_defs,
		.values = ring->values,
		.count = 2,
		.refresh = refresh_ring,
		.arg = ring,
	};
	snprintf(ring->set.labels, sizeof(ring->set.labels), "lcore=\"%u\",partition=\"%u\"",
		lcore->index, partition->number);
	counters_register(&ring->set);
	return ring;
}

// Flows that the device keeps on queues stay together when every partition's lcore polls some.
static int fixed_partition(const struct dataplane *dp, const struct port *port, unsigned queue)
{
	if (!port->flow_queues || dp->plan.pipeline || port->rx_queues % dp->partition_count != 0)
		return -1;
	for (unsigned q = 0; q < port->rx_queues; q++)
		if (dp->plan.queue_lcore[port->index][q] !=
			dp->plan.partition_lcore[q % dp->partition_count])
			return -1;
	return (int)(queue % dp->partition_count);
}

static int tx_queue(const struct dataplane *dp, const struct port *port, unsigned lcore)
{
	int queue = plan_tx_queue(&dp->plan, port->index, port->rx_queues, lcore);

	if (queue >= (int)port->tx_queues) {
		log_warn("port %s: the device has %u tx queues, so lcore %u can't answer there",
			port->config->name, port->tx_queues, lcore);
		return -1;
	}
	return queue;
}

static int give_queues(struct lcore *lcore)
{
	struct dataplane *dp = lcore->dp;

	for (unsigned p = 0; p < dp->port_count; p++) {
		struct port *port = &dp->ports[p];
		int tx = tx_queue(dp, port, lcore->index);
		for (uint16_t q = 0; q < port->rx_queues; q++) {
			struct rx_queue *grown;
			if (dp->plan.queue_lcore[p][q] != lcore->index)
				continue;
			grown = realloc(
				lcore->queues, (lcore->queue_count + 1) * sizeof(*lcore->queues));
			if (grown == NULL)
				return -ENOMEM;
			lcore->queues = grown;
			grown[lcore->queue_count++] = (struct rx_queue){
				.port = port,
				.port_id = port->id,
				.queue = q,
				.tx_queue = tx,
				.fixed_partition = fixed_partition(dp, port, q),
				// A ring port hands on mbufs of whoever fills it.
				.one_pool = strcmp(port->driver_name, "net_ring") != 0,
			};
		}
	}
	return 0;
}

static int give_partitions(struct lcore *lcore)
{
	struct dataplane *dp = lcore->dp;

	for (unsigned p = 0; p < dp->partition_count; p++) {
		struct partition *partition = &dp->partitions[p];
		if (partition->lcore == lcore->index) {
			lcore->partitions[lcore->partition_count++] = partition;
		} else if (lcore->queue_count > 0) {
			lcore->to[p] = make_ring(lcore, partition);
			if (lcore->to[p] == NULL)
				return -ENOMEM;
		}
	}
	return 0;
}

// Gives every ring to the lcore at its other end.
static int connect_rings(struct dataplane *dp, struct lcore *to)
{
	for (unsigned l = 0; l < dp->lcore_count; l++) {
		for (unsigned i = 0; i < to->partition_count; i++) {
			struct steer_ring *ring = dp->lcores[l].to[to->partitions[i]->number];
			struct steer_ring **grown;
			if (ring == NULL)
				continue;
			grown = realloc(
				to->from, (to->from_count + 1) * sizeof(struct steer_ring *));
			if (grown == NULL)
				return -ENOMEM;
			to->from = grown;
			grown[to->from_count++] = ring;
		}
	}
	return 0;
}

// A lcore that is fed by sockets alone can sleep until one of them has something. It shares those
// of a port with the other lcores that poll it: now and then it wakes for nothing.
static int give_sockets(struct lcore *lcore)
{
	const struct port *last = NULL;

	for (unsigned q = 0; q < lcore->queue_count; q++)
		if (lcore->queues[q].port->below.count == 0)
			return 0;
	// Nor while others' answers may wait for it.
	if (lcore->from_count > 0 || (lcore->dp->answers != NULL && lcore->dp->lcore_count > 1))
		return 0;
	for (unsigned q = 0; q < lcore->queue_count; q++) {
		const struct port *port = lcore->queues[q].port;
		struct pollfd *grown;

		if (port == last)
			continue;
		last = port;
		grown = realloc(lcore->wake,
			(lcore->wake_count + port->below.count + 1) * sizeof(*lcore->wake));
		if (grown == NULL)
			return -ENOMEM;
		lcore->wake = grown;
		for (unsigned i = 0; i < port->below.count; i++)
			grown[lcore->wake_count++] =
				(struct pollfd){.fd = port->below.fds[i], .events = POLLIN};
	}
	if (lcore->wake_fd >= 0)
		lcore->wake[lcore->wake_count++] =
			(struct pollfd){.fd = lcore->wake_fd, .events = POLLIN};
	return 0;
}

static int make_lcore(struct lcore *lcore)
{
	int err;

	lcore->set = (struct counter_set){
		.subsystem = "lcore",
		.defs = lcore_defs,
		.values = lcore->values,
		.count = LCORE_COUNTER_COUNT,
	};
	snprintf(lcore->set.labels, sizeof(lcore->set.labels), "lcore=\"%u\"", lcore->index);
	counters_register(&lcore->set);
	lcore->wake_fd = -1;
	lcore->linear = malloc(UINT16_MAX);
	if (lcore->linear == NULL)
		return -ENOMEM;
	err = give_queues(lcore);
	if (err == 0)
		err = give_partitions(lcore);
	if (err == 0 && lcore->queue_count > 0)
		err = filter_give_lcore(lcore);
	if (err == 0 && lcore->queue_count > 0)
		err = fragments_give_lcore(lcore);
	if (err == 0 && lcore->dp->host != NULL)
		err = host_give_lcore(lcore->dp->host, lcore);
	if (err == 0 && lcore->dp->answers != NULL)
		err = reliable_give_lcore(lcore);
	return err;
}

int lcores_make(struct dataplane *dp)
{
	size_t size = dp->plan.lcore_count * sizeof(struct lcore);
	int err = 0;

	dp->lcores = aligned_alloc(_Alignof(struct lcore), size);
	if (dp->lcores == NULL)
		return -ENOMEM;
	memset(dp->lcores, 0, size);
	dp->lcore_count = dp->plan.lcore_count;
	for (unsigned l = 0; err == 0 && l < dp->lcore_count; l++) {
		dp->lcores[l].index = l;
		dp->lcores[l].dp = dp;
		err = make_lcore(&dp->lcores[l]);
	}
	for (unsigned l = 0; err == 0 && l < dp->lcore_count; l++)
		err = connect_rings(dp, &dp->lcores[l]);
	for (unsigned l = 0; err == 0 && l < dp->lcore_count; l++)
		err = give_sockets(&dp->lcores[l]);
	if (err != 0)
		log_err("no memory for the rings between the lcores");
	return err;
}

static void wait_attached(const struct lcore *lcore)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	while (!atomic_load(&lcore->attached))
		nanosleep(&ts, NULL);
}

int lcores_launch(struct dataplane *dp)
{
	int first = 0;

	atomic_store(&dp->rx_running, dp->lcore_count);
	for (unsigned l = 0; l < dp->lcore_count; l++) {
		int err = rte_eal_remote_launch(lcore_run, &dp->lcores[l], eal_lcore(l));
		if (err != 0) {
			log_err("lcore %u can't be started: %s", l, strerror(-err));
			atomic_store(&dp->lcores[l].error, err);
			atomic_store(&dp->lcores[l].attached, true);
			atomic_fetch_sub(&dp->rx_running, 1);
		}
	}
	for (unsigned l = 0; l < dp->lcore_count; l++) {
		int err;
		wait_attached(&dp->lcores[l]);
		err = atomic_load(&dp->lcores[l].error);
		if (err != 0)
			log_err("lcore %u can't take its partitions: %s", l, strerror(-err));
		if (first == 0)
			first = err;
	}
	return first;
}

int lcores_join(struct dataplane *dp)
{
	int first = 0;

	for (unsigned l = 0; l < dp->lcore_count; l++) {
		int err = rte_eal_wait_lcore(eal_lcore(l));
		if (first == 0)
			first = err;
	}
	return first;
}

static void free_ring(struct steer_ring *ring)
{
	if (ring == NULL)
		return;
	counters_unregister(&ring->set);
	rte_ring_free(ring->ring);
	free(ring);
}

void lcores_free(struct dataplane *dp)
{
	for (unsigned l = 0; l < dp->lcore_count; l++) {
		struct lcore *lcore = &dp->lcores[l];
		for (unsigned p = 0; p < CONFIG_PARTITIONS_MAX; p++)
			free_ring(lcore->to[p]);
		if (lcore->wake_fd >= 0)
			close(lcore->wake_fd);
		fragments_free(lcore);
		free(lcore->sources);
		rte_ring_free(lcore->up);
		rte_ring_free(lcore->back);
		free(lcore->from);
		free(lcore->wake);
		free(lcore->queues);
		free(lcore->linear);
		if (lcore->set.defs != NULL)
			counters_unregister(&lcore->set);
	}
	free(dp->lcores);
	dp->lcores = NULL;
	dp->lcore_count = 0;
}
