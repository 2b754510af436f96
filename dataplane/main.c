// SPDX-License-Identifier: BSD-3-Clause
// millraced: starts everything in order, waits for a signal, ends it in reverse.

#include "common/clock.h"
#include "common/file.h"
#include "common/logmsg.h"
#include "dataplane/eal.h"
#include "dataplane/filter.h"
#include "dataplane/fragments.h"
#include "dataplane/host/host.h"
#include "dataplane/preflight.h"
#include "dataplane/receiver.h"
#include "dataplane/reliable.h"

#include <systemd/sd-daemon.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// As the command's: cli/cli.h.
enum exit_code { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INVALID = 4, EXIT_REFUSED = 5 };

struct options {
	const char *config_path;
	bool check;
	bool print_durable;
};

static const char usage[] =
	"usage: millraced [-c FILE] [--check] [--version]\n"
	"  -c, --config FILE   configuration; default: /etc/millrace/millraced.yaml\n"
	"      --check         check the configuration and the machine, and exit\n"
	"      --print-durable print 'durable PARTITION SEQ' lines to stdout (for tests)\n"
	"      --version       print the version and exit\n"
	"  -h, --help          print this and exit\n";

enum { OPTION_CHECK = 256, OPTION_PRINT_DURABLE, OPTION_VERSION };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, OPTION_CHECK},
	{"print-durable", no_argument, NULL, OPTION_PRINT_DURABLE},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

// Returns an exit code when it is all done, else -1.
static int parse_options(int argc, char **argv, struct options *ret)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		if (c == 'c') {
			ret->config_path = optarg;
		} else if (c == OPTION_CHECK) {
			ret->check = true;
		} else if (c == OPTION_PRINT_DURABLE) {
			ret->print_durable = true;
		} else if (c == OPTION_VERSION) {
			printf("millraced %s\n", MILLRACE_VERSION);
			return EXIT_OK;
		} else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_OK : EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "millraced: '%s' is no option\n%s", argv[optind], usage);
	return EXIT_USAGE;
}

static int load_config(struct receiver *r)
{
	struct config_problems *problems = calloc(1, sizeof(*problems));
	int err;

	if (problems == NULL)
		return -ENOMEM;
	err = config_load(r->config_path, &r->config, problems);
	if (err != 0 && err != -EINVAL)
		log_err("%s: %s", r->config_path, strerror(-err));
	config_problems_log(problems, r->config_path);
	free(problems);
	return err;
}

static const char *result_text(enum check_result result)
{
	static const char *const text[] = {"ok", "warn", "fail", "-"};

	return text[result];
}

// --check: the whole table on stdout.
static int check(struct receiver *r)
{
	struct preflight *preflight = calloc(1, sizeof(*preflight));
	enum check_result worst;

	if (preflight == NULL)
		return EXIT_FAILED;
	preflight_run(preflight, &r->config, false, preflight_receiver_runs(&r->config));
	for (unsigned i = 0; i < preflight->count; i++) {
		const struct check_row *row = &preflight->rows[i];
		printf("%-5s %-22s %s\n", result_text(row->result), row->name, row->found);
		if (row->mend[0] != '\0')
			printf("%28s mend: %s\n", "", row->mend);
	}
	worst = preflight_worst(preflight);
	free(preflight);
	return worst == CHECK_FAIL ? EXIT_FAILED : EXIT_OK;
}

// At a start: only what isn't right, as messages.
static int check_quietly(struct receiver *r)
{
	struct preflight *preflight = calloc(1, sizeof(*preflight));
	enum check_result worst;

	if (preflight == NULL)
		return -ENOMEM;
	preflight_run(preflight, &r->config, false, false);
	for (unsigned i = 0; i < preflight->count; i++) {
		const struct check_row *row = &preflight->rows[i];
		if (row->result != CHECK_WARN && row->result != CHECK_FAIL)
			continue;
		log_write(row->result == CHECK_FAIL ? LOG_LEVEL_ERR : LOG_LEVEL_WARN, "%s: %s%s%s",
			row->name, row->found, row->mend[0] != '\0' ? "; mend: " : "", row->mend);
	}
	worst = preflight_worst(preflight);
	free(preflight);
	return worst == CHECK_FAIL ? -EPERM : 0;
}

// In every thread; the control loop waits for those that end.
static void block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int lock_data(struct receiver *r)
{
	const char *data = r->config.data;
	int err = file_make_dirs(data);

	if (err == 0)
		err = wal_lock_dir(data, &r->lock_fd);
	if (err == -EWOULDBLOCK)
		log_err("another millraced holds the lock of %s, or writes of one that was killed "
			"are still landing; stop it, or give this one a 'data' of its own",
			data);
	else if (err != 0)
		log_err("can't lock %s: %s", data, strerror(-err));
	return err;
}

static int start_api(struct receiver *r)
{
	struct http_options options = {.socket_path = r->config.socket,
		.receiver = r->config.receiver,
		.routes = api_routes(r),
		.more_routes = pull_routes(r->pull),
		.api = &r->config.api,
		.tick = pull_tick,
		.tick_arg = r->pull};
	char why[HTTP_WHY_BYTES];
	int err = http_start_with(&r->http, &options, why);

	if (err != 0)
		log_err("can't serve the API: %s", why);
	return err;
}

