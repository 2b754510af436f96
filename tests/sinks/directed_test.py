#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# long
# timeout: 300
"""The campaign's short form that the mutants in tests/mutants are tried with: kills of the receiver,
transactions that come to no end, and little else."""

import campaign
import sinks

FAULTS = {"receiver_killed": 6, "broker_paused": 3, "socket_cut": 2}
SEED = campaign.take_seed()


def what_protects_exactly_once_is_needed(r, cluster):
    campaign.run(r, cluster, SEED, 200_000, FAULTS, 60)


sinks.run(what_protects_exactly_once_is_needed)
