#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A sender that may be killed at any moment, and leaves behind what it was told: told.py PATH NAME RECEIVERS

Lines of PATH, each written before anything comes of it or after it was said: 'source ID', 'sends N'
(events below seq N may be on their way), 'durable SEQ', 'left N' (a stop, and not everything durable).
The bytes of an event follow from NAME and seq.
"""

import os
import pathlib
import random
import signal
import sys
import time


def payload(name, seq):
    """Small ones, some empty, some larger than a datagram."""
    dice = random.Random(f"{name} {seq}")
    kind = dice.random()
    if kind < 0.02:
        return b""
    return dice.randbytes(dice.randint(5000, 40000) if kind < 0.03 else dice.randint(8, 900))


class Account:
    """What a sender has written down."""

    def __init__(self, path, name):
        self.name, self.source, self.sends, self.left, self.durable = name, None, 0, None, set()
        text = pathlib.Path(path).read_text() if pathlib.Path(path).exists() else ""
        for line in text[:text.rfind("\n") + 1].splitlines():
            word, number = line.split()
            if word == "durable":
                self.durable.add(int(number))
            else:
                setattr(self, word, int(number))


def main():
    import millrace  # not needed by who reads the account
    path, name, receivers = sys.argv[1:4]
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    sender = millrace.Sender(receivers, reports=True, failover_after=0.5)

    def tell(*lines):
        os.write(out, "".join(line + "\n" for line in lines).encode())

    def tell_durable():
        tell(*(f"durable {r.seq}" for r in sender.reports() if r.fate == millrace.Fate.DURABLE))

    tell(f"source {sender.source}")
    pace = random.Random(name)
    seq = 0
    while not stopping:
        end = seq + pace.randint(1, 40)
        tell(f"sends {end}")
        while seq < end and not stopping:
            try:
                assert sender.send(payload(name, seq), timeout=0.1) == seq
                seq += 1
            except millrace.Full:
                tell_durable()
        tell_durable()
        time.sleep(pace.uniform(0, 0.04))
    left = sender.stop(20)
    tell_durable()
    tell(f"left {left}")


if __name__ == "__main__":
    main()
