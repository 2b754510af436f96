#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
"""virtio-net behind the IOMMU, on a machine of two NUMA nodes."""

import re

import guest
import rig
from lab import Lab
from rig import expect, expect_equal


def numa_machine():
    """The IOMMU's device is on no node; the NIC sits behind a bridge of node 1."""
    machine = guest.Machine(cpus=2, memory="2G")
    machine.options += ["-object", "memory-backend-ram,id=m0,size=1G",
                        "-object", "memory-backend-ram,id=m1,size=1G",
                        "-numa", "node,nodeid=0,cpus=0,memdev=m0",
                        "-numa", "node,nodeid=1,cpus=1,memdev=m1",
                        "-device", "pxb-pcie,id=node1,bus_nr=128,numa_node=1,bus=pcie.0",
                        "-device", "pcie-root-port,id=far,bus=node1,chassis=1"]
    return machine


def virtio_net_on_the_second_numa_node(r):
    machine = numa_machine()
    machine.nic("virtio-net-pci", bus="far", **{"disable-legacy": "on", "iommu_platform": "on"})
    lab = Lab(r, machine)
    machine.disk(lab.new_disk())
    pci = lab.boot().nic()
    nic = next(n for n in lab.setup_json("status")["nics"] if n["address"] == pci)
    expect_equal(nic["numa_node"], 1, f"node of {nic}")
    lab.setup("hugepages 64 --node 1")
    lab.setup(f"bind {pci}")
    pools = {(p["node"], p["page_bytes"]): p["reserved"] for p in lab.setup_json("status")["pools"]}
    expect_equal((pools[0, 2 << 20], pools[1, 2 << 20]), (0, 64), f"hugepages by node: {pools}")
    lab.make_log_disk()
    # From the wrong node first: a warning that names both.
    lab.configure([(pci, [])], cpus="0")
    code, said = lab.guest.run("millraced -c /run/m.yaml --check", check=False)
    expect("the device is on node 1, cpu 0 that polls it on node 0" in said, said)
    # DPDK wants a little on the node of the threads that don't poll, too.
    lab.configure([(pci, [])], cpus="1")
    code, said = lab.guest.run("millraced -c /run/m.yaml --check", check=False)
    mend = re.search(r"setup\.sh (hugepages \d+ --node 0)", said)
    expect(code == 1 and mend, said)
    lab.setup(mend[1])
    lab.start()
    port = lab.api("ports")[0]
    expect_equal((port["driver"], port["numa_node"]), ("net_virtio", 1), "driver and node")
    lab.ping(guest.GUEST4)
    arrived = lab.send("--count", 10000, "--rate", 4000)
    rest = lab.at_rest(arrived)
    expect_equal(rest["events"]["durable"], arrived, f"durable events ({rest})")
    lab.stop()
    lab.setup("restore")
    expect_equal(lab.guest.run("cat /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages")
                 .strip(), "0", "hugepages of node 1 after restore")


rig.run(virtio_net_on_the_second_numa_node)
