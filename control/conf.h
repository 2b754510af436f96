// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The configuration of millrace-control: one YAML file, one table of keys (conf_keys in
// conf_keys.c) of the same kind as millraced's.

#include "common/config.h"
#include "common/config_table.h"

#define CONF_SERVERS_MAX 1024

struct conf {
	char name[CONFIG_NAME_MAX];           // of this process; default: the host's name
	char cluster[CONFIG_NAME_MAX];        // all state is under /millrace/CLUSTER
	char socket[CONFIG_PATH_MAX];         // the API's Unix socket
	char zookeeper[CONF_SERVERS_MAX];     // "host:port,…"
	char zookeeper_auth[CONFIG_PATH_MAX]; // file with "user:password", for digest; "": open to
					      // all
	uint64_t session_timeout_ns;
	char mesos[CONF_SERVERS_MAX]; // "zk://host:port,…/path" or "host:port,…"
	char mesos_principal[CONFIG_NAME_MAX];
	char mesos_secret[CONFIG_PATH_MAX]; // file that holds it; "": none
	char mesos_ca[CONFIG_PATH_MAX];     // certificates; "": http
	char role[CONFIG_NAME_MAX];
	char user[CONFIG_NAME_MAX]; // as which receivers run
	uint64_t failover_timeout_ns;
	char supervisor[CONFIG_PATH_MAX]; // on each slave; default: where it is installed
	struct config_api api;            // over TCP; listen, certificate, key, tokens only
	char advertise[CONFIG_NAME_MAX];  // host:port by which others reach api.listen; default:
					  // that
};

extern const struct config_key conf_keys[];

// As config_load() and config_parse(); without a path there are no servers, which is an error.
int conf_load(const char *path, struct conf *ret, struct config_problems *problems);
int conf_parse(const char *text, size_t len, struct conf *ret, struct config_problems *problems);

// "zk://host:port,…/path" in its parts; false when it is none, or doesn't fit.
bool conf_split_zk(
	const char *text, char *ret_servers, size_t servers_size, char *ret_path, size_t path_size);

// The sample file.
void conf_print_sample(FILE *out);
