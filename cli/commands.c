// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"

#include <stddef.h>

// A new command: its line here, in the order in which usage shows them, and its file in
// cli/meson.build.
#define COMMANDS(X) \
	X(cmd_status) \
	X(cmd_top) \
	X(cmd_stats) \
	X(cmd_drops) \
	X(cmd_ports) \
	X(cmd_batches) \
	X(cmd_sinks) \
	X(cmd_sinks_verify) \
	X(cmd_sinks_reset) \
	X(cmd_consumers) \
	X(cmd_send) \
	X(cmd_relay) \
	X(cmd_log_ls) \
	X(cmd_log_verify) \
	X(cmd_log_repair) \
	X(cmd_log_cat) \
	X(cmd_cluster_status) \
	X(cmd_cluster_receivers) \
	X(cmd_cluster_tasks) \
	X(cmd_cluster_events) \
	X(cmd_cluster_leader) \
	X(cmd_cluster_plan) \
	X(cmd_cluster_sample) \
	X(cmd_cluster_apply) \
	X(cmd_cluster_scale) \
	X(cmd_cluster_drain) \
	X(cmd_cluster_replace) \
	X(cmd_cluster_restart) \
	X(cmd_cluster_reset) \
	X(cmd_doctor) \
	X(cmd_config_check) \
	X(cmd_config_show) \
	X(cmd_config_docs) \
	X(cmd_config_sample) \
	X(cmd_completion) \
	X(cmd_docs_man) \
	X(cmd_help) \
	X(cmd_version)

#define X(command) extern const struct cli_command command;
COMMANDS(X)
#undef X

const struct cli_command *const cli_commands[] = {
#define X(command) &command,
	COMMANDS(X)
#undef X
		NULL,
};
