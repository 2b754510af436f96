// SPDX-License-Identifier: BSD-3-Clause
// What the control thread does while the lcores carry packets.

#include "common/clock.h"
#include "common/logmsg.h"
#include "dataplane/receiver.h"

#include <systemd/sd-daemon.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUND_NS 1000000000
#define DURABLE_ROUND_NS 10000000

void control_print_durable(struct receiver *r)
{
	if (!r->print_durable)
		return;
	for (unsigned i = 0; i < r->dp.partition_count; i++) {
		uint64_t seq = atomic_load(&wal_state(r->dp.partitions[i].wal)->durable_seq);
		if (seq == r->printed[i])
			continue;
		printf("durable %u %" PRIu64 "\n", i, seq);
		r->printed[i] = seq;
	}
	fflush(stdout);
}

static void look_at_ports(struct receiver *r)
{
	for (unsigned i = 0; i < r->dp.port_count; i++) {
		struct port *port = &r->dp.ports[i];

		port_reset_if_wanted(&r->dp, port);
		if (!port_check(port))
			continue;
		if (atomic_load(&port->gone))
			log_err("port %s: device %s was removed; mend: restart millraced when it "
				"is back",
				port->config->name, port->device.name);
		else
			log_notice("port %s: link %s", port->config->name,
				atomic_load(&port->link_up) ? "up" : "down");
	}
}

static void look_at_partitions(struct receiver *r)
{
	for (unsigned i = 0; i < r->dp.partition_count; i++) {
		const struct wal_state *state = wal_state(r->dp.partitions[i].wal);
		int failed = atomic_load(&state->failed);
		if (failed != r->told_failed[i])
			log_err("partition %u failed: %s; its events are dropped until a restart "
				"recovers it",
				i, strerror(-failed));
		r->told_failed[i] = failed;
	}
}

// One line for `systemctl status`.
static void tell_systemd(const struct receiver *r)
{
	json_t *reasons = json_array();
	enum health health = receiver_health(r, reasons);
	const char *first = json_string_value(json_array_get(reasons, 0));

	sd_notifyf(0, "STATUS=%s%s%s; %" PRIu64 " events durable", health_text(health),
		first != NULL ? ": " : "", first != NULL ? first : "",
		counters_sum(ROLE_EV_DURABLE));
	json_decref(reasons);
}

static void once_a_second(struct receiver *r)
{
	clock_recalibrate();
	look_at_ports(r);
	look_at_partitions(r);
	tell_systemd(r);
}

int control_loop(struct receiver *r)
{
	const struct timespec wait = {
		.tv_sec = r->print_durable ? 0 : ROUND_NS / 1000000000,
		.tv_nsec = r->print_durable ? DURABLE_ROUND_NS : 0,
	};
	uint64_t next = clock_ticks();
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	for (;;) {
		int sig = sigtimedwait(&ends, NULL, &wait);
		if (sig > 0)
			return sig;
		control_print_durable(r);
		if (clock_ticks() < next)
			continue;
		next = clock_ticks() + clock_ns_to_ticks(ROUND_NS * 9ull / 10);
		once_a_second(r);
	}
}
