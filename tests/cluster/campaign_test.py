#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 420
"""Everything in a cluster is killed around events that go to Kafka: it has all of them, once.

Three ZooKeeper servers, two Mesos masters, three control processes, three slaves with two receivers, a
broker, four senders; each fault once, in an order of the dice. With --all three masters and each five
times. campaign_test.py --seed N (or MILLRACE_SEED=N) repeats the choices made here. Names of faults are
the plan itself.
"""

import os
import random
import signal
import sys
import time

import campaign
import cluster_campaign
import kafka
import rig

SEED = campaign.take_seed()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.getuid() != 0:
        print("needs root: makes network namespaces")
        sys.exit(77)
    begin = time.monotonic()
    plan = sys.argv[1:] or cluster_campaign.plan_of(random.Random(SEED), 5 if rig.RUN_ALL else 1)
    print(f"seed {SEED}: {' '.join(plan)}", flush=True)
    with kafka.Cluster() as brokers:
        cluster_campaign.run(brokers, SEED, plan, masters=3 if rig.RUN_ALL else 2)
    print(f"ok   {len(plan)} faults, {time.monotonic() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    os.environ.pop("SSL_CERT_FILE", None)
    main()
