// SPDX-License-Identifier: BSD-3-Clause
// A device that asks for a reset gets one while its lcores leave it alone. Control thread, but for
// what the drivers' interrupt thread notes.

#include "common/clock.h"
#include "common/logmsg.h"
#include "dataplane/dataplane.h"

#include <rte_ethdev.h>

#include <errno.h>
#include <string.h>
#include <time.h>

// An lcore ends a round within microseconds, or 100 ms where it waits for a socket; one that waits
// for the disk takes as long as that does.
#define PAUSE_NS 1000000000ull
#define LOOK_NS 1000000

static int note(uint16_t id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct port *port = arg;

	(void)id;
	(void)ret;
	if (type == RTE_ETH_EVENT_INTR_RESET)
		atomic_store(&port->reset_wanted, true);
	if (type == RTE_ETH_EVENT_INTR_RMV)
		atomic_store(&port->removed, true);
	return 0;
}

void port_watch(struct port *port)
{
	rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_RESET, note, port);
	rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_RMV, note, port);
}

void port_unwatch(struct port *port)
{
	rte_eth_dev_callback_unregister(port->id, RTE_ETH_EVENT_INTR_RESET, note, port);
	rte_eth_dev_callback_unregister(port->id, RTE_ETH_EVENT_INTR_RMV, note, port);
}

// Two rounds later: one may have looked before 'paused' was set.
static bool wait_rounds(const struct lcore *lcore, uint64_t until)
{
	const struct timespec ts = {.tv_nsec = LOOK_NS};
	uint64_t first = atomic_load(&lcore->rounds);

	while (atomic_load(&lcore->rounds) - first < 2) {
		if (clock_monotonic_ns() > until)
			return false;
		nanosleep(&ts, NULL);
	}
	return true;
}

static int pause_port(struct dataplane *dp, struct port *port)
{
	uint64_t until = clock_monotonic_ns() + PAUSE_NS;

	atomic_store(&port->paused, true);
	for (unsigned l = 0; l < dp->lcore_count; l++) {
		if (dp->lcores[l].queue_count == 0 || wait_rounds(&dp->lcores[l], until))
			continue;
		atomic_store(&port->paused, false);
		return -EBUSY;
	}
	return 0;
}

void port_reset_if_wanted(struct dataplane *dp, struct port *port)
{
	int err;

	if (!atomic_load(&port->reset_wanted))
		return;
	err = pause_port(dp, port);
	if (err == -EBUSY) {
		log_warn("port %s: its device wants a reset, and waits for lcores that wait for "
			 "the disk",
			port->config->name);
		return;
	}
	atomic_store(&port->reset_wanted, false);
	err = port_restart(port);
	if (err != 0) {
		// Left alone: polling a device in this state is undefined.
		log_err("port %s: its device wanted a reset and did not come back: %s; mend: "
			"restart millraced",
			port->config->name, strerror(-err));
		atomic_store(&port->removed, true);
		return;
	}
	atomic_store(&port->paused, false);
	log_notice("port %s: its device was reset", port->config->name);
}
