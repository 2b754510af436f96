// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: what ZooKeeper holds of a cluster, and the file of its desired state, of any text: it
// is refused, or read, written and read again to the same.

#include "control/live.h"
#include "control/receiver.h"
#include "control/spec.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct config_problems problems;

static void check_spec(struct spec *spec)
{
	struct spec back;
	json_t *written = spec_write(spec), *changes;

	expect(written != NULL);
	expect(spec->count <= SPEC_COUNT_MAX && spec->constraint_count <= CONSTRAINTS_MAX);
	expect(spec->receiver != NULL && strlen(spec->receiver) <= SPEC_CONFIG_MAX);
	expect(spec_read_check(written, &back, &problems) == 0);
	changes = spec_diff(spec, &back);
	expect(json_array_size(changes) == 0 && !spec_needs_restart(spec, &back));
	json_decref(changes);
	json_decref(written);
	spec_free(&back);
	spec_free(spec);
}

static void try_spec(const json_t *json)
{
	struct spec spec;
	int err = spec_read_check(json, &spec, &problems);

	expect(err == 0 || err == -EINVAL);
	expect((err == 0) == (problems.errors == 0));
	if (err == 0)
		check_spec(&spec);
}

static void check_texts(const struct live *live)
{
	for (unsigned i = 0; i < live->listener_count; i++) {
		const struct live_listener *listener = &live->listeners[i];

		expect(listener->address_count <= LIVE_ADDRESSES_MAX);
		for (unsigned a = 0; a < listener->address_count; a++)
			expect(memchr(listener->addresses[a], '\0',
				       sizeof(listener->addresses[a])) != NULL);
	}
}

static void try_live(const json_t *json)
{
	static struct live live, back;
	json_t *written;
	int err = live_read(json, &live);

	expect(err == 0 || err == -EINVAL || err == -EPROTONOSUPPORT);
	if (err != 0)
		return;
	check_texts(&live);
	written = live_write(&live);
	expect(written != NULL && live_read(written, &back) == 0);
	expect(live_compare(&live, &back) == LIVE_SAME);
	json_decref(written);
	live_free(&live);
	live_free(&back);
}

static void try_receiver(const json_t *json)
{
	struct receiver *receiver, *back;
	json_t *written, *again;
	int err = receiver_read(json, &receiver);

	expect(err == 0 || err == -EINVAL);
	if (err != 0)
		return;
	written = receiver_write(receiver);
	expect(written != NULL && receiver_read(written, &back) == 0);
	again = receiver_write(back);
	expect(json_equal(written, again));
	json_decref(written);
	json_decref(again);
	receiver_free(receiver);
	receiver_free(back);
}

static void try_json(const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	try_spec(json);
	try_live(json);
	try_receiver(json);
	json_decref(json);
}

static char dir[] = "/tmp/millrace-fuzz-XXXXXX", path[64];

static void remove_all(void)
{
	unlink(path);
	rmdir(dir);
}

// Where the file's receiver is "r".
static void make_directory(void)
{
	FILE *file;

	expect(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/r", dir);
	atexit(remove_all);
	file = fopen(path, "we");
	expect(file != NULL);
	fputs("ports: [{device: eth1}]\nlisteners: [{port: 5140}]\n", file);
	expect(fclose(file) == 0);
}

// Not of other files: that would be another input than this.
static void try_yaml(const char *text, size_t len)
{
	struct spec spec;
	int err;

	if (memchr(text, '/', len) != NULL)
		return;
	if (path[0] == '\0')
		make_directory();
	err = spec_parse(text, len, dir, &spec, &problems);
	expect(err == 0 || err == -EINVAL);
	expect((err == 0) == (problems.errors == 0));
	if (err == 0)
		check_spec(&spec);
}

// The input: JSON begins as its schemas have it, anything else is YAML.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == '{')
		try_json((const char *)data, size);
	else
		try_yaml((const char *)data, size);
	return 0;
}
