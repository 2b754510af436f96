// SPDX-License-Identifier: BSD-3-Clause
// A path that loses, doubles and reorders: a relay of UDP between one sender and one receiver. Each
// datagram of either direction waits for the base delay; some are lost, some are sent twice, some
// are held back longer and so come behind later ones. The same seed and the same datagrams make the
// same decisions.
//
//   impair [--delay-us N] [--loss PERCENT] [--duplicate PERCENT] [--reorder PERCENT] [--hold-us N]
//          [--seed N] LISTEN TO        (IPv4:PORT each) until SIGTERM; then prints one JSON object
//
// What it loses unasked is counted apart: what its sockets dropped because it was too slow, and
// what it had no room to keep.

#include "common/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64u
#define ROUNDS 4u   // batches in one go; then it is the other direction's turn
#define LANE 16384u // datagrams; a power of two
#define DATAGRAM_MAX 2048u
#define SOCKET_BUFFER_BYTES (16 << 20)
#define SECOND_NS 1000000000ull

struct waiting {
	uint64_t due;
	uint32_t len;
	uint8_t data[DATAGRAM_MAX];
};

// All wait equally long, so that the first to come is the first to go.
struct lane {
	uint64_t delay;
	uint64_t first, end;
	struct waiting *ring;
};

struct way {
	int from, to;
	uint64_t random;
	struct lane lanes[2];              // the base delay; held back
	struct sockaddr_in *learns, *peer; // NULL: the socket knows
	uint64_t received, forwarded, lost, doubled, held, overflow, refused;
	uint64_t late_max; // ns behind the time at which one was due
};

struct odds {
	uint64_t loss, duplicate, reorder; // of 2^32
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

// splitmix64, its upper half.
static uint64_t draw(struct way *w)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (z ^ z >> 31) >> 32;
}

static void keep(struct way *w, struct lane *lane, const uint8_t *data, uint32_t len, uint64_t now)
{
	struct waiting *slot = &lane->ring[lane->end % LANE];

	if (lane->end - lane->first == LANE) {
		w->overflow++;
		return;
	}
	slot->due = now + lane->delay;
	slot->len = len;
	memcpy(slot->data, data, len);
	lane->end++;
}

// Each question is asked of each datagram, so that one rate doesn't change what another decides.
static void judge(
	struct way *w, const struct odds *odds, const uint8_t *data, uint32_t len, uint64_t now)
{
	bool lost = draw(w) < odds->loss, twice = draw(w) < odds->duplicate;
	bool held = draw(w) < odds->reorder;
	struct lane *lane = &w->lanes[held];

	w->received++;
	w->lost += lost;
	if (lost)
		return;
	w->held += held;
	w->doubled += twice;
	for (unsigned copies = twice ? 2 : 1; copies > 0; copies--)
		keep(w, lane, data, len, now);
}

// True: there may be more.
static bool take_batch(struct way *w, const struct odds *odds)
{
	static uint8_t data[BATCH][DATAGRAM_MAX];
	struct sockaddr_in from[BATCH];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint64_t now;
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){data[i], DATAGRAM_MAX};
		msg[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
		if (w->learns != NULL) {
			msg[i].msg_hdr.msg_name = &from[i];
			msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
		}
	}
	n = recvmmsg(w->from, msg, BATCH, MSG_DONTWAIT, NULL);
	now = clock_monotonic_ns();
	for (int i = 0; i < n; i++)
		judge(w, odds, data[i], msg[i].msg_len, now);
	if (n > 0 && w->learns != NULL)
		*w->learns = from[n - 1];
	return n == (int)BATCH;
}

static struct lane *earlier(struct way *w)
{
	struct lane *a = &w->lanes[0], *b = &w->lanes[1];

	if (a->first == a->end)
		return b->first == b->end ? NULL : b;
	if (b->first == b->end)
		return a;
	return a->ring[a->first % LANE].due <= b->ring[b->first % LANE].due ? a : b;
}

static void hand_over(struct way *w, struct mmsghdr *msg, unsigned n)
{
	for (unsigned at = 0; at < n;) {
		int sent = sendmmsg(w->to, msg + at, n - at, 0);

		if (sent > 0) {
			w->forwarded += (unsigned)sent;
			at += (unsigned)sent;
		} else if (errno != EINTR) {
			w->refused++;
			at++;
		}
	}
}

// True: there may be more.
static bool give_batch(struct way *w, uint64_t now)
{
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct lane *lane;
	unsigned n = 0;

	// A slot stays as it is until take_batch() comes round.
	while (n < BATCH && (lane = earlier(w)) != NULL) {
		struct waiting *slot = &lane->ring[lane->first % LANE];

		if (slot->due > now)
			break;
		if (now - slot->due > w->late_max)
			w->late_max = now - slot->due;
		iov[n] = (struct iovec){slot->data, slot->len};
		msg[n].msg_hdr = (struct msghdr){.msg_iov = &iov[n], .msg_iovlen = 1};
		if (w->peer != NULL) {
			msg[n].msg_hdr.msg_name = w->peer;
			msg[n].msg_hdr.msg_namelen = sizeof(*w->peer);
		}
		lane->first++;
		n++;
	}
	hand_over(w, msg, n);
	return n == BATCH;
}

