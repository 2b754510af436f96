// SPDX-License-Identifier: BSD-3-Clause
// /api/v1/ports

#include "dataplane/host/neighbours.h"
#include "dataplane/receiver.h"
#include "dataplane/wire.h"

#include <rte_ethdev.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *mac_json(const uint8_t *mac)
{
	return json_sprintf(MAC_TEXT, MAC_BYTES(mac));
}

static json_t *addresses(const struct port *port)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < port->host.address_count; i++) {
		const struct config_address *address = &port->host.addresses[i];
		char text[INET6_ADDRSTRLEN];
		config_address_text(address, text, sizeof(text));
		json_array_append_new(list, json_sprintf("%s/%u", text, address->prefix_len));
	}
	return list;
}

static json_t *gateway_json(const struct port *port, const struct config_address *gateway)
{
	const struct neighbour *e = neighbours_find(port->neighbours, gateway->ip.s6_addr);
	char text[INET6_ADDRSTRLEN];
	uint8_t mac[6];
	bool known = neighbours_mac(port->neighbours, gateway->ip.s6_addr, mac);

	return json_pack("{s:s, s:o, s:s}", "address",
		config_address_text(gateway, text, sizeof(text)), "mac",
		known ? mac_json(mac) : json_null(), "state",
		neighbour_state_text(e != NULL ? e->state : NEIGHBOUR_FREE));
}

static json_t *gateways(const struct port *port)
{
	json_t *list = json_array();

	for (unsigned i = 0; port->neighbours != NULL && i < port->config->gateway_count; i++)
		json_array_append_new(list, gateway_json(port, &port->config->gateways[i]));
	return list;
}

static json_t *xstats(const struct port *port)
{
	int count = rte_eth_xstats_get_names(port->id, NULL, 0);
	struct rte_eth_xstat_name *names = NULL;
	struct rte_eth_xstat *values = NULL;
	json_t *list = json_array();

	if (count <= 0)
		return list;
	names = calloc((size_t)count, sizeof(*names));
	values = calloc((size_t)count, sizeof(*values));
	if (names != NULL && values != NULL &&
		rte_eth_xstats_get_names(port->id, names, (unsigned)count) == count &&
		rte_eth_xstats_get(port->id, values, (unsigned)count) == count)
		for (int i = 0; i < count; i++)
			json_array_append_new(
				list, json_pack("{s:s, s:I}", "name", names[values[i].id].name,
					      "value", (json_int_t)values[i].value));
	free(names);
	free(values);
	return list;
}

static void add_counters(struct port *port, json_t *data)
{
	const uint64_t *v = port->values;
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{"mbufs", port->pool_mbufs},
		{"mbufs_in_use", counter_get(&v[PORT_mbufs_in_use])},
		{"rx_packets_total", counter_get(&v[PORT_rx_packets])},
		{"rx_bytes_total", counter_get(&v[PORT_rx_bytes])},
		{"rx_missed_total",
			counter_get(&v[PORT_below_packets]) - counter_get(&v[PORT_errors])},
		{"rx_errors_total", counter_get(&v[PORT_errors])},
		{"rx_nombuf_total", counter_get(&v[PORT_nombuf])},
		{"tx_packets_total", counter_get(&v[PORT_tx_packets])},
		{"tx_bytes_total", counter_get(&v[PORT_tx_bytes])},
		{"tx_errors_total", counter_get(&v[PORT_tx_errors])},
	};

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		json_object_set_new(data, list[i].name, json_integer((json_int_t)list[i].value));
}

static void add_device(const struct port *port, json_t *data)
{
	uint64_t mbps = atomic_load(&port->link_mbps);
	int node = rte_eth_dev_socket_id(port->id);
	uint16_t mtu = 0;

	json_object_set_new(data, "link_up",
		json_boolean(atomic_load(&port->link_up) && !atomic_load(&port->gone)));
	json_object_set_new(data, "link_bits_per_second",
		mbps != 0 ? json_integer((json_int_t)mbps * 1000000) : json_null());
	json_object_set_new(data, "mtu_bytes",
		rte_eth_dev_get_mtu(port->id, &mtu) == 0 ? json_integer(mtu) : json_null());
	json_object_set_new(data, "numa_node", node >= 0 ? json_integer(node) : json_null());
}

static json_t *port_json(struct port *port, bool with_xstats)
{
	json_t *data;

	port_refresh(port);
	data = json_pack("{s:i, s:s, s:s, s:s, s:s?, s:o, s:o, s:o, s:s?, s:b, s:i, s:i, s:i, s:i, "
			 "s:o}",
		"port", (int)port->id, "name", port->config->name, "device", port->config->device,
		"driver", port->driver_name, "driver_mode", port->mode, "mac",
		mac_json(port->host.mac), "addresses", addresses(port), "gateways", gateways(port),
		"exception", port->exception ? port->config->exception : NULL, "promiscuous",
		(int)port->host.promiscuous, "rx_queues", (int)port->rx_queues, "tx_queues",
		(int)port->tx_queues, "rx_descriptors", (int)port->rx_descriptors, "tx_descriptors",
		(int)port->tx_descriptors, "xstats", with_xstats ? xstats(port) : json_null());
	if (data == NULL)
		return json_null();
	add_device(port, data);
	add_counters(port, data);
	return data;
}

void api_ports(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct receiver *r = arg;
	uint64_t with_xstats = 0;

	if (!http_query_u64(req, "xstats", 1, &with_xstats, reply))
		return;
	reply->schema = "millrace.ports/1";
	reply->data = json_array();
	for (unsigned i = 0; i < r->dp.port_count; i++)
		json_array_append_new(reply->data, port_json(&r->dp.ports[i], with_xstats != 0));
}
