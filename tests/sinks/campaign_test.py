#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 420
"""Everything fails around events that go to Kafka, files and pull clients: all have all of them, once.

Three brokers, two partitions, 500,000 events and two faults of each kind; with --all five million and
ten of each. campaign_test.py --seed N (or MILLRACE_SEED=N) repeats the choices made here.
"""

import campaign
import rig
import sinks

EVENTS, EACH, SECONDS = (5_000_000, 10, 600) if rig.RUN_ALL else (500_000, 2, 110)
SEED = campaign.take_seed()


def everything_arrives_once_whatever_fails(r, cluster):
    campaign.run(r, cluster, SEED, EVENTS, dict.fromkeys(campaign.FAULTS, EACH), SECONDS)


sinks.run(everything_arrives_once_whatever_fails, brokers=3)
