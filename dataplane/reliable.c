// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/reliable.h"

#include "batching/batcher.h"
#include "common/clock.h"
#include "common/logmsg.h"
#include "dataplane/append.h"
#include "dataplane/chain.h"
#include "dataplane/compose.h"
#include "dataplane/reliable_internal.h"
#include "transport/bytes.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_RING 1024u
// For each block under way, the sources of which it holds something: at most all its sessions.
#define SNAPSHOTS_PER_SESSION 4u
// Senders with a gap at the same time; beyond that what comes early is sent again.
#define SESSIONS_PER_WINDOW 4u
#define SOURCE_EXPIRY_S (14u * 86400)

static const struct counter_def defs[RECEIVE_COUNTER_COUNT] = {
#define X(name, help) {#name, help, COUNTER_TOTAL, ROLE_NONE},
	RECEIVE_COUNTERS(X)
#undef X
#define X(name, help) {"drop_" #name, help, COUNTER_TOTAL, ROLE_NONE},
		RECEIVE_DROPS(X)
#undef X
};

// A packet's drop for each of the protocol's.
static const uint16_t packet_drops[RECEIVE_COUNTER_COUNT] = {
#define X(name, help) [RECEIVE_DROP_##name] = DROP_rel_##name,
	RECEIVE_DROPS(X)
#undef X
};

static struct receive_config receive_config_of(
	const struct config_reliable *config, const struct wal_id *log_id)
{
	struct receive_config ret = {
		.sources = config->sources,
		.windows = config->sessions / SESSIONS_PER_WINDOW + 1,
		.sessions = config->sessions,
		.snapshots = config->sessions * SNAPSHOTS_PER_SESSION,
		.credit = config->credit_bytes,
		.event_max = config->event_bytes,
		.large_events = config->large_events,
		.source_expiry_s = SOURCE_EXPIRY_S,
	};

	memcpy(ret.log_id, log_id, sizeof(ret.log_id));
	return ret;
}

static void register_counters(struct reliable *rel)
{
	rel->set = (struct counter_set){
		.subsystem = "reliable",
		.defs = defs,
		.values = rel->values,
		.count = RECEIVE_COUNTER_COUNT,
	};
	snprintf(rel->set.labels, sizeof(rel->set.labels), "partition=\"%u\"",
		rel->partition->number);
	counters_register(&rel->set);
}

int reliable_new(struct partition *partition, const struct config_reliable *wanted,
	const struct seal_key *keys, unsigned key_count)
{
	struct receive_config config = receive_config_of(wanted, &partition->recovery.log_id);
	struct reliable *rel = calloc(1, sizeof(*rel));
	int err;

	if (rel == NULL)
		return -ENOMEM;
	partition->reliable = rel;
	rel->partition = partition;
	rel->events = calloc(RECEIVE_EVENTS, sizeof(*rel->events));
	if (rel->events == NULL)
		return -ENOMEM;
	config.key_count = key_count;
	if (key_count > 0)
		memcpy(config.keys, keys, key_count * sizeof(*keys));
	err = receive_make(&rel->receive, &config);
	sodium_memzero(&config, sizeof(config));
	rel->looked = partition->recovery.next_seq;
	return err == 0 ? save_make(rel) : err;
}

void reliable_end(struct partition *partition)
{
	struct reliable *rel = partition->reliable;

	if (rel == NULL)
		return;
	if (rel->set.defs != NULL)
		counters_unregister(&rel->set);
	save_free(rel);
	receive_free(rel->receive);
	free(rel->events);
	free(rel);
	partition->reliable = NULL;
}

static int make_partition(struct dataplane *dp, struct partition *partition,
	const struct seal_key *keys, unsigned key_count)
{
	int err = reliable_new(partition, &dp->config->reliable, keys, key_count);

	if (err != 0)
		return err;
	register_counters(partition->reliable);
	return reliable_restore(partition->reliable, dp->config->data);
}

