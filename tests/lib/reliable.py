# SPDX-License-Identifier: BSD-3-Clause
"""A sender of the reliable protocol, written from docs/protocol.md alone: it sends what a test says."""

import os
import socket
import struct
import time

HELLO, CHALLENGE, OPEN, OPENED, REFUSED, EVENTS, PART, PROBE, ACK, RESET, CLOSE = range(1, 12)
FRESH = 1
HEADER, BODY_MIN = 32, 80


def header(kind, source, epoch, token=0, number=0):
    return struct.pack("<BBHIQQQ", 1, kind, 0, epoch, source, token, number)


def padded(body, least=BODY_MIN):
    return body + bytes(max(0, least - len(body)))


class Ack:
    def __init__(self, body):
        (self.largest, low, high, self.delay, self.credit, self.durable,
         count) = struct.unpack_from("<QQQIIQI", body)
        self.heard = {self.largest} | {self.largest - 1 - i for i in range(128)
                                       if (low | high << 64) >> i & 1}
        self.ranges = [struct.unpack_from("<II", body, 48 + 8 * i) for i in range(count)]


class Sender:
    """One source. Unsigned. Every datagram that it has sent stands in 'sent'."""

    def __init__(self, sockets, to, source=None, epoch=1):
        self.sockets, self.to = sockets, to
        self.source = source or int.from_bytes(os.urandom(8), "little")
        self.epoch, self.token, self.number = epoch, 0, 0
        self.sent = []

    def send(self, data):
        # A challenge is for the address that has asked.
        turn = len(self.sent) if data[1] >= EVENTS else 0
        self.sockets[turn % len(self.sockets)].sendto(data, self.to)
        self.sent.append(data)

    def take(self, seconds):
        """(kind, header, body) of the next answer; None: none came."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for sock in self.sockets:
                sock.setblocking(False)
                try:
                    data = sock.recv(2048)
                except (BlockingIOError, ConnectionRefusedError):
                    continue
                return data[1], struct.unpack("<BBHIQQQ", data[:HEADER]), data[HEADER:]
            time.sleep(0.0005)
        return None

    def ask(self, data, kinds, tries=20):
        """Sends until an answer of one of the kinds comes."""
        for _ in range(tries):
            self.send(data)
            answer = self.take(0.5)
            while answer is not None and answer[0] not in kinds:
                answer = self.take(0.5)
            if answer is not None:
                return answer
        raise AssertionError(f"no answer of kinds {kinds} to {data[:2]}")

    def hello(self):
        """What OPEN has to bring back."""
        random = os.urandom(32)
        _, _, body = self.ask(header(HELLO, self.source, self.epoch) + padded(random, 160),
                              (CHALLENGE,))
        assert body[:32] == random
        return body

    def open(self, first_seq=0, flags=FRESH, prev=(0, 0, bytes(16))):
        """OPENED's durable, or REFUSED's (reason, epoch)."""
        challenge = self.hello()
        body = challenge + struct.pack("<IIQIIQ16s", flags, 0, first_seq, prev[0], 0, prev[1], prev[2])
        kind, _, body = self.ask(header(OPEN, self.source, self.epoch) + padded(body, 160),
                                 (OPENED, REFUSED))
        if kind == REFUSED:
            return struct.unpack_from("<II", body, 32)
        self.token, self.log_id, durable, self.credit, self.window, self.event_max = (
            struct.unpack_from("<Q16sQIII", body, 64))
        self.number = 0
        return durable

    def next_header(self, kind):
        self.number += 1
        return header(kind, self.source, self.epoch, self.token, self.number)

    def events(self, first_seq, payloads):
        body = b"".join(struct.pack("<H", len(p)) + p for p in payloads)
        body = struct.pack("<QHHI", first_seq, len(payloads), 0, len(body)) + body
        self.send(self.next_header(EVENTS) + padded(body))

    def parts(self, seq, payload, size=1024):
        for offset in range(0, len(payload), size):
            part = payload[offset:offset + size]
            self.send(self.next_header(PART) + padded(
                struct.pack("<QIIH6x", seq, len(payload), offset, len(part)) + part))

    def probe(self, first_seq=0, next_seq=0):
        self.send(self.next_header(PROBE) + padded(struct.pack("<QQ", first_seq, next_seq)))

    def wait_ack(self, wanted, seconds=10):
        """The first ACK for which 'wanted' holds; probes now and then, as a sender does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = self.take(0.2)
            if answer is None:
                self.probe()
            elif answer[0] == ACK and answer[1][5] == self.token:
                ack = Ack(answer[2])
                if wanted(ack):
                    return ack
            elif answer[0] == RESET:
                raise AssertionError("the session was reset")
        raise AssertionError("waited in vain for an ACK")

    def wait_durable(self, seq, seconds=10):
        return self.wait_ack(lambda ack: ack.durable >= seq, seconds)


def sender_of(net, to, port, sockets=1, **options):
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    return Sender([net.udp_socket(family) for _ in range(sockets)], (to, port), **options)
