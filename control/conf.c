// SPDX-License-Identifier: BSD-3-Clause

#include "control/conf.h"

#include "common/units.h"

#include <stdio.h>
#include <string.h>

#define ZK "zk://"

static bool is_port(const char *text)
{
	uint64_t port;

	return units_parse_uint(text, &port) && port >= 1 && port <= 65535;
}

// "host:port", "10.0.0.1:2181", "[fd00::1]:2181".
static bool is_server(const char *text, size_t len)
{
	char copy[256], *colon, *host = copy;
	size_t room;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	colon = strrchr(copy, ':');
	if (colon == NULL || colon == copy || !is_port(colon + 1))
		return false;
	*colon = '\0';
	room = strlen(copy);
	if (*copy != '[')
		return copy[strspn(copy, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789._-")] == '\0';
	if (room < 4 || copy[room - 1] != ']')
		return false;
	copy[room - 1] = '\0';
	host++;
	return host[strspn(host, "0123456789abcdefABCDEF:.")] == '\0';
}

static bool are_servers(const char *text, size_t len)
{
	const char *end = text + len;

	for (;;) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma != NULL ? comma : end;

		if (!is_server(text, (size_t)(stop - text)))
			return false;
		if (comma == NULL)
			return true;
		text = comma + 1;
	}
}

// Absolute, of names, no end slash.
static bool is_znode(const char *path)
{
	return path[0] == '/' && path[1] != '\0' && strstr(path, "//") == NULL &&
	       path[strlen(path) - 1] != '/';
}

bool conf_split_zk(
	const char *text, char *ret_servers, size_t servers_size, char *ret_path, size_t path_size)
{
	const char *servers = text + strlen(ZK), *path;
	size_t len;

	if (strncmp(text, ZK, strlen(ZK)) != 0)
		return false;
	path = strchrnul(servers, '/');
	len = (size_t)(path - servers);
	if (!are_servers(servers, len) || !is_znode(path) || len >= servers_size ||
		strlen(path) >= path_size)
		return false;
	memcpy(ret_servers, servers, len);
	ret_servers[len] = '\0';
	memcpy(ret_path, path, strlen(path) + 1);
	return true;
}

struct checking {
	const struct conf *conf;
	const struct config_node *root;
	struct config_problems *problems;
};

#define ERROR(c, section, name, ...) \
	problem_add((c)->problems, config_key_line((c)->root, section, name), false, __VA_ARGS__)
#define WARN(c, section, name, ...) \
	problem_add((c)->problems, config_key_line((c)->root, section, name), true, __VA_ARGS__)

static void check_servers(const struct checking *c)
{
	char servers[CONF_SERVERS_MAX], path[CONF_SERVERS_MAX];
	const char *own = c->conf->zookeeper, *mesos = c->conf->mesos;

	if (*own != '\0' && !are_servers(own, strlen(own)))
		ERROR(c, "zookeeper", "servers",
			"zookeeper.servers: '%.60s' is no list HOST:PORT,HOST:PORT,…", own);
	if (*mesos != '\0' && !are_servers(mesos, strlen(mesos)) &&
		!conf_split_zk(mesos, servers, sizeof(servers), path, sizeof(path)))
		ERROR(c, "mesos", "master",
			"mesos.master: '%.60s' is neither zk://HOST:PORT,…/PATH nor a list "
			"HOST:PORT,HOST:PORT,…",
			mesos);
}

// What Mesos takes, but for what looks like an option or a path's parts.
static bool is_role(const char *role)
{
	if (strcmp(role, "*") == 0)
		return true;
	return *role != '-' && *role != '.' && *role != '/' && role[strlen(role) - 1] != '/' &&
	       strstr(role, "//") == NULL && strstr(role, "/.") == NULL &&
	       strstr(role, "/-") == NULL && strpbrk(role, " \t\\*") == NULL;
}

static void check_mesos(const struct checking *c)
{
	const struct conf *conf = c->conf;
	bool secret = conf->mesos_secret[0] != '\0';

	if (secret && conf->mesos_principal[0] == '\0')
		ERROR(c, "mesos", "secret", "mesos.secret: is of no use without mesos.principal");
	if (secret && conf->mesos_ca[0] == '\0')
		WARN(c, "mesos", "secret",
			"mesos.secret: is sent in the clear without mesos.ca, which makes it "
			"https");
	if (!is_role(conf->role))
		ERROR(c, "mesos", "role", "mesos.role: '%.60s' is no role: * or a name",
			conf->role);
	if (strcmp(conf->cluster, ".") == 0 || strcmp(conf->cluster, "..") == 0)
		ERROR(c, NULL, "cluster", "cluster: '%s' is no name in ZooKeeper", conf->cluster);
}

static bool is_any_address(const char *listen)
{
	return strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0;
}

static void check_advertise(const struct checking *c)
{
	const char *listen = c->conf->api.listen, *advertise = c->conf->advertise;

	if (*advertise != '\0' && *listen == '\0')
		ERROR(c, NULL, "advertise", "advertise: needs api.listen, which it stands for");
	if (*advertise != '\0' && !is_server(advertise, strlen(advertise)))
		ERROR(c, NULL, "advertise", "advertise: '%.60s' is not HOST:PORT", advertise);
	if (*advertise == '\0' && is_any_address(listen))
		ERROR(c, "api", "listen",
			"advertise: is missing: others can't reach this process by '%.60s'",
			listen);
	if (*listen != '\0' && !is_server(listen, strlen(listen)))
		ERROR(c, "api", "listen", "api.listen: '%.60s' is no ADDRESS:PORT", listen);
}

static void check(void *holder, const struct config_node *root, struct config_problems *problems)
{
	struct conf *conf = holder;
	const struct checking c = {.conf = conf, .root = root, .problems = problems};

	check_servers(&c);
	check_mesos(&c);
	check_advertise(&c);
	config_api_check(&conf->api, root, problems);
	if (conf->advertise[0] == '\0')
		memcpy(conf->advertise, conf->api.listen, sizeof(conf->advertise));
}

static void prepare(struct conf *ret, struct config_problems *problems)
{
	memset(ret, 0, sizeof(*ret));
	memset(problems, 0, sizeof(*problems));
	config_keys_defaults(conf_keys, ret);
	config_host_default(&conf_keys[0], ret);
	snprintf(ret->supervisor, sizeof(ret->supervisor), "%s", CONF_SUPERVISOR);
}

int conf_parse(const char *text, size_t len, struct conf *ret, struct config_problems *problems)
{
	prepare(ret, problems);
	return config_keys_parse(conf_keys, text, len, ret, check, problems);
}

int conf_load(const char *path, struct conf *ret, struct config_problems *problems)
{
	if (path == NULL)
		return conf_parse("", 0, ret, problems);
	prepare(ret, problems);
	return config_keys_load(conf_keys, path, ret, check, problems);
}

void conf_print_sample(FILE *out)
{
	fputs("# SPDX-License-Identifier: BSD-3-Clause\n"
	      "# Configuration of millrace-control, of every key with its default.\n"
	      "# Made from the table of keys by 'millrace-control --sample'; 'millrace-control\n"
	      "# --check -c FILE' says all that is wrong with a file.\n\n",
		out);
	config_keys_print_sample(conf_keys, out);
}
