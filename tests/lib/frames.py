# SPDX-License-Identifier: BSD-3-Clause
"""Frames of a few bytes, for tests that put them on the wire themselves."""

import socket
import struct


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def arp_request(sender_mac, sender, target, tag=b""):
    return (b"\xff" * 6 + sender_mac + tag + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 1)
            + sender_mac + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target)
            + bytes(18))


def ip4(to_mac, from_mac, source, target, proto, payload, ident=0, fragment=0, tag=b""):
    """An IPv4 packet in its frame, its header's checksum right. fragment: flags and offset."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, 64, proto, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    total = sum(struct.unpack("!10H", head))
    head = head[:10] + struct.pack("!H", ~(total % 0xffff) & 0xffff) + head[12:]
    return to_mac + from_mac + tag + b"\x08\x00" + head + payload


def udp(source, target, payload, length=None):
    """Without a checksum, which IPv4 allows. length: another one than it has."""
    return struct.pack("!HHHH", source, target, length or 8 + len(payload), 0) + payload


def udp6(to_mac, from_mac, source, target, ports, payload):
    """A datagram over IPv6 in its frame, with the checksum that IPv6 asks for."""
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    length = 8 + len(payload)
    summed = ends + struct.pack("!II3H", length, socket.IPPROTO_UDP, *ports, length) + payload
    words = summed + bytes(len(summed) % 2)
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    head = struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, 64) + ends
    return (to_mac + from_mac + b"\x86\xdd" + head
            + struct.pack("!4H", *ports, length, ~(total % 0xffff) & 0xffff) + payload)
