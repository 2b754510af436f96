// SPDX-License-Identifier: BSD-3-Clause

#include "control/core.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/logmsg.h"
#include "control/core_run.h"
#include "http/server.h"
#include "http/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000
#define LOOK_NS 1000000000u // views and leader are looked at so often when nothing happens
#define SECRET_MAX 1024
#define KILL_AGAIN_NS 10000000000
#define BACKOFF_NS 500000000u
#define BACKOFF_MAX_NS 30000000000u
#define HEARTBEAT_MISSES 3

int64_t core_now_ns(void)
{
	return clock_system_ns();
}

// Again after a while: the call may have got lost with a master.
static bool kill_due(const struct core *core, const struct receiver *r, int64_t now_ns)
{
	int64_t again_ns = (int64_t)core->fleet.spec.kill_grace_ns + KILL_AGAIN_NS;

	return r->state == RECEIVER_ENDING && r->task_id[0] != '\0' && r->sent &&
	       (r->killed_ns == 0 || now_ns - r->killed_ns > again_ns);
}

static void kill_ending(struct core *core)
{
	int64_t now_ns = core_now_ns();

	for (struct receiver *r = core->fleet.receivers; r != NULL; r = r->next) {
		struct core_action *action;

		if (!kill_due(core, r, now_ns))
			continue;
		action = core_act(core, ACTION_KILL, NULL);
		if (action == NULL)
			return;
		r->killed_ns = now_ns;
		snprintf(action->task_id, sizeof(action->task_id), "%s", r->task_id);
		snprintf(action->agent_id, sizeof(action->agent_id), "%s", r->agent_id);
		action->grace_seconds = (double)core->fleet.spec.kill_grace_ns / 1e9 + 5;
	}
}

static void step_at(struct core *core, int64_t next_ns)
{
	int64_t now_ns = core_now_ns();
	uint64_t delay = LOOK_NS;

	if (next_ns <= now_ns)
		delay = LOOK_NS / 10;
	else if (next_ns - now_ns < (int64_t)LOOK_NS)
		delay = (uint64_t)(next_ns - now_ns);
	loop_timer_set(core->loop, &core->step, delay);
}

void core_step(struct core *core)
{
	int64_t next = INT64_MAX;

	if (core->loaded && election_leads(core->election)) {
		next = fleet_plan(&core->fleet, core_now_ns());
		core_place(core);
		if (core->framework == FRAMEWORK_SUBSCRIBED)
			kill_ending(core);
		core_store(core);
	}
	core_show_soon(core);
	step_at(core, next);
}

static void on_show(void *arg)
{
	core_show(arg);
}

static void on_step(void *arg)
{
	core_step(arg);
}

void core_step_soon(struct core *core)
{
	loop_timer_set(core->loop, &core->step, 0);
}

void core_step_within(struct core *core, uint64_t delay_ns)
{
	uint64_t due_ns = loop_now_ns() + delay_ns;

	if (core->step.due_ns == 0 || core->step.due_ns > due_ns)
		loop_timer_set(core->loop, &core->step, delay_ns);
}

static void on_session(void *arg, enum zk_state state)
{
	struct core *core = arg;

	core->zookeeper_since_ns = core_now_ns();
	if (state == ZK_CONNECTED)
		log_notice("ZooKeeper answers");
	else if (state == ZK_CONNECTING)
		log_warn("ZooKeeper isn't reached: placement freezes, receivers go on");
	election_session(core->election, state);
	watching_session(core->live, state);
	core_step_soon(core);
}

static void on_live(void *arg, const char *name, const json_t *json)
{
	struct core *core = arg;

	if (fleet_registered(&core->fleet, name, json))
		core_step_soon(core);
}

static void on_live_gone(void *arg, const char *name)
{
	on_live(arg, name, NULL);
}

static void on_masters(void *arg, const char *masters)
{
	struct core *core = arg;

	log_info("Mesos' master: %s", masters[0] != '\0' ? masters : "none");
	mesos_set_masters(core->mesos, masters);
}

