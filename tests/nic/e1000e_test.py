#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""A NIC behind an IOMMU: bound by setup.sh, polled by millraced with DPDK's e1000 driver, given
back to the kernel as it was. The other side is a kernel; the log lies on an NVMe disk."""

import json
import socket
import struct

import frames
import guest
import lab
import rig
from guest import GUEST4, GUEST6, SENDER4, SLOW
from lab import Lab, step
from rig import expect, expect_equal, wait_until

EVENTS = 20000
SOL_PACKET, PACKET_AUXDATA = 263, 8  # linux/if_packet.h
MAC = guest.MAC % 1


def addresses(g):
    """What of a device must come back: addresses, link state, MTU, MAC, routes by it."""
    link = json.loads(g.run("ip -j addr show dev eth0"))[0]
    found = sorted((a["local"], a["prefixlen"]) for a in link["addr_info"] if a["scope"] == "global")
    return found, link["mtu"], link["address"], "UP" in link["flags"]


def the_kernel_has_the_nic(lab_, pci):
    g = lab_.guest
    g.run(f"sysctl -qw net.ipv6.conf.eth0.accept_dad=0; ip link set eth0 mtu 1400 up;"
          f"ip addr add {GUEST4}/24 dev eth0; ip addr add {GUEST6}/64 dev eth0 nodad;"
          f"ip route add 10.99.0.0/24 via {SENDER4}")
    wait_until(lambda: lab_.wire.sh("ping", "-c", 1, "-W", 1, GUEST4, check=False).returncode == 0,
               "the guest's kernel answered", 5 * SLOW)
    expect_equal(g.driver(pci),
                 "e1000e", "driver before")


def it_is_bound_only_when_forced(lab_, pci):
    before = addresses(lab_.guest)
    said = lab_.setup("bind eth0", code=5)
    expect(GUEST4 in said and "--force" in said, f"the refusal: {said}")
    expect_equal(addresses(lab_.guest), before, "the NIC after the refusal")
    lab_.setup("--dry-run bind --force eth0")
    expect_equal(addresses(lab_.guest), before, "the NIC after the dry run")
    lab_.setup("bind --force eth0")
    lab_.setup("bind --force " + pci)  # once more, by its other name: nothing to do
    lab_.setup("hugepages 128")
    nic = next(n for n in lab_.setup_json("status")["nics"] if n["address"] == pci)
    expect_equal(nic["driver"], "vfio-pci", "driver")


def events_come_by_dpdk(lab_, pci):
    lab_.make_log_disk()
    lab_.configure([(pci, ["exception: mill0"])])
    lab_.start()
    port = lab_.api("ports")[0]
    expect_equal(port["driver"], "net_e1000_em", "DPDK's driver")
    expect_equal(port["mac"], MAC, "MAC")
    wait_until(lambda: lab_.api("ports")[0]["link_up"], "the link was up", 3 * SLOW)
    for address in (GUEST4, GUEST6):
        lab_.ping(address)
    said = lab_.wire.sh("arping", "-c", 2, "-w", 10, "-I", "tap0", GUEST4).stdout
    expect(MAC in said, f"arping: {said}")
    arrived = lab_.send("--count", EVENTS, "--rate", 5000, "--size", "18-1400")
    rest = lab_.at_rest(arrived)
    expect_equal(rest["events"]["durable"], arrived, f"durable events ({rest})")
    xstats = {x["name"]: x["value"] for x in lab_.api("ports --xstats")[0]["xstats"]}
    expect(xstats["rx_good_packets"] >= arrived, f"xstats: {xstats}")
    parts = lab_.verify()
    expect_equal([(p["state"], p["rows"]) for p in parts], [("ok", arrived)], "log verify")


def the_kernel_goes_on_by_the_exception_device(lab_):
    g = lab_.guest
    expect_equal(json.loads(g.run("ip -j link show dev mill0"))[0]["address"], MAC, "its MAC")
    g.run(f"ping -c 2 -W 5 {SENDER4}")
    # A TCP connection of the sender is refused by the guest's kernel, so it got there and back.
    done = lab_.wire.sh("bash", "-c", f"echo >/dev/tcp/{GUEST4}/2222", check=False)
    expect("refused" in done.stderr, f"TCP: {done.stderr}")


def the_link_goes_down_and_comes_back(lab_):
    for up in (False, True):
        lab_.guest.monitor("set_link", name="nic0", up=up)
        wait_until(lambda up=up: lab_.api("ports")[0]["link_up"] == up, f"link up: {up}", 3 * SLOW)
    before = lab_.drops()["events"]["durable"]
    lab_.ping(GUEST4)
    arrived = lab_.send("--count", 1000, "--rate", 1000)
    rest = lab_.at_rest()
    expect_equal(rest["events"]["durable"] - before, arrived, "events after the link's return")
    expect("link down" in lab_.guest.run(f"cat {lab.LOG}"), "the log tells of it")
    lab_.stop()


def vlan_tags_are_taken_off_and_put_on_by_the_device(lab_):
    before = lab_.drops()["events"]["durable"]
    wire, mine, peer = lab_.wire.frame_socket(), b"\2" * 6, "10.66.0.9"
    tag = struct.pack("!HH", 0x8100, 7)
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.send(frames.arp_request(mine, peer, GUEST4, tag))
    while True:
        frame, beside, _, _ = wire.recvmsg(2048, 256)
        if frame[:6] == mine:
            break
    # The kernel takes the tag out of the frame that it hands over, and tells it beside.
    tags = [struct.unpack("IIIHHHH", body)[5] & 0xfff for level, kind, body in beside
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA)]
    expect_equal((frame[12:14], tags), (b"\x08\x06", [7]), "the answer's type and tag")
    wire.send(frames.ip4(frames.mac(MAC), mine, peer, GUEST4, socket.IPPROTO_UDP,
                         frames.udp(4000, rig.PORT, b"tagged"), tag=tag))
    wait_until(lambda: lab_.drops()["events"]["durable"] == before + 1, "it was durable", 3 * SLOW)


def jumbo_frames_come_in_several_mbufs(lab_, pci):
    first = lab_.verify()[0]["rows"]
    lab_.wire.sh("ip", "link", "set", "tap0", "mtu", 9000)
    lab_.configure([(pci, ["exception: mill0", "mtu: 9000"])])
    lab_.start()
    expect_equal(lab_.api("ports")[0]["mtu_bytes"], 9000, "MTU of the port")
    wait_until(lambda: lab_.api("ports")[0]["link_up"], "the link was up", 3 * SLOW)
    lab_.ping(GUEST4)
    arrived = lab_.send("--count", 2000, "--rate", 1000, "--size", "1400-8900")
    rest = lab_.at_rest(arrived)
    expect_equal(rest["events"]["durable"], arrived, f"durable events ({rest})")
    # What is no datagram is the kernel's, both ways.
    lab_.wire.sh("ping", "-c", 3, "-i", "0.2", "-W", 5, "-s", 8500, "-M", "do", GUEST4)
    said = lab_.guest.run(f"millrace --socket {lab.SOCKET} log cat --from {first} {lab.DATA}/0 | "
                          "cut -c9-18 | sort | uniq | wc -l", 60)
    expect_equal(int(said), arrived, "different events in the log")
    lab_.stop()


def an_ordinary_user_can_run_it(lab_, pci):
    """As docs/nic.md says: the vfio group given away, locked memory, no capability left; a device
    for the kernel's share is made beforehand."""
    g = lab_.guest
    g.run(f"ip tuntap add dev mill1 mode tap user events; ip link set dev mill1 address {MAC} up;"
          f"ip addr add {GUEST4}/24 dev mill1")
    lab_.setup(f"bind --force --user events {pci}")
    g.run(f"rm -rf {lab.DATA}; mkdir {lab.DATA}; chown events {lab.DATA}; chmod 777 /run")
    lab_.configure([(pci, ["exception: mill1"])])
    lab_.start("prlimit --memlock=unlimited setpriv --reuid=events --regid=events --clear-groups "
               "--inh-caps=-all --bounding-set=-all")
    said = g.run("grep -E '^(Uid|CapEff)' /proc/$(pgrep -x millraced)/status").split()
    expect_equal((said[1], int(said[6], 16)), ("1000", 0), "user and capabilities")
    g.run(f"ping -c 2 -W 5 {SENDER4}")
    arrived = lab_.send("--count", 2000, "--rate", 2000)
    rest = lab_.at_rest(arrived)
    expect_equal(rest["events"]["durable"], arrived, "durable events")
    lab_.stop()
    g.run("ip tuntap del dev mill1 mode tap")  # or it would go on answering for the NIC


