#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
"""Without an IOMMU a bind is refused, and the NIC goes on under its kernel driver, unharmed; with
an unsafe driver asked for by name it works."""

import guest
import rig
from guest import GUEST4, SLOW
from lab import Lab
from rig import expect, expect_equal, wait_until


def answered(lab):
    return lab.wire.sh("ping", "-c", 1, "-W", 1, GUEST4, check=False).returncode == 0


def a_bind_without_an_iommu_leaves_the_nic_as_it_was(r):
    machine = guest.Machine(iommu=False)
    machine.nic("e1000e")
    lab = Lab(r, machine)
    machine.disk(lab.new_disk())
    pci = lab.boot().nic()
    lab.guest.run(f"ip addr add {GUEST4}/24 dev eth0; ip link set eth0 up")
    wait_until(lambda: answered(lab), "the guest's kernel answered", 5 * SLOW)
    code, said = lab.guest.run(f"/lab/scripts/setup.sh bind --force {pci}", check=False)
    expect(code not in (0, 2) and "IOMMU" in said, f"exit {code}: {said}")
    expect_equal(lab.guest.driver(pci), "e1000e", "driver after the refusal")
    wait_until(lambda: answered(lab), "it answered still", 5 * SLOW)
    # Debian's kernel has no such mode: an error again, and no harm.
    said = lab.setup(f"bind --force --driver vfio-noiommu {pci}", code=1)
    expect("uio_pci_generic" in said, said)
    expect_equal(lab.guest.driver(pci), "e1000e", "driver after the error")
    # By name, at one's own risk.
    lab.setup(f"bind --force --driver uio_pci_generic {pci}")
    expect_equal(lab.guest.driver(pci), "uio_pci_generic", "driver without an IOMMU")
    lab.setup("hugepages 64")
    lab.make_log_disk()
    lab.configure([(pci, [])])
    lab.start()
    lab.ping(GUEST4)
    arrived = lab.send("--count", 2000, "--rate", 2000)
    rest = lab.at_rest(arrived)
    expect_equal(rest["events"]["durable"], arrived, "durable events")
    lab.stop()
    lab.setup("restore")
    expect_equal(lab.guest.driver(pci), "e1000e", "driver after restore")
    wait_until(lambda: answered(lab), "the kernel answered again", 5 * SLOW)


rig.run(a_bind_without_an_iommu_leaves_the_nic_as_it_was)
