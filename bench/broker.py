# SPDX-License-Identifier: BSD-3-Clause
"""A Kafka broker for the cases, with what Kafka's own script gives it."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys
import time

from harness import BenchError

TREE = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = TREE / "tests/lib"
sys.path.append(str(LIBRARY))  # for rig
for modules in (TREE / ".venv/lib").glob("python3*/site-packages"):
    sys.path.append(str(modules))  # a client of Kafka: scripts/deps.sh bench

# By its path: a case has the same name.
spec = importlib.util.spec_from_file_location("kafka_brokers", LIBRARY / "kafka.py")
brokers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(brokers)

JAVA = ["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
PORT = brokers.PORT


def wait_for(condition, timeout, what):
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until:
            raise BenchError(f"{what}: not within {timeout} s")
        time.sleep(0.02)


def start(case, address="127.0.0.1", netns=None, more=""):
    """Its process; it listens."""
    folder = case.dir / "kafka"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = folder / "server.properties"
    config.write_text(brokers.properties(folder, address=address, more=more), encoding="utf-8")
    case.run(brokers.java(JAVA, "kafka.tools.StorageTool", "format", "-t", brokers.CLUSTER_ID, "-c",
                          config), 60, netns=netns)
    broker = case.start(brokers.java(JAVA, "kafka.Kafka", config), netns=netns,
                        stdout=subprocess.DEVNULL)
    inside = ["ip", "netns", "exec", netns] if netns else []
    wait_for(lambda: b"" != subprocess.run(
        [*inside, "ss", "-Hltn", f"sport = :{PORT}"], check=True,
        capture_output=True).stdout or broker.poll() is not None, 60, "the broker listens")
    if broker.poll() is not None:
        raise BenchError("the broker does not start")
    return broker
