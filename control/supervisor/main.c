// SPDX-License-Identifier: BSD-3-Clause
// millrace-supervisor: the command of a task of Mesos. Keeps one millraced running on its slave.

#include "common/clock.h"
#include "common/file.h"
#include "common/logmsg.h"
#include "control/supervisor/child.h"
#include "control/supervisor/effective.h"
#include "control/supervisor/observe.h"
#include "dataplane/plan.h"

#include <curl/curl.h>

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE "millraced.yaml"
#define SECOND_NS 1000000000ull
#define NODE_PATIENCE_NS (2 * SECOND_NS)
#define AGAIN_PAUSE_NS 50000000 // between tries while a killed one's writes land

// As the command's: cli/cli.h.
enum exit_code { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INVALID = 4 };

static const char usage[] = "usage: millrace-supervisor [--version] [--help]\n"
			    "Keeps one millraced running and registered in ZooKeeper. Started by "
			    "millrace-control as a\n"
			    "task of Mesos, with all it must know in the environment.\n";

struct supervisor {
	struct task task;
	struct config config;
	char config_path[4096];
	sigset_t signals;
	cpu_set_t cpus; // millraced's
	struct registration *registration;
	struct observer *observer;
	struct restarts restarts;
	pid_t pid;
};

static void tell_problems(const struct config_problems *problems, const char *of)
{
	unsigned shown = sizeof(problems->list) / sizeof(problems->list[0]);

	if (problems->count < shown)
		shown = problems->count;
	for (unsigned i = 0; i < shown; i++) {
		const struct config_problem *problem = &problems->list[i];

		if (problem->warning) // millraced says it
			continue;
		if (problem->line != 0)
			log_err("%s:%u: %s", of, problem->line, problem->text);
		else
			log_err("%s: %s", of, problem->text);
	}
}

static int make_config(struct supervisor *s)
{
	struct config_problems *problems = calloc(1, sizeof(*problems));
	const char *of = "";
	int err;

	if (problems == NULL)
		return -ENOMEM;
	err = effective_make(&s->task, &s->config, problems, &of);
	if (err == -EINVAL)
		tell_problems(problems, of);
	free(problems);
	return err;
}

// In the working directory, which is the task's sandbox.
static int store_config(struct supervisor *s)
{
	int err = file_make_dirs(EFFECTIVE_SOCKET_DIR);
	char *home;

	if (err != 0)
		log_err("can't make %s for the API's socket: %s", EFFECTIVE_SOCKET_DIR,
			strerror(-err));
	if (err != 0)
		return err;
	home = getcwd(NULL, 0);
	if (home == NULL || (size_t)snprintf(s->config_path, sizeof(s->config_path),
				    "%s/" CONFIG_FILE, home) >= sizeof(s->config_path))
		err = -ENAMETOOLONG;
	free(home);
	if (err == 0)
		err = effective_store(&s->config, s->config_path);
	if (err != 0)
		log_err("can't write " CONFIG_FILE ": %s", strerror(-err));
	return err;
}

static int launch(struct supervisor *s)
{
	int err = child_start(s->task.millraced, s->config_path, &s->cpus, &s->pid);

	if (err != 0)
		log_err("can't start %s: %s; mend: install millraced, or say where it is "
			"by " TASK_MILLRACED,
			s->task.millraced, strerror(-err));
	else
		observer_launched(s->observer, s->pid, s->restarts.total);
	return err;
}

// The next signal, or 0 when the time is over. Several may have become one.
static int next_signal(const struct supervisor *s, uint64_t wait_ns)
{
	const struct timespec wait = {
		.tv_sec = (time_t)(wait_ns / SECOND_NS), .tv_nsec = (long)(wait_ns % SECOND_NS)};
	int sig = sigtimedwait(&s->signals, NULL, &wait);

	return sig > 0 ? sig : 0;
}

// SIGTERM, then SIGKILL after the grace.
static int end_child(struct supervisor *s)
{
	uint64_t until = clock_monotonic_ns() + s->task.grace_ns;
	struct ending ending;
	char text[128];

	observer_ending(s->observer);
	kill(s->pid, SIGTERM);
	while (!child_ended(s->pid, &ending)) {
		uint64_t now = clock_monotonic_ns();

		if (until != 0 && now >= until) {
			log_err("millraced didn't end within %" PRIu64 " ms of SIGTERM: killed",
				s->task.grace_ns / 1000000);
			kill(s->pid, SIGKILL);
			until = 0;
		}
		next_signal(s, until != 0 ? until - now : SECOND_NS);
	}
	log_notice("millraced %s", ending_text(ending, text));
	// A signal: it came before millraced had begun to take them, and nothing was open.
	if (ending.kind == ENDING_SIGNAL)
		return ending.code == SIGTERM ? EXIT_OK : EXIT_FAILED;
	return ending.code;
}

