// SPDX-License-Identifier: BSD-3-Clause

#include "control/conf.h"

#define FIELD(member) \
	.offset = offsetof(struct conf, member), .size = sizeof(((struct conf *)0)->member)

static const struct config_key zookeeper_keys[] = {
	{
		.name = "servers",
		.type = TYPE_TEXT,
		FIELD(zookeeper),
		.required = true,
		.example = "10.0.0.1:2181,10.0.0.2:2181,10.0.0.3:2181",
		.help = "Servers of the ensemble, as HOST:PORT,HOST:PORT,…",
	},
	{
		.name = "auth",
		.type = TYPE_PATH,
		FIELD(zookeeper_auth),
		.standard_help = "none",
		.example = "/etc/millrace/zookeeper.auth",
		.help = "File with USER:PASSWORD for digest authentication, by which the nodes are "
			"this user's; without it they are open to all",
	},
	{
		.name = "session_timeout",
		.type = TYPE_DURATION,
		FIELD(session_timeout_ns),
		.standard = "10s",
		.min = SECOND,
		.max = 60 * SECOND,
		.help = "After so long without a word the ensemble lets another lead; a leader "
			"that hears nothing gives up after two thirds of it",
	},
	{.name = NULL},
};

static const struct config_key mesos_keys[] = {
	{
		.name = "master",
		.type = TYPE_TEXT,
		FIELD(mesos),
		.required = true,
		.example = "zk://10.0.0.1:2181,10.0.0.2:2181,10.0.0.3:2181/mesos",
		.help = "Where the masters are: zk://HOST:PORT,…/PATH, or HOST:PORT,…",
	},
	{
		.name = "principal",
		.type = TYPE_NAME,
		FIELD(mesos_principal),
		.standard_help = "none",
		.example = "millrace",
		.help = "As whom the framework authenticates, and for whom it reserves",
	},
	{
		.name = "secret",
		.type = TYPE_PATH,
		FIELD(mesos_secret),
		.standard_help = "none",
		.example = "/etc/millrace/mesos.secret",
		.help = "File with the principal's secret",
	},
	{
		.name = "ca",
		.type = TYPE_PATH,
		FIELD(mesos_ca),
		.standard_help = "none",
		.example = "/etc/millrace/mesos-ca.crt",
		.help = "PEM file of the certificates by which masters are known; with it they are "
			"spoken to by https alone",
	},
	{
		.name = "role",
		.type = TYPE_TEXT,
		FIELD(role),
		.standard = "*",
		.help = "Role of the framework; what is reserved for it is taken first",
	},
	{
		.name = "user",
		.type = TYPE_NAME,
		FIELD(user),
		.standard = "root",
		.help = "As whom receivers run on the slaves",
	},
	{
		.name = "failover_timeout",
		.type = TYPE_DURATION,
		FIELD(failover_timeout_ns),
		.standard = "7d",
		.min = SECOND,
		.max = 365 * DAY,
		.help = "Receivers go on for so long while there is no millrace-control; then "
			"Mesos "
			"ends them",
	},
	{.name = NULL},
};

const struct config_key conf_keys[] = {
	{
		.name = "name",
		.type = TYPE_NAME,
		FIELD(name),
		.standard_help = "the host's name",
		.example = "control1",
		.help = "Name of this process in the election and in answers",
	},
	{
		.name = "cluster",
		.type = TYPE_NAME,
		FIELD(cluster),
		.standard = "default",
		.help = "Name of the cluster; all state is under /millrace/CLUSTER in ZooKeeper",
	},
	{
		.name = "socket",
		.type = TYPE_PATH,
		FIELD(socket),
		.standard = "/run/millrace/control.sock",
		// sockaddr_un.sun_path has 108 bytes, one of them for the end
		.max = 107,
		.help = "Unix socket of the HTTP interface; at most 107 bytes",
	},
	{
		.name = "supervisor",
		.type = TYPE_PATH,
		FIELD(supervisor),
		.standard_help = "where it is installed",
		.example = CONF_SUPERVISOR,
		.help = "Program on each slave that starts a receiver and watches over it",
	},
	{
		.name = "advertise",
		.type = TYPE_TEXT,
		FIELD(advertise),
		.standard_help = "api.listen",
		.example = "control1.example.net:8443",
		.help = "HOST:PORT by which other processes and the command line reach api.listen",
	},
	{
		.name = "zookeeper",
		.type = TYPE_SECTION,
		.children = zookeeper_keys,
		.help = "Where the state is, and who leads",
	},
	{
		.name = "mesos",
		.type = TYPE_SECTION,
		.children = mesos_keys,
		.help = "What the receivers run on",
	},
	{
		.name = "api",
		.type = TYPE_SECTION,
		.offset = offsetof(struct conf, api),
		.children = config_api_tcp_keys,
		.help = "The HTTP interface over TCP",
	},
	{.name = NULL},
};
