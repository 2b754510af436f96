// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Which offer a receiver takes. Pure: no clock, no I/O.

#include "control/spec.h"

#define PLACEMENT_WHY_BYTES 256

struct placement_offer {
	const char *id, *agent_id;
	struct constraint_slave slave;
	json_t *list; // the offer's resources, as Mesos wrote them; resources_write() takes of it
	struct resources free; // what is left of them
	bool taken;            // by a receiver placed before: the caller's note
	bool excluded;         // it may not be had
	const char *excluded_why;
};

struct placement_receiver {
	const char *name;
	const char *slave;  // hostname it is bound to by its log; NULL: any
	const char *volume; // id of the persistent volume that it has; NULL: none yet
	bool has_path;      // its log is at a path of the slave's, whatever 'log' says now
	const struct resources *last; // lcores and NICs it had; NULL: none
};

struct placement {
	struct placement_offer *offer; // NULL: none fits
	struct resources taken;
	const char *log_path; // from the slave's attribute (borrowed); NULL with a volume, and with
			      // has_path where the slave has no such attribute
	const json_t *volume; // the entry of the list that is its volume (borrowed): goes into the
			      // TaskInfo besides what resources_write() gives; NULL: it has none
			      // yet, and 'taken' has the disk to make it of
	char why[PLACEMENT_WHY_BYTES]; // why this one, or, per slave, why none
};

// Takes what is chosen out of the offer's 'free'. A receiver that is bound goes to its slave or
// nowhere; constraints say where a log begins, not whether it goes on, so it isn't asked for them
// again. Else, among offers that allow it: the slave with fewest of 'placed', then by rendezvous
// weight of (receiver's name, hostname), so that the choice doesn't depend on the offers' order.
void placement_choose(const struct spec *spec, const struct placement_receiver *receiver,
	struct placement_offer *offers, unsigned offer_count, const struct constraint_slave *placed,
	unsigned placed_count, struct placement *ret);
