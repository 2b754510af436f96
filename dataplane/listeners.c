// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/packet.h"

#include <string.h>

void listener_table_init(struct listener_table *table, const struct config *config)
{
	memset(table, 0, sizeof(*table));
	table->config = config;
	// From the last to the first, each put before those of its port: the file's order.
	for (unsigned i = config->listener_count; i-- > 0;) {
		uint16_t *first = &table->first[config->listeners[i].udp_port];

		table->next[i] = *first;
		*first = (uint16_t)(i + 1);
	}
}
