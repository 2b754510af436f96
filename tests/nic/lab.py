# SPDX-License-Identifier: BSD-3-Clause
"""What the lab's tests share: a guest for a Rig, setup.sh and millraced in it, senders outside."""

import json
import re
import time

import guest
import parts
import rig
from guest import GUEST4, GUEST6, SLOW
from rig import MILLRACE, PORT, expect, expect_equal, wait_until

SETUP = "/lab/scripts/setup.sh"
CONFIG, SOCKET, DATA = "/run/m.yaml", "/run/m.sock", "/mnt/data"
LOG = "/run/millraced.log"


class Lab:
    """A guest that is up, with a disk at /mnt."""

    def __init__(self, r, machine, mtu=1500, programs=()):
        self.r = r
        self.initrd = r.home / "initrd"
        self.kernel = parts.build_root(r.home / "root", self.initrd, programs)
        self.machine = machine
        self.wire = guest.Wire(max(machine.nics, 1), mtu)
        r.stack.callback(self.wire.close)
        self.guest = None

    def boot(self):
        self.guest = guest.Guest(self.r.home, self.kernel, self.initrd, self.machine, self.wire)
        self.r.stack.callback(self.guest.kill)
        return self.guest

    def new_disk(self, megabytes=1024):
        path = self.r.home / "disk"
        with open(path, "wb") as out:
            out.truncate(megabytes << 20)
        return path

    def setup(self, words, code=0, seconds=60):
        """Runs setup.sh in the guest; what it said."""
        found, said = self.guest.run(f"{SETUP} {words}", seconds * SLOW / 10, check=False)
        expect_equal(found, code, f"exit code of setup.sh {words}: {said}")
        return said

    def setup_json(self, words):
        said = self.guest.run(f"{SETUP} --json {words} 2>/dev/null")
        return json.loads(said)["data"]

    def configure(self, devices, partitions=1, cpus="1", log="  segment_size: 64MiB\n"):
        """devices: a port each, with what stands below it; the first has the guest's addresses."""
        text = f"data: {DATA}\nsocket: {SOCKET}\ncpus: \"{cpus}\"\npartitions: {partitions}\n"
        text += f"listeners:\n  - port: {PORT}\nlog:\n{log}ports:\n"
        for number, (device, lines) in enumerate(devices):
            text += f"  - device: \"{device}\"\n" + "".join(f"    {line}\n" for line in lines)
            if number == 0:
                text += f"    addresses: [\"{GUEST4}/24\", \"{GUEST6}/64\"]\n"
        self.guest.run(f"cat > {CONFIG} <<'END'\n{text}END\n")

    def start(self, prefix="", seconds=60):
        self.guest.run(f": >{LOG}; chmod 666 {LOG}; rm -f {SOCKET}\n"
                       f"(setsid {prefix} millraced -c {CONFIG} --print-durable"
                       f" >/run/port-events 2>>{LOG} & echo $! >/run/pid)\n"
                       f"for i in $(seq {10 * seconds}); do\n"
                       f"  grep -q ready: {LOG} && exit 0\n"
                       f"  [ -d /proc/$(cat /run/pid) ] || break\n"
                       f"  sleep 0.1\ndone\nexit 1", seconds + 10)

    def stop(self):
        said = self.guest.run(f"pkill millraced; for i in $(seq 200); do pgrep -x millraced >/dev/null"
                              f" || break; sleep 0.1; done; tail -n 5 {LOG}", 60)
        expect("durable up to seq" in said, f"the end of millraced: {said}")
        return said

    def api(self, path):
        """By the CLI, for the guest has no other client."""
        return json.loads(self.guest.run(f"millrace --socket {SOCKET} --json {path} 2>/dev/null"))["data"]

    def drops(self):
        return self.api("drops")

    def at_rest(self, packets=0, seconds=20):
        """Until nothing is in flight and so many packets came; the account of it all, balanced."""
        last = {}

        def resting():
            nonlocal last
            before, last = last, self.drops()
            return before == last and not last["packets"]["in_flight"] \
                and not last["events"]["in_flight"] and last["packets"]["in"] >= packets

        wait_until(resting, f"the receiver was at rest ({packets} packets)", seconds * SLOW / 10)
        for unit in ("packets", "events"):
            expect_equal(last[unit]["balance"], 0, f"balance of {unit} ({last[unit]})")
        return {unit: last[unit] for unit in ("packets", "events")}

    def tap_dropped(self, tap="tap0"):
        link = json.loads(self.wire.sh("ip", "-s", "-j", "link", "show", "dev", tap).stdout)[0]
        return link["stats64"]["tx"]["dropped"]

    def send(self, *words, to=GUEST4):
        """millrace send from the host's namespace; how many datagrams the TAP took."""
        dropped = self.tap_dropped()
        done = self.wire.sh(MILLRACE, "--json", "send", f"{to}:{PORT}", *words, check=False)
        expect(done.returncode in (0, 1), f"millrace send: exit {done.returncode} {done.stderr}")
        return json.loads(done.stdout)["data"]["datagrams"] - (self.tap_dropped() - dropped)

    def ping(self, address, count=3):
        words = ["-6"] if ":" in address else []
        return self.wire.sh("ping", *words, "-c", count, "-i", "0.2", "-W", "5", address)

    def verify(self):
        said = self.guest.run(f"millrace --socket {SOCKET} --json log verify {DATA} 2>/dev/null", 120)
        return json.loads(said)["data"]

    def make_log_disk(self, device="/dev/nvme0n1"):
        self.guest.run(f"mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 {device}"
                       f" && mount -o noatime {device} /mnt", 60)


def step(function, *words):
    """One thing that a guest is up for; a boot is too dear for each."""
    begin = time.monotonic()
    function(*words)
    print(f"     {function.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)


def printed(text):
    """The last `durable PARTITION SEQ` of each partition in what came by the events port."""
    last = {}
    for match in re.finditer(r"^durable (\d+) (\d+)\r?\n", text, re.M):
        seq = int(match[2])
        expect(seq >= last.get(int(match[1]), 0), f"durable went back to {seq}")
        last[int(match[1])] = seq
    return last
