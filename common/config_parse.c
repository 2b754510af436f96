// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void set_cpus_default(struct config *config)
{
	cpu_set_t set;

	config->cpu_count = 1;
	config->cpus[0] = 0;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			config->cpus[0] = (uint16_t)cpu;
}

static void number_listeners(struct config *config)
{
	for (unsigned i = 0; i < config->listener_count; i++)
		config->listeners[i].number = (uint16_t)i;
}

static void check(void *holder, const struct config_node *root, struct config_problems *problems)
{
	struct config *config = holder;

	number_listeners(config);
	config_cross_check(config, root, true, problems);
}

struct elsewhere {
	struct config config; // first: the offsets of config_keys are of it
	unsigned cpus;
};

static void check_elsewhere(
	void *holder, const struct config_node *root, struct config_problems *problems)
{
	struct elsewhere *e = holder;

	number_listeners(&e->config);
	e->config.cpu_count = e->cpus;
	for (unsigned i = 0; i < e->cpus; i++)
		e->config.cpus[i] = (uint16_t)i;
	config_cross_check(&e->config, root, false, problems);
}

static void prepare(struct config *ret, struct config_problems *problems)
{
	memset(ret, 0, sizeof(*ret));
	memset(problems, 0, sizeof(*problems));
	for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
		ret->listeners[i].any_address = true;
	config_keys_defaults(config_keys, ret);
	config_host_default(&config_keys[0], ret);
	set_cpus_default(ret);
}

int config_parse(const char *text, size_t len, struct config *ret, struct config_problems *problems)
{
	prepare(ret, problems);
	return config_keys_parse(config_keys, text, len, ret, check, problems);
}

int config_parse_elsewhere(const char *text, size_t len, unsigned cpus, struct config *ret,
	struct config_problems *problems)
{
	struct elsewhere *e = calloc(1, sizeof(*e));
	int rc;

	if (e == NULL)
		return -ENOMEM;
	prepare(&e->config, problems);
	e->cpus = cpus;
	rc = config_keys_parse(config_keys, text, len, e, check_elsewhere, problems);
	*ret = e->config;
	free(e);
	return rc;
}

int config_load(const char *path, struct config *ret, struct config_problems *problems)
{
	prepare(ret, problems);
	if (path != NULL)
		return config_keys_load(config_keys, path, ret, check, problems);
	config_cross_check(ret, NULL, true, problems);
	return problems->errors == 0 ? 0 : -EINVAL;
}