// One line of a file that holds a secret. *ret is the caller's; NULL for path "".
static int read_secret(const char *path, const char *what, char **ret)
{
	char why[HTTP_WHY_BYTES];
	size_t len;
	int err;

	*ret = NULL;
	if (path[0] == '\0')
		return 0;
	if (http_secret_file(path, what, why) != 0) {
		log_err("%s", why);
		return -EPERM;
	}
	err = file_read(path, SECRET_MAX, ret, &len);
	if (err != 0) {
		log_err("%s: %s", path, strerror(-err));
		return err;
	}
	(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return 0;
}

static int open_zookeeper(struct core *core)
{
	struct zk_options options = {.loop = core->loop,
		.servers = core->conf.zookeeper,
		.session_timeout_ns = core->conf.session_timeout_ns,
		.state = on_session,
		.arg = core};
	char *auth;
	int err = read_secret(core->conf.zookeeper_auth, "ZooKeeper's credentials", &auth);

	if (err != 0)
		return err;
	options.auth = auth;
	err = zk_open(&core->zk, &options);
	free(auth);
	return err;
}

static int open_mesos(struct core *core)
{
	const struct conf *conf = &core->conf;
	char hostname[256] = "";
	char *secret;
	struct mesos_options options = {.loop = core->loop,
		.name = conf->cluster,
		.user = conf->user,
		.role = conf->role,
		.hostname = hostname,
		.principal = conf->mesos_principal[0] != '\0' ? conf->mesos_principal : NULL,
		.ca = conf->mesos_ca[0] != '\0' ? conf->mesos_ca : NULL,
		.failover_timeout = (double)conf->failover_timeout_ns / NS_PER_SECOND,
		.heartbeat_misses = HEARTBEAT_MISSES,
		.backoff_ns = BACKOFF_NS,
		.backoff_max_ns = BACKOFF_MAX_NS};
	int err = read_secret(conf->mesos_secret, "Mesos' secret", &secret);

	if (err != 0)
		return err;
	gethostname(hostname, sizeof(hostname) - 1);
	options.secret = secret;
	err = mesos_new(&core->mesos, &options, &core_mesos_handlers, core);
	free(secret);
	return err != 0 ? err
			: leading_new(&core->leading, core->loop, conf->mesos, options.ca != NULL,
				  on_masters, core);
}

static int open_election(struct core *core)
{
	struct election_options options = {.loop = core->loop,
		.zk = core->zk,
		.root = core->root,
		.name = core->conf.name,
		.address = core->address,
		.won = core_won,
		.lost = core_lost,
		.arg = core};
	char path[ZK_PATH_BYTES];
	struct watching_options live = {.loop = core->loop,
		.zk = core->zk,
		.path = path,
		.prefix = "",
		.changed = on_live,
		.gone = on_live_gone,
		.arg = core};
	int err = election_new(&core->election, &options);

	snprintf(path, sizeof(path), "%s/live", core->root);
	if (err == 0)
		err = watching_new(&core->live, &live);
	return err != 0 ? err : store_new(&core->store, core->loop, core->zk, core->root);
}

static int open_api(struct core *core)
{
	char why[HTTP_WHY_BYTES];
	struct api_core side = core_api;
	int err;

	side.arg = core;
	err = api_start(&core->api, &core->conf, &side, why);

	if (err != 0)
		log_err("%s", why);
	return err;
}

static void set_names(struct core *core)
{
	const struct conf *conf = &core->conf;

	snprintf(core->root, sizeof(core->root), "/millrace/%s", conf->cluster);
	if (conf->api.listen[0] == '\0')
		snprintf(core->address, sizeof(core->address), "unix:%.240s", conf->socket);
	else
		snprintf(core->address, sizeof(core->address), "https://%.240s",
			conf->advertise[0] != '\0' ? conf->advertise : conf->api.listen);
}

int core_new(struct core **ret, const struct conf *conf)
{
	struct core *core = calloc(1, sizeof(*core));
	int err;

	if (core == NULL)
		return -ENOMEM;
	core->conf = *conf;
	set_names(core);
	pthread_mutex_init(&core->lock, NULL);
	core->step = (struct loop_timer){.fn = on_step, .arg = core};
	core->reconcile = (struct loop_timer){.fn = core_reconcile, .arg = core};
	core->retry = (struct loop_timer){.fn = core_load_again, .arg = core};
	core->decline = (struct loop_timer){.fn = core_offers_decline, .arg = core};
	core->show = (struct loop_timer){.fn = on_show, .arg = core};
	core->declined = json_array();
	*ret = core;
	err = core->declined != NULL ? loop_new(&core->loop) : -ENOMEM;
	// The session's first state comes in the loop, which doesn't run yet: all that it is told
	// to is there by then.
	if (err == 0)
		err = open_zookeeper(core);
	if (err == 0)
		err = open_election(core);
	if (err == 0)
		err = open_mesos(core);
	if (err == 0) {
		metrics_open(core);
		core_show(core);
		err = open_api(core);
	}
	return err;
}

void core_run(struct core *core)
{
	core_step_soon(core);
	loop_run(core->loop);
}

void core_stop(struct core *core)
{
	loop_stop(core->loop);
}

static void last_turn(void *arg)
{
	loop_stop(arg);
}

void core_free(struct core *core)
{
	if (core->api != NULL)
		api_stop(core->api);
	if (core->set.count != 0)
		metrics_close(core);
	core->leads = false;
	if (core->mesos != NULL)
		core_mesos_stop(core);
	leading_close(core->leading);
	zk_close(core->zk);
	if (core->loop != NULL && loop_post(core->loop, last_turn, core->loop) == 0)
		loop_run(core->loop);
	core_drop_actions(core, core->actions);
	leading_free(core->leading);
	watching_free(core->live);
	store_free(core->store);
	election_free(core->election);
	zk_free(core->zk);
	if (core->mesos != NULL)
		mesos_free(core->mesos);
	fleet_free(&core->fleet);
	json_decref(core->senders);
	json_decref(core->declined);
	for (unsigned i = 0; i < API_VIEWS; i++)
		json_decref(core->views[i]);
	core_tickets_free(core);
	if (core->loop != NULL)
		loop_free(core->loop);
	pthread_mutex_destroy(&core->lock);
	free(core);
}
