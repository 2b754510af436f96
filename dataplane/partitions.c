// SPDX-License-Identifier: BSD-3-Clause
// Opens and closes the partitions' logs, and the ports. Control thread.

#include "batching/batcher.h"
#include "common/logmsg.h"
#include "dataplane/dataplane.h"
#include "wal/scrub.h"

#include <jansson.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// {"0":{"name":"syslog","port":514},...}, for the segments' metadata. The caller frees it.
static char *listeners_json(const struct config *config)
{
	json_t *all = json_object();
	char *text;

	for (unsigned i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		char number[8];
		snprintf(number, sizeof(number), "%u", listener->number);
		json_object_set_new(all, number,
			json_pack("{s:s, s:i}", "name", listener->name, "port",
				(int)listener->udp_port));
	}
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return text;
}

static void tell_recovery(unsigned number, const struct wal_recovery *found)
{
	char id[33];

	wal_id_text(&found->log_id, id);
	if (found->created)
		log_notice("partition %u: new log %s", number, id);
	else
		log_notice("partition %u: log %s goes on at seq %" PRIu64 ", batch %" PRIu64
			   ", generation %u; %" PRIu64 " bytes verified",
			number, id, found->next_seq, found->next_batch, found->generation,
			found->verified_bytes);
	if (found->cut_bytes > 0)
		log_warn("partition %u: a torn tail of %" PRIu64 " bytes was cut off %s; in it %u "
			 "blocks of %" PRIu64 " events were intact but not durable",
			number, found->cut_bytes, found->cut_file, found->cut_intact_blocks,
			found->cut_intact_rows);
}

static void tell_refusal(unsigned number, int err, const char *why)
{
	log_err("partition %u: %s%s", number, why[0] != '\0' ? why : "can't open its log: ",
		why[0] != '\0' ? "" : strerror(-err));
}

// The same log twice would be delivered twice under one name.
static int refuse_twins(const struct dataplane *dp, unsigned number)
{
	for (unsigned i = 0; i < number; i++) {
		if (!wal_id_equal(&dp->partitions[i].recovery.log_id,
			    &dp->partitions[number].recovery.log_id))
			continue;
		log_err("partitions %u and %u hold the same log: one directory is a copy of the "
			"other. Move the copy out of %s",
			i, number, dp->config->data);
		return -EEXIST;
	}
	return 0;
}

static int open_partition(struct dataplane *dp, unsigned number, int lock_fd, const char *listeners)
{
	struct partition *partition = &dp->partitions[number];
	char dir[CONFIG_PATH_MAX + 16], why[512] = "";
	struct wal_options options = {
		.dir = dir,
		.partition = number,
		.receiver = dp->config->receiver,
		.listeners = listeners,
		.log = dp->config->log,
		.lock_fd = lock_fd,
		.hugepages = dp->config->hugepages,
		.hold = true,
		.recent_bytes = plan_recent_bytes(dp->config),
	};
	int err;

	partition->number = number;
	partition->lcore = dp->plan.partition_lcore[number];
	snprintf(dir, sizeof(dir), "%s/%u", dp->config->data, number);
	err = wal_open(&partition->wal, &options, &partition->recovery, why);
	if (err != 0) {
		tell_refusal(number, err, why);
		// The log of another partition: refused for safety, as twins are.
		return err == -EINVAL ? -EEXIST : err;
	}
	dp->partition_count = number + 1;
	tell_recovery(number, &partition->recovery);
	err = refuse_twins(dp, number);
	if (err == 0)
		err = batcher_new(&partition->batcher, partition->wal, number, &dp->config->log);
	return err;
}

int partitions_open(struct dataplane *dp, int lock_fd)
{
	char *listeners = listeners_json(dp->config);
	int err = listeners != NULL ? 0 : -ENOMEM;

	for (unsigned i = 0; err == 0 && i < dp->config->partitions; i++)
		err = open_partition(dp, i, lock_fd, listeners);
	free(listeners);
	return err;
}

int partitions_scrub(struct dataplane *dp)
{
	const struct config_log *log = &dp->config->log;
	struct wal_scrub_options options = {
		.rate = log->scrub_rate, .interval_ns = log->scrub_interval_ns};
	struct wal *logs[CONFIG_PARTITIONS_MAX];
	int err;

	if (log->scrub_rate == 0)
		return 0;
	for (unsigned i = 0; i < dp->partition_count; i++)
		logs[i] = dp->partitions[i].wal;
	err = wal_scrub_start(&dp->scrub, logs, dp->partition_count, &options);
	if (err != 0)
		log_err("can't start scrubbing: %s", strerror(-err));
	return err;
}

void partitions_close(struct dataplane *dp)
{
	wal_scrub_stop(dp->scrub);
	dp->scrub = NULL;
	for (unsigned i = 0; i < dp->partition_count; i++) {
		if (dp->partitions[i].batcher != NULL)
			batcher_free(dp->partitions[i].batcher);
		wal_close(dp->partitions[i].wal);
	}
	dp->partition_count = 0;
}

int ports_open(struct dataplane *dp)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < dp->config->port_count; i++) {
		dp->port_count = i + 1;
		err = port_open(&dp->ports[i], i, dp->config, &dp->plan);
	}
	return err;
}

void ports_close(struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->port_count; i++)
		port_close(&dp->ports[i]);
	dp->port_count = 0;
}
