// SPDX-License-Identifier: BSD-3-Clause

#include "cli/problems.h"

#include "cli/cli.h"
#include "common/json.h"

#define LISTED_MAX (sizeof(((struct config_problems *)0)->list) / sizeof(struct config_problem))

static unsigned listed(const struct config_problems *problems)
{
	return problems->count < LISTED_MAX ? problems->count : (unsigned)LISTED_MAX;
}

void problems_print(const struct config_problems *problems, const char *path, FILE *out)
{
	for (unsigned i = 0; i < listed(problems); i++) {
		const struct config_problem *p = &problems->list[i];
		const char *kind = p->warning ? "warning" : "error";

		if (p->line != 0)
			fprintf(out, "%s:%u: %s: %s\n", path, p->line, kind, p->text);
		else
			fprintf(out, "%s: %s: %s\n", path, kind, p->text);
	}
	if (problems->count > listed(problems))
		fprintf(out, "%s: %u more\n", path, problems->count - listed(problems));
}

static json_t *list_json(const struct config_problems *problems)
{
	json_t *ret = json_array();

	for (unsigned i = 0; i < listed(problems); i++) {
		const struct config_problem *p = &problems->list[i];
		json_t *warning = json_warning("", p->text, NULL); // takes text of any bytes
		json_t *row = json_pack("{s:o, s:s, s:O}", "line",
			p->line != 0 ? json_integer(p->line) : json_null(), "severity",
			p->warning ? "warning" : "error", "text", json_object_get(warning, "text"));

		json_decref(warning);
		json_array_append_new(ret, row);
	}
	return ret;
}

void problems_print_json(const struct config_problems *problems, const char *path, bool valid)
{
	json_t *envelope = json_envelope("millrace.config-check/1", NULL,
		json_pack("{s:s, s:b, s:i, s:i, s:o}", "path", path, "valid", (int)valid, "errors",
			(int)problems->errors, "warnings",
			(int)(problems->count - problems->errors), "problems", list_json(problems)),
		NULL);

	cli_print_json(envelope);
	json_decref(envelope);
}
