// SPDX-License-Identifier: BSD-3-Clause
// A handle's begin and end.

#include "lib/client.h"

#include "common/thread.h"
#include "lib/io.h"
#include "lib/resolve.h"
#include "lib/spooling.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BYTES_MAX (64ull << 20)
#define FAILOVER_MS 10000u
// The smallest path's is where it begins; an Ethernet's without a tunnel is what it may find.
#define MTU_MAX 1472u
#define MS_NS 1000000ull
#define SPOOL_KEPT_MIN (2ull << 20) // room for the largest event

static int complain(char *why, const char *text)
{
	snprintf(why, MILLRACE_TEXT, "%s", text);
	return -EINVAL;
}

// What a caller of an older version doesn't know is zero.
static int read_options(
	struct millrace_options *ret, const struct millrace_options *options, char *why)
{
	memset(ret, 0, sizeof(*ret));
	if (options->size < offsetof(struct millrace_options, flags) + sizeof(ret->flags) ||
		options->size > 4096)
		return complain(why, "size: not that of struct millrace_options");
	memcpy(ret, options, options->size < sizeof(*ret) ? options->size : sizeof(*ret));
	if ((ret->receivers == NULL) == (ret->resolve == NULL))
		return complain(why, "receivers: either they or resolve must be given");
	if (ret->next != NULL && ret->resolve == NULL)
		return complain(why, "next: belongs to a resolve");
	if ((ret->key == NULL) != (ret->key_id == 0))
		return complain(why, "key_id: a key has one, from 1");
	if (ret->cipher != MILLRACE_XCHACHA20_POLY1305 && ret->cipher != MILLRACE_AES_256_GCM)
		return complain(why, "cipher: there is no such one");
	if (ret->mtu != 0 && (ret->mtu < WIRE_MTU_MIN || ret->mtu > WIRE_MTU_MAX))
		return complain(why, "mtu: 1232 to 65487");
	if ((ret->flags & ~MILLRACE_REPORTS) != 0)
		return complain(why, "flags: unknown ones are set");
	return 0;
}

static int take_key(struct seal_key *key, const struct millrace_options *options, char *why)
{
	if (options->key == NULL)
		return 0;
	key->id = options->key_id;
	key->cipher = options->cipher == MILLRACE_AES_256_GCM ? SEAL_AES_256_GCM
							      : SEAL_XCHACHA20_POLY1305;
	memcpy(key->secret, options->key, sizeof(key->secret));
	if (seal_cipher_here(key->cipher))
		return 0;
	complain(why, "cipher: this CPU hasn't it");
	return -ENOTSUP;
}

static int make_lock(struct millrace *m)
{
	pthread_condattr_t attributes;
	int err = -pthread_condattr_init(&attributes);

	if (err != 0)
		return err;
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	err = -pthread_cond_init(&m->changed, &attributes);
	if (err == 0)
		err = -pthread_cond_init(&m->to_spool, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->stop_lock, NULL);
	return err;
}

static void handle_free(struct millrace *m)
{
	io_free(m->io);
	spooling_close(m);
	receiver_list_free(m->list);
	queue_free(&m->queue);
	free(m->spare);
	free(m->fates);
	if (m->fd >= 0)
		close(m->fd);
	if (m->wake >= 0)
		close(m->wake);
	pthread_cond_destroy(&m->changed);
	pthread_cond_destroy(&m->to_spool);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->stop_lock);
	free(m);
}

static int handle_make(struct millrace **ret, const struct millrace_options *options)
{
	uint32_t failover_ms = options->failover_after_ms;
	struct millrace *m = calloc(1, sizeof(*m));
	int err;

	if (m == NULL)
		return -ENOMEM;
	err = make_lock(m);
	if (err != 0) {
		free(m);
		return err;
	}
	m->spool_lock = -1;
	m->wish = MILLRACE_NONE;
	m->bytes_max = options->bytes_max != 0 ? options->bytes_max : BYTES_MAX;
	m->failover_ns = (failover_ms != 0 ? failover_ms : FAILOVER_MS) * MS_NS;
	m->wants_reports = (options->flags & MILLRACE_REPORTS) != 0;
	m->event_max = MILLRACE_EVENT_MAX;
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0 || m->wake < 0) {
		err = errno == ENFILE ? -ENFILE : -EMFILE;
		handle_free(m);
		return err;
	}
	*ret = m;
	return 0;
}

static int take_receivers(struct millrace *m, const struct millrace_options *options, char *why)
{
	int err;

	m->resolve = options->resolve;
	m->next = options->next;
	m->resolve_arg = options->resolve_arg;
	if (m->resolve != NULL)
		return 0;
	err = receiver_list_make(&m->list, options->receivers, why);
	m->resolve = receiver_list_resolve;
	m->resolve_arg = m->list;
	return err;
}

