// SPDX-License-Identifier: BSD-3-Clause
// millrace status

#include "cli/client.h"
#include "cli/rates.h"
#include "cli/views.h"

#include <string.h>

#define SAMPLE_NS 500000000u

struct answers {
	json_t *status;
	json_t *partitions;
	json_t *top; // data, not an envelope
};

static int fetch(const struct cli *cli, struct answers *ret)
{
	struct client_samples samples;
	int err = client_sample(cli, SAMPLE_NS, &samples);

	if (err != EXIT_CLI_OK)
		return err;
	err = cli_get(cli, "/api/v1/status", &ret->status);
	if (err == EXIT_CLI_OK)
		err = cli_get(cli, "/api/v1/partitions", &ret->partitions);
	ret->top = rates_compute(json_object_get(samples.before, "data"),
		json_object_get(samples.after, "data"), samples.interval_ns);
	client_samples_free(&samples);
	return err;
}

static void print_json(const struct answers *answers)
{
	json_t *data = json_object_get(answers->status, "data");
	json_t *rates = json_object_get(answers->top, "total");
	json_t *worst = json_array_get(json_object_get(answers->top, "drops"), 0);
	uint64_t left;
	bool retained, known;

	known = rates_log_left(data,
		json_number_value(json_object_get(rates, "written_bytes_per_second")), &left,
		&retained);
	json_object_set(data, "rates", rates);
	json_object_set_new(data, "worst_drop", worst != NULL ? json_incref(worst) : json_null());
	json_object_set_new(
		data, "log_left_ns", known ? json_integer((json_int_t)left) : json_null());
	cli_print_json(answers->status);
}

static int run_status(const struct cli *cli, const struct cli_args *args)
{
	struct answers answers = {0};
	int err = fetch(cli, &answers);

	(void)args;
	if (err == EXIT_CLI_OK) {
		const char *health;

		if (cli->json) {
			print_json(&answers);
		} else {
			client_warn(answers.status);
			view_status(client_data(answers.status), answers.top,
				client_data(answers.partitions), stdout);
		}
		health = view_text(json_object_get(answers.status, "data"), "health");
		err = strcmp(health, "ok") == 0 ? EXIT_CLI_OK : EXIT_CLI_DEGRADED;
	}
	json_decref(answers.status);
	json_decref(answers.partitions);
	json_decref(answers.top);
	return err;
}

const struct cli_command cmd_status = {
	.name = "status",
	.args = "",
	.summary = "how the receiver is, in four lines",
	.details = "Health and why; packets, events and bits per second over half a second; the "
		   "worst drop reason; how long the log may go on and up to where it is durable. "
		   "Exit code 0: ok; 1: degraded or failed; 3: nobody listens on the socket.",
	.run = run_status,
};
