// SPDX-License-Identifier: BSD-3-Clause
// The receiver that one would write by hand: recvmmsg on one thread, O_DIRECT writes of a megabyte,
// each followed by fdatasync, on another. One line for each datagram, nothing else about it. It is
// favoured where that was simple: a large socket buffer, space allocated ahead, and no promise of
// when an event becomes durable but that its megabyte is full.
//
//   udp_writer ADDRESS PORT FILE      until SIGTERM; then prints one JSON object

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BUFFER_BYTES (1u << 20)
#define BUFFERS 16u
#define BATCH 64u
#define DATAGRAM_MAX 2048u
#define ALLOCATE_BYTES (256ll << 20)
#define PAGE 4096u
#define SOCKET_BUFFER_BYTES (64 << 20)

// Buffers go round: [written, filled) are the writer's, the one at 'filled' is being filled.
struct writer {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *buffer[BUFFERS];
	uint64_t filled, written;
	bool ending;
	int fd;
	int64_t allocated;
	int error;
};

struct receiver {
	struct writer *out;
	int fd;
	uint32_t at; // in the open buffer
	uint64_t events, bytes, waits;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint8_t data[BATCH][DATAGRAM_MAX];
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static int write_buffer(struct writer *w, const uint8_t *buffer, int64_t offset)
{
	size_t done = 0;

	if (offset + BUFFER_BYTES > w->allocated) {
		if (fallocate(w->fd, 0, w->allocated, ALLOCATE_BYTES) != 0)
			return -errno;
		w->allocated += ALLOCATE_BYTES;
	}
	while (done < BUFFER_BYTES) {
		ssize_t n =
			pwrite(w->fd, buffer + done, BUFFER_BYTES - done, offset + (int64_t)done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return fdatasync(w->fd) == 0 ? 0 : -errno;
}

static void *write_loop(void *arg)
{
	struct writer *w = (struct writer *)arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		uint64_t n = w->written;
		int r;

		while (n == w->filled && !w->ending)
			pthread_cond_wait(&w->changed, &w->lock);
		if (n == w->filled)
			break;
		pthread_mutex_unlock(&w->lock);
		r = write_buffer(w, w->buffer[n % BUFFERS], (int64_t)(n * BUFFER_BYTES));
		pthread_mutex_lock(&w->lock);
		if (r != 0)
			w->error = r;
		w->written++;
		pthread_cond_signal(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void buffer_done(struct receiver *r)
{
	struct writer *w = r->out;

	pthread_mutex_lock(&w->lock);
	w->filled++;
	pthread_cond_signal(&w->changed);
	if (w->filled - w->written == BUFFERS)
		r->waits++;
	while (w->filled - w->written == BUFFERS)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	r->at = 0;
}

static void append(struct receiver *r, const uint8_t *data, uint32_t len)
{
	while (len > 0) {
		uint32_t n = BUFFER_BYTES - r->at;

		if (n > len)
			n = len;
		memcpy(r->out->buffer[r->out->filled % BUFFERS] + r->at, data, n);
		r->at += n;
		data += n;
		len -= n;
		if (r->at == BUFFER_BYTES)
			buffer_done(r);
	}
}

static int receive(struct receiver *r, int flags)
{
	int n = recvmmsg(r->fd, r->msg, BATCH, flags, NULL);

	for (int i = 0; i < n; i++) {
		append(r, r->data[i], r->msg[i].msg_len);
		append(r, (const uint8_t *)"\n", 1);
		r->events++;
		r->bytes += r->msg[i].msg_len;
	}
	return n < 0 ? -errno : n;
}

// Until told to stop, then what still lies in the socket. It looks up at least every 100 ms.
static int receive_all(struct receiver *r)
{
	int n = 0;

	while (!stop && (n >= 0 || n == -EINTR || n == -EAGAIN))
		n = receive(r, MSG_WAITFORONE);
	if (stop)
		n = 0;
	while (n >= 0 || n == -EINTR)
		n = receive(r, MSG_DONTWAIT);
	return n == -EAGAIN ? 0 : n;
}

static int open_socket(const char *address, const char *port)
{
	const struct timeval look_up = {.tv_usec = 100000};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int size = SOCKET_BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	to.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return -EINVAL;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look_up, sizeof(look_up));
	if (bind(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
		return -errno;
	return fd;
}

static int open_writer(struct writer *w, const char *path)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	for (unsigned i = 0; i < BUFFERS; i++) {
		if (posix_memalign((void **)&w->buffer[i], PAGE, BUFFER_BYTES) != 0)
			return -ENOMEM;
		memset(w->buffer[i], 0, BUFFER_BYTES);
	}
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0640);
	return w->fd < 0 ? -errno : 0;
}

// The last, unfilled buffer, and the file's true length.
static int finish(struct receiver *r, pthread_t thread)
{
	struct writer *w = r->out;
	int64_t length = (int64_t)(w->filled * BUFFER_BYTES) + r->at;

	if (r->at > 0)
		buffer_done(r);
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(thread, NULL);
	if (w->error == 0 && (ftruncate(w->fd, length) != 0 || fsync(w->fd) != 0))
		w->error = -errno;
	return w->error;
}

int main(int argc, char **argv)
{
	static struct receiver receiver;
	static struct writer writer;
	const struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;
	int r;

	if (argc != 4) {
		fprintf(stderr, "usage: udp_writer ADDRESS PORT FILE\n");
		return 2;
	}
	for (unsigned i = 0; i < BATCH; i++) {
		receiver.iov[i] = (struct iovec){receiver.data[i], DATAGRAM_MAX};
		receiver.msg[i].msg_hdr =
			(struct msghdr){.msg_iov = &receiver.iov[i], .msg_iovlen = 1};
	}
	receiver.out = &writer;
	r = open_writer(&writer, argv[3]);
	if (r == 0)
		r = receiver.fd = open_socket(argv[1], argv[2]);
	if (r < 0) {
		fprintf(stderr, "udp_writer: %s\n", strerror(-r));
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	pthread_create(&thread, NULL, write_loop, &writer);
	r = receive_all(&receiver);
	if (r == 0)
		r = finish(&receiver, thread);
	printf("{\"received\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"waits\": %" PRIu64
	       ", \"error\": %d}\n",
		receiver.events, receiver.bytes, receiver.waits, r);
	return r == 0 ? 0 : 1;
}
