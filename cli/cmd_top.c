// SPDX-License-Identifier: BSD-3-Clause
// millrace top

#include "cli/client.h"
#include "cli/rates.h"
#include "cli/views.h"
#include "common/clock.h"
#include "common/json.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SCREEN_ON "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"

enum { OPT_DELAY, OPT_ONCE };

static const struct cli_option options[] = {
	[OPT_DELAY] = {"delay", 'd', "TIME", "between two readings (default 1s)", NULL},
	[OPT_ONCE] = {"once", 0, NULL, "print one block and end", NULL},
	{0},
};

struct top {
	const struct cli *cli;
	uint64_t delay_ns;
	bool once;
	bool screen;       // refresh in place
	json_t *before;    // envelope; NULL: none yet
	uint64_t taken_at; // when 'before' came
	char *frame;       // as last shown; NULL: none
	char error[CLIENT_ERROR_BYTES];
};

static volatile bool resized;

static void on_resize(int number)
{
	(void)number;
	resized = true;
}

static void screen_write(const char *sequence)
{
	(void)!write(STDOUT_FILENO, sequence, strlen(sequence));
}

// The screen is given back at once, by whatever signal it ends; a second one kills as usual.
static void on_end(int number)
{
	screen_write(SCREEN_OFF);
	if (number != SIGINT && number != SIGTERM) {
		signal(number, SIG_DFL);
		raise(number);
	}
	cli_interrupted = true;
}

static void on_stop(int number)
{
	(void)number;
	screen_write(SCREEN_OFF);
	raise(SIGSTOP); // goes on here when continued
	screen_write(SCREEN_ON);
	resized = true;
}

static void screen_begin(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV};
	struct sigaction end = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};
	struct sigaction stop = {.sa_handler = on_stop}, resize = {.sa_handler = on_resize};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &end, NULL);
	sigaction(SIGTSTP, &stop, NULL);
	sigaction(SIGWINCH, &resize, NULL);
	screen_write(SCREEN_ON);
}

// What doesn't fit on the screen is cut, so that nothing scrolls. Counts characters of UTF-8.
static void put_clipped(const char *text, unsigned rows, unsigned columns, FILE *out)
{
	unsigned row = 0, column = 0;

	fputs("\033[H", out);
	for (; *text != '\0' && row < rows; text++) {
		if (*text == '\n') {
			fputs(++row < rows ? "\033[K\r\n" : "\033[K", out);
			column = 0;
			continue;
		}
		column += ((unsigned char)*text & 0xc0) != 0x80;
		if (column <= columns)
			fputc(*text, out);
	}
	fputs("\033[J", out);
}

static void screen_show(const struct top *top)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	if (out == NULL)
		return;
	put_clipped(top->frame, size.ws_row, size.ws_col, out);
	fclose(out);
	// In one write, so that no half frame is seen; nothing behind a signal that ended it.
	if (!cli_interrupted && text != NULL)
		screen_write(text);
	free(text);
}

static void put_title(const struct top *top, const char *receiver, FILE *out)
{
	char clock[16];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(out, "millrace top, receiver %s, %s%s%s\n", receiver, clock,
		top->error[0] != '\0' ? ": " : "", top->error);
}

static char *make_frame(
	const struct top *top, const json_t *data, const json_t *status, const char *receiver)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	put_title(top, receiver, out);
	if (data != NULL)
		view_top(data, status, out);
	if (!top->screen)
		fputc('\n', out);
	fclose(out);
	return text;
}

static void show(struct top *top, const json_t *data, json_t *status, const char *receiver)
{
	char *frame = make_frame(top, data, json_object_get(status, "data"), receiver);

	free(top->frame);
	top->frame = frame;
	if (frame == NULL)
		return;
	if (top->screen) {
		screen_show(top);
		return;
	}
	fputs(frame, stdout);
	fflush(stdout);
}

static void show_interval(struct top *top, json_t *after, uint64_t interval_ns)
{
	const char *receiver = view_text(after, "receiver");
	json_t *data, *status = NULL;
	char ignored[CLIENT_ERROR_BYTES];

	data = rates_compute(
		json_object_get(top->before, "data"), json_object_get(after, "data"), interval_ns);
	if (top->cli->json) {
		json_t *envelope = json_envelope("millrace.top/1", receiver, data, NULL);

		cli_print_json(envelope);
		json_decref(envelope);
		return;
	}
	// The figures are worth showing without it.
	if (client_get(top->cli, "/api/v1/status", &status, ignored) == EXIT_CLI_OK)
		client_data(status);
	show(top, data, status, receiver);
	json_decref(status);
	json_decref(data);
}

// Takes a sample and shows the interval since the last one. An exit code.
static int step(struct top *top, bool *shown)
{
	json_t *after = NULL;
	uint64_t now;
	int err = client_get(top->cli, "/api/v1/stats", &after, top->error);

	*shown = false;
	if (err != EXIT_CLI_OK)
		return err;
	top->error[0] = '\0';
	now = clock_monotonic_ns();
	if (!top->cli->json)
		client_data(after);
	if (top->before != NULL) {
		show_interval(top, after, now - top->taken_at);
		*shown = true;
	}
	json_decref(top->before);
	top->before = after;
	top->taken_at = now;
	return EXIT_CLI_OK;
}

// On a screen a receiver that went away is waited for; elsewhere that is the end.
static int run_loop(struct top *top)
{
	uint64_t next = clock_monotonic_ns();
	bool shown;
	int err;

	for (;;) {
		err = step(top, &shown);
		if (err != EXIT_CLI_OK && (!top->screen || top->before == NULL)) {
			return err;
		} else if (err != EXIT_CLI_OK) {
			show(top, NULL, NULL, view_text(top->before, "receiver"));
		}
		if (shown && top->once)
			return EXIT_CLI_OK;
		next += top->delay_ns;
		if (next < clock_monotonic_ns())
			next = clock_monotonic_ns(); // late by more than an interval: no catching
						     // up
		do {
			resized = false;
			client_sleep_until(next, &resized);
			if (cli_interrupted)
				return EXIT_CLI_INTERRUPTED;
			if (resized && top->screen && top->frame != NULL)
				screen_show(top);
		} while (resized);
	}
}

static int run_top(const struct cli *cli, const struct cli_args *args)
{
	struct top top = {.cli = cli, .once = args->value[OPT_ONCE] != NULL};
	int err;

	if (!client_duration(args->value[OPT_DELAY], "delay", 1000000000u, &top.delay_ns))
		return EXIT_CLI_USAGE;
	top.screen = cli->tty && !cli->json && !top.once;
	if (top.screen)
		screen_begin();
	err = run_loop(&top);
	if (top.screen && !cli_interrupted)
		screen_write(SCREEN_OFF);
	if (err != EXIT_CLI_OK && err != EXIT_CLI_INTERRUPTED)
		cli_error("%s", top.error);
	json_decref(top.before);
	free(top.frame);
	return err;
}

const struct cli_command cmd_top = {
	.name = "top",
	.args = "",
	.summary = "rates, drops, commit latency and disk, refreshed in place",
	.details = "Without a terminal a plain block for each interval; with --json a line of JSON "
		   "(millrace.top/1). AMPL is bytes written for each byte of payload; P50, P99 and "
		   "MAX are commit latencies of the interval, from a block's first event until it "
		   "is durable. Ends with Ctrl-C.",
	.options = options,
	.run = run_top,
};