// It ended by itself: an exit code, or -1 when it runs again.
static int restart(struct supervisor *s, struct ending ending)
{
	char text[128];

	ending_text(ending, text);
	switch (restarts_decide(&s->restarts, ending, clock_monotonic_ns())) {
	case RESTARTS_START:
		log_warn("millraced %s: restarted", text);
		return launch(s) == 0 ? -1 : EXIT_FAILED;
	case RESTARTS_AGAIN:
		nanosleep(&(struct timespec){.tv_nsec = AGAIN_PAUSE_NS}, NULL);
		return launch(s) == 0 ? -1 : EXIT_FAILED;
	case RESTARTS_REFUSED:
		log_err("millraced %s and would again: not restarted; its own last message says "
			"why",
			text);
		return ending.code;
	default:
		log_err("millraced %s, and was restarted %d times within %llu s: given up", text,
			RESTARTS_MAX, RESTARTS_WINDOW_NS / SECOND_NS);
		return EXIT_FAILED;
	}
}

// By its parent, Mesos' executor for the task. Without it nobody can end the task any more, and
// Mesos takes it for ended: what is launched in its place needs the log.
static bool abandoned(pid_t parent)
{
	return parent != 1 && getppid() != parent;
}

static int supervise(struct supervisor *s)
{
	pid_t parent = getppid();
	struct ending ending;
	int code = launch(s) == 0 ? -1 : EXIT_FAILED;

	// The supervisor before may have been killed: its millraced then ends in its own time.
	s->restarts.killed_ns = clock_monotonic_ns();
	while (code < 0) {
		int sig = next_signal(s, SECOND_NS);

		if (sig == SIGTERM || sig == SIGINT)
			return end_child(s);
#ifdef MUTANT_EXECUTOR_FORGOTTEN
		parent = 1;
#endif
		if (abandoned(parent)) {
			log_err("Mesos' executor has gone: ends");
			return end_child(s);
		}
		if (child_ended(s->pid, &ending))
			code = restart(s, ending);
	}
	return code;
}

// In all threads but millraced's. SIGCHLD too, which comes to sigtimedwait() only when it is
// blocked.
static void block_signals(struct supervisor *s)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGTERM);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &s->signals, NULL);
}

// What the supervisor does once a second would otherwise take a lcore's CPU from it now and then.
static void leave_lcores_alone(struct supervisor *s)
{
	cpu_set_t own;

	CPU_ZERO(&s->cpus);
	if (sched_getaffinity(0, sizeof(s->cpus), &s->cpus) != 0)
		return;
	own = s->cpus;
	plan_leave_to_lcores(&own, &s->config);
	sched_setaffinity(0, sizeof(own), &own);
}

static int run(struct supervisor *s)
{
	int code = EXIT_FAILED;
	int err;

	block_signals(s);
	leave_lcores_alone(s);     // before there are threads, which have it from here
	unsetenv("NOTIFY_SOCKET"); // of who started the supervisor, not millraced's to answer
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EXIT_FAILED;
	err = register_start(&s->registration, &s->task);
	if (err == 0)
		err = observer_start(&s->observer, &s->task, &s->config, s->registration);
	if (err != 0)
		log_err("can't start a thread: %s", strerror(-err));
	else
		code = supervise(s);
	if (s->observer != NULL)
		observer_stop(s->observer);
	if (s->registration != NULL)
		register_stop(s->registration, NODE_PATIENCE_NS);
	return code;
}

static int prepare(struct supervisor *s)
{
	char why[TASK_WHY_BYTES];

	if (task_read(&s->task, why) != 0) {
		log_err("%s", why);
		return EXIT_USAGE;
	}
	if (make_config(s) != 0)
		return EXIT_INVALID;
	return store_config(s) == 0 ? EXIT_OK : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct supervisor *s;
	int code;

	log_setup("millrace-supervisor", LOG_LEVEL_INFO);
	if (argc > 1) {
		bool version = strcmp(argv[1], "--version") == 0;
		bool help = strcmp(argv[1], "--help") == 0;

		if (version)
			printf("millrace-supervisor %s\n", MILLRACE_VERSION);
		else
			fputs(usage, help ? stdout : stderr);
		return version || help ? EXIT_OK : EXIT_USAGE;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return EXIT_FAILED;
	code = prepare(s);
	if (code == EXIT_OK)
		code = run(s);
	free(s);
	return code;
}
