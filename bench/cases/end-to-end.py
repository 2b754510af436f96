#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""From the wire to a read_committed consumer of Kafka, at the default seal_interval of 200 ms: what a
message's timestamp, which is when its event was received, says when it is there.
"""

import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import broker  # noqa: E402
import rig  # noqa: E402
from harness import BenchError, Millraced, cpus, ip, main, seconds, stop  # noqa: E402

ADDRESS, SENDER = "10.77.0.2", "10.77.0.1"
BROKER = "10.79.0.1"  # on the loopback; librdkafka wants an address that is none of its own
RATES = (1_000, 20_000)
SIZE = 600


class Consumer:
    """Counts and times what comes, in the namespace of the broker."""

    def __init__(self, netns, topic):
        import confluent_kafka
        self.delays, self.error = [], None
        with rig.in_namespace(netns):
            self.consumer = confluent_kafka.Consumer({
                "bootstrap.servers": f"{BROKER}:{broker.PORT}", "group.id": "bench",
                "isolation.level": "read_committed", "auto.offset.reset": "earliest",
                "enable.auto.commit": False, "fetch.wait.max.ms": 10})
        self.consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.end.is_set():
            for message in self.consumer.consume(1000, 0.05):
                if message.error():
                    self.error = str(message.error())
                else:
                    self.delays.append(time.time() * 1000 - message.timestamp()[1])

    def close(self):
        self.end.set()
        self.thread.join()
        self.consumer.close()


def at(delays, q):
    return sorted(delays)[min(int(q * len(delays)), len(delays) - 1)]


def run(case):
    duration = seconds(8)
    tx, rx, _ = case.namespaces()
    ip("-n", tx, "address", "add", f"{SENDER}/24", "dev", "tx0")
    ip("-n", rx, "link", "set", "lo", "up")
    ip("-n", rx, "address", "add", f"{BROKER}/32", "dev", "lo")
    process = broker.start(case, BROKER, rx)
    for rate in RATES:
        topic = f"rate-{rate}"
        receiver = Millraced(case, "af_xdp:rx0", cpus()[0], netns=rx,
                             port={"addresses": f"[{ADDRESS}/24]"},
                             sinks=[{"name": topic, "kind": "kafka", "topic": topic, "properties":
                                     f'{{bootstrap.servers: "{BROKER}:{broker.PORT}"}}'}])
        send = [f"{ADDRESS}:{Millraced.PORT}", "--rate", str(rate), "--size", str(SIZE)]
        first = case.send([*send, "--duration", "2s"], 60, netns=tx, cpu=cpus()[1])
        broker.wait_for(lambda: receiver.counters()["sink.lag_batches"] == 0, 60, "Kafka has it")
        consumer = Consumer(rx, topic)
        broker.wait_for(lambda: len(consumer.delays) >= first["sent"], 60, "the consumer is there")
        consumer.delays.clear()
        account = case.send([*send, "--duration", f"{duration:g}s"], duration + 60, netns=tx,
                            cpu=cpus()[1])
        broker.wait_for(lambda: len(consumer.delays) >= account["sent"], 60, "all are consumed")
        consumer.close()
        receiver.stop()
        if consumer.error:
            raise BenchError(consumer.error)
        case.row(f"rate_{rate}_consumed", len(consumer.delays), "events", account["sent"])
        for q, name in ((0.5, "p50"), (0.99, "p99"), (0.999, "p999")):
            case.row(f"rate_{rate}_wire_to_consumer_{name}", at(consumer.delays, q), "ms")
    stop(process, 30)


sys.exit(main("end-to-end", run))
