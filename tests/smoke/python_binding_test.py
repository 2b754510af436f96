#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test
# timeout: 180
"""connectors/python, installed by pip from the tree: events of a Python program are acknowledged by
millraced; what goes wrong is an exception that says why."""

import os
import pathlib
import shutil
import subprocess
import sys

import logread
import rig
from rig import PORT, RECEIVER4, expect, expect_equal

TREE = pathlib.Path(os.environ.get("MILLRACE_TREE", pathlib.Path(__file__).parents[2]))
LIBRARY = rig.BUILD / "lib/libmillrace.so.0"

PROGRAM = r"""
import select, sys, tempfile, threading
import millrace

to = sys.argv[1]
with millrace.Sender(to, reports=True) as sender:
    assert sender.source != 0
    seqs = [sender.send(b"one %d" % i, timeout=None) for i in range(5000)]
    assert seqs == list(range(5000))
    def more():
        for i in range(1000):
            sender.send(b"more %d" % i, timeout=None)
    threads = [threading.Thread(target=more) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.send(b"")
    sender.flush(20)
    assert sender.durable == 7001
    assert select.select([sender], [], [], 5)[0] == [sender]
    reports = sender.reports()
    assert [r.seq for r in reports] == list(range(7001))
    assert {r.fate for r in reports} == {millrace.Fate.DURABLE}
    stats = sender.stats()
    assert stats["acknowledged"] == stats["events"] == 7001 and stats["open"] == 1, stats
assert sender.close() == 0

# Nobody is there: room ends, and what was given is not acknowledged.
sender = millrace.Sender(["10.77.0.99:1", "10.77.0.98:1"], bytes_max=1 << 20, reports=True)
try:
    for i in range(10000):
        sender.send(bytes(1000))
    raise SystemExit("no end of room")
except millrace.Full:
    pass
try:
    sender.flush(0.2)
    raise SystemExit("it was flushed")
except TimeoutError:
    pass
assert sender.stop(0) == i
assert {r.fate for r in sender.reports()} == {millrace.Fate.FAILED}
assert sender.close() == i

# With a spool: what nobody took goes to the next.
with tempfile.TemporaryDirectory() as spool:
    sender = millrace.Sender("10.77.0.99:1", spool=spool, reports=True)
    source = sender.source
    for i in range(300):
        sender.send(b"kept %d" % i)
    assert sender.stop(0) == 300 and sender.spooled == 300
    assert {r.fate for r in sender.reports()} == {millrace.Fate.SPOOLED}
    sender.close()
    with millrace.Sender(to, spool=spool) as sender:
        assert sender.source == source and sender.send(b"kept 300") == 300
        try:
            millrace.Sender(to, spool=spool)
            raise SystemExit("a spool has two senders")
        except OSError as error:
            print(error)
        sender.flush(20)
        assert sender.stats()["acknowledged"] == 301

for wrong in ({"receivers": "nowhere"}, {"receivers": to, "mtu": 7},
              {"receivers": to, "key": b"short", "key_id": 1}):
    try:
        millrace.Sender(**wrong)
        raise SystemExit(f"{wrong} was taken")
    except ValueError as error:
        print(error)
try:
    sender.send(b"")
    raise SystemExit("a closed sender took an event")
except ValueError:
    pass
print(millrace.version())
"""


def a_python_program_sends(r):
    # Of a copy: pip builds beside the sources.
    tree, place = r.home / "python", r.home / "site"
    shutil.copytree(TREE / "connectors/python", tree)
    rig.sh(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
           "--no-build-isolation", "--disable-pip-version-check", "--root-user-action=ignore",
           "--target", place, tree,
           env=dict(os.environ, PIP_NO_CACHE_DIR="1"))
    expect((place / "millrace/py.typed").exists(), "type hints are told")
    net = r.net()
    receiver = r.receiver(net, device="af_xdp:rx0", listeners=[
        {"name": "sure", "port": PORT, "kind": "reliable"}]).start()
    program = r.home / "program.py"
    program.write_text(PROGRAM)
    done = net.sh("tx", sys.executable, program, f"{RECEIVER4}:{PORT}", check=False,
                  env=dict(os.environ, PYTHONPATH=str(place), MILLRACE_LIBRARY=str(LIBRARY)))
    expect_equal(done.returncode, 0, f"exit code ({done.stdout} {done.stderr[-2000:]})")
    expect("mtu: 1232 to 65487" in done.stdout, done.stdout)
    receiver.at_rest()
    receiver.stop()
    wanted = [b"one %d" % i for i in range(5000)] + 2 * [b"more %d" % i for i in range(1000)] + [b""]
    wanted += [b"kept %d" % i for i in range(301)]
    expect_equal(sorted(logread.read_events(receiver.data)), sorted(wanted), "events in the log")


def without_the_library_the_mend_is_told(r):
    done = subprocess.run([sys.executable, "-c", "import millrace"], capture_output=True, text=True,
                          env={"PYTHONPATH": str(TREE / "connectors/python"), "PATH": ""},
                          check=False)
    expect("mend: meson install, or set MILLRACE_LIBRARY" in done.stderr, done.stderr)


rig.run(a_python_program_sends, without_the_library_the_mend_is_told)