static int start(struct receiver *r)
{
	int err = eal_start(&r->config, &r->dp.plan);

	if (err == 0)
		err = partitions_open(&r->dp, r->lock_fd);
	if (err == 0)
		err = delivery_make(r);
	if (err == 0)
		err = ports_open(&r->dp);
	if (err == 0)
		err = filter_make(&r->dp);
	if (err == 0)
		err = host_make(&r->dp);
	if (err == 0)
		err = reliable_make(&r->dp);
	if (err == 0)
		err = lcores_make(&r->dp);
	if (err == 0)
		err = host_start(r->dp.host);
	if (err == 0)
		err = lcores_launch(&r->dp);
	if (err == 0)
		err = partitions_scrub(&r->dp);
	if (err == 0)
		err = delivery_start(r);
	if (err == 0)
		err = start_api(r);
	return err;
}

static void tell_end(const struct receiver *r)
{
	for (unsigned i = 0; i < r->dp.partition_count; i++) {
		const struct wal_state *state = wal_state(r->dp.partitions[i].wal);
		int failed = atomic_load(&state->failed);
		log_notice("partition %u: durable up to seq %" PRIu64 "%s%s", i,
			atomic_load(&state->durable_seq), failed != 0 ? "; it failed: " : "",
			failed != 0 ? strerror(-failed) : "");
	}
	log_notice("packets: %" PRIu64 " in, %" PRIu64 " taken, %" PRIu64
		   " dropped; events: %" PRIu64 " in, %" PRIu64 " durable, %" PRIu64 " dropped",
		counters_sum(ROLE_PKT_IN), counters_sum(ROLE_PKT_TAKEN),
		counters_sum(ROLE_PKT_DROP), counters_sum(ROLE_EV_IN),
		counters_sum(ROLE_EV_DURABLE), counters_sum(ROLE_EV_DROP));
}

// Stops reception, drains what was taken, makes it durable, and takes everything down. Returns the
// first error that an lcore met. Also after a start that failed halfway.
static int stop(struct receiver *r)
{
	int err = 0;

	atomic_store(&r->dp.stop, true);
	if (r->dp.lcore_count > 0)
		err = lcores_join(&r->dp);
	for (unsigned l = 0; l < r->dp.lcore_count; l++)
		fragments_free(&r->dp.lcores[l]);
	host_stop(r->dp.host);
	control_print_durable(r);
	if (r->http != NULL)
		http_stop(r->http);
	if (r->dp.lcore_count > 0)
		tell_end(r);
	if (r->dp.lcores != NULL)
		lcores_free(&r->dp);
	reliable_free(&r->dp);
	delivery_free(r);
	host_free(&r->dp);
	filter_free(&r->dp);
	ports_close(&r->dp);
	partitions_close(&r->dp);
	eal_stop();
	return err;
}

static int exit_code(int err)
{
	switch (err) {
	case 0:
		return EXIT_OK;
	case -EBADMSG:
	case -EPROTONOSUPPORT:
		return EXIT_INVALID;
	case -EWOULDBLOCK:
	case -EEXIST:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILED;
	}
}

static void ready(const struct receiver *r)
{
	log_notice("ready: %u ports, %u partitions, %u lcores, data in %s, API on %s",
		r->dp.port_count, r->dp.partition_count, r->dp.lcore_count, r->config.data,
		r->config.socket);
	sd_notify(0, "READY=1");
}

static int run(struct receiver *r)
{
	int err, sig;

	err = check_quietly(r);
	if (err != 0)
		return EXIT_FAILED;
	block_signals();
	clock_init();
	r->started_at = (int64_t)clock_real_ns(clock_ticks());
	r->started_ticks = clock_ticks();
	r->dp.config = &r->config;
	plan_make(&r->dp.plan, &r->config);
	listener_table_init(&r->dp.listeners, &r->config);
	err = lock_data(r);
	if (err != 0)
		return exit_code(err);
	err = start(r);
	if (err == 0) {
		ready(r);
		sig = control_loop(r);
		log_notice("%s: ending", strsignal(sig));
		sd_notify(0, "STOPPING=1");
	}
	if (stop(r) != 0 && err == 0)
		err = -EIO;
	close(r->lock_fd);
	return exit_code(err);
}

int main(int argc, char **argv)
{
	struct options options = {.config_path = "/etc/millrace/millraced.yaml"};
	struct receiver *r;
	int code;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	log_setup("millraced", LOG_LEVEL_INFO);
	code = parse_options(argc, argv, &options);
	if (code >= 0)
		return code;
	r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);
	if (r == NULL)
		return EXIT_FAILED;
	memset(r, 0, sizeof(*r));
	r->config_path = options.config_path;
	r->print_durable = options.print_durable;
	r->lock_fd = -1;
	if (load_config(r) != 0)
		code = EXIT_INVALID;
	else
		code = options.check ? check(r) : run(r);
	free(r);
	return code;
}
