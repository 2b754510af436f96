#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 300
"""A bit that falls over in a closed segment: scrubbing finds it, says it, and until it is mended the
receiver is degraded, while events keep coming."""

import json

import logread
import rig
from rig import MILLRACE, expect, expect_equal, sh, wait_until

LOG = {"segment_size": "16MiB", "block_size": "128KiB", "scrub_rate": "4GiB",
       "scrub_interval": "1s"}
BIT = 5 << 20  # in the middle of a segment


def flip(path, offset):
    """Below the reader: through the file, and down to the disk."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))
        file.flush()
        rig.os.fsync(file.fileno())


def closed_segments(receiver):
    return logread.segments(receiver.data / "0")[:-1]


def fill(net, receiver, segments):
    """Sends until there are so many closed segments."""
    while len(closed_segments(receiver)) < segments:
        net.send_events("--rate", 20000, "--count", 10000, "--size", 1400)
        expect(receiver.durable() < 400000, "no segment was closed")


def counter(receiver, name):
    return sum(c["value"] for c in receiver.get("/api/v1/stats")
               if c["subsystem"] == "partition" and c["name"] == name)


def health(receiver):
    data = receiver.get("/healthz")
    return data["health"], data["reasons"]


def scrubbed_anew(receiver, rounds=2):
    """Waits until every closed segment was read after this moment."""
    goal = counter(receiver, "scrubbed_segments") + rounds * len(closed_segments(receiver)) + 1
    wait_until(lambda: counter(receiver, "scrubbed_segments") > goal, "scrubbing went round", 60)


def a_flipped_bit_is_found_and_said_until_it_is_mended(r):
    net = r.net()
    receiver = r.receiver(net, log=LOG).start()
    fill(net, receiver, 3)
    scrubbed_anew(receiver)
    expect_equal(health(receiver), ("ok", []), "health of a whole log")
    expect_equal(receiver.cli("status", check=False).returncode, 0, "exit code of status")

    victim = closed_segments(receiver)[1]
    flip(victim, BIT)
    wait_until(lambda: health(receiver)[0] == "degraded", "the flipped bit was found", 60)
    (reason,) = health(receiver)[1]
    wanted = [str(victim), "damaged at offset", "log repair --yes", str(receiver.data / "0")]
    for word in wanted:
        expect(word in reason, f"'{word}' is missing in: {reason}")
    offset = int(reason.split("offset ")[1].split(",")[0])
    expect(offset <= BIT < offset + (128 << 10), f"block at {offset} does not hold {BIT}")
    expect_equal(counter(receiver, "damaged_places"), 1, "damaged places")
    expect(counter(receiver, "scrubbed_bytes") > 3 * 15 << 20, "bytes read")
    said = [line for line in receiver.log().splitlines() if "scrubbing found damage" in line]
    expect_equal(len(said), 1, "messages")
    expect(all(word in said[0] for word in wanted), said[0])

    status = receiver.cli("status", check=False)
    expect_equal(status.returncode, 1, "exit code of status")
    expect("damaged at offset" in status.stdout, status.stdout)
    verified = receiver.cli("log", "verify", check=False)
    expect_equal(verified.returncode, 4, "exit code of log verify")
    expect(f"offset {offset}," in verified.stdout, verified.stdout)
    durable = receiver.durable()
    sent = net.send_events("--rate", 5000, "--count", 1000)["sent"]
    receiver.wait_durable(durable + sent)

    # Rounds later it is still one place and one message; and so after a restart.
    scrubbed_anew(receiver)
    expect_equal(receiver.log().count("scrubbing found damage"), 1, "messages")
    receiver.stop()
    receiver.start()
    expect_equal(health(receiver)[0], "degraded", "health after a restart")
    receiver.stop()

    repaired = sh(MILLRACE, "--json", "log", "repair", "--yes", receiver.data)
    expect_equal(json.loads(repaired.stdout)["data"][0]["offset_bytes"], offset, "mended place")
    receiver.start()
    wait_until(lambda: health(receiver)[0] == "ok", "the mended place was seen to be mended", 30)
    scrubbed_anew(receiver)
    expect_equal(health(receiver), ("ok", []), "health after the repair")
    expect_equal(counter(receiver, "damaged_places"), 0, "damaged places")
    expect_equal(receiver.cli("log", "verify").returncode, 0, "exit code of log verify")
    receiver.stop()


def damage_goes_with_the_segment_that_retention_takes(r):
    net = r.net()
    receiver = r.receiver(net, log={**LOG, "retain_size": "64MiB"}).start()
    fill(net, receiver, 2)
    victim = closed_segments(receiver)[0]
    flip(victim, BIT)
    wait_until(lambda: health(receiver)[0] == "degraded", "the flipped bit was found", 60)
    while victim.exists():
        net.send_events("--rate", 20000, "--count", 10000, "--size", 1400)
        expect(receiver.durable() < 400000, "nothing was retired")
    wait_until(lambda: health(receiver)[0] == "ok", "the damage was forgotten", 30)
    expect_equal(counter(receiver, "damaged_places"), 0, "damaged places")
    receiver.stop()


rig.run(a_flipped_bit_is_found_and_said_until_it_is_mended,
        damage_goes_with_the_segment_that_retention_takes)
