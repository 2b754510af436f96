# SPDX-License-Identifier: BSD-3-Clause
"""A guest machine in QEMU, and the network namespace of the host that its NICs' other ends are in."""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import parts
import rig
from rig import expect, sh, wait_until

SLOW = 10 * rig.PATIENCE  # factor for what a guest without hardware help takes
SENDER4, GUEST4 = "10.66.0.1", "10.66.0.2"
SENDER6, GUEST6 = "fd66::1", "fd66::2"
MAC = "02:66:00:00:00:%02x"


class Machine:
    """What is plugged into a guest: options of QEMU, collected."""

    def __init__(self, cpus=2, memory="1536M", iommu=True):
        self.nics = 0
        self.options = ["-smp", str(cpus), "-m", memory]
        self.append = ""
        self.options += ["-machine", "q35,accel=tcg,kernel-irqchip=split"]
        if iommu:
            self.options += ["-device", "intel-iommu,intremap=on,caching-mode=on"]
            self.append += " intel_iommu=on iommu=pt"

    def nic(self, model, bus=None, **properties):
        """A NIC in a slot of its own, whose other end is tapN in the host's namespace."""
        n = self.nics
        self.nics += 1
        if bus is None:
            bus = f"slot{n}"
            self.options += ["-device", f"pcie-root-port,bus=pcie.0,id={bus},chassis={n + 1}"]
        extra = "".join(f",{key}={value}" for key, value in properties.items())
        self.options += ["-netdev", f"tap,id=n{n},ifname=tap{n},script=no,downscript=no",
                         "-device", f"{model},netdev=n{n},mac={MAC % (n + 1)},"
                                    f"bus={bus},id=nic{n}{extra}"]

    def disk(self, path, device="nvme", fmt="raw", cache="none", **properties):
        extra = "".join(f",{key}={value}" for key, value in properties.items())
        serial = ",serial=lab" if device == "nvme" else ""
        self.options += ["-drive", f"if=none,id=disk,file={path},format={fmt},cache={cache}",
                         "-device", f"{device},bus=pcie.0,drive=disk{serial}{extra}"]


class Wire:
    """A namespace with a TAP for each of a machine's NICs, tap0 with the senders' addresses."""

    def __init__(self, nics, mtu=1500):
        self.name = f"millrace-lab-{os.getpid()}"
        sh("ip", "netns", "add", self.name)
        for n in range(nics):
            self.sh("ip", "tuntap", "add", "dev", f"tap{n}", "mode", "tap")
            self.sh("sysctl", "-qw", f"net.ipv6.conf.tap{n}.accept_dad=0")
            self.sh("ip", "link", "set", f"tap{n}", "mtu", mtu, "up")
        self.sh("ip", "addr", "add", f"{SENDER4}/24", "dev", "tap0")
        self.sh("ip", "addr", "add", f"{SENDER6}/64", "dev", "tap0", "nodad")
        self.sh("ip", "link", "set", "lo", "up")

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def sh(self, *words, **options):
        return sh(*self.command(*words), **options)

    def frame_socket(self, device="tap0"):
        """For whole frames, both ways."""
        with rig.in_namespace(self.name):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            sock.bind((device, 3))
        sock.settimeout(5 * SLOW)
        return sock

    def close(self):
        sh("ip", "netns", "del", self.name, check=False)


