# SPDX-License-Identifier: BSD-3-Clause
"""A source that is never empty and loses nothing, and the log that must come of it.

The pcap port gives millraced the same frames over and over, beginning with the first at each
start, and waits when it isn't polled. So what stands in the log is known to the byte: in each run
of millraced, row after row, the events from the first on.
"""

import re

import logread
import pyarrow
import pyarrow.compute
import pyarrow.ipc
from rig import MILLRACE, PORT, RECEIVER4, expect, expect_equal, printed_durable, sh

FRAMES = 8192
RUN_ID = "0badcafe"
PCAP_FILE_HEADER, PCAP_FRAME_HEADER, UDP4_HEADERS = 24, 16, 42
MBUFS = 32767  # the port keeps FRAMES of them for good


class Endless:
    def __init__(self, r, size=1000):
        self.capture = r.home / "events.pcap"
        sh(MILLRACE, "send", "--port", f"net_pcap0,tx_pcap={self.capture}", "--no-huge", "--to",
           f"{RECEIVER4}:{PORT}", "--rate", "max", "--size", size, "--count", FRAMES, "--id",
           RUN_ID)
        self.device = f"net_pcap0,rx_pcap={self.capture},infinite_rx=1"
        frames = self.capture.read_bytes()
        step = PCAP_FRAME_HEADER + UDP4_HEADERS + size
        first = PCAP_FILE_HEADER + PCAP_FRAME_HEADER + UDP4_HEADERS
        events = [frames[at:at + size] for at in range(first, len(frames), step)]
        expect_equal(logread.sent_numbers(events, RUN_ID), list(range(FRAMES)), "frames")
        self.events = pyarrow.array(events, pyarrow.binary())

    def receiver(self, r, data=None, **config):
        """A receiver of it with small segments, of which only a few are kept."""
        log = {"segment_size": "16MiB", "block_size": "256KiB", "retain_size": "64MiB",
               "commit_interval": "2ms", "seal_interval": "20ms", **config.pop("log", {})}
        receiver = r.receiver(device=self.device, log=log,
                              memory={"hugepages": False, "mbufs": MBUFS}, **config)
        if data is not None:
            receiver.data = receiver.config["data"] = data
        return receiver

    def check(self, directory, durable):
        """Every row of a partition at rest, against what was sent and is reported as durable.

        Returns the seqs (first, behind the last).
        """
        run, begin, seq = None, 0, None  # generation, seq at which its event 0 would stand
        first = None
        for path in logread.segments(directory):
            generation, batches = read_segment(path)
            for seqs, payloads in batches:
                if len(seqs) == 0:
                    continue
                at = seqs[0].as_py()
                if seq is None:
                    first, run = at, generation
                    begin = at - logread.sent_numbers([payloads[0].as_py()], RUN_ID)[0]
                    # The events come again: a begin before seq 0 can only be the first run's.
                    expect(at > 0 or begin == 0, f"{path}: begins with event {-begin}")
                elif generation != run:
                    run, begin = generation, at
                expect_equal(at, at if seq is None else seq, f"{path}: next seq")
                seq = at + len(seqs)
                self.check_batch(path, at, at - begin, seqs, payloads)
        end = seq or 0
        expect(end >= durable, f"{directory} ends with seq {end}, but {durable} was reported as "
                               "durable")
        return first or 0, end

    def check_batch(self, path, at, event, seqs, payloads):
        expect(seqs.equals(pyarrow.array(range(at, at + len(seqs)), pyarrow.uint64())),
               f"{path}: seqs from {at} have a gap")
        numbers = pyarrow.array([(event + i) % FRAMES for i in range(len(seqs))])
        expect(payloads.equals(self.events.take(numbers)),
               f"{path}: {len(seqs)} events from seq {at} are not those sent from "
               f"{event % FRAMES} on")


class Witness:
    """Holds a receiver of the endless source to what it printed as durable, from start to start."""

    def __init__(self, source, receiver):
        self.source, self.receiver = source, receiver
        self.durable = 0  # as printed so far
        self.log_read = 0
        self.events = 0

    def look(self):
        """After a run: where it went on, and what is durable now."""
        said = self.receiver.log()[self.log_read:]
        self.log_read += len(said)
        for seq in re.findall(r"goes on at seq (\d+),", said):
            expect(int(seq) >= self.durable,
                   f"goes on at seq {seq}, but {self.durable} was durable")
        expect(self.durable == 0 or "new log" not in said, "began a new log")
        self.durable = printed_durable(self.receiver).get(0, self.durable)
        return self.durable

    def recover(self):
        """A start without events recovers the log, every row of which is then read."""
        port = self.receiver.config["ports"][0]
        wrapper, self.receiver.wrapper = self.receiver.wrapper, []
        port["device"], device = "net_null0,no-rx=1", port["device"]
        self.receiver.start().stop()
        port["device"], self.receiver.wrapper = device, wrapper
        self.look()
        first, end = self.source.check(self.receiver.data / "0", self.durable)
        self.events += end - first


def read_segment(path):
    """The generation, and (seqs, payloads) of each block, every buffer validated.

    Not mapped: what a test still refers to would keep the file system busy.
    """
    batches = []
    with pyarrow.ipc.open_stream(pyarrow.py_buffer(path.read_bytes())) as reader:
        for batch in reader:
            batch.validate(full=True)
            batches.append((batch.column("seq"), batch.column("payload")))
        return int(reader.schema.metadata[b"generation"]), batches
