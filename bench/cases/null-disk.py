#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The receiver's own work, of the smallest frames: no disk, and a source that costs nothing.

millraced_null is millraced whose writes are done at once and whose packet buffers all hold a valid
frame, so that the null port hands over datagrams without a copy.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import NULL_DISK, NULL_PORT, measure, stage_rows, two_cpus  # noqa: E402
from harness import cpus, main, seconds  # noqa: E402

TARGET = 40e6  # of one lcore


def run(case):
    duration = seconds(10)
    receiver_cpu, _ = cpus()
    null = {"program": NULL_DISK, "log": {"io": "pwrite"}}
    one = measure(case, NULL_PORT, receiver_cpu, duration, **null)
    pipeline = measure(case, NULL_PORT, two_cpus(), duration, mode="pipeline", **null)
    case.row("one_lcore_per_second", one.per_second, "events/s", TARGET)
    stage_rows(case, one, "one_lcore_")
    case.row("pipeline_per_second", pipeline.per_second, "events/s")
    stage_rows(case, pipeline, "pipeline_")


sys.exit(main("null-disk", run))
