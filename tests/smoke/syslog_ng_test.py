#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
"""syslog-ng forwards to millrace relay without a change, by every way it has; the receiver is
killed meanwhile, and each message is in the log, once.

Debian's syslog-ng and its rsyslog can't be installed together, so this one is only unpacked.
"""

import collections
import os
import re
import signal
import socket
import subprocess

import debs
import logread
import rig
from rig import MILLRACE, PORT, RECEIVER4, expect, expect_equal, wait_until

PACKAGES = ["syslog-ng-core", "libivykis0", "libnet1", "libpcre3"]
SYSLOG = 5514
EACH = 1500


def syslog_ng(r):
    """Its command, with what it needs to find."""
    root = rig.BUILD.resolve() / "syslog-ng"
    if not root.exists():
        try:
            debs.unpack(PACKAGES, root)
        except AssertionError:
            debs.update()
            debs.unpack(PACKAGES, root)
    modules = next((root / "usr/lib/syslog-ng").glob("[0-9]*"))
    libraries = [root / "usr/lib/x86_64-linux-gnu", root / "usr/lib/syslog-ng",
                 root / "lib/x86_64-linux-gnu"]
    path = ":".join(map(str, libraries))
    return modules.name, [
        "env", f"LD_LIBRARY_PATH={path}", root / "usr/sbin/syslog-ng", "-F", "--no-caps",
        f"--module-path={modules}", "-p", r.home / "pid", "-c", r.home / "ctl", "-R",
        r.home / "persist"]


def write_config(r, version, source):
    config = r.home / "syslog-ng.conf"
    config.write_text(f"""
@version: {version}
options {{ keep-hostname(yes); log-fifo-size(20000); time-reopen(1); }};
source app {{ unix-dgram("{source}" so-rcvbuf(4194304)); }};
filter counted {{ message("counted"); }};
filter lines {{ message("lines"); }};
filter datagram {{ message("datagram"); }};
destination counted {{ syslog("127.0.0.1" transport("tcp") port({SYSLOG})); }};
destination lines {{ network("127.0.0.1" transport("tcp") port({SYSLOG + 1})); }};
destination datagram {{ network("127.0.0.1" transport("udp") port({SYSLOG})); }};
log {{ source(app); filter(counted); destination(counted); }};
log {{ source(app); filter(lines); destination(lines); }};
log {{ source(app); filter(datagram); destination(datagram); }};
""")
    return config


def start_relay(r, net):
    relay = r.popen(net.command(
        "tx", MILLRACE, "relay", "--reliable", f"{RECEIVER4}:{PORT}", "--listen",
        f"udp:{SYSLOG},tcp:{SYSLOG},tcp:{SYSLOG + 1}", "--spool", r.home / "spool"),
        stderr=subprocess.PIPE, text=True)
    expect_equal(relay.stderr.readline(), "millrace relay: ready\n", "first words")
    return relay


def syslog_ng_needs_no_change(r):
    net = r.net()
    receiver = r.receiver(net, device="af_xdp:rx0", listeners=[
        {"name": "sure", "port": PORT, "kind": "reliable"}]).start()
    relay = start_relay(r, net)
    version, command = syslog_ng(r)
    path = r.home / "log"
    daemon = r.popen(net.command("tx", *command, "-f", write_config(r, version, path)))
    wait_until(path.exists, "syslog-ng listens", 20)
    wanted = [f"{way} {i}" for i in range(EACH) for way in ("counted", "lines", "datagram")]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.fspath(path))
        for i, text in enumerate(wanted):
            s.send(f"<13>Oct 11 22:14:15 app: {text}".encode())
            if i == len(wanted) // 2:
                receiver.kill()
    receiver.start()
    wait_until(lambda: receiver.durable() >= len(wanted), "syslog-ng forwarded everything", 60)
    daemon.terminate()
    daemon.wait(30 * rig.PATIENCE)
    relay.send_signal(signal.SIGTERM)
    expect_equal(relay.wait(60 * rig.PATIENCE), 0, "exit code of millrace relay")
    receiver.at_rest()
    receiver.stop()
    events = logread.read_events(receiver.data)
    found = [m[0].decode() for m in
             (re.search(rb"(counted|lines|datagram) \d+$", event) for event in events) if m]
    expect_equal(collections.Counter(found), collections.Counter(wanted), "messages")
    expect(any(re.match(rb"<13>1 ", event) for event in events), "RFC 5424 as it was written")


rig.run(syslog_ng_needs_no_change)
