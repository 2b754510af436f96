#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 240
"""millrace relay between who writes syslog and millraced: logger, rsyslogd, and plain connections
know nothing of it, and each of their messages is in the log once, byte for byte."""

import collections
import json
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import logread
import rig
from rig import MILLRACE, PORT, RECEIVER4, expect, expect_equal, wait_until

LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"}]
SYSLOG = 5514
HERE = ("127.0.0.1", SYSLOG)
CONNECTIONS = 1024
LARGE, LARGE_COUNT = 60000, 1700  # bytes; more than the relay and both kernels' buffers keep


class Relay:
    def __init__(self, r, net, listen=f"udp:{SYSLOG},tcp:{SYSLOG}", *words):
        self.net = net
        self.process = r.popen(
            net.command("tx", MILLRACE, "--json", "relay", "--reliable", f"{RECEIVER4}:{PORT}",
                        "--listen", listen, *words),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        expect_equal(line, "millrace relay: ready\n", "first words")

    def stop(self, code=0):
        """Its account."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60 * rig.PATIENCE)
        expect_equal(self.process.returncode, code, f"exit code of millrace relay ({err})")
        return json.loads(out)["data"]

    def connect(self, to=HERE):
        with self.net.inside("tx"):
            return socket.create_connection(to, timeout=60 * rig.PATIENCE)

    def send(self, stream, to=HERE):
        with self.connect(to) as s:
            s.sendall(stream)


def receiver_of(r, net):
    return r.receiver(net, device="af_xdp:rx0", listeners=LISTENERS)


def counted(message):
    return b"%d %s" % (len(message), message)


def dropped(account):
    return {reason: count for reason, count in account["dropped"].items() if count}


def check_log(receiver, wanted):
    """Each once, whatever the order: connections have none among each other."""
    found = logread.read_events(receiver.data)
    expect_equal(sorted(found), sorted(wanted), "events in the log")


def messages_are_events_byte_for_byte(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    relay = Relay(r, net, f"udp:{SYSLOG},tcp:127.0.0.1:{SYSLOG},tcp:[::1]:{SYSLOG + 1}")
    wanted = []
    with net.udp_socket() as s, net.udp_socket(socket.AF_INET6) as s6:
        for payload in (b"<34>1 - - - - - - \xef\xbb\xbfudp", b"<13>Oct 11 22:14:15 su: x\n", b"\0\xff",
                        b"u" * 65507):
            s.sendto(payload, HERE)
            wanted.append(payload)
        s6.sendto(b"<13>by IPv6", ("::1", SYSLOG))
        s.sendto(b"", HERE)
    wanted.append(b"<13>by IPv6")
    relay.send(b"<13>a line\r\n\n<13>another\nwithout an end")
    wanted += [b"<13>a line", b"<13>another", b"without an end"]
    relay.send(counted(b"<13>with\na newline") + counted(b"<13>\0\xff\r\n") + b"30 <13>a client dies in",
               ("::1", SYSLOG + 1))
    wanted += [b"<13>with\na newline", b"<13>\0\xff\r\n"]
    relay.send(b"1732575600 seconds\n" + b"l" * 65536 + b"\n" + b"m" * 65537 + b"\nnever\n")
    wanted += [b"1732575600 seconds", b"l" * 65536]
    with relay.connect() as slow:  # in pieces, and unfinished when the relay ends
        for byte in counted(b"<13>slow") + b"<13>slower\n<13>the end":
            slow.sendall(bytes([byte]))
        wanted += [b"<13>slow", b"<13>slower", b"<13>the end"]
        receiver.wait_durable(len(wanted))  # the source's opening, too, but not the end
        account = relay.stop()
    receiver.stop()
    check_log(receiver, wanted)
    expect_equal(account["messages"], {"udp": 5, "tcp": len(wanted) - 5}, "messages")
    expect_equal(account["acknowledged"], len(wanted), "acknowledged")
    expect_equal(dropped(account), {"cut_off": 1, "too_long": 1}, "dropped")
    expect_equal(account["connections"], 4, "connections")


def logger_and_nc_need_no_change(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    relay = Relay(r, net)
    kinds = [(way, syntax, *count) for way in ("--udp", "--tcp")
             for syntax in ("--rfc5424", "--rfc3164")
             for count in ((), ("--octet-count",)) if way == "--tcp" or not count]
    for i, kind in enumerate(kinds):
        for j in range(5):
            net.sh("tx", "logger", "-n", HERE[0], "-P", SYSLOG, "-t", "tag", *kind,
                   f"message {i}.{j}")
    net.sh("tx", "nc", "-N", *HERE, input="<13>tag message n.c\n")
    account = relay.stop()
    receiver.at_rest()
    receiver.stop()
    found = sorted(logread.read_events(receiver.data))
    texts = [re.fullmatch(rb"<13>.*tag.* (message [\dn]\.[\dc])", event) for event in found]
    expect(all(texts), f"other events than logger's: {found}")
    expect_equal(sorted(text[1].decode() for text in texts),
                 sorted(f"message {i}.{j}" for i in range(len(kinds)) for j in range(5))
                 + ["message n.c"], "messages")
    expect_equal(account["messages"], {"udp": 10, "tcp": 21}, "messages")
    expect_equal(dropped(account), {}, "dropped")


def write_lines(relay, name, count, framing, kill):
    """What was sent. With 'kill' the client is reset in the middle of its last message."""
    messages = [b"<13>%s %d" % (name, i) for i in range(count)]
    with relay.connect() as s:
        for i in range(0, count, 50):
            s.sendall(b"".join(map(framing, messages[i:i + 50])))
            time.sleep(0.02)
        if kill:
            s.sendall(framing(b"<13>broken off" + b"x" * 2000)[:1000])
    return messages


def everything_once_through_kills_of_the_receiver(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    relay = Relay(r, net)
    count = 5000
    sent = []
    framings = {b"counted": counted, b"lines": lambda message: message + b"\n"}
    threads = [threading.Thread(target=lambda n=name: sent.append(
        write_lines(relay, n, count, framings[n], n == b"counted"))) for name in framings]
    for thread in threads:
        thread.start()
    udp = [b"<13>datagram %d" % i for i in range(400)]
    with net.udp_socket() as s:
        for i, payload in enumerate(udp):
            s.sendto(payload, HERE)
            time.sleep(0.005)
            if i % 150 == 100:
                receiver.kill()
                receiver.start()
    for thread in threads:
        thread.join()
    account = relay.stop()
    receiver.at_rest()
    receiver.stop()
    check_log(receiver, udp + sum(sent, []))
    expect_equal(len(sent), 2, "clients that ended well")
    expect_equal(account["acknowledged"], 2 * count + len(udp), "acknowledged")
    expect_equal((account["unacknowledged"], dropped(account)), (0, {"cut_off": 1}), "lost")


def connections_wait_for_room(r):
    """No receiver: what doesn't fit stays with its sender, datagrams are dropped and counted."""
    net = r.net()
    relay = Relay(r, net)
    progress = [0]

    def fill():
        with relay.connect() as s:
            for i in range(LARGE_COUNT):
                s.sendall((b"%08d" % i).ljust(LARGE, b"x") + b"\n")
                progress[0] = i + 1

    def stuck():
        before = progress[0]
        time.sleep(1)
        return before == progress[0] > 0

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    wait_until(stuck, "the sender waits", 30)
    expect(progress[0] < LARGE_COUNT, "the relay takes without an end")
    with net.udp_socket() as s:
        for _ in range(10):
            s.sendto(b"u" * 60000, HERE)
    receiver = receiver_of(r, net).start()
    thread.join(60 * rig.PATIENCE)
    expect_equal(progress[0], LARGE_COUNT, "messages that the sender got rid of")
    account = relay.stop()
    receiver.at_rest()
    receiver.stop()
    numbers = collections.Counter(int(event[:8]) for event in logread.read_events(receiver.data)
                                  if event[:1] != b"u")
    expect_equal(sorted(numbers.elements()), list(range(LARGE_COUNT)), "events in the log")
    expect_equal(account["messages"]["udp"] + account["dropped"]["no_room"], 10, "datagrams")
    expect(account["dropped"]["no_room"] > 0, f"account {account}")


def what_nobody_acknowledges_is_exit_code_1(r):
    net = r.net()
    relay = Relay(r, net, f"udp:{SYSLOG},tcp:{SYSLOG}", "--wait", "300ms")
    relay.send(b"a\nb\n")
    account = relay.stop(1)
    expect_equal((account["acknowledged"], account["unacknowledged"]), (0, 2), "acknowledged")


def a_spool_outlives_the_relay(r):
    net = r.net()
    spool = r.home / "spool"
    words = f"udp:{SYSLOG},tcp:{SYSLOG}", "--spool", spool, "--wait", "300ms"
    lines = [b"line %d %s" % (i, bytes(50)) for i in range(2000)]
    relay = Relay(r, net, *words)
    relay.send(b"".join(line + b"\n" for line in lines[:1000]))
    wait_until(lambda: sum(f.stat().st_size for f in spool.glob("*.events")) > 1000 * 60,
               "all of it is in the spool", 20)
    relay.process.kill()
    relay.process.wait()
    relay = Relay(r, net, *words)
    relay.send(b"".join(line + b"\n" for line in lines[1000:1500]))
    account = relay.stop()
    expect_equal((account["found"], account["acknowledged"], account["spooled"]), (1000, 0, 1500),
                 "found, acknowledged and left in the spool")
    receiver = receiver_of(r, net).start()
    relay = Relay(r, net, *words)
    second = rig.sh(MILLRACE, "relay", "--reliable", "h:1", "--listen", "udp:0", "--spool", spool,
                    check=False)
    expect_equal((second.returncode, "another process has this spool" in second.stderr), (5, True),
                 f"what a second relay says ({second.stderr})")
    relay.send(b"".join(line + b"\n" for line in lines[1500:]))
    receiver.wait_durable(len(lines) + 1)  # and the epoch
    expect_equal(relay.stop()["acknowledged"], len(lines), "acknowledged")
    receiver.at_rest()
    receiver.stop()
    check_log(receiver, lines)


def connections_have_a_limit(r):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < 2 * CONNECTIONS:
        raise rig.Skip(f"{most} descriptors at most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * CONNECTIONS, most))
    net = r.net()
    receiver = receiver_of(r, net).start()
    relay = Relay(r, net)
    taken = [relay.connect() for _ in range(CONNECTIONS)]
    for _ in range(3):
        with relay.connect() as s:
            expect_equal(s.recv(1), b"", "what one too many gets")
    taken.pop().close()
    for i, s in enumerate(taken):
        s.sendall(b"%d\n" % i)
        s.close()
    receiver.wait_durable(len(taken) + 1)
    relay.send(b"there is a place again\n")
    account = relay.stop()
    receiver.at_rest()
    receiver.stop()
    check_log(receiver, [b"%d" % i for i in range(len(taken))] + [b"there is a place again"])
    expect_equal((account["connections"], account["connections_refused"]), (CONNECTIONS + 1, 3),
                 "connections")


def what_is_no_address_is_told(r):
    for listen in ("udp:0", "udp:65536", "udp:", "udp", "http:80", "tcp:name:5", "tcp:::1:5",
                   "tcp:[::1:5", "tcp:[]:5", "", "udp:5514,", "udp:5514,tcp:x"):
        done = rig.sh(MILLRACE, "relay", "--reliable", "h:1", f"--listen={listen}", check=False)
        expect_equal((done.returncode, "want udp:[ADDRESS:]PORT" in done.stderr), (2, True),
                     f"exit code and words of --listen {listen}")


def rsyslogd_needs_no_change(r):
    """The receiver is killed meanwhile."""
    net = r.net()
    receiver = receiver_of(r, net).start()
    relay = Relay(r, net)
    path = r.home / "log"
    config = r.home / "rsyslog.conf"
    config.write_text(f"""
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{path}")
global(workDirectory="{r.home}")
if $msg contains "counted" then
	action(type="omfwd" target="{HERE[0]}" port="{SYSLOG}" protocol="tcp"
		tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")
else if $msg contains "lines" then
	action(type="omfwd" target="{HERE[0]}" port="{SYSLOG}" protocol="tcp"
		template="RSYSLOG_TraditionalForwardFormat")
else if $msg contains "datagram" then
	action(type="omfwd" target="{HERE[0]}" port="{SYSLOG}" protocol="udp")
""")
    rsyslogd = r.popen(net.command("tx", "rsyslogd", "-n", "-f", config, "-i", r.home / "pid"))
    wait_until(path.exists, "rsyslogd listens", 20)
    wanted = [f"{way} {i}" for way in ("counted", "lines", "datagram") for i in range(1500)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(path))
        for i, text in enumerate(wanted):
            s.send(f"<13>Oct 11 22:14:15 app: {text}".encode())
            if i == 2000:
                receiver.kill()
    receiver.start()
    wait_until(lambda: receiver.durable() >= len(wanted), "rsyslogd forwarded everything", 30)
    rsyslogd.terminate()
    rsyslogd.wait(30 * rig.PATIENCE)
    account = relay.stop()
    receiver.at_rest()
    receiver.stop()
    events = logread.read_events(receiver.data)
    texts = [re.search(rb"(counted|lines|datagram) \d+$", event) for event in events]
    expect(all(texts), f"an event of its own: {[e for e, t in zip(events, texts) if not t][:3]}")
    expect_equal(sorted(text[0].decode() for text in texts), sorted(wanted), "messages")
    expect(any(re.match(rb"<13>1 ", event) for event in events), "RFC 5424 as it was written")
    expect_equal(account["acknowledged"], len(wanted), "acknowledged")
    expect_equal(dropped(account), {}, "dropped")


rig.run(messages_are_events_byte_for_byte, logger_and_nc_need_no_change,
        everything_once_through_kills_of_the_receiver, connections_wait_for_room,
        what_nobody_acknowledges_is_exit_code_1, a_spool_outlives_the_relay, connections_have_a_limit,
        what_is_no_address_is_told, rsyslogd_needs_no_change)