def restore_gives_it_back(lab_, pci, before):
    g = lab_.guest
    lab_.setup("--dry-run restore")
    lab_.setup("restore")
    lab_.setup("restore")  # nothing more to do
    expect_equal(g.driver(pci),
                 "e1000e", "driver after")
    expect_equal(addresses(g), before, "addresses, MTU, MAC and link state")
    expect("10.99.0.0/24" in g.run("ip route"), "the route by it")
    expect_equal(g.run("cat /proc/sys/vm/nr_hugepages").strip(), "0", "hugepages")
    wait_until(lambda: lab_.wire.sh("ping", "-c", 1, "-W", 1, GUEST4, check=False).returncode == 0,
               "the guest's kernel answered again", 5 * SLOW)


def a_nic_behind_an_iommu_and_back(r):
    machine = guest.Machine()
    machine.nic("e1000e")
    lab_ = Lab(r, machine)
    machine.disk(lab_.new_disk())
    pci = lab_.boot().nic()
    step(the_kernel_has_the_nic, lab_, pci)
    before = addresses(lab_.guest)
    step(it_is_bound_only_when_forced, lab_, pci)
    step(events_come_by_dpdk, lab_, pci)
    step(the_kernel_goes_on_by_the_exception_device, lab_)
    step(vlan_tags_are_taken_off_and_put_on_by_the_device, lab_)
    step(the_link_goes_down_and_comes_back, lab_)
    step(jumbo_frames_come_in_several_mbufs, lab_, pci)
    step(an_ordinary_user_can_run_it, lab_, pci)
    step(restore_gives_it_back, lab_, pci, before)


rig.run(a_nic_behind_an_iommu_and_back)
