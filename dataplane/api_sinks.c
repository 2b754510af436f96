// SPDX-License-Identifier: BSD-3-Clause
// /api/v1/sinks

#include "common/json.h"
#include "dataplane/receiver.h"

static json_t *cursor_json(const struct sink_status *status)
{
	char id[33];

	if (!status->has_cursor)
		return json_null();
	wal_id_text(&status->cursor.log_id, id);
	return json_pack("{s:s, s:o, s:o}", "log_id", id, "batch", json_id(status->cursor.batch),
		"seq", json_id(status->cursor.seq));
}

static void add_counters(json_t *data, const struct sink_status *status)
{
	static const struct {
		const char *name;
		enum sink_counter counter;
	} shown[] = {
		{"batches_total", SINK_batches},
		{"events_total", SINK_events},
		{"retries_total", SINK_retries},
		{"quarantined_total", SINK_quarantined},
		{"repaired_total", SINK_repaired},
		{"doubled_total", SINK_doubled},
		{"given_up_total", SINK_given_up},
	};

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		json_object_set_new(data, shown[i].name,
			json_integer((json_int_t)status->counters[shown[i].counter]));
}

static json_t *sink_json(const struct sink_status *status)
{
	char since[40];
	json_t *data = json_pack("{s:s, s:s, s:i, s:b, s:s, s:s, s:s?, s:o, s:I, s:I}", "sink",
		status->config->name, "kind", sink_driver_of(status->config->kind)->kind,
		"partition", (int)status->partition, "required", (int)status->config->required,
		"state", sink_state_text(status->state), "since", time_text(status->since, since),
		"why", status->why[0] != '\0' ? status->why : NULL, "cursor", cursor_json(status),
		"lag_batches", (json_int_t)status->lag_batches, "lag_events",
		(json_int_t)status->lag_events);

	if (data == NULL)
		return json_null();
	add_counters(data, status);
	return data;
}

void api_sinks(const struct http_request *req, struct http_reply *reply, void *arg)
{
	const struct receiver *r = arg;

	(void)req;
	reply->schema = "millrace.sinks/1";
	reply->data = json_array();
	for (unsigned i = 0; i < sinks_count(r->sinks); i++) {
		struct sink_status status;

		sinks_status(r->sinks, i, &status);
		json_array_append_new(reply->data, sink_json(&status));
	}
}