static void sleep_until_due(struct way ways[2])
{
	struct pollfd fds[] = {
		{.fd = ways[0].from, .events = POLLIN}, {.fd = ways[1].from, .events = POLLIN}};
	uint64_t due = UINT64_MAX, now = clock_monotonic_ns(), left = SECOND_NS;
	struct timespec t;

	for (unsigned i = 0; i < 2; i++) {
		const struct lane *lane = earlier(&ways[i]);

		if (lane != NULL && lane->ring[lane->first % LANE].due < due)
			due = lane->ring[lane->first % LANE].due;
	}
	if (due <= now)
		return;
	if (due - now < left)
		left = due - now;
	t = (struct timespec){
		.tv_sec = (time_t)(left / SECOND_NS), .tv_nsec = (long)(left % SECOND_NS)};
	ppoll(fds, 2, &t, NULL);
}

static void relay(struct way ways[2], const struct odds *odds)
{
	while (!stop) {
		for (unsigned i = 0; i < 2; i++) {
			for (unsigned round = 0; round < ROUNDS; round++)
				if (!take_batch(&ways[i], odds))
					break;
			while (give_batch(&ways[i], clock_monotonic_ns()))
				;
		}
		sleep_until_due(ways);
	}
}

static uint32_t dropped_by_socket(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

static void print_way(const char *name, const struct way *w)
{
	printf("\"%s\": {\"received\": %" PRIu64 ", \"forwarded\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"doubled\": %" PRIu64 ", \"held\": %" PRIu64 ", \"overflow\": %" PRIu64
	       ", \"refused\": %" PRIu64 ", \"socket_drops\": %" PRIu32
	       ", \"late_max_ns\": %" PRIu64 "}",
		name, w->received, w->forwarded, w->lost, w->doubled, w->held, w->overflow,
		w->refused, dropped_by_socket(w->from), w->late_max);
}

static bool parse_endpoint(const char *text, struct sockaddr_in *ret)
{
	const char *colon = strchr(text, ':');
	char host[INET_ADDRSTRLEN];

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	ret->sin_family = AF_INET;
	ret->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return ret->sin_port != 0 && inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

static int open_socket(const struct sockaddr_in *own, const struct sockaddr_in *peer)
{
	int size = SOCKET_BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (own != NULL && bind(fd, (const struct sockaddr *)own, sizeof(*own)) != 0)
		return -errno;
	if (peer != NULL && connect(fd, (const struct sockaddr *)peer, sizeof(*peer)) != 0)
		return -errno;
	return fd;
}

static int make_lanes(struct way *w, uint64_t delay, uint64_t hold)
{
	for (unsigned i = 0; i < 2; i++) {
		w->lanes[i].delay = delay + (i == 1 ? hold : 0);
		w->lanes[i].ring = calloc(LANE, sizeof(struct waiting));
		if (w->lanes[i].ring == NULL)
			return -ENOMEM;
	}
	return 0;
}

struct options {
	struct odds odds;
	uint64_t delay, hold, seed;
	struct sockaddr_in own, to;
};

static bool parse_percent(const char *text, uint64_t *ret)
{
	char *end;
	double percent = strtod(text, &end);

	*ret = (uint64_t)(percent / 100 * 4294967296.0);
	return end != text && *end == '\0' && percent >= 0 && percent <= 100;
}

static bool parse_number(const char *text, uint64_t unit, uint64_t *ret)
{
	char *end;

	*ret = strtoull(text, &end, 10) * unit;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{"delay-us", required_argument, NULL, 'd'},
		{"loss", required_argument, NULL, 'l'},
		{"duplicate", required_argument, NULL, '2'},
		{"reorder", required_argument, NULL, 'r'},
		{"hold-us", required_argument, NULL, 'h'},
		{"seed", required_argument, NULL, 's'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if ((c == 'd' && parse_number(optarg, 1000, &o->delay)) ||
			(c == 'h' && parse_number(optarg, 1000, &o->hold)) ||
			(c == 's' && parse_number(optarg, 1, &o->seed)) ||
			(c == 'l' && parse_percent(optarg, &o->odds.loss)) ||
			(c == '2' && parse_percent(optarg, &o->odds.duplicate)) ||
			(c == 'r' && parse_percent(optarg, &o->odds.reorder)))
			continue;
		return false;
	}
	return argc - optind == 2 && parse_endpoint(argv[optind], &o->own) &&
	       parse_endpoint(argv[optind + 1], &o->to);
}

static int make_ways(struct way ways[2], const struct options *o)
{
	static struct sockaddr_in sender;
	int near = open_socket(&o->own, NULL), far = open_socket(NULL, &o->to), r;

	if (near < 0 || far < 0)
		return near < 0 ? near : far;
	ways[0] = (struct way){.from = near, .to = far, .random = o->seed, .learns = &sender};
	ways[1] = (struct way){.from = far, .to = near, .random = ~o->seed, .peer = &sender};
	r = make_lanes(&ways[0], o->delay, o->hold);
	return r != 0 ? r : make_lanes(&ways[1], o->delay, o->hold);
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct options options = {.seed = 1};
	static struct way ways[2];
	int r;

	if (!parse(&options, argc, argv)) {
		fprintf(stderr, "usage: impair [--delay-us N] [--loss PERCENT] [--duplicate "
				"PERCENT] [--reorder PERCENT] [--hold-us N] [--seed N] IPv4:PORT "
				"IPv4:PORT\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	prctl(PR_SET_TIMERSLACK, 1ul);
	r = make_ways(ways, &options);
	if (r < 0) {
		fprintf(stderr, "impair: %s\n", strerror(-r));
		return 1;
	}
	relay(ways, &options.odds);
	printf("{");
	print_way("there", &ways[0]);
	printf(", ");
	print_way("back", &ways[1]);
	printf("}\n");
	return 0;
}
