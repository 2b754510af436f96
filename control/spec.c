// SPDX-License-Identifier: BSD-3-Clause

#include "common/file.h"
#include "control/spec_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB_BYTES (1024.0 * 1024)

void spec_check(void *holder, const struct config_node *root, struct config_problems *problems)
{
	const struct spec *spec = holder;
	bool attribute = spec->log_attribute[0] != '\0', volume = spec->volume_bytes != 0;

	if (!attribute && !volume)
		problem_add(problems, config_key_line(root, NULL, "log"), false,
			"log: needs 'attribute', or a 'volume' of more than 0");
	else if (attribute && volume)
		problem_add(problems, config_key_line(root, "log", "volume"), false,
			"log.volume: there is log.attribute, too; the log is in one of them");
	if (spec->backoff_max_ns < spec->backoff_ns)
		problem_add(problems, config_key_line(root, NULL, "backoff_max"), false,
			"backoff_max: must be at least backoff");
}

static int check_receiver(const struct spec *spec, size_t len, const char *name, unsigned line,
	struct config_problems *problems)
{
	struct config_problems *own = calloc(1, sizeof(*own));
	struct config *config = calloc(1, sizeof(*config));
	int rc = -ENOMEM;

	if (own != NULL && config != NULL)
		rc = config_parse_elsewhere(spec->receiver, len, spec->lcores, config, own);
	for (unsigned i = 0; rc != -ENOMEM && i < own->count; i++) {
		const struct config_problem *p = &own->list[i];

		if (i == sizeof(own->list) / sizeof(own->list[0])) {
			problem_add(problems, line, rc == 0, "%.64s: and %u more", name,
				own->count - i);
			break;
		}
		if (p->line != 0)
			problem_add(
				problems, line, p->warning, "%.64s:%u: %s", name, p->line, p->text);
		else
			problem_add(problems, line, p->warning, "%.64s: %s", name, p->text);
	}
	free(config);
	free(own);
	return rc;
}

int spec_take_receiver(struct spec *spec, char *text, size_t len, const char *name, unsigned line,
	struct config_problems *problems)
{
	spec->receiver = text;
	if (len > SPEC_CONFIG_MAX) {
		problem_add(problems, line, false, "receiver: %.64s is larger than 64KiB", name);
		return -EINVAL;
	}
	return check_receiver(spec, len, name, line, problems);
}

static int load_receiver(
	struct spec_draft *draft, const char *dir, unsigned line, struct config_problems *problems)
{
	const char *name = draft->receiver;
	char *path = NULL, *text;
	size_t len;
	int rc;

	if (asprintf(&path, "%s%s%s", *name == '/' ? "" : dir, *name == '/' ? "" : "/", name) < 0)
		return -ENOMEM;
	rc = file_read(path, SPEC_CONFIG_MAX, &text, &len);
	free(path);
	if (rc == 0)
		return spec_take_receiver(&draft->spec, text, len, name, line, problems);
	if (rc == -ENOMEM)
		return rc;
	problem_add(problems, line, false, "receiver: %.100s: %s", name,
		rc == -EFBIG ? "is larger than 64KiB" : strerror(-rc));
	return -EINVAL;
}

struct parsing {
	struct spec_draft draft; // first: spec_keys read into it
	unsigned receiver_line;
};

static void check_draft(
	void *holder, const struct config_node *root, struct config_problems *problems)
{
	struct parsing *p = holder;

	spec_check(&p->draft.spec, root, problems);
	p->receiver_line = config_key_line(root, NULL, "receiver");
}

int spec_parse(const char *text, size_t len, const char *dir, struct spec *ret,
	struct config_problems *problems)
{
	struct parsing p = {0};
	int rc, receiver = 0;

	memset(problems, 0, sizeof(*problems));
	memset(ret, 0, sizeof(*ret));
	config_keys_defaults(spec_keys, &p);
	rc = config_keys_parse(spec_keys, text, len, &p, check_draft, problems);
	if (rc != -ENOMEM && p.draft.receiver[0] != '\0')
		receiver = load_receiver(&p.draft, dir, p.receiver_line, problems);
	if (rc == 0)
		rc = receiver;
	if (rc != 0) {
		spec_free(&p.draft.spec);
		return rc;
	}
	*ret = p.draft.spec;
	return 0;
}

void spec_free(struct spec *spec)
{
	free(spec->receiver);
	spec->receiver = NULL;
}

struct resources_need spec_need(const struct spec *spec)
{
	return (struct resources_need){
		.cpus = spec->lcores + 1,
		.mem = (double)spec->mem_bytes / MIB_BYTES,
		.disk = (double)spec->volume_bytes / MIB_BYTES,
		.hugepages = (double)spec->hugepages,
		.lcores = spec->lcores,
		.nics = spec->nics,
	};
}

void spec_print_sample(FILE *out)
{
	fputs("# SPDX-License-Identifier: BSD-3-Clause\n"
	      "# The desired state of a cluster, of every key with its default, for\n"
	      "# 'millrace cluster apply FILE'. 'Change: restart' means that receivers are\n"
	      "# restarted one by one.\n\n",
		out);
	config_keys_print_sample(spec_keys, out);
}
