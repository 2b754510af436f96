// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the control process tells a task of Mesos by its environment.

#include "common/config.h"
#include "control/live.h"

#define TASK_RECEIVER "MILLRACE_RECEIVER" // its name: "r1"
#define TASK_ID "MILLRACE_TASK"           // of the task, as Mesos knows it
#define TASK_CONFIG "MILLRACE_CONFIG"     // text of the receivers' millraced.yaml
#define TASK_LCORES "MILLRACE_LCORES"     // "2-3,6": one lcore on each CPU; "": the file's 'cpus'
// "eth1,eth2": instead of the devices of the file's ports, in their order; "": the file's.
#define TASK_NICS "MILLRACE_NICS"
// Of this slave, instead of the addresses of the file's ports, in their order: those of a port with
// commas, ports with semicolons: "10.0.0.7/24,fd00::7/64;10.1.0.7/24"; "" or not there: the file's.
#define TASK_ADDRESSES "MILLRACE_ADDRESSES"
// Path of this receiver's 'data'; "VOLUME/NAME" is below the working directory, where Mesos has put
// a persistent volume of that name: task_read() makes a path out of it that outlives the sandbox.
#define TASK_LOG "MILLRACE_LOG"
// "1": it takes no events, and gives away what its log has; "" or not there: it takes them.
#define TASK_CLOSED "MILLRACE_CLOSED"
#define TASK_HOSTNAME "MILLRACE_HOSTNAME"   // the slave, as Mesos names it
#define TASK_ZOOKEEPER "MILLRACE_ZOOKEEPER" // "host:port,host:port"
#define TASK_ROOT "MILLRACE_ROOT"           // "/millrace/CLUSTER"
// Path, on the slave, of a file "user:password" for digest; "" or not there: nodes open to all.
#define TASK_ZOOKEEPER_AUTH "MILLRACE_ZOOKEEPER_AUTH"
#define TASK_SESSION_TIMEOUT_MS "MILLRACE_SESSION_TIMEOUT_MS"
// From SIGTERM to SIGKILL of millraced. The task's own in Mesos must be longer by 5 s.
#define TASK_GRACE_MS "MILLRACE_GRACE_MS"
#define TASK_MILLRACED "MILLRACE_MILLRACED" // path; not there: beside the supervisor, else by PATH

#define TASK_SERVERS_MAX 1024
#define TASK_WHY_BYTES 512

struct task {
	char receiver[CONFIG_NAME_MAX];
	char id[LIVE_TEXT_BYTES];
	const char *config; // the environment's
	const char *lcores, *nics, *addresses;
	char log[CONFIG_PATH_MAX];
	bool closed;
	char hostname[LIVE_TEXT_BYTES];
	char zookeeper[TASK_SERVERS_MAX];
	char root[CONFIG_PATH_MAX];
	char zookeeper_auth[CONFIG_PATH_MAX];
	unsigned session_timeout_ms;
	uint64_t grace_ns;
	char millraced[CONFIG_PATH_MAX];
};

// From the environment. -EINVAL: why (TASK_WHY_BYTES) says which variable is wrong and what would
// be right.
int task_read(struct task *ret, char *why);
