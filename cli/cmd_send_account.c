// SPDX-License-Identifier: BSD-3-Clause
// millrace send of plain datagrams: progress, and the account at the end.

#include "cli/cmd_send.h"
#include "common/json.h"

#include <inttypes.h>
#include <string.h>

void send_print_progress(const struct send_tally *tally, void *arg)
{
	uint64_t *last = (uint64_t *)arg;
	char rate[32], sent[32], refused[32];

	fprintf(stderr, "\r%s/s, %s sent, %s refused, at most %.1f ms late \033[K",
		cli_count_text((double)(tally->sent - *last), rate),
		cli_count_text((double)tally->sent, sent),
		cli_count_text((double)tally->refused, refused), (double)tally->late_max_ns / 1e6);
	*last = tally->sent;
}

static double rate_of(const struct send_tally *tally)
{
	if (tally->elapsed_ns == 0)
		return 0;
	return (double)tally->sent * 1e9 / (double)tally->elapsed_ns;
}

static json_t *warnings_of(const struct send_tally *tally)
{
	json_t *list = json_array();

	if (tally->no_listener > 0)
		json_array_append_new(list,
			json_warning("no_listener",
				"the other side says that nobody listens on that port", NULL));
	else if (tally->last_error != 0)
		json_array_append_new(
			list, json_warning("refused", strerror(tally->last_error), NULL));
	return list;
}

int send_print_json(const struct send_plan *plan, const struct send_tally *tally)
{
	uint64_t tried = tally->sent + tally->refused;
	char id[9];
	json_t *data;

	snprintf(id, sizeof(id), "%08x", plan->id);
	data = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:o, s:o}", "id", id,
		"sent", (json_int_t)tally->sent, "refused", (json_int_t)tally->refused, "datagrams",
		(json_int_t)tally->datagrams, "bytes", (json_int_t)tally->bytes, "elapsed_ns",
		(json_int_t)tally->elapsed_ns, "rate_per_second", rate_of(tally), "late_max_ns",
		(json_int_t)tally->late_max_ns, "behind_max", (json_int_t)tally->behind_max,
		"no_listener", (json_int_t)tally->no_listener, "first_seq",
		tried > 0 ? json_id(0) : json_null(), "last_seq",
		tried > 0 ? json_id(tried - 1) : json_null());
	return cli_print_account("millrace.send/1", data, warnings_of(tally));
}

void send_print_text(const struct send_plan *plan, const struct send_tally *tally)
{
	uint64_t tried = tally->sent + tally->refused;

	fprintf(stderr,
		"id %08x: %" PRIu64 " events sent, %" PRIu64 " refused, %" PRIu64 " bytes in %.3f s"
		" (%.0f/s)\n",
		plan->id, tally->sent, tally->refused, tally->bytes,
		(double)tally->elapsed_ns / 1e9, rate_of(tally));
	if (tried > 0)
		fprintf(stderr,
			"seq 0 to %" PRIu64 ", at most %.3f ms and %" PRIu64
			" events behind schedule\n",
			tried - 1, (double)tally->late_max_ns / 1e6, tally->behind_max);
	if (tally->no_listener > 0)
		fprintf(stderr, "nobody listens there: %" PRIu64 " datagrams\n",
			tally->no_listener);
	else if (tally->last_error != 0)
		fprintf(stderr, "refused: %s\n", strerror(tally->last_error));
}