static int take_source(struct millrace *m, const struct millrace_options *options,
	struct send_config *config, char *why)
{
	struct spool_found found = {.epoch.number = 1};
	int err = 0;

	if (options->spool != NULL) {
		err = spooling_open(m, options, &found, why);
		config->bytes_max =
			m->bytes_max / 2 > SPOOL_KEPT_MIN ? m->bytes_max / 2 : SPOOL_KEPT_MIN;
	} else {
		// Callers are bounded by bytes_max before it comes to this.
		config->bytes_max = UINT64_MAX / 2;
		// Not 0, which is no source's.
		while (m->source == 0)
			randombytes_buf(&m->source, sizeof(m->source));
	}
	config->source = m->source;
	config->epoch = found.epoch;
	config->resumed = found.resumed;
	config->sent_end = found.next_seq;
	config->first_seq = found.durable;
	return err;
}

static int start(struct millrace *m, const struct millrace_options *options, char *why)
{
	struct send_config config = {
		.mtu = WIRE_MTU_MIN,
		.mtu_probe = options->mtu != 0 ? options->mtu : MTU_MAX,
	};
	int err = take_receivers(m, options, why);

	if (err == 0)
		err = take_key(&config.key, options, why);
	if (err == 0)
		err = take_source(m, options, &config, why);
	if (err == 0)
		err = io_make(&m->io, m, &config);
	sodium_memzero(&config.key, sizeof(config.key));
	if (err == 0)
		err = spooling_start(m);
	if (err != 0)
		return err;
	err = thread_start(&m->thread, "millrace", io_main, m->io);
	if (err != 0)
		spooling_end(m);
	return err;
}

int millrace_open(struct millrace **ret, const struct millrace_options *options, char *why)
{
	struct millrace_options known;
	struct millrace *m = NULL;
	char text[MILLRACE_TEXT] = "";
	int err = sodium_init() < 0 ? -EIO : read_options(&known, options, text);

	if (err == 0)
		err = handle_make(&m, &known);
	if (err == 0)
		err = start(m, &known, text);
	if (err == 0)
		*ret = m;
	else if (m != NULL)
		handle_free(m);
	if (err != 0 && text[0] == '\0')
		snprintf(text, sizeof(text), "%s", strerrordesc_np(-err));
	if (why != NULL)
		memcpy(why, text, sizeof(text));
	return err;
}

static enum millrace_fate fate_at_end(const struct io *io, uint64_t seq)
{
	bool taken = seq < send_next_seq(io->half);

	if (taken && send_is_durable(io->half, seq))
		return MILLRACE_DURABLE;
	if (seq < io->m->spooled)
		return MILLRACE_SPOOLED;
	return taken && send_was_sent(io->half, seq) ? MILLRACE_UNCERTAIN : MILLRACE_FAILED;
}

// The thread has ended: what it knew is told to all who wait.
static void settle(struct millrace *m)
{
	uint64_t left = m->next_seq - m->durable;

	m->fates = left > 0 ? malloc(left) : NULL;
	m->unconfirmed = left;
	for (uint64_t i = 0; m->fates != NULL && i < left; i++) {
		m->fates[i] = (uint8_t)fate_at_end(m->io, m->durable + i);
		m->unconfirmed -= m->fates[i] == MILLRACE_DURABLE;
	}
	m->ended = true;
	tell_callers(m);
	pthread_cond_broadcast(&m->changed);
}

static void end_threads(struct millrace *m)
{
	spooling_end(m);
	pthread_mutex_lock(&m->lock);
	m->ending = true;
	pthread_mutex_unlock(&m->lock);
	eventfd_write(m->wake, 1);
	pthread_join(m->thread, NULL);
	pthread_mutex_lock(&m->lock);
	settle(m);
	pthread_mutex_unlock(&m->lock);
	spooling_close(m);
}

uint64_t millrace_stop(struct millrace *m, int timeout_ms)
{
	uint64_t left;
	bool ended;

	pthread_mutex_lock(&m->stop_lock);
	pthread_mutex_lock(&m->lock);
	m->stopping = true;
	ended = m->ended;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	if (!ended) {
		millrace_flush(m, timeout_ms);
		end_threads(m);
	}
	pthread_mutex_lock(&m->lock);
	left = m->unconfirmed;
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_unlock(&m->stop_lock);
	return left;
}

uint64_t millrace_close(struct millrace *m, int timeout_ms)
{
	uint64_t left;

	if (m == NULL)
		return 0;
	left = millrace_stop(m, timeout_ms);
	handle_free(m);
	return left;
}
