// SPDX-License-Identifier: BSD-3-Clause
// Datagrams in and out, many with one system call.

#include "lib/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_BUFFER (1 << 20)
#define TAKE_BATCHES 8u // one after another; then it is the turn of what is to be sent

// What a router would have to cut it drops and says so: the size is found by trying (RFC 8899).
static void forbid_fragments(int fd, int family)
{
	int v4 = IP_PMTUDISC_DO, v6 = IPV6_PMTUDISC_DO;

	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof(v6));
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof(v4));
}

int socket_open(const struct target *target)
{
	int family = target->address.ss_family;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int size = SEND_BUFFER;
	int err;

	if (fd < 0)
		return -errno;
	forbid_fragments(fd, family);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, (const struct sockaddr *)&target->address, target->address_len) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static void point(struct mmsghdr *message, struct iovec *iov, uint8_t *bytes, uint32_t room)
{
	*iov = (struct iovec){bytes, room};
	*message = (struct mmsghdr){.msg_hdr = {.msg_iov = iov, .msg_iovlen = 1}};
}

int socket_buffers_make(struct io *io, uint32_t mtu)
{
	io->out_room = mtu;
	io->out_bytes = malloc((size_t)BATCH * mtu);
	io->in_bytes = malloc((size_t)BATCH * ANSWER_ROOM);
	io->out = calloc(BATCH, sizeof(*io->out));
	io->in = calloc(BATCH, sizeof(*io->in));
	io->out_iov = calloc(BATCH, sizeof(*io->out_iov));
	io->in_iov = calloc(BATCH, sizeof(*io->in_iov));
	if (io->out_bytes == NULL || io->in_bytes == NULL || io->out == NULL || io->in == NULL ||
		io->out_iov == NULL || io->in_iov == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < BATCH; i++) {
		point(&io->out[i], &io->out_iov[i], io->out_bytes + (size_t)i * mtu, mtu);
		point(&io->in[i], &io->in_iov[i], io->in_bytes + (size_t)i * ANSWER_ROOM,
			ANSWER_ROOM);
	}
	return 0;
}

void socket_buffers_free(struct io *io)
{
	free(io->out_bytes);
	free(io->in_bytes);
	free(io->out);
	free(io->in);
	free(io->out_iov);
	free(io->in_iov);
}

// An ICMP error of an earlier datagram is no answer to this one, and forged easily: it is told and
// changes nothing.
static void note_error(struct io *io, int error)
{
	if (error != EMSGSIZE && error != io->noted)
		note(io, error, "%.150s: %s", io->target.name, strerrordesc_np(error));
}

void take_datagrams(struct io *io)
{
	for (unsigned batch = 0; io->fd >= 0 && batch < TAKE_BATCHES; batch++) {
		int n = recvmmsg(io->fd, io->in, BATCH, MSG_DONTWAIT, NULL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			note_error(io, errno);
			continue;
		}
		for (int i = 0; i < n; i++)
			send_take(io->half, io->in_iov[i].iov_base, io->in[i].msg_len, io->now);
		io->answers += n > 0 ? (unsigned)n : 0;
		if (n < (int)BATCH)
			return;
	}
}

// Until there is none left, or the socket has no room. What the system refuses is lost, as if the
// network had lost it.
static void hand_over(struct io *io)
{
	bool again = false;

	while (io->out_at < io->out_n) {
		int n = sendmmsg(io->fd, io->out + io->out_at, io->out_n - io->out_at, 0);

		if (n > 0) {
			io->out_at += (unsigned)n;
			again = false;
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR)
			continue;
		note_error(io, errno);
		// That was about an earlier one.
		if (errno == ECONNREFUSED && !again) {
			again = true;
			continue;
		}
		io->out_at++;
		again = false;
	}
}

void give_datagrams(struct io *io)
{
	if (io->fd < 0)
		return;
	if (io->out_at == io->out_n) {
		io->out_at = io->out_n = 0;
		while (io->out_n < BATCH) {
			uint32_t len = send_next(io->half, io->now,
				io->out_bytes + (size_t)io->out_n * io->out_room);

			if (len == 0)
				break;
			io->out_iov[io->out_n++].iov_len = len;
		}
	}
	hand_over(io);
}