class Guest:
    """A running guest. Commands run one after the other, as root, in its root directory."""

    def __init__(self, home, kernel, initrd, machine, wire):
        self.home, self.number, self.rest = home, 0, b""
        self.sockets = {}
        qemu = parts.qemu()
        where = {name: home / f"{name}.sock" for name in ("commands", "events", "monitor")}
        for path in where.values():
            path.unlink(missing_ok=True)
        command = [qemu / "usr/bin/qemu-system-x86_64", "-L", qemu / "usr/share/qemu",
                   "-L", "/usr/share/seabios", "-L", "/usr/lib/ipxe/qemu",
                   "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-cpu", "max", *machine.options,
                   "-kernel", kernel, "-initrd", initrd,
                   "-append", f"console=ttyS0 panic=-1 quiet rdinit=/init{machine.append}",
                   "-serial", f"file:{home}/console",
                   "-qmp", f"unix:{where['monitor']},server=on,wait=off",
                   "-device", "virtio-serial-pci,bus=pcie.0"]
        for name in ("commands", "events"):
            command += ["-chardev", f"socket,id={name},path={where[name]},server=on,wait=off",
                        "-device", f"virtserialport,chardev={name},name={name}"]
        self.process = subprocess.Popen(wire.command(*command), stdin=subprocess.DEVNULL,
                                        stdout=open(home / "qemu", "ab"), stderr=subprocess.STDOUT)
        self.came = bytearray()
        self.collector = threading.Thread(target=self.collect, daemon=True)
        try:
            self.wait_for(where)
        except BaseException:
            # Nobody else knows of it yet.
            self.process.kill()
            self.process.wait()
            raise

    def wait_for(self, where):
        for name, path in where.items():
            self.sockets[name] = self.connect(path)
        self.collector.start()
        begin = time.monotonic()
        self.answer(90)
        self.ready_after = time.monotonic() - begin

    def connect(self, path):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

        def connected():
            expect(self.process.poll() is None, f"qemu ended: {(self.home / 'qemu').read_text()}")
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                sock.connect(str(path))
                return True
            return False

        wait_until(connected, f"qemu served {path.name}", 20)
        return sock

    def answer(self, seconds):
        sock = self.sockets["commands"]
        end = time.monotonic() + seconds * rig.PATIENCE
        while b"\n" not in self.rest:
            sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                part = sock.recv(1 << 20)
            except TimeoutError:
                raise AssertionError(f"the guest did not answer in {seconds} s; its console:\n"
                                     f"{self.console()}") from None
            except ConnectionResetError:
                part = b""
            expect(part, f"the guest is gone: {(self.home / 'qemu').read_text()}\n{self.console()}")
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode().split(" ", 2)

    def console(self):
        path = self.home / "console"
        return "\n".join(path.read_text(errors="replace").splitlines()[-30:]) if path.exists() else ""

    def run(self, text, seconds=60, check=True):
        """Runs a piece of shell; what it said, standard error included."""
        self.number += 1
        self.sockets["commands"].sendall(
            f"{self.number} {base64.b64encode(text.encode()).decode()}\n".encode())
        number, code, said = self.answer(seconds)
        expect(number == str(self.number), f"answer {number} to command {self.number}")
        said = base64.b64decode(said).decode(errors="replace")
        if check and code != "0":
            raise AssertionError(f"guest: {text}\nexit {code}\n{said}\n{self.log_tail()}")
        return said if check else (int(code), said)

    def log_tail(self):
        with contextlib.suppress(Exception):
            self.number += 1
            self.sockets["commands"].sendall(
                f"{self.number} {base64.b64encode(b'tail -n 20 /run/millraced.log').decode()}\n"
                .encode())
            return base64.b64decode(self.answer(20)[2]).decode(errors="replace")
        return ""

    def nic(self, number=0):
        """PCI address of a NIC that a network driver has."""
        path = self.run(f"""for dev in /sys/class/net/*; do
            [ "$(<$dev/address)" != {MAC % (number + 1)} ] || readlink -f $dev/device
        done""")
        return re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9]", path)[-1]

    def driver(self, pci):
        """Name of the driver that has it, or "" for none."""
        return self.run(f"basename \"$(readlink /sys/bus/pci/devices/{pci}/driver)\"").strip()

    def collect(self):
        """Takes off the events port whatever comes: who writes to it must not wait."""
        with contextlib.suppress(OSError):
            while part := self.sockets["events"].recv(1 << 16):
                self.came += part

    def events(self):
        """What came by the events port so far; after kill() all of it."""
        return self.came.decode(errors="replace")

    def monitor(self, command, **arguments):
        sock = self.sockets["monitor"]
        sock.settimeout(20 * rig.PATIENCE)
        stream = sock.makefile("rw")
        if not hasattr(self, "greeted"):
            self.greeted = json.loads(stream.readline())
            self.say(stream, "qmp_capabilities")
        return self.say(stream, command, **arguments)

    @staticmethod
    def say(stream, command, **arguments):
        stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        stream.flush()
        while True:
            reply = json.loads(stream.readline())
            if "event" not in reply:
                expect("error" not in reply, f"{command}: {reply}")
                return reply["return"]

    def kill(self):
        """As if the power went."""
        if self.process.poll() is None:
            # The process is `ip netns exec`, which became QEMU.
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.collector.join(5)
