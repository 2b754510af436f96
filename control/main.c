// SPDX-License-Identifier: BSD-3-Clause
// millrace-control: reads its configuration, runs until a signal, and ends without ending any
// receiver.

#include "common/logmsg.h"
#include "control/conf.h"
#include "control/core_run.h"

#include <curl/curl.h>
#include <systemd/sd-daemon.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// As the command's: cli/cli.h.
enum exit_code { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INVALID = 4 };

static const char usage[] =
	"usage: millrace-control [-c FILE] [--check] [--sample] [--version]\n"
	"  -c, --config FILE   configuration; default: /etc/millrace/control.yaml\n"
	"      --check         check the configuration and exit\n"
	"      --sample        print a sample configuration and exit\n"
	"      --version       print the version and exit\n"
	"  -h, --help          print this and exit\n";

enum { OPTION_CHECK = 256, OPTION_SAMPLE, OPTION_VERSION };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, OPTION_CHECK},
	{"sample", no_argument, NULL, OPTION_SAMPLE},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct options {
	const char *path;
	bool check;
};

static struct core *running;

// Returns an exit code when it is all done, else -1.
static int parse_options(int argc, char **argv, struct options *ret)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		if (c == 'c') {
			ret->path = optarg;
		} else if (c == OPTION_CHECK) {
			ret->check = true;
		} else if (c == OPTION_SAMPLE) {
			conf_print_sample(stdout);
			return EXIT_OK;
		} else if (c == OPTION_VERSION) {
			printf("millrace-control %s\n", MILLRACE_VERSION);
			return EXIT_OK;
		} else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_OK : EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "millrace-control: '%s' is no option\n%s", argv[optind], usage);
	return EXIT_USAGE;
}

static int load(const char *path, struct conf *ret)
{
	static struct config_problems problems;
	int err = conf_load(path, ret, &problems);

	if (err != 0 && err != -EINVAL)
		log_err("%s: %s", path, strerror(-err));
	config_problems_log(&problems, path);
	return err;
}

static void on_signal(int signal)
{
	(void)signal;
	core_stop(running);
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN); // a peer that has gone is an error of the write
}

static int run(const struct conf *conf)
{
	int err = core_new(&running, conf);

	if (err == 0) {
		catch_signals();
		sd_notify(0, "READY=1");
		log_notice("%s of cluster %s: stands for election", conf->name, conf->cluster);
		core_run(running);
		sd_notify(0, "STOPPING=1");
		log_notice("ends; receivers go on");
	}
	if (running != NULL)
		core_free(running);
	return err == 0 ? EXIT_OK : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct options options = {.path = "/etc/millrace/control.yaml"};
	static struct conf conf;
	int code = parse_options(argc, argv, &options);

	if (code >= 0)
		return code;
	log_setup("millrace-control", LOG_LEVEL_INFO);
	if (load(options.path, &conf) != 0)
		return EXIT_INVALID;
	if (options.check) {
		printf("%s: ok\n", options.path);
		return EXIT_OK;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return EXIT_FAILED;
	code = run(&conf);
	curl_global_cleanup();
	return code;
}
