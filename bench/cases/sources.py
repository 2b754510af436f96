#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A million senders at one partition: what each costs in memory, in opening, and in an event of every one."""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import BUILD, cpus, main  # noqa: E402

MANY, FEW = 1_000_000, 1000
EVENTS = 3_000_000
IDLE_BYTES = 128


def measure(case, sources, cpu):
    return json.loads(case.run([os.fspath(BUILD / "bench/sources"), str(sources),
                                str(EVENTS // sources)], 300, cpu=cpu))


def run(case):
    cpu, _ = cpus()
    few, many = (measure(case, count, cpu) for count in (FEW, MANY))
    case.row("bytes_idle", many["source_bytes"], "bytes/source", IDLE_BYTES)
    case.row("bytes_with_session", many["bytes"], "bytes/source")
    case.row("opened_per_second", many["opened_per_second"], "sessions/s")
    case.row("events_per_second_of_a_thousand", few["events_per_second"], "events/s")
    case.row("events_per_second", many["events_per_second"], "events/s",
             few["events_per_second"] / 2)
    case.row("acks_per_event", many["acks"] / EVENTS, "")


sys.exit(main("sources", run))