static int make_rings(struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->port_count; i++) {
		char name[RTE_RING_NAMESIZE];

		snprintf(name, sizeof(name), "answers_%u", i);
		dp->ports[i].acks =
			rte_ring_create(name, ANSWER_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
		if (dp->ports[i].acks == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int read_keys(const struct config *config, struct seal_key *keys, unsigned *count)
{
	char why[256];
	int err;

	*count = 0;
	if (config->reliable.keys[0] == '\0')
		return 0;
	err = reliable_read_keys(config->reliable.keys, keys, count, why);
	if (err != 0)
		log_err("reliable.keys: %s", why);
	return err;
}

unsigned reliable_partition_of(const struct dataplane *dp, uint64_t source)
{
	return wire_slot(source) * dp->partition_count / WIRE_SLOTS;
}

int reliable_make(struct dataplane *dp)
{
	struct seal_key keys[RECEIVE_KEYS];
	unsigned key_count;
	int err;

	if (!plan_has_reliable(dp->config))
		return 0;
	if (sodium_init() < 0)
		return -ENOSYS;
	err = read_keys(dp->config, keys, &key_count);
	if (err != 0)
		return err;
	dp->answers = rte_pktmbuf_pool_create("answers", ANSWERS - 1, 128, 0,
		RTE_PKTMBUF_HEADROOM + COMPOSE_UDP_HEADERS + WIRE_QUESTION_MIN, SOCKET_ID_ANY);
	err = dp->answers != NULL ? make_rings(dp) : -ENOMEM;
	for (unsigned p = 0; err == 0 && p < dp->partition_count; p++)
		err = make_partition(dp, &dp->partitions[p], keys, key_count);
	sodium_memzero(keys, sizeof(keys));
	if (err == 0)
		err = reliable_move(dp);
	if (err == 0)
		err = saver_start(dp);
	if (err == -ENOMEM)
		log_err("no memory for reliable listeners; mend: lower reliable.sources");
	return err;
}

void reliable_free(struct dataplane *dp)
{
	saver_stop(dp);
	for (unsigned p = 0; p < dp->partition_count; p++)
		reliable_end(&dp->partitions[p]);
	for (unsigned i = 0; i < dp->port_count; i++) {
		rte_ring_free(dp->ports[i].acks);
		dp->ports[i].acks = NULL;
	}
	rte_mempool_free(dp->answers);
	dp->answers = NULL;
}

int reliable_give_lcore(struct lcore *lcore)
{
	for (unsigned q = 0; q < lcore->queue_count; q++) {
		const struct rx_queue *queue = &lcore->queues[q];

		// Once for a port, of which it may have several queues.
		if (queue->tx_queue != 0 || queue->port->acks == NULL ||
			(q > 0 && lcore->queues[q - 1].port == queue->port))
			continue;
		lcore->down[lcore->down_count++] = (struct down){queue->port->acks, queue->port};
	}
	return 0;
}

unsigned reliable_partition(const struct dataplane *dp, const uint8_t *payload, uint32_t len)
{
	struct wire_header header;

	if (!wire_read_header(payload, len, &header))
		return 0;
	return reliable_partition_of(dp, header.source);
}

// What may be acknowledged, by the policy of the listeners.
static uint64_t safe_seq(const struct reliable *rel)
{
	uint64_t durable = atomic_load_explicit(
		&wal_state(rel->partition->wal)->durable_seq, memory_order_relaxed);
	uint64_t confirmed = UINT64_MAX;

#ifndef MUTANT_ACK_LOCAL
	if (rel->partition->confirmed != NULL)
		confirmed = atomic_load_explicit(rel->partition->confirmed, memory_order_relaxed);
#endif
	return confirmed < durable ? confirmed : durable;
}

// What was appended until now, once it all is in submitted blocks: the next block has begun, or
// none is open. Never too early: what lies in a submitted block may be said to be in the next one.
static void look_at_blocks(struct reliable *rel)
{
	uint64_t next = wal_next_seq(rel->partition->wal);

	if (next == rel->looked && batcher_rows_open(rel->partition->batcher) > 0)
		return;
	if (rel->count == ENDS)
		return;
	rel->looked = next;
	if (receive_submitted(rel->receive))
		rel->ends[(rel->first + rel->count++) % ENDS] = next;
}

static void look_at_durable(struct reliable *rel)
{
	uint64_t safe = safe_seq(rel);

	while (rel->count > 0 && rel->ends[rel->first] <= safe) {
		receive_durable(rel->receive);
		rel->first = (rel->first + 1) % ENDS;
		rel->count--;
	}
}

static int append(struct lcore *lcore, struct reliable *rel, const struct received *received,
	const struct peer *peer)
{
	const struct config *config = lcore->dp->config;
	struct event event = {
		.payload = received->payload,
		.payload_len = received->len,
		.src_port = peer->port,
		.listener = received->is_opening ? WAL_LISTENER_PROTOCOL
						 : config->listeners[peer->way & UINT16_MAX].number,
		.source_id = received->source,
		.source_epoch = received->epoch,
		.source_seq = received->seq,
	};
	int err;

	memcpy(event.src_addr, peer->address, sizeof(event.src_addr));
	err = batcher_append(rel->partition->batcher, &event);
	return err == -EAGAIN ? pipeline_wait(lcore, rel->partition, &event, NULL) : err;
}

// After a start everything in the logs counts as acknowledged for whoever asks. Where the policy is
// 'sink' it isn't until the sinks say so, of every partition: a source may have been another's.
static bool may_answer(const struct lcore *lcore, struct reliable *rel)
{
	const struct dataplane *dp = lcore->dp;

	if (rel->answers || rel->partition->confirmed == NULL)
		return true;
#ifndef MUTANT_ACK_AT_RESTART
	for (unsigned p = 0; p < dp->partition_count; p++)
		if (atomic_load_explicit(dp->partitions[p].confirmed, memory_order_relaxed) <
			dp->partitions[p].recovery.next_seq)
			return false;
#endif
	rel->answers = true;
	return true;
}

static unsigned append_all(
	struct lcore *lcore, struct reliable *rel, unsigned count, const struct peer *peer)
{
	unsigned done = 0;

	while (done < count && append(lcore, rel, &rel->events[done], peer) == 0)
		done++;
	return done;
}

static void publish(struct reliable *rel)
{
	const uint64_t *counters = receive_counters(rel->receive);

	for (unsigned i = 0; i < RECEIVE_COUNTER_COUNT; i++)
		counter_set(&rel->values[i], counters[i]);
	rel->news = false;
}

void reliable_take(struct lcore *lcore, struct partition *partition, struct rte_mbuf *m,
	const struct packet *packet, int64_t received_at)
{
	struct reliable *rel = partition->reliable;
	uint64_t now = clock_ticks_to_ns(clock_ticks());
	uint8_t *data = rte_pktmbuf_mtod_offset(m, uint8_t *, packet->payload);
	unsigned count, done;
	struct peer peer;
	int dropped;

	if (!may_answer(lcore, rel)) {
		count_drop(lcore, DROP_rel_unconfirmed, 1);
		return;
	}
	peer_of(&peer, lcore, m, packet);
	if (m->nb_segs > 1)
		data = chain_payload(lcore, m, packet);
	set_time(partition, received_at);
	rel->news = true;
	count = receive_take(rel->receive, data, packet->payload_len, &peer, now, rel->events);
	done = append_all(lcore, rel, count, &peer);
	// A block that was submitted on the way holds what came before this datagram.
	look_at_blocks(rel);
	if (count > 0)
		receive_appended(rel->receive, done);
	dropped = receive_dropped(rel->receive);
	if (count > 0 && done == 0)
		count_drop(lcore, DROP_rel_untaken, 1);
	else if (count == 0 && dropped >= 0)
		count_drop(lcore, packet_drops[dropped], 1);
	else
		counter_add(&lcore->values[LCORE_datagrams], 1);
}

static bool poll_partition(struct lcore *lcore, struct partition *partition, uint64_t now)
{
	struct reliable *rel = partition->reliable;
	bool failed =
		atomic_load_explicit(&wal_state(partition->wal)->failed, memory_order_relaxed) != 0;
	bool sent;

	if (failed)
		receive_fail(rel->receive);
	look_at_blocks(rel);
	look_at_durable(rel);
	sent = send_acks(lcore, rel, now);
	save_poll(rel, wal_rotations(partition->wal));
	if (sent || rel->news)
		publish(rel);
	return sent;
}

bool reliable_poll(struct lcore *lcore, uint64_t ticks)
{
	uint64_t now = clock_ticks_to_ns(ticks);
	bool worked = false;

	for (unsigned i = 0; i < lcore->partition_count; i++)
		worked |= poll_partition(lcore, lcore->partitions[i], now);
	return worked;
}

uint64_t reliable_due_ns(const struct lcore *lcore, uint64_t ticks)
{
	uint64_t now = clock_ticks_to_ns(ticks), first = UINT64_MAX;

	for (unsigned i = 0; i < lcore->partition_count; i++) {
		uint64_t due = receive_due(lcore->partitions[i]->reliable->receive);

		first = due < first ? due : first;
	}
	if (first == UINT64_MAX)
		return UINT64_MAX;
	return first > now ? first - now : 0;
}
